package dev.panthera.kernels;

import static dev.panthera.kernels.KernelExamplesTest.assertClose;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.testing.EveryBackend;
import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;

/** Attention by blocks, and merges of two attentions, against plain loops. */
class SparseAttentionKernelTest {

    private static final int LENGTH = 7;
    private static final int HEADS = 4;
    private static final int KEY_HEADS = 2;
    private static final int HEAD_DIM = 3;
    private static final int QUERIES = LENGTH * HEADS * HEAD_DIM;
    private static final int KEYS = LENGTH * KEY_HEADS * HEAD_DIM;
    private static final double STEP = 1e-3;

    /** Blocks of two positions, a list for each query and head of keys. */
    private static final BlockLists LISTS = new BlockLists(2, 2, 1, 1, KEY_HEADS);

    private static final int[] BLOCKS = {
        0, -1, /**/ -1, -1, /**/ 1, 0, /**/ 3, -1, /**/ 0, 2, /**/ 1, 2, /**/ 3, 0, //
        -1, 0, /**/ 0, 1, /**/ -1, -1, /**/ 1, -1, /**/ 3, 1, /**/ 0, 1, /**/ 2, -1
    };

    private static boolean sees(SparseAttentionKernel kernel, int keyHead, int t, int s) {
        int list = (keyHead * LENGTH + t) * 2;
        boolean listed =
                kernel.lists() != BlockLists.NONE
                        && (BLOCKS[list] == s / 2 || BLOCKS[list + 1] == s / 2);
        return t - s < kernel.window() || s < kernel.globals() || listed;
    }

    private static double dot(double[] a, int aFrom, double[] b, int bFrom) {
        double sum = 0;
        for (int c = 0; c < HEAD_DIM; c++) {
            sum += a[aFrom + c] * b[bFrom + c];
        }
        return sum;
    }

    /** o and behind it lse. */
    private static double[] attention(
            SparseAttentionKernel kernel, double[] q, double[] k, double[] v) {
        double[] result = new double[QUERIES + HEADS * LENGTH];
        for (int h = 0; h < HEADS; h++) {
            int keyHead = h / (HEADS / KEY_HEADS);
            for (int t = 0; t < LENGTH; t++) {
                int o = (t * HEADS + h) * HEAD_DIM;
                double sum = 0;
                for (int s = 0; s <= t; s++) {
                    if (sees(kernel, keyHead, t, s)) {
                        int key = (s * KEY_HEADS + keyHead) * HEAD_DIM;
                        double weight = Math.exp(dot(q, o, k, key) / Math.sqrt(HEAD_DIM));
                        sum += weight;
                        for (int c = 0; c < HEAD_DIM; c++) {
                            result[o + c] += weight * v[key + c];
                        }
                    }
                }
                for (int c = 0; c < HEAD_DIM && sum > 0; c++) {
                    result[o + c] /= sum;
                }
                result[QUERIES + h * LENGTH + t] = Math.log(sum);
            }
        }
        return result;
    }

    /** Window, first positions, lists, all of these and none. */
    private static SparseAttentionKernel[] kernels() {
        return new SparseAttentionKernel[] {
            kernel(3, 0, BlockLists.NONE),
            kernel(0, 2, BlockLists.NONE),
            kernel(0, 0, LISTS),
            kernel(2, 1, LISTS),
            kernel(0, 0, BlockLists.NONE)
        };
    }

    private static SparseAttentionKernel kernel(int window, int globals, BlockLists lists) {
        return SparseAttentionKernel.dense(
                1, HEADS, KEY_HEADS, LENGTH, HEAD_DIM, window, globals, lists);
    }

    private static DeviceBuffer blocks(KernelFixture f, SparseAttentionKernel kernel) {
        return kernel.lists() == BlockLists.NONE ? null : f.of(BLOCKS);
    }

    @ParameterizedTest
    @EveryBackend
    void eachKeyThatIsSeenCountsOnce(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            for (var kernel : kernels()) {
                double[] q = f.noise(QUERIES);
                double[] k = f.noise(KEYS);
                double[] v = f.noise(KEYS);
                var o = f.empty(QUERIES);
                var lse = f.empty(HEADS * LENGTH);
                var workspace = f.workspace(kernel.forwardWorkspaceBytes(f.stream));
                kernel.forward(
                        f.stream, blocks(f, kernel), f.of(q), f.of(k), f.of(v), o, lse, workspace);
                double[] expected = attention(kernel, q, k, v);
                assertClose(f.read(o), Arrays.copyOf(expected, QUERIES));
                assertClose(f.read(lse), Arrays.copyOfRange(expected, QUERIES, expected.length));
            }
        }
    }

    @ParameterizedTest
    @EveryBackend
    void gradientsAreThoseOfTheFormula(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            for (var kernel : kernels()) {
                double[][] inputs = {f.noise(QUERIES), f.noise(KEYS), f.noise(KEYS)};
                double[] dO = f.noise(QUERIES);
                double[] dLse = f.noise(HEADS * LENGTH);
                var q = f.of(inputs[0]);
                var k = f.of(inputs[1]);
                var v = f.of(inputs[2]);
                var blocks = blocks(f, kernel);
                var o = f.empty(QUERIES);
                var lse = f.empty(HEADS * LENGTH);
                var forward = f.workspace(kernel.forwardWorkspaceBytes(f.stream));
                kernel.forward(f.stream, blocks, q, k, v, o, lse, forward);
                DeviceBuffer[] gradients = {f.empty(QUERIES), f.empty(KEYS), f.empty(KEYS)};
                kernel.backward(
                        f.stream,
                        blocks,
                        q,
                        k,
                        v,
                        o,
                        lse,
                        f.of(dO),
                        f.of(dLse),
                        gradients[0],
                        gradients[1],
                        gradients[2],
                        f.workspace(kernel.backwardWorkspaceBytes(f.stream)));
                for (int i = 0; i < inputs.length; i++) {
                    assertClose(f.read(gradients[i]), differences(kernel, inputs, i, dO, dLse));
                }
            }
        }
    }

    private static double[] differences(
            SparseAttentionKernel kernel,
            double[][] inputs,
            int which,
            double[] dO,
            double[] dLse) {
        double[] moved = inputs[which];
        double[] result = new double[moved.length];
        for (int i = 0; i < moved.length; i++) {
            double original = moved[i];
            moved[i] = original + STEP;
            double above = loss(kernel, inputs, dO, dLse);
            moved[i] = original - STEP;
            double below = loss(kernel, inputs, dO, dLse);
            moved[i] = original;
            result[i] = (above - below) / (2 * STEP);
        }
        return result;
    }

    /** What is seen by no query has no part in it. */
    private static double loss(
            SparseAttentionKernel kernel, double[][] inputs, double[] dO, double[] dLse) {
        double[] outputs = attention(kernel, inputs[0], inputs[1], inputs[2]);
        double sum = 0;
        for (int i = 0; i < outputs.length; i++) {
            double weight = i < QUERIES ? dO[i] : dLse[i - QUERIES];
            sum += Double.isInfinite(outputs[i]) ? 0 : weight * outputs[i];
        }
        return sum;
    }

    /** The last three queries by themselves. */
    @ParameterizedTest
    @EveryBackend
    void queriesMayBeginBehindKeys(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            int later = 3;
            int skipped = LENGTH - later;
            double[] q = f.noise(QUERIES);
            double[] k = f.noise(KEYS);
            double[] v = f.noise(KEYS);
            var all = kernel(2, 1, LISTS);
            var last =
                    new SparseAttentionKernel(
                            all.scale(),
                            1,
                            HEADS,
                            KEY_HEADS,
                            later,
                            skipped,
                            HEAD_DIM,
                            2,
                            1,
                            LISTS,
                            HeadLayout.dense(later, HEADS, HEAD_DIM),
                            all.k(),
                            all.v(),
                            HeadLayout.dense(later, HEADS, HEAD_DIM));
            int row = HEADS * HEAD_DIM;
            var o = f.empty(later * row);
            last.forward(
                    f.stream,
                    f.of(lastLists(later)),
                    f.of(Arrays.copyOfRange(q, skipped * row, QUERIES)),
                    f.of(k),
                    f.of(v),
                    o,
                    f.empty(HEADS * later),
                    f.workspace(last.forwardWorkspaceBytes(f.stream)));
            double[] expected = attention(all, q, k, v);
            assertClose(f.read(o), Arrays.copyOfRange(expected, skipped * row, QUERIES));
        }
    }

    private static int[] lastLists(int queries) {
        int[] lists = new int[KEY_HEADS * queries * 2];
        for (int head = 0; head < KEY_HEADS; head++) {
            int from = (head * LENGTH + LENGTH - queries) * 2;
            System.arraycopy(BLOCKS, from, lists, head * queries * 2, queries * 2);
        }
        return lists;
    }

    @ParameterizedTest
    @EveryBackend
    void whatIsNoBlockIsRefused(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = kernel(0, 0, LISTS);
            for (int bad : new int[] {-2, 4}) {
                int[] blocks = BLOCKS.clone();
                blocks[11] = bad;
                assertThatThrownBy(() -> forward(f, kernel, f.of(blocks)))
                        .isInstanceOf(KernelException.InvalidArgument.class)
                        .hasMessageContaining("11");
            }
            assertThatThrownBy(() -> forward(f, kernel, null))
                    .isInstanceOf(KernelException.InvalidArgument.class)
                    .hasMessageContaining("blocks is NULL");
        }
    }

    private static void forward(
            KernelFixture f, SparseAttentionKernel kernel, DeviceBuffer blocks) {
        kernel.forward(
                f.stream,
                blocks,
                f.of(f.noise(QUERIES)),
                f.of(f.noise(KEYS)),
                f.of(f.noise(KEYS)),
                f.empty(QUERIES),
                f.empty(HEADS * LENGTH),
                f.workspace(kernel.forwardWorkspaceBytes(f.stream)));
        f.stream.synchronize();
    }

    /** Of weights 3 and 1, of a single part, and of none. */
    @ParameterizedTest
    @EveryBackend
    void mergesAreAveragesByWeight(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            double none = Double.NEGATIVE_INFINITY;
            var kernel = new AttentionMergeKernel(1, 4, 1, 2);
            var first =
                    part(f, new double[] {4, 8, 5, 6, 100, 200, 1, 1}, Math.log(3), 2, none, none);
            var second = part(f, new double[] {0, -4, 300, 400, 7, 8, 1, 1}, 0, none, -3, none);
            var merged = new AttentionMergeKernel.Part(f.empty(8), f.empty(4));
            kernel.forward(f.stream, first, second, merged);
            assertClose(f.read(merged.o()), 3, 5, 5, 6, 7, 8, 0, 0);
            assertClose(f.read(merged.lse()), Math.log(4), 2, -3, none);

            var dFirst = new AttentionMergeKernel.Part(f.empty(8), f.empty(4));
            var dSecond = new AttentionMergeKernel.Part(f.empty(8), f.empty(4));
            kernel.backward(
                    f.stream,
                    first,
                    second,
                    merged,
                    f.of(1.0, 2, 3, 4, 5, 6, 7, 8),
                    f.of(10.0, 20, 30, 40),
                    dFirst,
                    dSecond);
            assertClose(f.read(dFirst.o()), 0.75, 1.5, 3, 4, 0, 0, 0, 0);
            assertClose(f.read(dSecond.o()), 0.25, 0.5, 0, 0, 5, 6, 0, 0);
            // do . o1 - do . o is 1 (4 - 3) + 2 (8 - 5), of the second 1 (0 - 3) + 2 (-4 - 5)
            assertClose(f.read(dFirst.lse()), 0.75 * (7 + 10), 20, 0, 0);
            assertClose(f.read(dSecond.lse()), 0.25 * (-21 + 10), 0, 30, 0);
        }
    }

    private static AttentionMergeKernel.Part part(KernelFixture f, double[] o, double... lse) {
        return new AttentionMergeKernel.Part(f.of(o), f.of(lse));
    }
}
