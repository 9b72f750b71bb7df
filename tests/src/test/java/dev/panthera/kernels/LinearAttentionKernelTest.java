package dev.panthera.kernels;

import static dev.panthera.kernels.KernelExamplesTest.assertClose;
import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.testing.EveryBackend;
import org.junit.jupiter.params.ParameterizedTest;

/** Linear attention of two or three positions, by hand. */
class LinearAttentionKernelTest {

    @ParameterizedTest
    @EveryBackend
    void outputsAreAveragesOfTheValuesSoFar(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = LinearAttentionKernel.dense(FeatureKind.GIVEN, true, 0.5f, 1, 1, 2, 1, 2);
            var o = f.empty(4);
            var denominator = f.empty(2);
            var state = f.empty(3);
            var workspace = f.workspace(kernel.forwardWorkspaceBytes(f.stream));
            kernel.forward(
                    f.stream,
                    f.of(1.0, 2),
                    f.of(3.0, 0.5),
                    f.of(7.0, -7, 14, 0),
                    null,
                    o,
                    denominator,
                    state,
                    workspace);
            assertClose(f.read(denominator), 3.5, 7.5);
            assertClose(f.read(o), 6, -6, (6 * 7.0 + 14) / 7.5, -42 / 7.5);
            assertThat(kernel.stateElements()).isEqualTo(3);
            assertClose(f.read(state), 3 * 7.0 + 0.5 * 14, -21, 3.5);
        }
    }

    /** With s = q . k / sqrt(2) = 2 a weight is 1 + 2 + 2. */
    @ParameterizedTest
    @EveryBackend
    void taylorFeaturesAreTheSeriesOfTheExponential(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = LinearAttentionKernel.dense(FeatureKind.TAYLOR, false, 0, 1, 1, 2, 2, 1);
            double root = Math.sqrt(2);
            var q = f.of(0.0, 0, root, root);
            var k = f.of(1.0, 1, -1, 1);
            var o = f.empty(2);
            var state = f.empty((int) kernel.stateElements());
            var workspace = f.workspace(kernel.forwardWorkspaceBytes(f.stream));
            kernel.forward(f.stream, q, k, f.of(3.0, 100), null, o, null, state, workspace);
            assertClose(f.read(o), 3, 5 * 3 + 100);
            double single = Math.pow(2, -0.25);
            assertClose(
                    f.read(state),
                    103,
                    2,
                    -97 * single,
                    0,
                    103 * single,
                    2 * single,
                    51.5,
                    1,
                    -97 / root,
                    0,
                    51.5,
                    1);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void goesOnFromAState(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var whole = LinearAttentionKernel.dense(FeatureKind.TAYLOR, true, 0, 1, 1, 3, 2, 2);
            double[] q = f.noise(6);
            double[] k = f.noise(6);
            double[] v = f.noise(6);
            var o = f.empty(6);
            var workspace = f.workspace(whole.forwardWorkspaceBytes(f.stream));
            kernelForward(f, whole, f.of(q), f.of(k), f.of(v), null, o, null, workspace);
            double[] expected = f.read(o);
            var state = f.zeros((int) whole.stateElements());
            var step = LinearAttentionKernel.dense(FeatureKind.TAYLOR, true, 0, 1, 1, 1, 2, 2);
            var next = f.empty(2);
            for (int t = 0; t < 3; t++) {
                kernelForward(
                        f,
                        step,
                        row(f, q, t),
                        row(f, k, t),
                        row(f, v, t),
                        state,
                        next,
                        state,
                        workspace);
                assertClose(f.read(next), expected[2 * t], expected[2 * t + 1]);
            }
        }
    }

    private static DeviceBuffer row(KernelFixture f, double[] rows, int t) {
        return f.of(rows[2 * t], rows[2 * t + 1]);
    }

    private static void kernelForward(
            KernelFixture f,
            LinearAttentionKernel kernel,
            DeviceBuffer q,
            DeviceBuffer k,
            DeviceBuffer v,
            DeviceBuffer initial,
            DeviceBuffer o,
            DeviceBuffer last,
            DeviceBuffer workspace) {
        var denominator = f.empty((int) kernel.length());
        kernel.forward(f.stream, q, k, v, initial, o, denominator, last, workspace);
    }

    /** Of a single query, whose output is its value: only the value has a gradient. Of two, by finite differences. */
    @ParameterizedTest
    @EveryBackend
    void gradientsAreThoseOfTheFormula(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = LinearAttentionKernel.dense(FeatureKind.GIVEN, true, 0, 1, 1, 2, 1, 1);
            var q = f.of(5.0, 2);
            var k = f.of(3.0, 1);
            var v = f.of(7.0, -1);
            var o = f.empty(2);
            var n = f.empty(2);
            var forward = f.workspace(kernel.forwardWorkspaceBytes(f.stream));
            kernel.forward(f.stream, q, k, v, null, o, n, null, forward);
            assertClose(f.read(o), 7, 5);
            var dq = f.empty(2);
            var dk = f.empty(2);
            var dv = f.empty(2);
            var backward = f.workspace(kernel.backwardWorkspaceBytes(f.stream));
            kernel.backward(f.stream, q, k, v, o, n, f.of(10.0, 4), dq, dk, dv, backward);
            assertClose(f.read(dv), 10 + 4 * 6 / 8.0, 4 * 2 / 8.0);
            assertClose(f.read(dq), 0, 0.5 * (2 * 3 - 6 * 1));
            assertClose(f.read(dk), 0.5 * 2 * 2, 0.5 * -6 * 2);
        }
    }
}
