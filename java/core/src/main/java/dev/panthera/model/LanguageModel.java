package dev.panthera.model;

import dev.panthera.mixer.Mixer;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.Parameterized;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.tensor.VocabularyLossOperation;
import java.util.function.ToLongFunction;

/** A backbone and a vocabulary head, whose weight is the word table where that is trained. */
public record LanguageModel(Backbone backbone, @StateName("lm_head") Linear head)
        implements Parameterized {
    private static final int BYTES_PER_NUMBER = 4;

    /** A model with fresh parameters; the same seed gives the same values. */
    public static LanguageModel of(ModelConfig config, long seed) {
        var init = new Init(seed, config.layers());
        var backbone = Backbone.of(config, init);
        var head =
                config.learnWordEmbeddings()
                        ? new Linear(backbone.embeddings().wordEmbeddings().weight(), null)
                        : Linear.of(config.width(), config.vocabSize(), false, init);
        return new LanguageModel(backbone, head);
    }

    /** Logits of every position, {@code (batch, length, vocab_size)}. Training uses {@link #loss}, which forms none. */
    public Tensor logits(Tape tape, Tensor ids) {
        return head.apply(tape, backbone.forward(tape, ids));
    }

    /**
     * Mean cross entropy over the labelled positions, and the predicted tokens there.
     *
     * @param ids int32 {@code (batch, length)}
     * @param labels int32 {@code (batch, length)}, -100 where there is none
     */
    public VocabularyLossOperation.Result loss(Tape tape, Tensor ids, Tensor labels) {
        return VocabularyLossOperation.apply(
                tape, backbone.forward(tape, ids), head.weight(), labels);
    }

    /**
     * The same loss, from the labelled positions alone; what the last block and the head would compute elsewhere is left
     * out.
     *
     * @param ids int32 {@code (batch, length)}
     * @param rows int32 {@code (1, count)}, the labelled positions, counted over the batch
     * @param rowLabels int32 {@code (1, count)}, their labels
     */
    public VocabularyLossOperation.Result loss(
            Tape tape, Tensor ids, Tensor rows, Tensor rowLabels) {
        return VocabularyLossOperation.apply(
                tape, backbone.forward(tape, ids, rows), head.weight(), rowLabels);
    }

    /** Bytes of state of a sequence that generation needs after {@code length} tokens, at 4 bytes a number. */
    public long stateBytes(int length) {
        return bytes(
                block ->
                        block.sequenceMixer().stateSize(length)
                                + block.stateMixer().stateSize(length));
    }

    /** {@link #stateBytes} as the original counts it, for sequence mixers alone; see {@link Mixer#publishedStateSize}. */
    public long publishedStateBytes(int length) {
        return bytes(block -> block.sequenceMixer().publishedStateSize(length));
    }

    private long bytes(ToLongFunction<TransformerBlock> numbers) {
        return BYTES_PER_NUMBER * backbone.layers().stream().mapToLong(numbers).sum();
    }
}
