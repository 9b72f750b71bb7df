package dev.panthera.model;

import dev.panthera.nn.Linear;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.tensor.VocabularyLossOperation;

/** A backbone and a vocabulary head, whose weight is the word table where that is trained. */
public record LanguageModel(Backbone backbone, @StateName("lm_head") Linear head)
        implements SequenceModel {

    /** A model with fresh parameters; the same seed gives the same values. */
    public static LanguageModel of(ModelConfig config, long seed) {
        var init = config.init(seed);
        var backbone = Backbone.of(config, init);
        var head =
                config.learnWordEmbeddings()
                        ? new Linear(backbone.embeddings().wordEmbeddings().weight(), null)
                        : Linear.of(config.width(), config.vocabSize(), false, init);
        return new LanguageModel(backbone, head);
    }

    /** Logits of every position, {@code (batch, length, vocab_size)}. Training forms none; see {@link Loss}. */
    public Tensor logits(Tape tape, Tensor ids) {
        return head.apply(tape, backbone.forward(tape, ids));
    }

    /**
     * Mean cross entropy over the labelled positions, and the predicted tokens there. Training uses {@link Loss}, which leaves
     * out what other positions need.
     *
     * @param ids int32 {@code (batch, length)}
     * @param labels int32 {@code (batch, length)}, -100 where there is none
     */
    public VocabularyLossOperation.Result loss(Tape tape, Tensor ids, Tensor labels) {
        return VocabularyLossOperation.apply(
                tape, backbone.forward(tape, ids), head.weight(), labels);
    }

    @Override
    public Tensor hidden(Tape tape, Tensor ids, Tensor rows) {
        return backbone.forward(tape, ids, rows);
    }

    @Override
    public Tensor answerWeights() {
        return head.weight();
    }

    @Override
    public Tensor answerEmbeddings() {
        return backbone.embeddings().wordEmbeddings().weight();
    }
}
