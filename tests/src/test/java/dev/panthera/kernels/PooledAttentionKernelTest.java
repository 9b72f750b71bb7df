package dev.panthera.kernels;

import static dev.panthera.kernels.KernelExamplesTest.assertClose;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.testing.EveryBackend;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;

/** Attention to pooled blocks and the choice among them, against plain loops. */
class PooledAttentionKernelTest {

    private static final int LENGTH = 9;
    private static final int SIZE = 2;
    private static final int HEADS = 4;
    private static final int KEY_HEADS = 2;
    private static final int HEAD_DIM = 3;
    private static final int QUERIES = LENGTH * HEADS * HEAD_DIM;
    private static final double STEP = 1e-3;

    /** For each head of keys and three neighbouring queries. */
    private static final BlockLists LISTS = new BlockLists(2, SIZE, 3, 1, KEY_HEADS);

    private static final int[] EXCLUDED = {
        -1, 0, /**/ 1, 4, /**/ 0, 3, /**/ 2, -1, /**/ 0, 1, /**/ -1, -1
    };

    /** With leading keys, a bias, excluded blocks, fewer blocks than have ended, and all of these. */
    private static PooledAttentionKernel[] kernels() {
        return new PooledAttentionKernel[] {
            kernel(0, 1, 4, BlockLists.NONE),
            kernel(0.7f, 2, 4, BlockLists.NONE),
            kernel(0, 0, 4, LISTS),
            kernel(0, 0, 2, BlockLists.NONE),
            kernel(-1.3f, 1, 3, LISTS)
        };
    }

    private static PooledAttentionKernel kernel(
            float bias, int always, int blocks, BlockLists excluded) {
        return PooledAttentionKernel.dense(
                bias, 1, HEADS, KEY_HEADS, LENGTH, HEAD_DIM, always, blocks, SIZE, excluded);
    }

    private static int keyElements(PooledAttentionKernel kernel) {
        return (int) (kernel.always() + kernel.blocks()) * KEY_HEADS * HEAD_DIM;
    }

    private static DeviceBuffer excluded(KernelFixture f, PooledAttentionKernel kernel) {
        return kernel.excluded() == BlockLists.NONE ? null : f.of(EXCLUDED);
    }

    private static boolean sees(PooledAttentionKernel kernel, int keyHead, int t, int j) {
        int block = j - (int) kernel.always();
        int list = (keyHead * 3 + t / 3) * 2;
        boolean left =
                kernel.excluded() != BlockLists.NONE
                        && (EXCLUDED[list] == block || EXCLUDED[list + 1] == block);
        return block < 0 || ((block + 1) * SIZE <= t && !left);
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
            PooledAttentionKernel kernel, double[] q, double[] k, double[] v) {
        double[] result = new double[QUERIES + HEADS * LENGTH];
        for (int row = 0; row < HEADS * LENGTH; row++) {
            int h = row / LENGTH;
            int t = row % LENGTH;
            int keyHead = h / (HEADS / KEY_HEADS);
            int o = (t * HEADS + h) * HEAD_DIM;
            double sum = 0;
            for (int j = 0; j < kernel.always() + kernel.blocks(); j++) {
                if (sees(kernel, keyHead, t, j)) {
                    int key = (j * KEY_HEADS + keyHead) * HEAD_DIM;
                    double bias = j < kernel.always() ? 0 : kernel.bias();
                    double weight = Math.exp(dot(q, o, k, key) / Math.sqrt(HEAD_DIM) + bias);
                    sum += weight;
                    for (int c = 0; c < HEAD_DIM; c++) {
                        result[o + c] += weight * v[key + c];
                    }
                }
            }
            for (int c = 0; c < HEAD_DIM && sum > 0; c++) {
                result[o + c] /= sum;
            }
            result[QUERIES + row] = Math.log(sum);
        }
        return result;
    }

    @ParameterizedTest
    @EveryBackend
    void eachFinishedBlockCountsOnce(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            for (var kernel : kernels()) {
                double[] q = f.noise(QUERIES);
                double[] k = f.noise(keyElements(kernel));
                double[] v = f.noise(keyElements(kernel));
                var o = f.empty(QUERIES);
                var lse = f.empty(HEADS * LENGTH);
                kernel.forward(
                        f.stream,
                        excluded(f, kernel),
                        f.of(q),
                        f.of(k),
                        f.of(v),
                        o,
                        lse,
                        f.workspace(kernel.forwardWorkspaceBytes(f.stream)));
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
                int keys = keyElements(kernel);
                double[][] inputs = {f.noise(QUERIES), f.noise(keys), f.noise(keys)};
                double[] dO = f.noise(QUERIES);
                double[] dLse = f.noise(HEADS * LENGTH);
                DeviceBuffer[] at = {f.of(inputs[0]), f.of(inputs[1]), f.of(inputs[2])};
                var excluded = excluded(f, kernel);
                var o = f.empty(QUERIES);
                var lse = f.empty(HEADS * LENGTH);
                var forward = f.workspace(kernel.forwardWorkspaceBytes(f.stream));
                kernel.forward(f.stream, excluded, at[0], at[1], at[2], o, lse, forward);
                DeviceBuffer[] gradients = {f.empty(QUERIES), f.empty(keys), f.empty(keys)};
                kernel.backward(
                        f.stream,
                        excluded,
                        at[0],
                        at[1],
                        at[2],
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
            PooledAttentionKernel kernel,
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

    /** A query without keys has no part in it. */
    private static double loss(
            PooledAttentionKernel kernel, double[][] inputs, double[] dO, double[] dLse) {
        double[] outputs = attention(kernel, inputs[0], inputs[1], inputs[2]);
        double sum = 0;
        for (int i = 0; i < outputs.length; i++) {
            double weight = i < QUERIES ? dO[i] : dLse[i - QUERIES];
            sum += Double.isInfinite(outputs[i]) ? 0 : weight * outputs[i];
        }
        return sum;
    }

    @ParameterizedTest
    @EveryBackend
    void whatIsNoBlockIsRefused(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = kernel(0, 1, 4, LISTS);
            for (int bad : new int[] {-2, 5}) {
                int[] blocks = EXCLUDED.clone();
                blocks[7] = bad;
                assertThatThrownBy(() -> forward(f, kernel, f.of(blocks)))
                        .isInstanceOf(KernelException.InvalidArgument.class)
                        .hasMessageContaining("7");
            }
            assertThatThrownBy(() -> forward(f, kernel, null))
                    .isInstanceOf(KernelException.InvalidArgument.class)
                    .hasMessageContaining("excluded is NULL");
            assertThatThrownBy(() -> forward(f, kernel(0, 1, 5, BlockLists.NONE), null))
                    .isInstanceOf(KernelException.InvalidArgument.class)
                    .hasMessageContaining("blocks is 5; expected 0 to 4");
            assertThatThrownBy(() -> forward(f, kernel(0, 0, 0, BlockLists.NONE), null))
                    .isInstanceOf(KernelException.InvalidArgument.class)
                    .hasMessageContaining("always + blocks is 0");
        }
    }

    private static void forward(
            KernelFixture f, PooledAttentionKernel kernel, DeviceBuffer excluded) {
        int keys = Math.max(1, keyElements(kernel));
        kernel.forward(
                f.stream,
                excluded,
                f.of(f.noise(QUERIES)),
                f.of(f.noise(keys)),
                f.of(f.noise(keys)),
                f.empty(QUERIES),
                f.empty(HEADS * LENGTH),
                f.workspace(kernel.forwardWorkspaceBytes(f.stream)));
        f.stream.synchronize();
    }

    // ---- the choice of blocks ----

    private static BlockTopKKernel topK(int k, float minWeight, boolean own) {
        return new BlockTopKKernel(
                0.8f,
                minWeight,
                1,
                HEADS,
                KEY_HEADS,
                LENGTH,
                0,
                HEAD_DIM,
                LENGTH / SIZE,
                SIZE,
                k,
                own,
                HeadLayout.dense(LENGTH, HEADS, HEAD_DIM),
                HeadLayout.dense(LENGTH / SIZE, KEY_HEADS, HEAD_DIM));
    }

    private static int[] list(KernelFixture f, BlockTopKKernel kernel, double[] q, double[] key) {
        var listed = f.emptyInts((int) kernel.lists().elements(LENGTH));
        var workspace = f.workspace(kernel.workspaceBytes(f.stream));
        kernel.list(f.stream, f.of(q), f.of(key), listed, workspace);
        return f.stream.toIntArray(listed);
    }

    /** The list of a query by sorting. */
    private static int[] expected(
            BlockTopKKernel kernel, double[] q, double[] key, int keyHead, int t) {
        int group = HEADS / KEY_HEADS;
        double[] x = new double[t / SIZE];
        double sum = Math.exp(-1000);
        for (int j = 0; j < x.length; j++) {
            for (int h = keyHead * group; h < (keyHead + 1) * group; h++) {
                int from = (t * HEADS + h) * HEAD_DIM;
                x[j] += 0.8 / group * dot(q, from, key, (j * KEY_HEADS + keyHead) * HEAD_DIM);
            }
            sum += Math.exp(x[j]);
        }
        double total = sum;
        int[] best =
                IntStream.range(0, x.length)
                        .boxed()
                        .sorted((i, j) -> Double.compare(x[j], x[i]))
                        .limit(kernel.k())
                        .filter(j -> Math.exp(x[j]) / total > kernel.minWeight())
                        .mapToInt(Integer::intValue)
                        .sorted()
                        .toArray();
        int[] result = new int[(int) kernel.lists().slots()];
        Arrays.fill(result, -1);
        System.arraycopy(best, 0, result, 0, best.length);
        if (kernel.own()) {
            result[(int) kernel.k()] = t / SIZE;
        }
        return result;
    }

    @ParameterizedTest
    @EveryBackend
    void theBestBlocksAreListedInOrder(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            BlockTopKKernel[] kernels = {
                topK(1, BlockTopKKernel.ANY_WEIGHT, false),
                topK(2, 1e-10f, true),
                topK(3, 0.3f, true),
                topK(9, BlockTopKKernel.ANY_WEIGHT, true)
            };
            for (var kernel : kernels) {
                double[] q = f.noise(QUERIES);
                double[] key = f.noise(LENGTH / SIZE * KEY_HEADS * HEAD_DIM);
                int[] listed = list(f, kernel, q, key);
                int slots = (int) kernel.lists().slots();
                for (int i = 0; i < KEY_HEADS * LENGTH; i++) {
                    assertThat(Arrays.copyOfRange(listed, i * slots, (i + 1) * slots))
                            .as("%s, list %d", kernel, i)
                            .containsExactly(expected(kernel, q, key, i / LENGTH, i % LENGTH));
                }
            }
        }
    }

    @ParameterizedTest
    @EveryBackend
    void wantingNothingIsRefused(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            double[] q = f.noise(QUERIES);
            double[] key = f.noise(LENGTH / SIZE * KEY_HEADS * HEAD_DIM);
            assertThatThrownBy(() -> list(f, topK(0, 0, true), q, key))
                    .isInstanceOf(KernelException.InvalidArgument.class)
                    .hasMessageContaining("k is 0");
            for (float bad : new float[] {-0.5f, 1, Float.NaN}) {
                assertThatThrownBy(() -> list(f, topK(1, bad, true), q, key))
                        .isInstanceOf(KernelException.InvalidArgument.class)
                        .hasMessageContaining("min_weight");
            }
        }
    }
}
