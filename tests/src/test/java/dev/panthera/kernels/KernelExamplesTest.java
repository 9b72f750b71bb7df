package dev.panthera.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.testing.EveryBackend;
import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;

/** One small example per kernel against plain loops: arguments arrive where they belong. */
class KernelExamplesTest {

    @ParameterizedTest
    @EveryBackend
    void linearMapsEveryRow(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = new LinearKernel(2, 2, 3);
            var x = f.of(1.0, 2, 3, 4);
            var weight = f.of(1.0, 0, 0, 1, 1, 1);
            var y = f.empty(6);
            kernel.forward(f.stream, x, weight, f.of(10.0, 20, 30), y);
            assertThat(f.read(y)).containsExactly(11, 22, 33, 13, 24, 37);
            var dx = f.empty(4);
            var dweight = f.of(100.0, 0, 0, 0, 0, 0);
            var dbias = f.zeros(3);
            var workspace = f.workspace(kernel.backwardWorkspaceBytes(f.stream));
            kernel.backward(
                    f.stream, x, weight, f.of(1.0, 0, 0, 0, 0, 2), dx, dweight, dbias, workspace);
            assertThat(f.read(dx)).containsExactly(1, 0, 2, 2);
            assertThat(f.read(dweight)).containsExactly(101, 2, 0, 0, 6, 8);
            assertThat(f.read(dbias)).containsExactly(1, 0, 2);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void linearLeavesTheGapsBetweenStridedRows(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var y = f.of(9.0, 9, 9, 9);
            new LinearKernel(2, 1, 1, 2, 3)
                    .forward(f.stream, f.of(1, Double.NaN, 2.0), f.of(10.0), null, y);
            assertThat(f.read(y)).containsExactly(10, 9, 9, 20);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void embeddingAddsPositions(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = new EmbeddingKernel(2, 2, 2, 3, 3);
            var ids = f.of(2, 0, 2, 2);
            var y = f.empty(8);
            kernel.forward(
                    f.stream, ids, f.of(1.0, 2, 3, 4, 5, 6), f.of(10.0, 20, 30, 40, 50, 60), y);
            assertThat(f.read(y)).containsExactly(15, 26, 31, 42, 15, 26, 35, 46);
            var dtable = f.zeros(6);
            var dpositions = f.of(1.0, 0, 0, 0, 0, 0);
            kernel.backward(f.stream, ids, f.of(1.0, 2, 3, 4, 5, 6, 7, 8), dtable, dpositions);
            assertThat(f.read(dtable)).containsExactly(3, 4, 0, 0, 13, 16);
            assertThat(f.read(dpositions)).containsExactly(7, 8, 10, 12, 0, 0);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void layerNormNormalisesTheSumWithTheResidual(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = new NormKernel(NormKind.LAYER, 0, 1, 4);
            var sum = f.empty(4);
            var y = f.empty(4);
            var mean = f.empty(1);
            var rstd = f.empty(1);
            kernel.forward(
                    f.stream,
                    f.of(1.0, 1, 1, 1),
                    f.of(0.0, 2, 0, 2),
                    f.of(1.0, 1, 1, 2),
                    f.of(0.0, 0, 0, 5),
                    sum,
                    y,
                    mean,
                    rstd);
            assertThat(f.read(sum)).containsExactly(1, 3, 1, 3);
            assertClose(f.read(y), -1, 1, -1, 7);
            assertClose(f.read(mean), 2);
            assertClose(f.read(rstd), 1);
            var dx = f.empty(4);
            var dweight = f.zeros(4);
            var dbias = f.zeros(4);
            kernel.backward(
                    f.stream,
                    sum,
                    f.of(1.0, 1, 1, 2),
                    mean,
                    rstd,
                    f.of(0.0, 0, 0, 100),
                    f.of(1.0, 0, 0, 0),
                    dx,
                    dweight,
                    dbias,
                    f.workspace(kernel.backwardWorkspaceBytes(f.stream)));
            assertClose(f.read(dx), 0.5, 0, -0.5, 100);
            assertClose(f.read(dweight), -1, 0, 0, 0);
            assertClose(f.read(dbias), 1, 0, 0, 0);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void rmsNormHasNoMean(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = new NormKernel(NormKind.RMS, 0, 1, 2);
            var y = f.empty(2);
            var rstd = f.empty(1);
            kernel.forward(f.stream, f.of(1.0, 7), null, f.of(1.0, 2), null, null, y, null, rstd);
            assertClose(f.read(y), 0.2, 2.8);
            assertClose(f.read(rstd), 0.2);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void activationsWorkInPlace(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var x = f.of(0.0, 2.0, -1);
            var kernel = new ActivationKernel(Activation.SILU, 3);
            var dx = f.empty(3);
            kernel.backward(f.stream, x, f.of(1.0, 10, 1), dx);
            assertClose(f.read(dx), 0.5, 10.90784249, 0.07232949);
            kernel.forward(f.stream, x, x);
            assertClose(f.read(x), 0, 2 / (1 + Math.exp(-2)), -1 / (1 + Math.E));
        }
    }

    @ParameterizedTest
    @EveryBackend
    void arithmeticBroadcasts(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel =
                    new ArithmeticKernel(
                            ArithmeticKind.SUBTRACT,
                            new int[] {2, 3},
                            new long[] {3, 1},
                            new long[] {0, 1});
            var y = f.empty(6);
            kernel.forward(f.stream, f.of(1.0, 2, 3, 4, 5, 6), f.of(1.0, 10, 100), y);
            assertThat(f.read(y)).containsExactly(0, -8, -97, 3, -5, -94);
            var db = f.empty(3);
            kernel.backward(f.stream, null, null, f.of(1.0, 2, 3, 4, 5, 6), null, db);
            assertThat(f.read(db)).containsExactly(-5, -7, -9);
            ArithmeticKernel.dense(ArithmeticKind.DIVIDE, 2)
                    .forward(f.stream, f.of(1.0, -6), f.of(4.0, 3), y.slice(0, 2));
            assertThat(f.read(y.slice(0, 2))).containsExactly(0.25, -2);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void gatesMultiplyAndAdd(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = new GateKernel(Activation.IDENTITY, 1, 2);
            var y = f.empty(2);
            kernel.forward(f.stream, f.of(2.0, 3), f.of(5.0, 7), f.of(100.0, 200), y);
            assertThat(f.read(y)).containsExactly(110, 221);
            var da = f.empty(2);
            var db = f.empty(2);
            kernel.backward(f.stream, f.of(2.0, 3), f.of(5.0, 7), f.of(10.0, 1), da, db);
            assertThat(f.read(da)).containsExactly(50, 7);
            assertThat(f.read(db)).containsExactly(20, 3);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void dropoutDependsOnTheStateAndTheKeyAlone(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            double[] first = dropped(f, f.randomState(1, 1), 1);
            assertThat(first).containsOnly(0, 4).contains(0, 4);
            assertThat(dropped(f, f.randomState(1, 1), 1)).isEqualTo(first);
            assertThat(dropped(f, f.randomState(2, 1), 1)).isNotEqualTo(first);
            assertThat(dropped(f, f.randomState(1, 2), 1)).isNotEqualTo(first);
            assertThat(dropped(f, f.randomState(1, 1), 2)).isNotEqualTo(first);
        }
    }

    private static double[] dropped(KernelFixture f, RandomState state, long key) {
        double[] ones = new double[256];
        Arrays.fill(ones, 1);
        var y = f.empty(256);
        new DropoutKernel(0.75f, 0, 16, 16, 4, key).apply(f.stream, state, f.of(ones), y);
        return f.read(y);
    }

    @ParameterizedTest
    @EveryBackend
    void softmaxSumsToOne(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = new SoftmaxKernel(2, 2);
            var y = f.empty(4);
            kernel.forward(f.stream, f.of(0, Math.log(3), 1000.0, 1000), y);
            assertClose(f.read(y), 0.25, 0.75, 0.5, 0.5);
            var dx = f.empty(4);
            kernel.backward(f.stream, y, f.of(1.0, 0, 0, 2), dx);
            assertClose(f.read(dx), 0.1875, -0.1875, -0.5, 0.5);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void reductionsWorkOnTheMiddleDimension(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = new ReduceKernel(Reduction.MEAN, 2, 2, 2);
            var y = f.empty(4);
            kernel.forward(
                    f.stream,
                    f.of(1.0, 2, 3, 4, 5, 6, 7, 8),
                    y,
                    f.workspace(kernel.forwardWorkspaceBytes(f.stream)));
            assertThat(f.read(y)).containsExactly(2, 3, 6, 7);
            var dx = f.empty(8);
            kernel.backward(f.stream, null, f.of(1.0, 2, 3, 4), dx);
            assertThat(f.read(dx)).containsExactly(0.5, 1, 0.5, 1, 1.5, 2, 1.5, 2);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void adamWFollowsItsFormula(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var parameters = f.of(1.0, -2);
            var mean = f.zeros(2);
            var square = f.zeros(2);
            var step = new AdamWState.Step(0.5, 0.75, 0.9375, 1e-8, 0.25, 1, false);
            new AdamWKernel(2)
                    .step(f.stream, f.adamWState(step), parameters, f.of(4.0, -8), mean, square);
            assertClose(f.read(parameters), 1 * 0.875 - 0.5, -2 * 0.875 + 0.5);
            assertClose(f.read(mean), 1, -2);
            assertClose(f.read(square), 1, 4);
            var skipped = new AdamWState.Step(0.5, 0.75, 0.9375, 1e-8, 0.25, 2, true);
            new AdamWKernel(2)
                    .step(f.stream, f.adamWState(skipped), parameters, f.of(4.0, -8), mean, square);
            assertClose(f.read(mean), 1, -2);
        }
    }

    static void assertClose(double[] actual, double... expected) {
        assertThat(actual).hasSameSizeAs(expected);
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[i])
                    .as("element %d", i)
                    .isCloseTo(expected[i], within(1e-5 * Math.max(1, Math.abs(expected[i]))));
        }
    }
}
