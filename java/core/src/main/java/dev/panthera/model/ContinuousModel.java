package dev.panthera.model;

import dev.panthera.nn.Embedding;
import dev.panthera.nn.Linear;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.EmbeddingOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A model of vectors instead of tokens. A position's input is the vectors of a key and of a value side by side; what comes out
 * is compared with the embeddings e of the values, which are the second half of the word table:
 *
 * <pre>
 *     h = W_out backbone(W_in [key, value] + b_in) + b_out        logits_j = h . e_j
 * </pre>
 *
 * The vectors are those of the word table before training: they are the data, and stay. The table itself is trained by the loss
 * alone, so it moves away from them. There are no positions. Source: Arora et al. 2023 (arXiv 2312.04927), the code's continuous
 * inputs.
 *
 * @param inputEmbeddings {@code (vocab_size + 1, channels)}: the word table before training, frozen; its last row, of zeros, is
 *     where nothing stands
 */
public record ContinuousModel(
        Backbone backbone,
        @StateName("input_proj") Linear inputProjection,
        @StateName("output_proj") Linear outputProjection,
        Embedding inputEmbeddings)
        implements SequenceModel {

    /** A model with fresh parameters; the same seed gives the same values. */
    public static ContinuousModel of(ModelConfig config, long seed) {
        var init = config.init(seed);
        var backbone = Backbone.of(config, init);
        int width = config.width();
        return new ContinuousModel(
                backbone,
                Linear.uniform(Math.multiplyExact(2, width), width, init),
                Linear.uniform(width, width, init),
                backbone.embeddings().wordEmbeddings().atStartWithZeros());
    }

    /**
     * The input vectors.
     *
     * @param ids int32 {@code (batch, 2 * length)}: key, value, key, value, ...; {@code vocab_size} for nothing
     * @return {@code (batch, length, 2 * channels)}
     */
    public Tensor vectors(Tape tape, Tensor ids) {
        Tensor table = inputEmbeddings.weight();
        return ReshapeOperation.apply(
                tape,
                EmbeddingOperation.apply(tape, ids, table, null),
                ids.size(0),
                ids.size(1) / 2,
                2 * table.size(1));
    }

    /**
     * @param vectors {@code (batch, length, 2 * channels)}
     * @param neededRows int32 {@code (1, count)}, positions counted over the batch; null: all
     * @return {@code (batch, length, channels)}, or {@code (1, count, channels)} for the needed rows
     */
    public Tensor forward(Tape tape, Tensor vectors, @Nullable Tensor neededRows) {
        Tensor x = inputProjection.apply(tape, vectors);
        return outputProjection.apply(
                tape,
                neededRows == null
                        ? backbone.transform(tape, x)
                        : backbone.transform(tape, x, neededRows));
    }

    @Override
    public Tensor hidden(Tape tape, Tensor ids, Tensor rows) {
        return forward(tape, vectors(tape, ids), rows);
    }

    /** The embeddings: there is no other head. */
    @Override
    public Tensor answerWeights() {
        return answerEmbeddings();
    }

    /** The second half of the word table, as it is now. */
    @Override
    public Tensor answerEmbeddings() {
        Tensor words = backbone.embeddings().wordEmbeddings().weight();
        int first = words.size(0) / 2;
        return words.part(first, words.size(0) - first);
    }
}
