package dev.panthera.model;

import dev.panthera.nn.Embedding;
import dev.panthera.nn.Init;
import dev.panthera.nn.Parameterized;
import dev.panthera.tensor.EmbeddingOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Word embeddings and learned absolute positions, summed.
 *
 * @param positionEmbeddings null for a model without positions
 */
public record Embeddings(Embedding wordEmbeddings, @Nullable Embedding positionEmbeddings)
        implements Parameterized {

    static Embeddings of(ModelConfig config, Init init) {
        return new Embeddings(
                Embedding.of(
                        config.embeddingInit(),
                        config.vocabSize(),
                        config.width(),
                        config.learnWordEmbeddings(),
                        init),
                config.maxPositions() == 0
                        ? null
                        : Embedding.of(config.maxPositions(), config.width(), true, init));
    }

    /** Maps int32 ids {@code (batch, length)} to {@code (batch, length, channels)}. */
    public Tensor forward(Tape tape, Tensor ids) {
        return EmbeddingOperation.apply(
                tape,
                ids,
                wordEmbeddings.weight(),
                positionEmbeddings == null ? null : positionEmbeddings.weight());
    }

    /** As {@link #forward} where the ids' positions begin at {@code first}. */
    Tensor forward(Tape tape, Tensor ids, int first) {
        return EmbeddingOperation.apply(
                tape,
                ids,
                wordEmbeddings.weight(),
                positionEmbeddings == null
                        ? null
                        : positionEmbeddings.weight().part(first, ids.size(1)));
    }
}
