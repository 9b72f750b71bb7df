package dev.panthera.testing;

import dev.panthera.kernels.Backend;
import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.DeviceOptions;
import dev.panthera.kernels.DeviceStream;
import dev.panthera.kernels.Isa;
import dev.panthera.kernels.RandomState;
import dev.panthera.nn.Parameterized;
import dev.panthera.nn.Parameters;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import dev.panthera.tensor.ParameterStore;
import dev.panthera.tensor.StepArena;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;

/** A device with a tape and inputs for tests; everything is closed with it. */
public final class Rig implements AutoCloseable {

    private final Device device;
    private final DeviceStream stream;
    private final StepArena arena;
    private final RandomState random;
    private final Tape tape;
    private final Deque<Runnable> closers = new ArrayDeque<>();

    public Rig(Device device) {
        this.device = device;
        stream = device.newStream();
        arena = new StepArena(device);
        random = RandomState.allocate(device, stream);
        tape = new Tape(stream, arena, random, device.parameterType());
    }

    /** The double-precision reference device, for finite differences. */
    public static Rig exact() {
        return new Rig(Device.reference(DataType.F64));
    }

    public static Rig cpu(int threads) {
        return new Rig(Device.cpu(threads));
    }

    /** The instruction-set tiers that this machine can run. */
    public static List<Isa> tiers() {
        try (var best = Device.cpu()) {
            Isa highest = best.info().isa();
            return Arrays.stream(Isa.values())
                    .filter(isa -> isa != Isa.BEST && isa.compareTo(highest) <= 0)
                    .toList();
        }
    }

    public static Device cpu(Isa tier) {
        return Device.open(DeviceOptions.of(Backend.CPU).withIsa(tier));
    }

    /** Normal values of that many elements; the same seed gives the same values. */
    public static double[] gaussian(long seed, int count) {
        var generator = CounterRandom.of(seed, Purpose.ROW, 0);
        double[] values = new double[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) generator.nextGaussian();
        }
        return values;
    }

    public Device device() {
        return device;
    }

    public DeviceStream stream() {
        return stream;
    }

    public StepArena arena() {
        return arena;
    }

    public RandomState random() {
        return random;
    }

    public Tape tape() {
        return tape;
    }

    public DeviceBuffer upload(double[] values) {
        DeviceBuffer buffer = own(device.allocate(device.parameterType(), values.length));
        stream.copyToDevice(buffer, values);
        return buffer;
    }

    /** An input that gets a gradient. */
    public Tensor leaf(double[] values, int... shape) {
        DeviceBuffer gradient = own(device.allocate(device.parameterType(), values.length));
        stream.zero(gradient);
        return Tensor.leaf(upload(values), gradient, shape);
    }

    public Tensor integers(int[] values, int... shape) {
        DeviceBuffer buffer = own(device.allocate(DataType.I32, values.length));
        stream.copyToDevice(buffer, values);
        return Tensor.wrap(buffer, shape);
    }

    public ParameterStore parameters(Parameterized model) {
        var store =
                new ParameterStore(device, stream, device.parameterType(), Parameters.of(model));
        closers.push(store::close);
        return store;
    }

    public double[] values(Tensor tensor) {
        return stream.toDoubleArray(tensor.values());
    }

    public int[] integers(Tensor tensor) {
        return stream.toIntArray(tensor.values());
    }

    public double[] gradient(Tensor tensor) {
        return stream.toDoubleArray(tensor.gradient());
    }

    public void clearGradient(Tensor tensor) {
        stream.zero(tensor.gradient());
    }

    private DeviceBuffer own(DeviceBuffer buffer) {
        closers.push(buffer::close);
        return buffer;
    }

    @Override
    public void close() {
        tape.end();
        closers.forEach(Runnable::run);
        random.close();
        arena.close();
        stream.close();
        device.close();
    }
}
