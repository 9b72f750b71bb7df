package dev.panthera.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Test;

/** Plans of long convolutions: values, sharing, ownership and mistakes. */
class LongConvPlanTest {
    private static final int BATCH = 2;
    private static final int LENGTH = 90;
    private static final int CHANNELS = 5;
    private static final int TAPS = 70;
    private static final int SIGNAL = BATCH * LENGTH * CHANNELS;

    private static final LongConvKernel KERNEL =
            LongConvKernel.dense(BATCH, LENGTH, CHANNELS, TAPS);

    @Test
    void gatesAndSkipFollowTheFormulaInBothFilterLayouts() {
        float[] h = noise(CHANNELS * TAPS, 1);
        float[] u = noise(SIGNAL, 2);
        float[] pre = noise(SIGNAL, 3);
        float[] post = noise(SIGNAL, 4);
        float[] skip = noise(CHANNELS, 5);
        double[] expected = expected(h, u, pre, post, skip);
        float[] tapsFirst = new float[h.length];
        for (int i = 0; i < h.length; i++) {
            tapsFirst[i % TAPS * CHANNELS + i / TAPS] = h[i];
        }
        for (ConvMethod method : ConvMethod.values()) {
            assertClose(run(KERNEL.withMethod(method), h, u, pre, post, skip), expected);
            assertClose(
                    run(KERNEL.withTapsFirst().withMethod(method), tapsFirst, u, pre, post, skip),
                    expected);
        }
    }

    @Test
    void severalThreadsShareAPlan() throws Exception {
        try (var device = Device.cpu(2);
                var plan = KERNEL.withMethod(ConvMethod.FFT).plan(device);
                var executor = Executors.newFixedThreadPool(4)) {
            float[] u = noise(SIGNAL, 2);
            Callable<float[]> task =
                    () -> convolve(plan, device, noise(CHANNELS * TAPS, 1), u, null, null, null);
            float[] alone = task.call();
            for (var result : executor.invokeAll(java.util.Collections.nCopies(16, task))) {
                assertThat(result.get()).isEqualTo(alone);
            }
        }
    }

    @Test
    void thePlanTellsItsMethod() {
        try (var device = Device.cpu(1);
                var few = LongConvKernel.dense(1, 1000, 3, 4).plan(device);
                var many = LongConvKernel.dense(1, 1000, 3, 1000).plan(device)) {
            assertThat(few.method()).isEqualTo(ConvMethod.DIRECT);
            assertThat(many.method()).isEqualTo(ConvMethod.FFT);
            assertThat(many.kernel().taps()).isEqualTo(1000);
        }
    }

    @Test
    void aDeviceOutlivesItsPlans() {
        var device = Device.cpu(1);
        var plan = KERNEL.plan(device);
        try (var stream = device.newStream()) {
            assertThat(plan.spectrumBytes(stream)).isPositive();
        }
        assertThatThrownBy(device::close)
                .isInstanceOf(KernelException.InvalidArgument.class)
                .hasMessageContaining("1 plans");
        plan.close();
        plan.close();
        assertThatThrownBy(plan::method)
                .isInstanceOf(KernelException.InvalidArgument.class)
                .hasMessageContaining("the plan was closed");
        try (var stream = device.newStream()) {
            assertRefused(() -> plan.spectrumBytes(stream), "the plan was closed");
        }
        device.close();
    }

    @Test
    void mistakesAreNamed() {
        try (var device = Device.cpu(1);
                var other = Device.cpu(1);
                var stream = device.newStream();
                var otherStream = other.newStream();
                var plan = KERNEL.plan(device);
                var signal = device.allocate(DataType.F32, SIGNAL);
                var y = device.allocate(DataType.F32, SIGNAL);
                var small = device.allocate(DataType.BYTE, 64);
                var spectrum = device.allocate(DataType.BYTE, plan.spectrumBytes(stream));
                var scratch = device.allocate(DataType.BYTE, plan.forwardWorkspaceBytes(stream))) {
            assertRefused(
                    () -> plan.forward(stream, small, signal, null, null, null, y, scratch),
                    "spectrum has 64 bytes");
            assertRefused(
                    () -> plan.forward(stream, spectrum, small, null, null, null, y, scratch),
                    "u ");
            assertRefused(
                    () -> plan.forward(stream, spectrum, signal, null, null, null, y, small),
                    "workspace");
            assertRefused(
                    () -> plan.forward(otherStream, spectrum, signal, null, null, null, y, scratch),
                    "another device");
            assertRefused(() -> plan.spectrumBytes(otherStream), "another device");
            assertRefused(
                    () ->
                            plan.backward(
                                    stream, spectrum, signal, null, null, null, y, null, signal,
                                    null, null, null, scratch),
                    "dpre");
            assertRefused(() -> LongConvKernel.dense(1, 0, 1, 1).plan(device), "length");
            assertRefused(() -> KERNEL.withStrides(4, 5, 5, 5).plan(device), "u_stride");
        }
    }

    private static void assertRefused(Runnable call, String part) {
        assertThatThrownBy(call::run)
                .isInstanceOf(KernelException.InvalidArgument.class)
                .hasMessageContaining(part);
    }

    private static float[] run(
            LongConvKernel kernel, float[] h, float[] u, float[] pre, float[] post, float[] skip) {
        try (var device = Device.cpu(2);
                var plan = kernel.plan(device)) {
            return convolve(plan, device, h, u, pre, post, skip);
        }
    }

    private static float[] convolve(
            LongConvPlan plan,
            Device device,
            float[] h,
            float[] u,
            float[] pre,
            float[] post,
            float[] skip) {
        try (var stream = device.newStream();
                var hValues = upload(device, stream, h);
                var uValues = upload(device, stream, u);
                var preValues = pre == null ? null : upload(device, stream, pre);
                var postValues = post == null ? null : upload(device, stream, post);
                var skipValues = skip == null ? null : upload(device, stream, skip);
                var y = device.allocate(DataType.F32, SIGNAL);
                var spectrum = device.allocate(DataType.BYTE, plan.spectrumBytes(stream));
                var scratch =
                        device.allocate(
                                DataType.BYTE,
                                Math.max(
                                        plan.prepareWorkspaceBytes(stream),
                                        plan.forwardWorkspaceBytes(stream)))) {
            plan.prepare(stream, hValues, spectrum, scratch);
            plan.forward(stream, spectrum, uValues, preValues, postValues, skipValues, y, scratch);
            return stream.toFloatArray(y);
        }
    }

    private static DeviceBuffer upload(Device device, DeviceStream stream, float[] values) {
        DeviceBuffer buffer = device.allocate(DataType.F32, values.length);
        stream.copyToDevice(buffer, values);
        return buffer;
    }

    private static double[] expected(
            float[] h, float[] u, float[] pre, float[] post, float[] skip) {
        double[] y = new double[SIGNAL];
        for (int b = 0; b < BATCH; b++) {
            for (int t = 0; t < LENGTH; t++) {
                for (int c = 0; c < CHANNELS; c++) {
                    int at = (b * LENGTH + t) * CHANNELS + c;
                    double sum = (double) skip[c] * pre[at] * u[at];
                    for (int j = 0; j < TAPS && j <= t; j++) {
                        int source = at - j * CHANNELS;
                        sum += (double) h[c * TAPS + j] * pre[source] * u[source];
                    }
                    y[at] = post[at] * sum;
                }
            }
        }
        return y;
    }

    private static void assertClose(float[] actual, double[] expected) {
        double largest = 0;
        double error = 0;
        for (int i = 0; i < expected.length; i++) {
            largest = Math.max(largest, Math.abs(expected[i]));
            error = Math.max(error, Math.abs(actual[i] - expected[i]));
        }
        assertThat(error).isLessThan(1e-6 * largest);
    }

    private static float[] noise(int count, long seed) {
        var random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }
}
