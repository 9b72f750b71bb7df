package dev.panthera.benchmarks;

import dev.panthera.kernels.Activation;
import dev.panthera.kernels.ActivationKernel;
import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.DeviceStream;
import dev.panthera.kernels.NormKernel;
import dev.panthera.kernels.NormKind;
import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_activation_desc;
import dev.panthera.kernels.abi.pan_device_options;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What the way from Java to a kernel and back costs. An activation of one element is nearly nothing but the way: once
 * through {@code dev.panthera.kernels}, which checks buffers and writes a descriptor in every call, and twice without it.
 * The norm has the size of a small training, so that the way can be seen as a share. All on one thread, since waking
 * others would be measured instead.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class BindingsBenchmark {
    private static final int ROWS = 256;
    private static final int CHANNELS = 64;
    private static final float X = 0.5f;

    private static final ActivationKernel ACTIVATION = new ActivationKernel(Activation.RELU, 1);
    private static final NormKernel NORM = new NormKernel(NormKind.LAYER, 1e-5f, ROWS, CHANNELS);

    private Device device;
    private DeviceStream stream;
    private DeviceBuffer x;
    private DeviceBuffer y;
    private DeviceBuffer rows;
    private DeviceBuffer weight;
    private DeviceBuffer normalised;
    private DeviceBuffer mean;
    private DeviceBuffer rstd;

    private MemorySegment abiDevice;
    private MemorySegment abiStream;
    private Arguments unguarded;
    private Arguments guarded;
    private Arena shared;

    /** Of the activation, made before it is called. */
    private record Arguments(MemorySegment descriptor, MemorySegment x, MemorySegment y) {

        static Arguments in(Arena arena) {
            MemorySegment descriptor = pan_activation_desc.allocate(arena);
            pan_activation_desc.struct_size(descriptor, (int) pan_activation_desc.sizeof());
            pan_activation_desc.dtype(descriptor, PantheraAbi.PAN_F32());
            pan_activation_desc.kind(descriptor, PantheraAbi.PAN_ACTIVATION_RELU());
            pan_activation_desc.count(descriptor, 1);
            return new Arguments(
                    descriptor,
                    arena.allocateFrom(ValueLayout.JAVA_FLOAT, X),
                    arena.allocate(ValueLayout.JAVA_FLOAT));
        }
    }

    @Setup
    public void open() {
        device = Device.cpu(1);
        stream = device.newStream();
        x = filled(1);
        y = filled(1);
        rows = filled(ROWS * CHANNELS);
        weight = filled(CHANNELS);
        normalised = filled(ROWS * CHANNELS);
        mean = filled(ROWS);
        rstd = filled(ROWS);

        shared = Arena.ofShared();
        unguarded = Arguments.in(Arena.global());
        guarded = Arguments.in(shared);
        openAbi();
        activation();
        require(y.toFloatArray()[0] == X);
        require(activationByAbi() == PantheraAbi.PAN_OK());
        require(unguarded.y.get(ValueLayout.JAVA_FLOAT, 0) == X);
        require(activationByAbiGuarded() == PantheraAbi.PAN_OK());
    }

    private DeviceBuffer filled(int elements) {
        DeviceBuffer buffer = device.allocate(DataType.F32, elements);
        float[] values = new float[elements];
        for (int i = 0; i < elements; i++) {
            values[i] = X + i % 7;
        }
        stream.copyToDevice(buffer, values);
        return buffer;
    }

    private void openAbi() {
        try (var arena = Arena.ofConfined()) {
            MemorySegment options = pan_device_options.allocate(arena);
            pan_device_options.struct_size(options, (int) pan_device_options.sizeof());
            pan_device_options.backend(options, PantheraAbi.PAN_BACKEND_CPU());
            pan_device_options.threads(options, 1);
            MemorySegment handle = arena.allocate(ValueLayout.ADDRESS);
            require(PantheraAbi.pan_device_open(options, handle) == PantheraAbi.PAN_OK());
            abiDevice = handle.get(ValueLayout.ADDRESS, 0);
            require(PantheraAbi.pan_stream_create(abiDevice, handle) == PantheraAbi.PAN_OK());
            abiStream = handle.get(ValueLayout.ADDRESS, 0);
        }
    }

    /** A call that fails would be fast. */
    private static void require(boolean condition) {
        if (!condition) {
            throw new IllegalStateException("a call did not do what is to be measured");
        }
    }

    @TearDown
    public void close() {
        PantheraAbi.pan_stream_destroy(abiStream);
        PantheraAbi.pan_device_close(abiDevice);
        shared.close();
        for (DeviceBuffer buffer :
                new DeviceBuffer[] {x, y, rows, weight, normalised, mean, rstd}) {
            buffer.close();
        }
        stream.close();
        device.close();
    }

    /** The least that any call costs: no arguments, and the function only returns a constant. */
    @Benchmark
    public int emptyCall() {
        return PantheraAbi.pan_abi_version();
    }

    /** With a descriptor written before, in memory that nobody can close. */
    @Benchmark
    public int activationByAbi() {
        return activate(unguarded);
    }

    /** As {@link #activationByAbi}, in memory of a shared arena, which the call has to keep from being closed meanwhile. */
    @Benchmark
    public int activationByAbiGuarded() {
        return activate(guarded);
    }

    private int activate(Arguments arguments) {
        return PantheraAbi.pan_activation_forward(
                abiStream, arguments.descriptor, arguments.x, arguments.y);
    }

    @Benchmark
    public void activation() {
        ACTIVATION.forward(stream, x, y);
    }

    @Benchmark
    public void norm() {
        NORM.forward(stream, rows, null, weight, null, null, normalised, mean, rstd);
    }

    @Benchmark
    public void synchronize() {
        stream.synchronize();
    }
}
