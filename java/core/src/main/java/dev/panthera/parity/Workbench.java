package dev.panthera.parity;

import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.DeviceStream;
import dev.panthera.kernels.RandomState;
import dev.panthera.nn.Parameterized;
import dev.panthera.nn.Parameters;
import dev.panthera.tensor.ParameterStore;
import dev.panthera.tensor.StepArena;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.Map;

/** What a case needs to run on a device: a stream, a tape, and memory that is given back at the end. */
final class Workbench implements AutoCloseable {

    private final Device device;
    private final DeviceStream stream;
    private final StepArena arena;
    private final RandomState random;
    private final Tape tape;
    private final Deque<Runnable> closers = new ArrayDeque<>();

    Workbench(Device device) {
        this.device = device;
        stream = device.newStream();
        arena = new StepArena(device);
        random = RandomState.allocate(device, stream);
        tape = new Tape(stream, arena, random, device.parameterType());
    }

    Device device() {
        return device;
    }

    DeviceStream stream() {
        return stream;
    }

    Tape tape() {
        return tape;
    }

    /** Element type of activations, parameters and statistics. */
    DataType type() {
        return device.parameterType();
    }

    /** Memory for reals, set to zero; closed with the bench. */
    DeviceBuffer zeros(long elements) {
        DeviceBuffer buffer = own(device.allocate(type(), elements));
        stream.zero(buffer);
        return buffer;
    }

    /** Memory for bytes, such as a workspace; at least one. Closed with the bench. */
    DeviceBuffer bytes(long count) {
        return own(device.allocate(DataType.BYTE, Math.max(1, count)));
    }

    /** Reals on the device. */
    DeviceBuffer upload(double[] values) {
        DeviceBuffer buffer = own(device.allocate(type(), values.length));
        stream.copyToDevice(buffer, values);
        return buffer;
    }

    /** Token ids or labels on the device. */
    Tensor integers(int[] values, int... shape) {
        DeviceBuffer buffer = own(device.allocate(DataType.I32, values.length));
        stream.copyToDevice(buffer, values);
        return Tensor.wrap(buffer, shape);
    }

    /** The recorded token ids or labels of that name. */
    Tensor integers(Golden golden, String tensor) {
        return integers(golden.ints(tensor), golden.shape(tensor));
    }

    /** The recorded tensor of that name as an input that gets a gradient. */
    Tensor leaf(Golden golden, String tensor) {
        double[] values = golden.doubles(tensor);
        return Tensor.leaf(upload(values), zeros(values.length), golden.shape(tensor));
    }

    /** The recorded tensor of that name as an input that gets none. */
    Tensor constant(Golden golden, String tensor) {
        return Tensor.wrap(upload(golden.doubles(tensor)), golden.shape(tensor));
    }

    double[] read(DeviceBuffer buffer) {
        return stream.toDoubleArray(buffer);
    }

    double[] values(Tensor tensor) {
        return read(tensor.values());
    }

    /** The gradient of a tensor; zeros if none has arrived. */
    double[] gradient(Tensor tensor) {
        DeviceBuffer gradient = tensor.gradient();
        return gradient == null ? new double[Math.toIntExact(tensor.size())] : read(gradient);
    }

    /**
     * Puts a model on the device and sets its parameters to the recorded ones.
     *
     * @param prefix of the recorded parameters' names, such as {@code param.}
     * @throws IllegalArgumentException if a parameter or its shape differs from the recorded
     */
    ParameterStore load(Parameterized model, Golden golden, String prefix) {
        Map<String, Tensor> parameters = Parameters.of(model);
        for (var parameter : parameters.entrySet()) {
            String recorded = prefix + parameter.getKey();
            int[] shape = golden.shape(recorded);
            if (!Arrays.equals(shape, parameter.getValue().shape())) {
                throw new IllegalArgumentException(
                        "%s has shape %s, recorded is %s"
                                .formatted(
                                        parameter.getKey(),
                                        parameter.getValue(),
                                        Arrays.toString(shape)));
            }
        }
        for (String name : golden.namesAfter(prefix)) {
            if (!parameters.containsKey(name)) {
                throw new IllegalArgumentException("our model has no parameter " + name);
            }
        }
        var store = new ParameterStore(device, stream, type(), parameters);
        closers.push(store::close);
        for (String name : parameters.keySet()) {
            store.load(stream, name, golden.floats(prefix + name));
        }
        return store;
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
    }
}
