package dev.panthera.model;

import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.tensor.VocabularyLossOperation;
import java.util.Locale;

/** What training minimises: a mean over the labelled positions; and how an answer is read from a hidden vector h. */
public enum Loss {
    /** Cross entropy of the head's logits, which is tied to the word embeddings where those are learned. */
    CROSS_ENTROPY,
    /** Cross entropy of the products of h with the answers' embeddings, whether or not the head is tied to them. */
    CROSS_ENTROPY_EMBEDDINGS,
    /** The squared error |h - e|^2 / channels for the embedding e of the label; the answer has the largest product with h. */
    MSE;

    /**
     * What is evaluated at labelled positions.
     *
     * @param rowLoss one value for each of them
     * @param answers int32, likewise
     */
    public record Evaluated(Tensor rowLoss, Tensor answers) {}

    /** The loss of a batch, a scalar, with what layers added to it; without labels these alone. */
    public Tensor mean(Tape tape, SequenceModel model, LabelledBatch batch) {
        return mean(tape, model, model.hidden(tape, batch.inputs(), batch.rows()), batch);
    }

    /** The loss of a batch, whatever its inputs, from the vectors that the model has at its labelled positions. */
    public Tensor mean(Tape tape, SequenceModel model, Tensor hidden, LabelledBatch batch) {
        return tape.withAuxiliaryLosses(ofLabels(tape, model, hidden, batch));
    }

    private Tensor ofLabels(Tape tape, SequenceModel model, Tensor hidden, LabelledBatch batch) {
        return switch (this) {
            case CROSS_ENTROPY, CROSS_ENTROPY_EMBEDDINGS ->
                    crossEntropy(tape, model, hidden, batch).loss();
            case MSE ->
                    SquaredError.mean(
                            tape,
                            hidden,
                            model.answerEmbeddings(),
                            batch.targets(),
                            batch.shares());
        };
    }

    /** The losses and answers at the labelled positions of a batch, outside of training. */
    public Evaluated evaluate(Tape tape, SequenceModel model, LabelledBatch batch) {
        Tensor hidden = model.hidden(tape, batch.inputs(), batch.rows());
        var entropy = crossEntropy(tape, model, hidden, batch);
        Tensor rowLoss =
                switch (this) {
                    case CROSS_ENTROPY, CROSS_ENTROPY_EMBEDDINGS -> entropy.rowLoss();
                    case MSE ->
                            SquaredError.ofRows(
                                    tape, hidden, model.answerEmbeddings(), batch.targets());
                };
        return new Evaluated(rowLoss, entropy.argMax());
    }

    private VocabularyLossOperation.Result crossEntropy(
            Tape tape, SequenceModel model, Tensor hidden, LabelledBatch batch) {
        Tensor weights = this == CROSS_ENTROPY ? model.answerWeights() : model.answerEmbeddings();
        return VocabularyLossOperation.apply(tape, hidden, weights, batch.labels());
    }

    /** As in files and on the command line. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
