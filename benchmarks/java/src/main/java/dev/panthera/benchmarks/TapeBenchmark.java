package dev.panthera.benchmarks;

import dev.panthera.kernels.Activation;
import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.DeviceStream;
import dev.panthera.kernels.RandomState;
import dev.panthera.tensor.ActivationOperation;
import dev.panthera.tensor.Operation;
import dev.panthera.tensor.StepArena;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What an operation costs in Java, forward and backward, as part of a step of ten on one element: without kernels, and
 * with those of a residual stream, which has gradients to add up. A step is many methods, whose compilation takes the
 * JVM longer than that of a call.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@OperationsPerInvocation(TapeBenchmark.OPERATIONS)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class TapeBenchmark {
    static final int OPERATIONS = 10;

    private Device device;
    private DeviceStream stream;
    private StepArena arena;
    private RandomState random;
    private Tape tape;
    private DeviceBuffer values;
    private Tensor x;

    /** Computes nothing and passes its gradient on: what is left is the tape's work. */
    private record Relay(Tensor x, Tensor y) implements Operation {

        static Tensor apply(Tape tape, Tensor x) {
            var operation = new Relay(x, tape.allocate(x.shape()));
            tape.run(operation);
            return operation.y;
        }

        @Override
        public String name() {
            return "relay";
        }

        @Override
        public void forward(Tape tape) {}

        @Override
        public void backward(Tape tape) {
            tape.passOn(y, x);
        }

        @Override
        public Tensor[] outputs() {
            return new Tensor[] {y};
        }
    }

    @Setup
    public void open() {
        device = Device.cpu(1);
        stream = device.newStream();
        arena = new StepArena(device);
        random = RandomState.allocate(device, stream);
        tape = new Tape(stream, arena, random, device.parameterType());
        values = device.allocate(DataType.F32, 1);
        stream.copyToDevice(values, new float[] {1});
        x = Tensor.wrap(values, 1);
    }

    @TearDown
    public void close() {
        values.close();
        random.close();
        arena.close();
        stream.close();
        device.close();
    }

    @Benchmark
    public void withoutKernels() {
        tape.begin(Tape.Mode.TRAINING);
        Tensor y = x;
        for (int i = 0; i < OPERATIONS; i++) {
            y = Relay.apply(tape, y);
        }
        tape.backward(y);
        tape.end();
    }

    /** The step calls kernels 10 times forward and 13 times backward. */
    @Benchmark
    public void withKernels() {
        tape.begin(Tape.Mode.TRAINING);
        Tensor y = x;
        for (int i = 0; i < OPERATIONS; i += 2) {
            Tensor branch = ActivationOperation.apply(tape, Activation.RELU, y);
            y = branch.plus(y);
        }
        tape.backward(y);
        tape.end();
    }
}
