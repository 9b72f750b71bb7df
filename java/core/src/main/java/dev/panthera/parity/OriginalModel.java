package dev.panthera.parity;

import dev.panthera.mixer.BlockKind;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.Mlp;
import dev.panthera.mixer.StateMixerConfig;
import dev.panthera.model.Backbone;
import dev.panthera.model.ContinuousModel;
import dev.panthera.model.LanguageModel;
import dev.panthera.model.ModelConfig;
import dev.panthera.nn.EmbeddingInit;

/** The original's model configuration, translated to ours. */
final class OriginalModel {

    /** The original's class of models of token ids. */
    static final String LANGUAGE_MODEL = "zoology.model.LanguageModel";

    /** The original's class of models of vectors. */
    static final String CONTINUOUS_MODEL = "zoology.model.ContinuousInputModel";

    /** Any: recorded parameters replace the initial ones. */
    private static final long SEED = 0;

    private OriginalModel() {}

    /**
     * A recorded model of ours, with initial parameters.
     *
     * @param options the original's model configuration
     * @param length of the recorded sequences
     * @throws UnknownCaseException if it uses a class or an option that we do not have
     * @throws DeviationException if ours differs on purpose
     */
    static LanguageModel build(Options options, int length) {
        var model = LanguageModel.of(config(options, length), SEED);
        rejectWrappedTaps(model.backbone(), length);
        return model;
    }

    /** As {@link #build} for a model of vectors. */
    static ContinuousModel buildContinuous(Options options, int length) {
        var model = ContinuousModel.of(config(options, length), SEED);
        rejectWrappedTaps(model.backbone(), length);
        return model;
    }

    private static void rejectWrappedTaps(Backbone backbone, int length) {
        backbone.layers()
                .forEach(block -> OriginalModules.rejectWrappedTaps(block.sequenceMixer(), length));
    }

    /**
     * Our configuration of a recorded model. Dropout and drop path are left out: no case was recorded with them.
     *
     * @param options the original's model configuration
     * @param length of the recorded sequences
     * @throws UnknownCaseException if it uses a class or an option that we do not have
     */
    static ModelConfig config(Options options, int length) {
        options.ignoring("name", "embed_dropout", "resid_dropout", "drop_path");
        int multiple = options.integer("pad_vocab_size_multiple", 1);
        BlockKind block = block(options.text("block_type", "TransformerBlock"));
        int vocabSize = Math.ceilDiv(options.integer("vocab_size", 8192), multiple) * multiple;
        var config =
                new ModelConfig(
                        sequenceMixer(options.nested("sequence_mixer")),
                        block,
                        stateMixer(options, "state_mixer"),
                        options.integer("d_model", 128),
                        options.integer("n_layers", 2),
                        vocabSize,
                        Math.max(0, options.integer("max_position_embeddings", 64)),
                        length,
                        false,
                        options.flag("learnable_word_embeddings", true),
                        embeddingInit(options.text("embedding_init_type", "default")),
                        0,
                        0,
                        0,
                        options.number("layer_norm_epsilon", 1e-5));
        options.finish();
        return config;
    }

    private static BlockKind block(String name) {
        return switch (name) {
            case "TransformerBlock" -> BlockKind.TRANSFORMER;
            case "MambaBlock" -> BlockKind.MAMBA;
            default -> throw new UnknownCaseException("block " + name);
        };
    }

    private static EmbeddingInit embeddingInit(String name) {
        return switch (name) {
            case "default" -> EmbeddingInit.DEFAULT;
            case "spherical" -> EmbeddingInit.SPHERICAL;
            case "normal" -> EmbeddingInit.NORMAL;
            default -> throw new UnknownCaseException("initial embeddings " + name);
        };
    }

    private static MixerConfig sequenceMixer(Options module) {
        String name = module.text("name");
        return OriginalModules.sequenceMixer(name, module.nested("kwargs"))
                .orElseThrow(() -> new UnknownCaseException("class " + name));
    }

    private static StateMixerConfig stateMixer(Options options, String key) {
        if (!options.has(key)) {
            return new Mlp.Config(4);
        }
        Options module = options.nested(key);
        String name = module.text("name");
        return OriginalModules.stateMixer(name, module.nested("kwargs"))
                .orElseThrow(() -> new UnknownCaseException("class " + name));
    }
}
