package dev.panthera.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.testing.EveryBackend;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/** Products, copies and sums of any array, on numbers that can be checked by hand. */
class ArrayKernelExamplesTest {

    @ParameterizedTest
    @EveryBackend
    void productsOfABatchMayShareAMatrix(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var y = f.empty(4);
            var dense = new MatmulKernel(2, 1, 2, 2);
            dense.multiply(
                    f.stream,
                    f.of(1.0, 2, 3, 4),
                    f.of(1.0, 0, 0, 1, 5, 6, 7, 8),
                    y,
                    f.workspace(dense.workspaceBytes(f.stream)));
            assertThat(f.read(y)).containsExactly(1, 2, 43, 50);
            var shared =
                    new MatmulKernel(
                            2,
                            1,
                            2,
                            2,
                            true,
                            true,
                            0.5f,
                            new MatrixLayout(1, 2),
                            MatrixLayout.shared(2),
                            MatrixLayout.dense(1, 2));
            shared.add(
                    f.stream,
                    f.of(1.0, 2, 3, 4),
                    f.of(2.0, 0, 4, 6),
                    y,
                    f.workspace(shared.workspaceBytes(f.stream)));
            assertThat(f.read(y)).containsExactly(2, 10, 46, 68);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void copiesTransposeAndAddBack(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var transpose =
                    new StridedCopyKernel(new int[] {3, 2}, new long[] {1, 3}, new long[] {4, 1});
            var y = f.of(0.0, 0, -1, -2, 0, 0, -3, -4, 0, 0);
            var x = f.of(1.0, 2, 3, 4, 5, 6);
            transpose.copy(f.stream, x, y);
            assertThat(f.read(y)).containsExactly(1, 4, -1, -2, 2, 5, -3, -4, 3, 6);
            transpose.reversed().add(f.stream, y, x);
            assertThat(f.read(x)).containsExactly(2, 4, 6, 8, 10, 12);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void cumulativeSumsRunEitherWay(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = new CumulativeSumKernel(false, 1, 3, 2);
            var x = f.of(1.0, 10, 2, 20, 3, 30);
            var y = f.empty(6);
            kernel.apply(f.stream, x, y);
            assertThat(f.read(y)).containsExactly(1, 10, 3, 30, 6, 60);
            kernel.reversed().apply(f.stream, x, x);
            assertThat(f.read(x)).containsExactly(6, 60, 5, 50, 3, 30);
        }
    }

    /** Of entries that no exponential could hold, beside a sequence whose first entries weigh nothing. */
    @ParameterizedTest
    @EveryBackend
    void sumsOfExponentialsAreKeptByTheirLogarithms(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = new CumulativeLogSumExpKernel(1, 3, 2);
            double none = Double.NEGATIVE_INFINITY;
            var x = f.of(1000.0, none, 1000 + Math.log(3), 5, none, 5);
            var y = f.empty(6);
            kernel.forward(f.stream, x, y);
            assertThat(f.read(y)[1]).isEqualTo(none);
            KernelExamplesTest.assertClose(
                    Arrays.copyOfRange(f.read(y), 2, 6),
                    1000 + Math.log(4),
                    5,
                    1000 + Math.log(4),
                    5 + Math.log(2));
            var dy = f.of(1.0, 1, 1, 1, 1, 1);
            kernel.backward(f.stream, x, y, dy, dy);
            double[] dx = f.read(dy);
            assertThat(dx[1]).isZero();
            assertThat(dx[4]).isZero();
            double[] others = {dx[0], dx[2], dx[3], dx[5]};
            /* The backend's own rounding of 1000 + log 3 is in these weights. */
            assertThat(others)
                    .usingComparatorWithPrecision(2e-4)
                    .containsExactly(1.5, 1.5, 1.5, 0.5);
        }
    }

    /** Of two right-hand sides; the entry above the diagonal is not read. */
    @ParameterizedTest
    @EveryBackend
    void triangularSystemsAreSolvedRowByRow(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = new TriangularSolveKernel(1, 2, 2);
            var a = f.of(2.0, Double.NaN, 3, 4);
            var x = f.empty(4);
            kernel.forward(f.stream, a, f.of(2.0, 4, 11, 6), x);
            assertThat(f.read(x)).containsExactly(1, 2, 2, 0);
            var da = f.empty(4);
            var db = f.of(1.0, 0, 4, 8);
            kernel.backward(f.stream, a, x, db, da, db);
            assertThat(f.read(db)).containsExactly(-1, -3, 1, 2);
            assertThat(f.read(da)).containsExactly(7, 0, -5, -2);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void theLargestOfEqualElementsAreTheFirst(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var x = f.of(1.0, 3, 2, 3, 3, Double.NaN, 7, Double.NEGATIVE_INFINITY);
            var y = f.empty(8);
            new TopKMaskKernel(2, 4, 2).mask(f.stream, x, y);
            assertThat(f.read(y)).containsExactly(0, 1, 0, 1, 1, 0, 1, 0);
            new TopKMaskKernel(1, 8, 3).mask(f.stream, x, y);
            assertThat(f.read(y)).containsExactly(0, 1, 0, 1, 0, 0, 1, 0);
            new TopKMaskKernel(1, 8, 100).mask(f.stream, x, y);
            assertThat(f.read(y)).containsExactly(1, 1, 1, 1, 1, 0, 1, 0);
        }
    }

    /** By a radian for each position of the first pair, and by a ninth of it for the second. */
    @ParameterizedTest
    @EveryBackend
    void rotationsTurnPairs(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var halves = new RotaryKernel(false, 81, 1, 1, 2, 4);
            var y = f.empty(8);
            var x = f.of(1.0, 2, 3, 4, 1, 2, 3, 4);
            halves.apply(f.stream, null, x, y);
            KernelExamplesTest.assertClose(
                    f.read(y),
                    1,
                    2,
                    3,
                    4,
                    Math.cos(1) - 3 * Math.sin(1),
                    2 * Math.cos(1.0 / 9) - 4 * Math.sin(1.0 / 9),
                    3 * Math.cos(1) + Math.sin(1),
                    4 * Math.cos(1.0 / 9) + 2 * Math.sin(1.0 / 9));
            halves.adjoint().apply(f.stream, null, y, y);
            KernelExamplesTest.assertClose(f.read(y), 1, 2, 3, 4, 1, 2, 3, 4);
            var neighbours = new RotaryKernel(true, 1, 1, 1, 1, 4);
            neighbours.apply(f.stream, f.of(22), x, y);
            double cosine = Math.cos(22);
            double sine = Math.sin(22);
            KernelExamplesTest.assertClose(
                    f.read(y.slice(0, 4)),
                    cosine - 2 * sine,
                    2 * cosine + sine,
                    3 * cosine - 4 * sine,
                    4 * cosine + 3 * sine);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void tokensAreMixedWithThoseBefore(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = new TokenShiftKernel(1, 3, 2);
            var x = f.of(4.0, 8, 12, 16, 20, 24);
            var mix = f.of(0.25, 1);
            var y = f.empty(6);
            kernel.forward(f.stream, x, mix, null, y);
            assertThat(f.read(y)).containsExactly(1, 8, 6, 16, 14, 24);
            kernel.forward(f.stream, x, mix, f.of(100.0, 200), y);
            assertThat(f.read(y)).containsExactly(76, 8, 6, 16, 14, 24);
            var dx = f.empty(6);
            var dmix = f.of(1000.0, 2000);
            kernel.backward(
                    f.stream,
                    x,
                    mix,
                    f.of(1.0, 2, 3, 4, 5, 6),
                    dx,
                    dmix,
                    f.workspace(kernel.backwardWorkspaceBytes(f.stream)));
            assertThat(f.read(dx)).containsExactly(2.5, 2, 4.5, 4, 1.25, 6);
            assertThat(f.read(dmix)).containsExactly(1068, 2096);
        }
    }

    @Test
    void copiesOfUnequalRanksAreRefused() {
        long[] one = {1};
        long[] two = {2, 1};
        for (long[][] bad : new long[][][] {{two, one, two}, {two, two, one}, {{}, {}, {}}}) {
            assertThatThrownBy(() -> new StridedCopyKernel(bad[0], bad[1], bad[2]))
                    .isInstanceOf(KernelException.InvalidArgument.class)
                    .hasMessageContaining("expected the same");
        }
    }
}
