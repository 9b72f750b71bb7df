package dev.panthera.kernels;

import static dev.panthera.kernels.KernelExamplesTest.assertClose;
import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.testing.EveryBackend;
import org.junit.jupiter.params.ParameterizedTest;

/** Attention and vocabulary loss against plain loops. */
class SequenceKernelExamplesTest {

    private static final int LENGTH = 4;
    private static final int HEADS = 2;
    private static final int HEAD_DIM = 3;
    private static final int WIDTH = HEADS * HEAD_DIM;
    private static final int ROW = 3 * WIDTH;
    private static final double STEP = 1e-3;

    @ParameterizedTest
    @EveryBackend
    void attentionIsCausalAndPerHead(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            double[] packed = f.noise(LENGTH * ROW);
            var kernel = AttentionKernel.packed(1, LENGTH, HEADS, HEAD_DIM, 0, 0);
            var o = f.empty(LENGTH * HEADS * HEAD_DIM);
            var lse = f.empty(HEADS * LENGTH);
            kernel.forwardPacked(
                    f.stream,
                    null,
                    f.of(packed),
                    o,
                    lse,
                    f.workspace(kernel.forwardWorkspaceBytes(f.stream)));
            assertClose(f.read(o), attention(packed));
            assertThat(f.read(lse)).doesNotContain(Double.NaN);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void attentionGradientsAreThoseOfTheFormula(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            double[] packed = f.noise(LENGTH * ROW);
            double[] dO = f.noise(LENGTH * HEADS * HEAD_DIM);
            var kernel = AttentionKernel.packed(1, LENGTH, HEADS, HEAD_DIM, 0, 0);
            var qkv = f.of(packed);
            var o = f.empty(dO.length);
            var lse = f.empty(HEADS * LENGTH);
            kernel.forwardPacked(
                    f.stream,
                    null,
                    qkv,
                    o,
                    lse,
                    f.workspace(kernel.forwardWorkspaceBytes(f.stream)));
            var gradient = f.empty(packed.length);
            kernel.backwardPacked(
                    f.stream,
                    null,
                    qkv,
                    o,
                    lse,
                    f.of(dO),
                    gradient,
                    f.workspace(kernel.backwardWorkspaceBytes(f.stream)));
            assertClose(f.read(gradient), differences(packed, dO));
        }
    }

    /** Positions 1 and 3, the latter twice: their rows, and the gradients of a loss over these alone. */
    @ParameterizedTest
    @EveryBackend
    void attentionOfListedQueriesIsThatOfTheirRows(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            int[] listed = {1, 3, 3};
            double[] packed = f.noise(LENGTH * ROW);
            double[] dO = f.noise(listed.length * WIDTH);
            var kernel =
                    AttentionKernel.ofQueries(listed.length, 1, LENGTH, HEADS, HEAD_DIM, 0, 0, 0);
            var rows = f.of(listed);
            var q = f.of(rows(packed, ROW, 0, WIDTH, listed));
            var kv = f.of(rows(packed, ROW, WIDTH, 2 * WIDTH, 0, 1, 2, 3));
            var o = f.empty(dO.length);
            var lse = f.empty(HEADS * listed.length);
            var forward = f.workspace(kernel.forwardWorkspaceBytes(f.stream));
            kernel.forwardOfQueries(f.stream, null, rows, q, kv, o, lse, forward);
            assertClose(f.read(o), rows(attention(packed), WIDTH, 0, WIDTH, listed));
            var dq = f.empty(dO.length);
            var dkv = f.empty(LENGTH * 2 * WIDTH);
            var backward = f.workspace(kernel.backwardWorkspaceBytes(f.stream));
            kernel.backwardOfQueries(
                    f.stream, null, rows, q, kv, o, lse, f.of(dO), dq, dkv, backward);
            double[] expected = differences(packed, sumOfRows(dO, listed));
            assertClose(sumOfRows(f.read(dq), listed), rows(expected, ROW, 0, WIDTH, 0, 1, 2, 3));
            assertClose(f.read(dkv), rows(expected, ROW, WIDTH, 2 * WIDTH, 0, 1, 2, 3));
        }
    }

    @ParameterizedTest
    @EveryBackend
    void attentionDropsWeightsByTheRandomState(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var qkv = f.of(f.noise(LENGTH * ROW));
            var kernel = AttentionKernel.packed(1, LENGTH, HEADS, HEAD_DIM, 0.5f, 3);
            var workspace = f.workspace(kernel.forwardWorkspaceBytes(f.stream));
            var lse = f.empty(HEADS * LENGTH);
            var first = f.empty(LENGTH * HEADS * HEAD_DIM);
            var second = f.empty(LENGTH * HEADS * HEAD_DIM);
            kernel.forwardPacked(f.stream, f.randomState(5, 1), qkv, first, lse, workspace);
            kernel.forwardPacked(f.stream, f.randomState(5, 2), qkv, second, lse, workspace);
            assertThat(f.read(first)).isNotEqualTo(f.read(second)).doesNotContain(Double.NaN);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void theVocabularyLossIgnoresUnlabelledRows(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = new VocabularyLossKernel(3, 1, 2);
            var hidden = f.of(1.0, Double.NaN, 2);
            var weight = f.of(0.0, Math.log(3));
            var labels = f.of(1, VocabularyLossKernel.IGNORE_LABEL, 0);
            var loss = f.empty(1);
            var count = f.emptyInts(1);
            var rowLoss = f.empty(3);
            var lse = f.empty(3);
            var argMax = f.emptyInts(3);
            kernel.forward(
                    f.stream,
                    hidden,
                    weight,
                    labels,
                    loss,
                    count,
                    rowLoss,
                    lse,
                    argMax,
                    f.workspace(kernel.forwardWorkspaceBytes(f.stream)));
            double first = Math.log(4) - Math.log(3);
            double last = Math.log(10);
            assertClose(f.read(loss), (first + last) / 2);
            assertClose(f.read(rowLoss), first, 0, last);
            assertClose(f.read(lse), Math.log(4), 0, Math.log(10));
            assertThat(f.stream.toIntArray(argMax)).containsExactly(1, -1, 1);
            assertThat(f.stream.toIntArray(count)).containsExactly(2);
            var dhidden = f.empty(3);
            var dweight = f.of(100.0, 0);
            kernel.backward(
                    f.stream,
                    hidden,
                    weight,
                    labels,
                    count,
                    lse,
                    f.of(2.0),
                    dhidden,
                    dweight,
                    f.workspace(kernel.backwardWorkspaceBytes(f.stream)));
            assertClose(f.read(dhidden), -0.25 * Math.log(3), 0, 0.9 * Math.log(3));
            assertClose(f.read(dweight), 100 + 0.25 - 1.8, -0.25 + 1.8);
        }
    }

    /** Columns of the given rows, densely. */
    private static double[] rows(double[] all, int stride, int first, int columns, int... rows) {
        double[] taken = new double[rows.length * columns];
        for (int i = 0; i < rows.length; i++) {
            System.arraycopy(all, rows[i] * stride + first, taken, i * columns, columns);
        }
        return taken;
    }

    /** What listed rows add up to at each position. */
    private static double[] sumOfRows(double[] values, int... listed) {
        double[] sum = new double[LENGTH * WIDTH];
        for (int i = 0; i < values.length; i++) {
            sum[listed[i / WIDTH] * WIDTH + i % WIDTH] += values[i];
        }
        return sum;
    }

    private static double[] attention(double[] packed) {
        double[] o = new double[LENGTH * HEADS * HEAD_DIM];
        for (int h = 0; h < HEADS; h++) {
            for (int t = 0; t < LENGTH; t++) {
                double[] p = new double[t + 1];
                double total = 0;
                for (int s = 0; s <= t; s++) {
                    double score = 0;
                    for (int c = 0; c < HEAD_DIM; c++) {
                        score += packed[at(t, 0, h, c)] * packed[at(s, 1, h, c)];
                    }
                    p[s] = Math.exp(score / Math.sqrt(HEAD_DIM));
                    total += p[s];
                }
                for (int s = 0; s <= t; s++) {
                    for (int c = 0; c < HEAD_DIM; c++) {
                        o[(t * HEADS + h) * HEAD_DIM + c] += p[s] / total * packed[at(s, 2, h, c)];
                    }
                }
            }
        }
        return o;
    }

    private static int at(int position, int part, int head, int channel) {
        return position * ROW + (part * HEADS + head) * HEAD_DIM + channel;
    }

    private static double[] differences(double[] packed, double[] dO) {
        double[] gradient = new double[packed.length];
        for (int i = 0; i < packed.length; i++) {
            double[] moved = packed.clone();
            moved[i] = packed[i] + STEP;
            double above = dot(attention(moved), dO);
            moved[i] = packed[i] - STEP;
            gradient[i] = (above - dot(attention(moved), dO)) / (2 * STEP);
        }
        return gradient;
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }
}
