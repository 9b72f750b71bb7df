package dev.panthera.bench;

import dev.panthera.kernels.Activation;
import dev.panthera.kernels.BlockLists;
import dev.panthera.kernels.ConvMethod;
import dev.panthera.kernels.NormKind;
import dev.panthera.tensor.AttentionOperation;
import dev.panthera.tensor.Columns;
import dev.panthera.tensor.DropoutOperation;
import dev.panthera.tensor.EmbeddingOperation;
import dev.panthera.tensor.FilterLayout;
import dev.panthera.tensor.GateOperation;
import dev.panthera.tensor.LinearOperation;
import dev.panthera.tensor.LongConvOperation;
import dev.panthera.tensor.NormOperation;
import dev.panthera.tensor.PooledAttentionOperation;
import dev.panthera.tensor.PooledAttentionOperation.Blocks;
import dev.panthera.tensor.SelectedAttentionOperation;
import dev.panthera.tensor.ShortConvOperation;
import dev.panthera.tensor.SparseAttentionOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.tensor.VocabularyLossOperation;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A piece of work to be timed: one operation on inputs of given shapes.
 *
 * @param inputs what the operation gets, gradients being wanted of all but integers and choices
 * @param body applies the operation to such inputs
 * @param gateSizes a smaller piece of the same work, for which the reference is fast enough
 * @param forwardMode of a forward pass without a backward one
 */
record KernelCase(List<Input> inputs, Body body, KernelSizes gateSizes, Tape.Mode forwardMode) {
    private static final float NORM_EPSILON = 1e-5f;
    private static final float DROPOUT = 0.1f;

    /** Channels, tokens and pairs of positions that the reference is asked for at most. */
    private static final int GATE_CHANNELS = 32;

    private static final int GATE_VOCAB = 512;

    /** What queries of sparse attention see; and the blocks of pooled attention. */
    private static final int WINDOW = 64;

    private static final int GLOBALS = 2;
    private static final int LISTED_BLOCKS = 8;
    private static final int BLOCK_SIZE = 32;

    private static final double GATE_PAIRS = 0x1p30;

    /** Makes int32 inputs, the same for the same seed. */
    interface Integers {
        int[] make(long seed, long count);
    }

    /**
     * @param integers token ids or lists of blocks; null: real numbers
     * @param chosen of real numbers: how many of each row are 1, evenly spread, where the others are 0; 0: they are noise
     */
    record Input(@Nullable Integers integers, int chosen, int... shape) {
        private static Input values(int... shape) {
            return new Input(null, 0, shape);
        }

        private static Input ids(int bound, int... shape) {
            return new Input((seed, count) -> Noise.integers(seed, count, bound), 0, shape);
        }

        private static Input choices(int chosen, int... shape) {
            return new Input(null, Math.min(chosen, shape[shape.length - 1]), shape);
        }

        /** A list for each query. */
        private static Input lists(BlockLists lists, int length) {
            int slots = (int) lists.slots();
            int blockSize = (int) lists.blockSize();
            return new Input(
                    (seed, count) -> Noise.lists(seed, count, length, slots, blockSize),
                    0,
                    (int) lists.batches(),
                    (int) lists.heads(),
                    length,
                    slots);
        }

        boolean wantsGradient() {
            return integers == null && chosen == 0;
        }

        /** Such numbers, noise being drawn from a seed. The last element of each row is chosen. */
        float[] numbers(long seed) {
            int size = Math.toIntExact(elements());
            if (chosen == 0) {
                return Noise.floats(seed, size);
            }
            float[] numbers = new float[size];
            long row = shape[shape.length - 1];
            for (int i = 0; i < size; i++) {
                long place = i % row;
                numbers[i] = (place + 1) * chosen / row > place * chosen / row ? 1 : 0;
            }
            return numbers;
        }

        long elements() {
            long elements = 1;
            for (int size : shape) {
                elements *= size;
            }
            return elements;
        }
    }

    /** Applies an operation. */
    interface Body {
        Tensor apply(Tape tape, List<Tensor> inputs);
    }

    private KernelCase(List<Input> inputs, Body body, KernelSizes gateSizes) {
        this(inputs, body, gateSizes, Tape.Mode.EVALUATION);
    }

    private static final Map<String, Function<KernelSizes, KernelCase>> ALL = new LinkedHashMap<>();

    static {
        ALL.put("long-conv", KernelCase::longConv);
        ALL.put("short-conv", KernelCase::shortConv);
        ALL.put("attention", KernelCase::attention);
        ALL.put("selected-attention", KernelCase::selectedAttention);
        ALL.put("sparse-attention", KernelCase::sparseAttention);
        ALL.put("pooled-attention", KernelCase::pooledAttention);
        ALL.put("linear", KernelCase::linear);
        ALL.put("norm", KernelCase::norm);
        ALL.put("gate", KernelCase::gate);
        ALL.put("dropout", KernelCase::dropout);
        ALL.put("embedding", KernelCase::embedding);
        ALL.put("vocabulary-loss", KernelCase::vocabularyLoss);
    }

    static List<String> names() {
        return List.copyOf(ALL.keySet());
    }

    /** One of {@link #names()}. */
    static KernelCase named(String name, KernelSizes sizes) {
        return ALL.get(name).apply(sizes);
    }

    private static Input sequence(KernelSizes s) {
        return Input.values(s.batch(), s.length(), s.channels());
    }

    private static KernelSizes fewer(KernelSizes s, double channels) {
        int width = (int) Math.clamp(channels, 1, Math.min(GATE_CHANNELS, s.channels()));
        int vocab = Math.min(GATE_VOCAB, s.vocab());
        return new KernelSizes(1, s.length(), width, 1, s.taps(), vocab, s.chosen());
    }

    private static KernelSizes fewer(KernelSizes s) {
        return fewer(s, GATE_CHANNELS);
    }

    private static KernelCase longConv(KernelSizes s) {
        double pairs = (double) s.length() * s.length();
        return new KernelCase(
                List.of(sequence(s), Input.values(s.channels(), s.length())),
                (tape, inputs) ->
                        LongConvOperation.apply(
                                tape,
                                Columns.of(inputs.get(0)),
                                null,
                                null,
                                inputs.get(1),
                                FilterLayout.CHANNELS_FIRST,
                                null,
                                ConvMethod.AUTO),
                fewer(s, GATE_PAIRS / pairs));
    }

    private static KernelCase shortConv(KernelSizes s) {
        return new KernelCase(
                List.of(
                        sequence(s),
                        Input.values(s.channels(), s.taps()),
                        Input.values(s.channels())),
                (tape, inputs) ->
                        ShortConvOperation.apply(tape, inputs.get(0), inputs.get(1), inputs.get(2)),
                fewer(s));
    }

    private static Input packedHeads(KernelSizes s) {
        return Input.values(s.batch(), s.length(), 3 * s.channels());
    }

    private static KernelSizes oneHead(KernelSizes s) {
        return new KernelSizes(1, s.length(), s.headDim(), 1, s.taps(), s.vocab(), s.chosen());
    }

    private static KernelCase attention(KernelSizes s) {
        return new KernelCase(
                List.of(packedHeads(s)),
                (tape, inputs) ->
                        AttentionOperation.apply(tape, inputs.getFirst(), s.heads(), 0, 0, 0),
                oneHead(s));
    }

    private static KernelCase selectedAttention(KernelSizes s) {
        return new KernelCase(
                List.of(packedHeads(s), Input.choices(s.chosen(), s.batch(), s.length())),
                (tape, inputs) ->
                        SelectedAttentionOperation.apply(
                                tape, inputs.get(0), inputs.get(1), s.heads(), 0, 0, 0),
                oneHead(s));
    }

    /** Each query of each head has a list of its own. */
    private static KernelCase sparseAttention(KernelSizes s) {
        var lists = new BlockLists(LISTED_BLOCKS, BLOCK_SIZE, 1, s.batch(), s.heads());
        return new KernelCase(
                List.of(sequence(s), sequence(s), sequence(s), Input.lists(lists, s.length())),
                (tape, inputs) ->
                        SparseAttentionOperation.apply(
                                        tape,
                                        new SparseAttentionOperation.Visible(
                                                WINDOW, GLOBALS, lists, inputs.get(3)),
                                        s.heads(),
                                        s.heads(),
                                        inputs.get(0),
                                        inputs.get(1),
                                        inputs.get(2))
                                .o(),
                oneHead(s));
    }

    /** One key that all see, and one for each block. */
    private static KernelCase pooledAttention(KernelSizes s) {
        Input keys = Input.values(s.batch(), 1 + s.length() / BLOCK_SIZE, s.channels());
        Blocks blocks = Blocks.all(1, BLOCK_SIZE, 0);
        return new KernelCase(
                List.of(sequence(s), keys, keys),
                (tape, inputs) ->
                        PooledAttentionOperation.apply(
                                        tape,
                                        blocks,
                                        s.heads(),
                                        s.heads(),
                                        inputs.get(0),
                                        inputs.get(1),
                                        inputs.get(2))
                                .o(),
                oneHead(s));
    }

    private static KernelCase linear(KernelSizes s) {
        return new KernelCase(
                List.of(
                        sequence(s),
                        Input.values(s.channels(), s.channels()),
                        Input.values(s.channels())),
                (tape, inputs) ->
                        LinearOperation.apply(tape, inputs.get(0), inputs.get(1), inputs.get(2)),
                fewer(s));
    }

    private static KernelCase norm(KernelSizes s) {
        return new KernelCase(
                List.of(
                        sequence(s),
                        sequence(s),
                        Input.values(s.channels()),
                        Input.values(s.channels())),
                (tape, inputs) ->
                        NormOperation.apply(
                                        tape,
                                        NormKind.LAYER,
                                        NORM_EPSILON,
                                        inputs.get(0),
                                        inputs.get(1),
                                        inputs.get(2),
                                        inputs.get(3))
                                .normalised(),
                fewer(s));
    }

    private static KernelCase gate(KernelSizes s) {
        return new KernelCase(
                List.of(sequence(s), sequence(s), sequence(s)),
                (tape, inputs) ->
                        GateOperation.apply(
                                tape,
                                Activation.IDENTITY,
                                inputs.get(0),
                                inputs.get(1),
                                inputs.get(2)),
                fewer(s));
    }

    /** In an evaluation it does nothing. */
    private static KernelCase dropout(KernelSizes s) {
        return new KernelCase(
                List.of(sequence(s)),
                (tape, inputs) -> DropoutOperation.apply(tape, DROPOUT, 0, 0, inputs.getFirst()),
                fewer(s),
                Tape.Mode.TRAINING);
    }

    private static KernelCase embedding(KernelSizes s) {
        return new KernelCase(
                List.of(
                        Input.ids(s.vocab(), s.batch(), s.length()),
                        Input.values(s.vocab(), s.channels()),
                        Input.values(s.length(), s.channels())),
                (tape, inputs) ->
                        EmbeddingOperation.apply(tape, inputs.get(0), inputs.get(1), inputs.get(2)),
                fewer(s));
    }

    /** Every position has a label. */
    private static KernelCase vocabularyLoss(KernelSizes s) {
        return new KernelCase(
                List.of(
                        sequence(s),
                        Input.values(s.vocab(), s.channels()),
                        Input.ids(s.vocab(), s.batch(), s.length())),
                (tape, inputs) ->
                        VocabularyLossOperation.apply(
                                        tape, inputs.get(0), inputs.get(1), inputs.get(2))
                                .loss(),
                fewer(s));
    }
}
