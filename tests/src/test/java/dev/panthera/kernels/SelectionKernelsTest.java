package dev.panthera.kernels;

import static dev.panthera.kernels.KernelExamplesTest.assertClose;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.testing.EveryBackend;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/** What is chosen by scores, and attention of it, against plain loops. */
class SelectionKernelsTest {

    private static final int BATCH = 2;
    private static final int LENGTH = 5;
    private static final int HEADS = 2;
    private static final int HEAD_DIM = 3;
    private static final int WIDTH = HEADS * HEAD_DIM;
    private static final int ROW = 3 * WIDTH;

    @ParameterizedTest
    @EveryBackend
    void aPositionIsChosenByTheScoresBeforeIt(Backend backend) {
        double none = Double.NEGATIVE_INFINITY;
        try (var f = new KernelFixture(backend)) {
            double[] scores = {2, 2, 3, Double.NaN, 1, none, 3, 4, Double.POSITIVE_INFINITY, 2};
            assertThat(choose(f, 1, 1, scores)).containsExactly(1, 0, 1, 0, 0, 0, 0, 1, 1, 0);
            assertThat(choose(f, 1, 2, scores)).containsExactly(1, 1, 1, 0, 0, 0, 1, 1, 1, 0);
            assertThat(choose(f, 1, 100, scores)).containsExactly(1, 1, 1, 0, 1, 0, 1, 1, 1, 1);
            assertThat(choose(f, 2, 1, scores)).containsExactly(1, 0, 1, 0, 0, 0, 1, 1, 1, 0);
        }
    }

    /** Of falling scores the first k(t) are chosen, as long as there are no more. */
    @ParameterizedTest
    @EveryBackend
    void theNumberOfChoicesGrowsWithTheSquareRoot(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            int length = 101;
            double[] scores = f.noise(length);
            double[] chosen = choose(f, 1, CausalTopKKernel.SQUARE_ROOT, scores);
            for (int t = 0; t < length; t++) {
                int before = 0;
                for (int s = 0; s < t; s++) {
                    before += scores[s] >= scores[t] ? 1 : 0;
                }
                assertThat(chosen[t])
                        .as("position %d", t)
                        .isEqualTo(before < Math.ceil(Math.sqrt(t + 1)) ? 1 : 0);
            }
        }
    }

    private static double[] choose(KernelFixture f, int batch, long k, double... scores) {
        var kernel = new CausalTopKKernel(batch, scores.length / batch, k);
        var chosen = f.empty(scores.length);
        kernel.choose(f.stream, f.of(scores), chosen, f.workspace(kernel.workspaceBytes(f.stream)));
        return f.read(chosen);
    }

    @ParameterizedTest
    @EveryBackend
    void selectedRowsAreThoseOfAttention(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            double[] chosen = {0, 1, 0, 0, -2, 1, 0, 0, 1, 0};
            double[] packed = f.noise(BATCH * LENGTH * ROW);
            double[] dO = f.noise(BATCH * LENGTH * WIDTH);
            for (int window : new int[] {0, 2}) {
                Results selected = selected(f, window, chosen, packed, dO);
                Results all = all(f, window, packed, masked(dO, WIDTH, chosen));
                assertClose(selected.o, masked(all.o, WIDTH, chosen));
                assertClose(selected.dqkv, all.dqkv);
                for (int i = 0; i < selected.lse.length; i++) {
                    int row = i / (HEADS * LENGTH) * LENGTH + i % LENGTH;
                    double expected = chosen[row] == 0 ? Double.NEGATIVE_INFINITY : all.lse[i];
                    assertThat(selected.lse[i])
                            .satisfiesAnyOf(
                                    lse -> assertThat(lse).isEqualTo(expected),
                                    lse -> assertClose(new double[] {lse}, expected));
                }
            }
        }
    }

    @ParameterizedTest
    @EveryBackend
    void whereNothingIsChosenAllIsZero(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            double[] packed = f.noise(BATCH * LENGTH * ROW);
            double[] dO = f.noise(BATCH * LENGTH * WIDTH);
            Results results = selected(f, 0, new double[BATCH * LENGTH], packed, dO);
            assertThat(results.o).containsOnly(0);
            assertThat(results.dqkv).containsOnly(0);
            assertThat(results.lse).containsOnly(Double.NEGATIVE_INFINITY);
        }
    }

    @Test
    void aListOfQueriesAndTooFewChoicesAreRefused() {
        try (var f = new KernelFixture(Backend.REFERENCE)) {
            var listed =
                    new SelectedAttentionKernel(AttentionKernel.ofQueries(1, 1, 2, 1, 1, 0, 0, 0));
            assertThatThrownBy(() -> listed.forwardWorkspaceBytes(f.stream))
                    .isInstanceOf(KernelException.InvalidArgument.class)
                    .hasMessageContaining("queries is 1; expected 0");
            var kernel = SelectedAttentionKernel.packed(1, 2, 1, 1, 0, 0, 0);
            assertThatThrownBy(() ->
                            kernel.forwardPacked(
                                    f.stream,
                                    null,
                                    f.zeros(1),
                                    f.zeros(6),
                                    f.zeros(2),
                                    f.zeros(2),
                                    f.workspace(kernel.forwardWorkspaceBytes(f.stream))))
                    .isInstanceOf(KernelException.InvalidArgument.class)
                    .hasMessageContaining("chosen has 1 elements; expected at least 2");
            var negative = new CausalTopKKernel(1, 2, -1);
            assertThatThrownBy(() -> negative.workspaceBytes(f.stream))
                    .isInstanceOf(KernelException.InvalidArgument.class)
                    .hasMessageContaining("k is -1");
        }
    }

    private record Results(double[] o, double[] lse, double[] dqkv) {}

    private static Results selected(
            KernelFixture f, int window, double[] chosen, double[] packed, double[] dO) {
        var kernel = SelectedAttentionKernel.packed(BATCH, LENGTH, HEADS, HEAD_DIM, window, 0, 0);
        var choice = f.of(chosen);
        var qkv = f.of(packed);
        var o = f.empty(dO.length);
        var lse = f.empty(BATCH * HEADS * LENGTH);
        var forward = f.workspace(kernel.forwardWorkspaceBytes(f.stream));
        kernel.forwardPacked(f.stream, null, choice, qkv, o, lse, forward);
        var gradient = f.empty(packed.length);
        var backward = f.workspace(kernel.backwardWorkspaceBytes(f.stream));
        kernel.backwardPacked(f.stream, null, choice, qkv, o, lse, f.of(dO), gradient, backward);
        return new Results(f.read(o), f.read(lse), f.read(gradient));
    }

    private static Results all(KernelFixture f, int window, double[] packed, double[] dO) {
        var kernel = AttentionKernel.packed(BATCH, LENGTH, HEADS, HEAD_DIM, window, 0, 0);
        var qkv = f.of(packed);
        var o = f.empty(dO.length);
        var lse = f.empty(BATCH * HEADS * LENGTH);
        var forward = f.workspace(kernel.forwardWorkspaceBytes(f.stream));
        kernel.forwardPacked(f.stream, null, qkv, o, lse, forward);
        var gradient = f.empty(packed.length);
        var backward = f.workspace(kernel.backwardWorkspaceBytes(f.stream));
        kernel.backwardPacked(f.stream, null, qkv, o, lse, f.of(dO), gradient, backward);
        return new Results(f.read(o), f.read(lse), f.read(gradient));
    }

    /** Rows of which those that are not chosen are 0. */
    private static double[] masked(double[] rows, int width, double... chosen) {
        double[] result = rows.clone();
        for (int i = 0; i < result.length; i++) {
            result[i] *= chosen[i / width] == 0 ? 0 : 1;
        }
        return result;
    }
}
