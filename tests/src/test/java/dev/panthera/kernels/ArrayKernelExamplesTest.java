package dev.panthera.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.testing.EveryBackend;
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
                    new StridedCopyKernel(
                            new int[] {3, 2}, new long[] {1, 3}, new long[] {4, 1});
            var y = f.of(0.0, 0, -1, -2, 0, 0, -3, -4, 0, 0);
            var x = f.of(1.0, 2, 3, 4, 5, 6);
            transpose.copy(f.stream, x, y);
            assertThat(f.read(y)).containsExactly(1, 4, -1, -2, 2, 5, -3, -4, 3, 6);
            transpose.reversed().add(f.stream, y, x);
            assertThat(f.read(x)).containsExactly(2, 4, 6, 8, 10, 12);
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
