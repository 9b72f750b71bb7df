package dev.panthera.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.kernels.BlockLists;
import dev.panthera.kernels.BlockTopKKernel;
import dev.panthera.tensor.BlockTopKOperation.Wanted;
import dev.panthera.tensor.PooledAttentionOperation.Blocks;
import dev.panthera.testing.Gradients;
import dev.panthera.testing.Rig;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Attention to pooled blocks and the choice among them, on a tape. */
class PooledAttentionTest {
    private static final int BATCH = 2;
    private static final int LENGTH = 7;
    private static final int SIZE = 2;
    private static final int BLOCKS = LENGTH / SIZE;
    private static final int HEADS = 4;
    private static final int KEY_HEADS = 2;
    private static final int QUERY_WIDTH = 12;
    private static final int KEY_WIDTH = 6;

    private static Tensor queries(Rig rig) {
        return rig.leaf(Rig.gaussian(1, BATCH * LENGTH * QUERY_WIDTH), BATCH, LENGTH, QUERY_WIDTH);
    }

    private static Tensor keys(Rig rig, int seed, int count) {
        return rig.leaf(Rig.gaussian(seed, BATCH * count * KEY_WIDTH), BATCH, count, KEY_WIDTH);
    }

    private static PartialAttention attend(Tape tape, Blocks blocks, Tensor q, Tensor k, Tensor v) {
        return PooledAttentionOperation.apply(tape, blocks, HEADS, KEY_HEADS, q, k, v);
    }

    private static Blocks withoutSome(Rig rig, Blocks blocks) {
        return blocks.without(
                new BlockLists(2, SIZE, 3, 1, 1),
                rig.integers(new int[] {0, -1, -1, 3, 1, 0}, 1, 1, 3, 2));
    }

    @ParameterizedTest
    @CsvSource({"1, 0, false", "1, 0.7, true", "2, -1.5, false", "0, 0.7, false", "0, 0, true"})
    void outputsAndSumsHaveGradients(int always, float bias, boolean excluding) {
        try (var rig = Rig.exact()) {
            Tensor q = queries(rig);
            Tensor k = keys(rig, 2, always + BLOCKS);
            Tensor v = keys(rig, 3, always + BLOCKS);
            Blocks all = Blocks.all(always, SIZE, bias);
            Blocks blocks = excluding ? withoutSome(rig, all) : all;
            List<Tensor> inputs = List.of(q, k, v);
            Gradients.check(rig, inputs, tape -> attend(tape, blocks, q, k, v).o());
            if (always > 0) { // else some queries see nothing, and a number of theirs is -infinity
                Gradients.check(rig, inputs, tape -> attend(tape, blocks, q, k, v).logSumExp());
                Gradients.check(
                        rig,
                        inputs,
                        tape -> {
                            var part = attend(tape, blocks, q, k, v);
                            return AttentionMergeOperation.apply(tape, part, part).o();
                        });
            }
        }
    }

    /** Their numbers of -infinity are no failure, and leave no NaN in gradients. */
    @Test
    void queriesWithoutKeysPassTheChecksOfEachOperation() {
        try (var rig = Rig.cpu(1)) {
            Tensor q = queries(rig);
            Tensor k = keys(rig, 2, BLOCKS);
            Tensor v = keys(rig, 3, BLOCKS);
            Tape tape = rig.tape();
            tape.checkEachOperation(true);
            tape.begin(Tape.Mode.TRAINING);
            var part = attend(tape, Blocks.all(0, SIZE, 0), q, k, v);
            var merged = AttentionMergeOperation.apply(tape, part, part);
            assertThat(rig.values(merged.logSumExp())).contains(Double.NEGATIVE_INFINITY);
            tape.backward(merged.o(), rig.upload(Rig.gaussian(5, BATCH * LENGTH * QUERY_WIDTH)));
            for (Tensor input : List.of(q, k, v)) {
                for (double gradient : rig.gradient(input)) {
                    assertThat(gradient).isFinite();
                }
            }
        }
    }

    /** Behind leading keys, from a cache with room for more. */
    @Test
    void decodingGoesOnBehindBlocks() {
        try (var rig = Rig.cpu(1)) {
            int first = 4;
            Tensor q = queries(rig);
            Tensor k = keys(rig, 2, 1 + BLOCKS);
            Tensor v = keys(rig, 3, 1 + BLOCKS);
            Tape tape = rig.tape();
            tape.begin(Tape.Mode.EVALUATION);
            Blocks blocks = Blocks.all(1, SIZE, 0.7f);
            Tensor next = SliceOperation.apply(tape, q, 1, first, 2);
            Tensor part =
                    PooledAttentionOperation.extend(
                                    tape, blocks, first, HEADS, KEY_HEADS, next, k, v)
                            .o();
            Tensor whole = attend(tape, blocks, q, k, v).o();
            assertThat(rig.values(part))
                    .usingComparatorWithPrecision(1e-6)
                    .containsExactly(rig.values(SliceOperation.apply(tape, whole, 1, first, 2)));
            Wanted wanted = new Wanted(2, SIZE, BlockTopKKernel.ANY_WEIGHT, true);
            var listed =
                    BlockTopKOperation.extend(tape, wanted, first, HEADS, KEY_HEADS, next, k, 1);
            var all = BlockTopKOperation.apply(tape, wanted, HEADS, KEY_HEADS, q, k, 1);
            assertThat(listed.lists()).isEqualTo(new BlockLists(3, SIZE, 1, BATCH, KEY_HEADS));
            int[] some = rig.integers(listed.blocks());
            int[] every = rig.integers(all.blocks());
            for (int i = 0; i < some.length; i++) {
                int list = i / 6;
                assertThat(some[i]).isEqualTo(every[(list * LENGTH + first) * 3 + i % 6]);
            }
            tape.begin(Tape.Mode.TRAINING);
            assertThatThrownBy(() ->
                            PooledAttentionOperation.extend(
                                    tape, blocks, 0, HEADS, KEY_HEADS, q, k, v))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("EVALUATION");
        }
    }

    /** A sequence that is shorter than a block has its own block alone. */
    @Test
    void noBlockMayHaveEnded() {
        try (var rig = Rig.cpu(1)) {
            Tensor q = queries(rig);
            Tensor memory = keys(rig, 2, 1);
            Tape tape = rig.tape();
            tape.begin(Tape.Mode.EVALUATION);
            var wanted = new Wanted(1, LENGTH + 1, 0, true);
            var listed = BlockTopKOperation.apply(tape, wanted, HEADS, KEY_HEADS, q, memory, 1);
            int[] lists = rig.integers(listed.blocks());
            assertThat(lists).hasSize(BATCH * KEY_HEADS * LENGTH * 2);
            for (int i = 0; i < lists.length; i++) {
                assertThat(lists[i]).isEqualTo(i % 2 == 0 ? -1 : 0);
            }
            var part = attend(tape, Blocks.all(1, LENGTH + 1, 0), q, memory, memory);
            double[] o = rig.values(part.o());
            double[] only = rig.values(memory);
            for (int i = 0; i < o.length; i++) {
                int channel = i % QUERY_WIDTH / (2 * 3) * 3 + i % 3;
                int b = i / (LENGTH * QUERY_WIDTH);
                assertThat(o[i]).isEqualTo(only[b * KEY_WIDTH + channel]);
            }
        }
    }

    @Test
    void shapesThatDoNotFitAreRefused() {
        try (var rig = Rig.cpu(1)) {
            Tensor q = queries(rig);
            Tensor k = keys(rig, 2, BLOCKS);
            Tensor more = keys(rig, 3, BLOCKS + 1);
            Tape tape = rig.tape();
            tape.begin(Tape.Mode.EVALUATION);
            Blocks blocks = Blocks.all(0, SIZE, 0);
            assertThatThrownBy(() -> attend(tape, blocks, q, k, more))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("expected (batch, length, heads * head_dim)");
            assertThatThrownBy(() -> attend(tape, blocks, q, more, more))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("a key for each finished block at most");
            assertThatThrownBy(() -> attend(tape, blocks, q, q, q))
                    .isInstanceOf(IllegalArgumentException.class);
            Blocks tooFew =
                    blocks.without(new BlockLists(2, SIZE, 1, 1, 1), rig.integers(new int[2], 2));
            assertThatThrownBy(() -> attend(tape, tooFew, q, k, k))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("for 7 queries");
            Wanted wanted = new Wanted(2, SIZE, 0, false);
            assertThatThrownBy(() ->
                            BlockTopKOperation.apply(tape, wanted, HEADS, KEY_HEADS, q, more, 0))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("block top k");
            assertThatThrownBy(
                            () -> BlockTopKOperation.apply(tape, wanted, HEADS, KEY_HEADS, q, q, 0))
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }
}
