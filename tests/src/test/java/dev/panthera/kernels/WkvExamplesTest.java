package dev.panthera.kernels;

import static dev.panthera.kernels.KernelExamplesTest.assertClose;

import dev.panthera.testing.EveryBackend;
import java.util.Arrays;
import java.util.function.DoubleSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/** The recurrence of RWKV-4 against its sum over all positions. */
class WkvExamplesTest {
    private static final int LENGTH = 5;
    private static final int CHANNELS = 2;
    private static final double[] DECAY = {-1, 0.5};
    private static final double[] FIRST = {0.3, -0.7};

    @ParameterizedTest
    @EveryBackend
    void outputsAreWeightedMeansOfTheValuesSoFar(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            double[] k = f.noise(LENGTH * CHANNELS);
            double[] v = f.noise(k.length);
            var kernel = new WkvKernel(1, LENGTH, CHANNELS);
            var y = f.empty(k.length);
            kernel.forward(f.stream, f.of(k), f.of(v), f.of(DECAY), f.of(FIRST), null, y, null);
            assertClose(f.read(y), means(k, v));
        }
    }

    @ParameterizedTest
    @EveryBackend
    void aStateGoesOnWhereItWasLeft(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            double[] k = f.noise(LENGTH * CHANNELS);
            double[] v = f.noise(k.length);
            var state = f.zeros(WkvKernel.STATE_ROWS * CHANNELS);
            double[] joined = new double[k.length];
            for (int t = 0, count = 2; t < LENGTH; t += count, count = 1) {
                int begin = t * CHANNELS;
                int end = begin + count * CHANNELS;
                var y = f.empty(end - begin);
                new WkvKernel(1, count, CHANNELS)
                        .forward(
                                f.stream,
                                f.of(Arrays.copyOfRange(k, begin, end)),
                                f.of(Arrays.copyOfRange(v, begin, end)),
                                f.of(DECAY),
                                f.of(FIRST),
                                state,
                                y,
                                state);
                System.arraycopy(f.read(y), 0, joined, begin, end - begin);
            }
            assertClose(joined, means(k, v));
        }
    }

    @ParameterizedTest
    @EveryBackend
    void gradientsAreThoseOfTheFormula(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            double[] k = f.noise(LENGTH * CHANNELS);
            double[] v = f.noise(k.length);
            double[] dy = f.noise(k.length);
            var kernel = new WkvKernel(1, LENGTH, CHANNELS);
            var dk = f.empty(k.length);
            var dv = f.empty(k.length);
            var ddecay = f.zeros(CHANNELS);
            var dfirst = f.zeros(CHANNELS);
            kernel.backward(
                    f.stream,
                    f.of(k),
                    f.of(v),
                    f.of(DECAY),
                    f.of(FIRST),
                    f.of(dy),
                    dk,
                    dv,
                    ddecay,
                    dfirst,
                    f.workspace(kernel.backwardWorkspaceBytes(f.stream)));
            assertClose(f.read(dk), differences(k, () -> product(means(k, v), dy)));
            assertClose(f.read(dv), differences(v, () -> product(means(k, v), dy)));
            double[] decay = DECAY.clone();
            double[] first = FIRST.clone();
            assertClose(
                    f.read(ddecay),
                    differences(decay, () -> product(means(k, v, decay, first), dy)));
            assertClose(
                    f.read(dfirst),
                    differences(first, () -> product(means(k, v, decay, first), dy)));
        }
    }

    /** In single precision, sums that were rounded to the last key's scale at each step would stop growing too early. */
    @Test
    void sixteenThousandStepsKeepASlowDecay() {
        int length = 16 * 1024;
        double rate = 1e-4;
        try (var f = new KernelFixture(Backend.CPU)) {
            var kernel = new WkvKernel(1, 1, 1);
            var key = f.of(100.0);
            var decay = f.of(Math.log(rate));
            var first = f.of(0.0);
            var state = f.zeros(WkvKernel.STATE_ROWS);
            var y = f.empty(1);
            var one = f.of(1.0);
            var minusOne = f.of(-1.0);
            double sum = 0;
            double weights = 0;
            for (int t = 0; t < length; t++) {
                boolean early = t < length / 2;
                kernel.forward(
                        f.stream, key, early ? one : minusOne, decay, first, state, y, state);
                sum = Math.exp(-rate) * sum + (early ? 1 : -1);
                weights = Math.exp(-rate) * weights + 1;
            }
            double[] sums = f.read(state);
            double scale = Math.exp(sums[2] - 100);
            assertClose(new double[] {scale * sums[0], scale * sums[1]}, sum, weights);
        }
    }

    private static double[] means(double[] k, double[] v) {
        return means(k, v, DECAY, FIRST);
    }

    private static double[] means(double[] k, double[] v, double[] decay, double[] first) {
        double[] y = new double[k.length];
        for (int i = 0; i < y.length; i++) {
            int c = i % CHANNELS;
            double sum = 0;
            double weights = 0;
            for (int j = c; j <= i; j += CHANNELS) {
                int age = (i - j) / CHANNELS - 1;
                double weight = Math.exp(k[j] + (j == i ? first[c] : -age * Math.exp(decay[c])));
                sum += weight * v[j];
                weights += weight;
            }
            y[i] = sum / weights;
        }
        return y;
    }

    private static double product(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }

    private static double[] differences(double[] at, DoubleSupplier function) {
        double step = 1e-4;
        double[] gradient = new double[at.length];
        for (int i = 0; i < at.length; i++) {
            double before = at[i];
            at[i] = before + step;
            double above = function.getAsDouble();
            at[i] = before - step;
            double below = function.getAsDouble();
            at[i] = before;
            gradient[i] = (above - below) / (2 * step);
        }
        return gradient;
    }
}
