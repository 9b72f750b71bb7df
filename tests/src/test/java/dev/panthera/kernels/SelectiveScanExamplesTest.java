package dev.panthera.kernels;

import static dev.panthera.kernels.KernelExamplesTest.assertClose;

import dev.panthera.testing.EveryBackend;
import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;

/** The selective scan where its numbers can be computed by hand, and in parts. */
class SelectiveScanExamplesTest {

    /** Whose softplus is 1. */
    private static final double UNIT_STEP = Math.log(Math.E - 1);

    /** Steps of 1 at a rate of 1: a state fades to 1/e from position to position. */
    @ParameterizedTest
    @EveryBackend
    void aStateTakesInFadesAndIsRead(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = new SelectiveScanKernel(1, 3, 1, 1);
            var inputs =
                    new SelectiveScanKernel.Inputs(
                            f.of(1.0, 2, 0),
                            f.of(UNIT_STEP, UNIT_STEP, UNIT_STEP),
                            f.of(0.0),
                            f.of(2.0, 3, 7),
                            f.of(1.0, 1, 2),
                            f.of(10.0),
                            null,
                            null);
            var y = f.empty(3);
            var last = f.empty(1);
            var workspace = f.workspace(kernel.forwardWorkspaceBytes(f.stream));
            kernel.forward(f.stream, inputs, null, y, null, last, workspace);
            double second = 2 / Math.E + 6;
            assertClose(f.read(y), 2 + 10, second + 20, 2 * second / Math.E);
            assertClose(f.read(last), second / Math.E);
        }
    }

    /** At one position y = u (c d b + skip) SiLU(z), with d the softplus of delta + deltaBias. */
    @ParameterizedTest
    @EveryBackend
    void gradientsOfOnePositionAreThoseOfTheProduct(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            double u = 3;
            double b = 0.5;
            double c = -2;
            double skip = 0.25;
            double z = 0.75;
            double sigmoid = 1 / (1 + Math.exp(-z));
            double gate = z * sigmoid;
            var kernel = new SelectiveScanKernel(1, 1, 1, 1);
            var inputs =
                    new SelectiveScanKernel.Inputs(
                            f.of(u),
                            f.of(UNIT_STEP - 1),
                            f.of(0.0),
                            f.of(b),
                            f.of(c),
                            f.of(skip),
                            f.of(1.0),
                            f.of(z));
            var y = f.empty(1);
            var checkpoints = f.empty((int) kernel.checkpointsBytes(f.stream) / f.real.bytes());
            kernel.forward(
                    f.stream,
                    inputs,
                    null,
                    y,
                    checkpoints,
                    null,
                    f.workspace(kernel.forwardWorkspaceBytes(f.stream)));
            double open = c * b + skip;
            assertClose(f.read(y), u * open * gate);
            var gradients =
                    new SelectiveScanKernel.Gradients(
                            f.empty(1),
                            f.empty(1),
                            f.of(5.0),
                            f.empty(1),
                            f.empty(1),
                            f.of(7.0),
                            f.of(9.0),
                            f.empty(1));
            kernel.backward(
                    f.stream,
                    inputs,
                    checkpoints,
                    f.of(2.0),
                    gradients,
                    f.workspace(kernel.backwardWorkspaceBytes(f.stream)));
            double slope = (Math.E - 1) / Math.E; // of the softplus, where it is 1
            assertClose(f.read(gradients.du()), 2 * open * gate);
            assertClose(f.read(gradients.ddelta()), 2 * u * c * b * gate * slope);
            assertClose(f.read(gradients.daLog()), 5);
            assertClose(f.read(gradients.db()), 2 * u * c * gate);
            assertClose(f.read(gradients.dc()), 2 * u * b * gate);
            assertClose(f.read(gradients.dskip()), 7 + 2 * u * gate);
            assertClose(f.read(gradients.ddeltaBias()), 9 + 2 * u * c * b * gate * slope);
            assertClose(f.read(gradients.dz()), 2 * u * open * (sigmoid + gate * (1 - sigmoid)));
        }
    }

    @ParameterizedTest
    @EveryBackend
    void aScanGoesOnFromWhereAnotherStopped(Backend backend) {
        int length = 40;
        int first = 23;
        int channels = 3;
        int states = 5;
        try (var f = new KernelFixture(backend)) {
            double[] u = f.noise(length * channels);
            double[] delta = f.noise(length * channels);
            double[] rates = f.noise(channels * states);
            double[] b = f.noise(length * states);
            double[] c = f.noise(length * states);
            var state = f.zeros(states * channels);
            double[] whole = new double[length * channels];
            for (int[] part : new int[][] {{0, first}, {first, length}}) {
                double[] y =
                        scan(f, part[0], part[1], channels, states, u, delta, rates, b, c, state);
                System.arraycopy(y, 0, whole, part[0] * channels, y.length);
            }
            var fresh = f.zeros(states * channels);
            assertClose(whole, scan(f, 0, length, channels, states, u, delta, rates, b, c, fresh));
            assertClose(f.read(state), f.read(fresh));
        }
    }

    private static double[] scan(
            KernelFixture f,
            int from,
            int to,
            int channels,
            int states,
            double[] u,
            double[] delta,
            double[] rates,
            double[] b,
            double[] c,
            DeviceBuffer state) {
        var kernel = new SelectiveScanKernel(1, to - from, channels, states);
        var inputs =
                new SelectiveScanKernel.Inputs(
                        f.of(Arrays.copyOfRange(u, from * channels, to * channels)),
                        f.of(Arrays.copyOfRange(delta, from * channels, to * channels)),
                        f.of(rates),
                        f.of(Arrays.copyOfRange(b, from * states, to * states)),
                        f.of(Arrays.copyOfRange(c, from * states, to * states)),
                        null,
                        null,
                        null);
        var y = f.empty((to - from) * channels);
        var workspace = f.workspace(kernel.forwardWorkspaceBytes(f.stream));
        kernel.forward(f.stream, inputs, state, y, null, state, workspace);
        return f.read(y);
    }
}
