package dev.panthera.bench;

import dev.panthera.UserException;
import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.DeviceStream;
import dev.panthera.kernels.RandomState;
import dev.panthera.tensor.StepArena;
import dev.panthera.tensor.StepProfile;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** A {@link KernelCase} on a device, with its inputs in place. */
public final class KernelBench implements AutoCloseable {
    private static final Timing.Rounds ROUNDS = new Timing.Rounds(3, 0.2, 7, 41, 3);

    /** Of the largest magnitude of an output or gradient: sums in another order stay far below. */
    private static final double TOLERANCE = 2e-5;

    private static final long RANDOM_SEED = 1;

    private final Device device;
    private final DeviceStream stream;
    private final StepArena arena;
    private final RandomState random;
    private final Tape tape;
    private final KernelCase work;
    private final List<DeviceBuffer> values = new ArrayList<>();
    private final DeviceBuffer outputGradient;
    private List<Tensor> inputs = List.of();

    private KernelBench(Device device, KernelCase work) {
        this.device = device;
        this.work = work;
        stream = device.newStream();
        arena = new StepArena(device);
        random = RandomState.allocate(device, stream);
        random.write(stream, RANDOM_SEED, 0);
        tape = new Tape(stream, arena, random, device.parameterType());
        for (KernelCase.Input input : work.inputs()) {
            values.add(
                    input.integers() == null
                            ? reals(input.numbers(values.size()))
                            : integers(input.integers().make(values.size(), input.elements())));
        }
        begin(Tape.Mode.TRAINING);
        outputGradient = reals(Noise.floats(values.size(), forward().size()));
    }

    /** All operations that can be measured. */
    public static List<String> names() {
        return KernelCase.names();
    }

    /**
     * Such a name, checked.
     *
     * @throws UserException if there is no such operation
     */
    public static String checked(String name) {
        UserException.require(
                names().contains(name),
                "--op %s: there is no such operation; choose from %s",
                name,
                String.join(", ", names()));
        return name;
    }

    /**
     * What was measured.
     *
     * @param pass forward, or forward+backward with the gradients of all inputs that have one
     * @param flops nominal floating-point operations; 0 where memory bounds the operation
     * @param bytes of inputs, outputs and their gradients, each once
     * @param peakMb largest resident memory in 1e6 bytes, with that of the JVM; 0 where unknown
     */
    public record Result(String pass, Timing timing, double flops, double bytes, double peakMb) {
        public double gflops() {
            return flops / (1e6 * timing.medianMs());
        }

        public double gigabytesPerSecond() {
            return bytes / (1e6 * timing.medianMs());
        }
    }

    /**
     * Measures both passes of an operation, after its results were compared with the reference's.
     *
     * @throws WrongResultException if results are wrong
     */
    public static List<Result> run(Device device, String op, KernelSizes sizes) {
        check(device, op, sizes);
        PeakMemory.reset();
        try (var bench = new KernelBench(device, KernelCase.named(op, sizes))) {
            return List.of(
                    bench.measure("forward", bench.work.forwardMode(), bench::forward),
                    bench.measure(
                            "forward+backward", Tape.Mode.TRAINING, bench::forwardAndBackward));
        }
    }

    private Result measure(String pass, Tape.Mode mode, Runnable passes) {
        Cost cost = cost(mode, passes);
        Timing timing = time(mode, passes);
        return new Result(pass, timing, cost.flops, cost.bytes, PeakMemory.megabytes());
    }

    private DeviceBuffer reals(float[] numbers) {
        DeviceBuffer buffer = device.allocate(device.parameterType(), numbers.length);
        if (device.parameterType() == DataType.F32) {
            stream.copyToDevice(buffer, numbers);
        } else {
            double[] wide = new double[numbers.length];
            for (int i = 0; i < wide.length; i++) {
                wide[i] = numbers[i];
            }
            stream.copyToDevice(buffer, wide);
        }
        return buffer;
    }

    private DeviceBuffer integers(int[] integers) {
        DeviceBuffer buffer = device.allocate(DataType.I32, integers.length);
        stream.copyToDevice(buffer, integers);
        return buffer;
    }

    private void begin(Tape.Mode mode) {
        tape.begin(mode);
        List<Tensor> fresh = new ArrayList<>();
        for (int i = 0; i < values.size(); i++) {
            KernelCase.Input input = work.inputs().get(i);
            fresh.add(
                    input.wantsGradient()
                            ? Tensor.input(values.get(i), input.shape())
                            : Tensor.wrap(values.get(i), input.shape()));
        }
        inputs = fresh;
    }

    private Tensor forward() {
        return work.body().apply(tape, inputs);
    }

    private void forwardAndBackward() {
        tape.backward(forward(), outputGradient);
    }

    private Timing time(Tape.Mode mode, Runnable passes) {
        return Timing.measure(
                ROUNDS,
                () -> begin(mode),
                () -> {
                    passes.run();
                    stream.synchronize();
                });
    }

    private record Cost(double bytes, double flops) {}

    private Cost cost(Tape.Mode mode, Runnable passes) {
        var profile = new StepProfile();
        begin(mode);
        tape.profileWith(profile);
        passes.run();
        tape.profileWith(null);
        return new Cost(
                profile.entries().stream().mapToDouble(StepProfile.Entry::bytes).sum(),
                profile.entries().stream().mapToDouble(StepProfile.Entry::flops).sum());
    }

    /** The output, and then the gradient of each input that has one. */
    private List<double[]> results() {
        List<double[]> results = new ArrayList<>();
        begin(Tape.Mode.TRAINING);
        Tensor output = forward();
        results.add(stream.toDoubleArray(output.values()));
        tape.backward(output, outputGradient);
        for (Tensor input : inputs) {
            if (input.requiresGradient()) {
                results.add(stream.toDoubleArray(input.gradient()));
            }
        }
        return results;
    }

    /** Compares a smaller piece of the same work with the double-precision reference. */
    private static void check(Device device, String op, KernelSizes sizes) {
        var small = KernelCase.named(op, KernelCase.named(op, sizes).gateSizes());
        try (var reference = Device.reference(DataType.F64);
                var fast = new KernelBench(device, small);
                var exact = new KernelBench(reference, small)) {
            var found = fast.results();
            var expected = exact.results();
            for (int i = 0; i < found.size(); i++) {
                double error = Agreement.error(found.get(i), expected.get(i));
                if (!(error <= TOLERANCE)) {
                    throw new WrongResultException(
                            "%s: %s differs from the reference by %.2g of its largest value"
                                    .formatted(op, i == 0 ? "the output" : "gradient " + i, error));
                }
            }
        }
    }

    @Override
    public void close() {
        tape.end();
        values.forEach(DeviceBuffer::close);
        outputGradient.close();
        random.close();
        arena.close();
        stream.close();
    }
}
