package dev.panthera.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.kernels.BlockLists;
import dev.panthera.tensor.SparseAttentionOperation.Visible;
import dev.panthera.testing.Gradients;
import dev.panthera.testing.Rig;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Sparse attention and merges on a tape. */
class SparseAttentionTest {
    private static final int LENGTH = 6;
    private static final int HEADS = 4;
    private static final int KEY_HEADS = 2;
    private static final int QUERY_WIDTH = 12;
    private static final int KEY_WIDTH = 6;

    /** Blocks of two positions, which sequences and heads share. */
    private static final BlockLists LISTS = new BlockLists(2, 2, 2, 1, 1);

    private static Tensor input(Rig rig, int seed, int width) {
        return rig.leaf(Rig.gaussian(seed, 2 * LENGTH * width), 2, LENGTH, width);
    }

    private static Visible visible(Rig rig, int window, int globals) {
        return new Visible(
                window, globals, LISTS, rig.integers(new int[] {1, -1, 1, 0, -1, 2}, 1, 1, 3, 2));
    }

    private static PartialAttention attend(
            Tape tape, Visible visible, Tensor q, Tensor k, Tensor v) {
        return SparseAttentionOperation.apply(tape, visible, HEADS, KEY_HEADS, q, k, v);
    }

    /** o times a number that depends on lse, so that both have a gradient. */
    private static Tensor both(Tape tape, PartialAttention part) {
        Tensor sums =
                ReshapeOperation.apply(
                        tape,
                        PermuteOperation.apply(tape, part.logSumExp(), 0, 2, 1),
                        2,
                        LENGTH,
                        HEADS,
                        1);
        Tensor o = ReshapeOperation.apply(tape, part.o(), 2, LENGTH, HEADS, QUERY_WIDTH / HEADS);
        return o.times(sums);
    }

    @ParameterizedTest
    @CsvSource({"0, 0", "2, 0", "3, 1", "9, 9"})
    void outputsAndSumsHaveGradients(int window, int globals) {
        try (var rig = Rig.exact()) {
            Tensor q = input(rig, 1, QUERY_WIDTH);
            Tensor k = input(rig, 2, KEY_WIDTH);
            Tensor v = input(rig, 3, KEY_WIDTH);
            Visible visible = visible(rig, window, globals);
            List<Tensor> inputs = List.of(q, k, v);
            Gradients.check(rig, inputs, tape -> attend(tape, visible, q, k, v).o());
            if (window > 0) { // else some queries see nothing, and a number of theirs is -infinity
                Gradients.check(rig, inputs, tape -> attend(tape, visible, q, k, v).logSumExp());
                Gradients.check(rig, inputs, tape -> both(tape, attend(tape, visible, q, k, v)));
            }
        }
    }

    @Test
    void queriesKeysAndValuesMayBeColumnsOfOneTensor() {
        try (var rig = Rig.exact()) {
            int width = QUERY_WIDTH + 2 * KEY_WIDTH;
            Tensor packed = input(rig, 4, width);
            var q = new Columns(packed, 0, QUERY_WIDTH);
            var k = new Columns(packed, QUERY_WIDTH, KEY_WIDTH);
            var v = new Columns(packed, QUERY_WIDTH + KEY_WIDTH, KEY_WIDTH);
            Visible visible = visible(rig, 2, 1);
            Gradients.check(
                    rig,
                    List.of(packed),
                    tape ->
                            SparseAttentionOperation.apply(tape, visible, HEADS, KEY_HEADS, q, k, v)
                                    .o());
            Gradients.check(
                    rig,
                    List.of(packed),
                    tape -> // keys that are the values too
                    SparseAttentionOperation.apply(tape, visible, HEADS, KEY_HEADS, q, k, k).o());
        }
    }

    /** A window and what lies before it are all of the keys. */
    @Test
    void mergedPartsAreTheWhole() {
        try (var rig = Rig.exact()) {
            Tensor q = input(rig, 1, QUERY_WIDTH);
            Tensor k = input(rig, 2, KEY_WIDTH);
            Tensor v = input(rig, 3, KEY_WIDTH);
            Visible own =
                    Visible.listed(
                            new BlockLists(1, 2, 2, 1, 1), rig.integers(new int[] {0, 1, 2}, 3));
            Visible earlier =
                    Visible.listed(
                            new BlockLists(2, 2, 2, 1, 1),
                            rig.integers(new int[] {-1, -1, 0, -1, 1, 0}, 6));
            Function<Tape, PartialAttention> merge =
                    tape ->
                            AttentionMergeOperation.apply(
                                    tape,
                                    attend(tape, own, q, k, v),
                                    attend(tape, earlier, q, k, v));
            rig.tape().begin(Tape.Mode.EVALUATION);
            var whole = attend(rig.tape(), Visible.window(LENGTH), q, k, v);
            var merged = merge.apply(rig.tape());
            assertThat(rig.values(merged.o()))
                    .usingComparatorWithPrecision(1e-12)
                    .containsExactly(rig.values(whole.o()));
            assertThat(rig.values(merged.logSumExp()))
                    .usingComparatorWithPrecision(1e-12)
                    .containsExactly(rig.values(whole.logSumExp()));
            Gradients.check(rig, List.of(q, k, v), tape -> merge.apply(tape).o());
            Gradients.check(rig, List.of(q, k, v), tape -> merge.apply(tape).logSumExp());
            Gradients.check(rig, List.of(q, k, v), tape -> both(tape, merge.apply(tape)));
        }
    }

    /** Their numbers of -infinity are no failure, and leave no NaN in gradients. */
    @Test
    void queriesWithoutKeysPassTheChecksOfEachOperation() {
        try (var rig = Rig.cpu(1)) {
            Tensor q = input(rig, 1, QUERY_WIDTH);
            Tensor k = input(rig, 2, KEY_WIDTH);
            Tensor v = input(rig, 3, KEY_WIDTH);
            Tape tape = rig.tape();
            tape.checkEachOperation(true);
            tape.begin(Tape.Mode.TRAINING);
            Visible listed = visible(rig, 0, 0);
            var first = attend(tape, listed, q, k, v);
            var merged = AttentionMergeOperation.apply(tape, first, first);
            assertThat(rig.values(merged.logSumExp())).contains(Double.NEGATIVE_INFINITY);
            tape.backward(merged.o(), rig.upload(Rig.gaussian(5, 2 * LENGTH * QUERY_WIDTH)));
            for (Tensor input : List.of(q, k, v)) {
                for (double gradient : rig.gradient(input)) {
                    assertThat(gradient).isFinite();
                }
            }
        }
    }

    /** The keys of a cache with room for more. */
    @Test
    void decodingGoesOnBehindKeys() {
        try (var rig = Rig.cpu(1)) {
            int first = LENGTH - 3;
            Tensor q = input(rig, 1, QUERY_WIDTH);
            Tensor k = input(rig, 2, KEY_WIDTH);
            Tensor v = input(rig, 3, KEY_WIDTH);
            Tape tape = rig.tape();
            tape.begin(Tape.Mode.EVALUATION);
            Visible window = Visible.window(4);
            Tensor next = SliceOperation.apply(tape, q, 1, first, 2);
            double[] part =
                    rig.values(
                            SparseAttentionOperation.extend(
                                            tape, window, first, HEADS, KEY_HEADS, next, k, v)
                                    .o());
            Tensor all = attend(tape, window, q, k, v).o();
            double[] expected = rig.values(SliceOperation.apply(tape, all, 1, first, 2));
            for (int i = 0; i < part.length; i++) {
                assertThat(part[i]).isCloseTo(expected[i], within(1e-6));
            }
            assertThatThrownBy(() ->
                            SparseAttentionOperation.extend(
                                    tape, window, LENGTH - 1, HEADS, KEY_HEADS, next, k, v))
                    .isInstanceOf(IllegalArgumentException.class);
            tape.begin(Tape.Mode.TRAINING);
            assertThatThrownBy(() ->
                            SparseAttentionOperation.extend(
                                    tape, window, 0, HEADS, KEY_HEADS, q, k, v))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("EVALUATION");
        }
    }

    @Test
    void shapesThatDoNotFitAreRefused() {
        try (var rig = Rig.cpu(1)) {
            Tensor q = input(rig, 1, QUERY_WIDTH);
            Tensor k = input(rig, 2, KEY_WIDTH);
            Tape tape = rig.tape();
            tape.begin(Tape.Mode.EVALUATION);
            assertThatThrownBy(() -> attend(tape, Visible.window(2), q, k, q))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("expected (batch, length, heads * head_dim)");
            assertThatThrownBy(() -> attend(tape, Visible.window(2), q, q, q))
                    .isInstanceOf(IllegalArgumentException.class);
            Visible tooFew = Visible.listed(LISTS, rig.integers(new int[] {0, 1}, 2));
            assertThatThrownBy(() -> attend(tape, tooFew, q, k, k))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("for 6 queries");
            var part = attend(tape, Visible.window(2), q, k, k);
            var other = new PartialAttention(part.o(), k);
            assertThatThrownBy(() -> AttentionMergeOperation.apply(tape, part, other))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("attention merge");
        }
    }
}
