package dev.panthera.model;

import dev.panthera.mixer.Mixer;
import dev.panthera.nn.Parameterized;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** A model that answers at the labelled positions of a task's rows; what the training of all models needs to know. */
public sealed interface SequenceModel extends Parameterized permits LanguageModel, ContinuousModel {

    /** A model with fresh parameters; the same seed gives the same values. */
    static SequenceModel of(ModelConfig config, long seed) {
        return config.continuous()
                ? ContinuousModel.of(config, seed)
                : LanguageModel.of(config, seed);
    }

    Backbone backbone();

    /**
     * The vectors from which the answers at some positions are read; what only other positions need is left out.
     *
     * @param inputs int32, the ids of all rows
     * @param rows int32 {@code (1, count)}, ascending: positions counted over the batch
     * @return {@code (1, count, channels)}
     */
    Tensor hidden(Tape tape, Tensor inputs, Tensor rows);

    /** What gives the possible answers' logits with {@link #hidden}, {@code (answers, channels)}. Labels are its rows. */
    Tensor answerWeights();

    /** The embeddings of the possible answers, {@code (answers, channels)}. */
    Tensor answerEmbeddings();

    /** Bytes of state of a sequence that generation needs after {@code length} positions, at 4 bytes a number. */
    default long stateBytes(int length) {
        return backbone().stateBytes(length);
    }

    /** {@link #stateBytes} as the original counts it, for sequence mixers alone; see {@link Mixer#publishedStateSize}. */
    default long publishedStateBytes(int length) {
        return backbone().publishedStateBytes(length);
    }
}
