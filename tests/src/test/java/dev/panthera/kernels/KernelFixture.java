package dev.panthera.kernels;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** A device with a stream, and buffers that close with it. */
final class KernelFixture implements AutoCloseable {

    final Device device;
    final DeviceStream stream;
    final DataType real;
    private final List<DeviceBuffer> buffers = new ArrayList<>();
    private final Random random = new Random(7);

    KernelFixture(Backend backend) {
        device = Device.open(DeviceOptions.of(backend).withThreads(backend == Backend.CPU ? 2 : 0));
        stream = device.newStream();
        real = device.parameterType();
    }

    /** A buffer of the device's floating-point type. */
    DeviceBuffer of(double... values) {
        DeviceBuffer buffer = empty(values.length);
        stream.copyToDevice(buffer, values);
        return buffer;
    }

    DeviceBuffer of(int... values) {
        DeviceBuffer buffer = keep(device.allocate(DataType.I32, values.length));
        stream.copyToDevice(buffer, values);
        return buffer;
    }

    /** A buffer that holds NaN, so that what a kernel leaves unwritten shows. */
    DeviceBuffer empty(int elements) {
        DeviceBuffer buffer = keep(device.allocate(real, elements));
        double[] nan = new double[elements];
        Arrays.fill(nan, Double.NaN);
        stream.copyToDevice(buffer, nan);
        return buffer;
    }

    DeviceBuffer emptyInts(int elements) {
        return keep(device.allocate(DataType.I32, elements));
    }

    DeviceBuffer zeros(int elements) {
        return of(new double[elements]);
    }

    /** Scratch of exactly that size; null for none. */
    DeviceBuffer workspace(long bytes) {
        return bytes == 0 ? null : keep(device.allocate(DataType.BYTE, bytes));
    }

    RandomState randomState(long seed, long step) {
        RandomState state = RandomState.allocate(device, stream);
        keep(state.block());
        state.write(stream, seed, step);
        return state;
    }

    AdamWState adamWState(AdamWState.Step step) {
        AdamWState state = AdamWState.allocate(device);
        keep(state.block());
        state.write(stream, step);
        return state;
    }

    double[] read(DeviceBuffer buffer) {
        return stream.toDoubleArray(buffer);
    }

    /** Values in (-1, 1) that F32 holds exactly. */
    double[] noise(int elements) {
        double[] values = new double[elements];
        for (int i = 0; i < elements; i++) {
            values[i] = 2 * random.nextFloat() - 1;
        }
        return values;
    }

    private DeviceBuffer keep(DeviceBuffer buffer) {
        buffers.add(buffer);
        return buffer;
    }

    @Override
    public void close() {
        buffers.forEach(DeviceBuffer::close);
        stream.close();
        device.close();
    }
}
