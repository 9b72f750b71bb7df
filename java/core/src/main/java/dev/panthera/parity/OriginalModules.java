package dev.panthera.parity;

import dev.panthera.kernels.ConvMethod;
import dev.panthera.mixer.Attention;
import dev.panthera.mixer.BaseConv;
import dev.panthera.mixer.Based;
import dev.panthera.mixer.BigBird;
import dev.panthera.mixer.Glu;
import dev.panthera.mixer.H3;
import dev.panthera.mixer.Hybrid;
import dev.panthera.mixer.Hyena;
import dev.panthera.mixer.HyenaFilter;
import dev.panthera.mixer.ImplicitLongConvolution;
import dev.panthera.mixer.Layer;
import dev.panthera.mixer.LongConvolution;
import dev.panthera.mixer.Mamba;
import dev.panthera.mixer.Mixer;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.Mlp;
import dev.panthera.mixer.MultiResolutionAttention;
import dev.panthera.mixer.NativeSparseAttention;
import dev.panthera.mixer.Nystrom;
import dev.panthera.mixer.Passthrough;
import dev.panthera.mixer.PublishedNystrom;
import dev.panthera.mixer.RandomKeys;
import dev.panthera.mixer.Rwkv4;
import dev.panthera.mixer.Rwkv4ChannelMix;
import dev.panthera.mixer.ScatterBrain;
import dev.panthera.mixer.SelectiveLookups;
import dev.panthera.mixer.ShortConvolution;
import dev.panthera.mixer.SigmoidLookups;
import dev.panthera.mixer.SlidingAttention;
import dev.panthera.mixer.Sma;
import dev.panthera.mixer.StateMixerConfig;
import dev.panthera.nn.FeatureLayer;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.Parameterized;
import dev.panthera.nn.PositionalFeatures;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * The original's module classes and what they are here: class name to a function from its keyword arguments to our
 * configuration. A new mixer adds a line. Dropout is always left out: no case was recorded with it.
 */
final class OriginalModules {

    private static final String LISTING = "zoology.mixers.listing.";

    private static final Map<String, Function<Options, MixerConfig>> SEQUENCE =
            Map.ofEntries(
                    Map.entry("zoology.mixers.attention.MHA", OriginalModules::attention),
                    Map.entry(LISTING + "BaseConv", options -> listedBaseConv(options, false)),
                    Map.entry(
                            LISTING + "BaseImplicitConv", options -> listedBaseConv(options, true)),
                    Map.entry("zoology.mixers.base_conv.BaseConv", OriginalModules::baseConv),
                    Map.entry("zoology.mixers.based.Based", OriginalModules::based),
                    Map.entry("zoology.mixers.bigbird.BigBIRDAttention", OriginalModules::bigBird),
                    Map.entry(
                            "zoology.mixers.convolution.ImplicitLongConvolution",
                            OriginalModules::implicitLongConvolution),
                    Map.entry(
                            "zoology.mixers.convolution.LongConvolution",
                            OriginalModules::longConvolution),
                    Map.entry(
                            "zoology.mixers.convolution.ShortConvolution",
                            options -> new ShortConvolution.Config(options.integer("kernel_size"))),
                    Map.entry(
                            "zoology.mixers.deepseek_nsa.SparseAttention",
                            OriginalModules::nativeSparseAttention),
                    Map.entry("zoology.mixers.h3.H3", OriginalModules::h3),
                    Map.entry("zoology.mixers.hybrid.Hybrid", OriginalModules::hybrid),
                    Map.entry("zoology.mixers.hyena.Hyena", OriginalModules::hyena),
                    Map.entry("zoology.mixers.mamba.Mamba", OriginalModules::mamba),
                    Map.entry(
                            "zoology.mixers.nystromformer.NystromAttention",
                            OriginalModules::nystrom),
                    Map.entry(
                            "zoology.mixers.nystromformer.nystromformer.NystromAttention",
                            OriginalModules::nystrom),
                    Map.entry("zoology.mixers.mra.MRAAttention", OriginalModules::multiResolution),
                    Map.entry(
                            "zoology.mixers.mra.mra.MRAAttention",
                            OriginalModules::multiResolution),
                    Map.entry("zoology.mixers.rwkv.RWKVTimeMixer", OriginalModules::rwkv4),
                    Map.entry(
                            "zoology.mixers.scatterbrain.attn.SBLocalAttention",
                            OriginalModules::scatterBrain),
                    Map.entry(
                            "zoology.mixers.scatterbrain.SBLocalAttention",
                            OriginalModules::scatterBrain),
                    Map.entry(
                            "zoology.mixers.selective.SMA",
                            OriginalModules::selectiveMultiHeadAttention),
                    Map.entry(
                            "zoology.mixers.selective.SelectiveLookups",
                            OriginalModules::selectiveLookups),
                    Map.entry(
                            "zoology.mixers.selective.SigmoidLookups",
                            OriginalModules::sigmoidLookups),
                    Map.entry(
                            "zoology.mixers.slide_attn.SlidingAttn",
                            OriginalModules::slidingAttention));

    private static final Map<String, Function<Options, StateMixerConfig>> STATE =
            Map.of(
                    "torch.nn.Identity",
                    OriginalModules::identity,
                    "zoology.mixers.mlp.GLU",
                    options -> new Glu.Config(options.integer("hidden_mult", 1)),
                    "zoology.mixers.mlp.MLP",
                    options -> new Mlp.Config(options.integer("hidden_mult", 1)),
                    "zoology.mixers.rwkv.RWKVStateMixer",
                    OriginalModules::rwkv4ChannelMix);

    private OriginalModules() {}

    /** Our configuration of a sequence mixer class; empty if there is none. */
    static Optional<MixerConfig> sequenceMixer(String className, Options arguments) {
        return find(SEQUENCE, className, arguments);
    }

    /** Our configuration of a state mixer class; empty if there is none. */
    static Optional<StateMixerConfig> stateMixer(String className, Options arguments) {
        return find(STATE, className, arguments);
    }

    private static <T> Optional<T> find(
            Map<String, Function<Options, T>> classes, String name, Options arguments) {
        return Optional.ofNullable(classes.get(name))
                .map(translation -> {
                    T config = translation.apply(arguments);
                    arguments.finish();
                    return config;
                });
    }

    private static MixerConfig attention(Options arguments) {
        arguments.ignoring("dropout");
        return new Attention.Config(
                arguments.integer("num_heads", 1), 0, arguments.flag("bias", true));
    }

    private static MixerConfig selectiveLookups(Options arguments) {
        arguments.ignoring("dropout", "layer_idx");
        return new SelectiveLookups.Config(
                arguments.integer("num_heads", 1), 0, 0, arguments.flag("bias", true), false);
    }

    private static MixerConfig sigmoidLookups(Options arguments) {
        arguments.ignoring("dropout", "layer_idx");
        return new SigmoidLookups.Config(
                arguments.integer("num_heads", 1),
                arguments.integer("n_lookups", 0),
                0,
                arguments.flag("bias", true),
                arguments.number("selection_penalty", 1e-3),
                false);
    }

    private static MixerConfig selectiveMultiHeadAttention(Options arguments) {
        arguments.ignoring("dropout", "layer_idx");
        return new Sma.Config(
                arguments.integer("num_heads", 1),
                0,
                0,
                arguments.flag("bias", true),
                arguments.number("alpha", 0.3),
                false);
    }

    private static MixerConfig longConvolution(Options arguments) {
        return new LongConvolution.Config(arguments.integer("l_max"), ConvMethod.AUTO);
    }

    /**
     * Fails where an explicit filter is longer than the sequence: in the original its taps beyond the length wrap around onto
     * earlier outputs.
     */
    static void rejectWrappedTaps(Mixer mixer, int length) {
        switch (mixer) {
            case BaseConv baseConv -> rejectWrappedTaps(baseConv.conv(), length);
            case Hybrid hybrid -> rejectWrappedTaps(hybrid.mixer(), length);
            case LongConvolution explicit when explicit.filter().size(-1) > length ->
                    throw new DeviationException(
                            "the original's taps beyond the length wrap onto earlier outputs; ours have no effect");
            default -> {}
        }
    }

    private static MixerConfig implicitLongConvolution(Options arguments) {
        return new ImplicitLongConvolution.Config(
                arguments.integer("l_max"),
                arguments.integer("d_emb", 3),
                arguments.integer("d_hidden", 16),
                true,
                ConvMethod.AUTO);
    }

    private static MixerConfig baseConv(Options arguments) {
        return new BaseConv.Config(
                arguments.integers("kernel_size", 3),
                arguments.flag("implicit_long_conv", true),
                arguments.flag("use_act", false),
                true,
                arguments.integer("l_max"),
                ConvMethod.AUTO);
    }

    /** The code in the paper: the same layer without the skip of the convolution. */
    private static MixerConfig listedBaseConv(Options arguments, boolean implicit) {
        return new BaseConv.Config(
                List.of(BaseConv.Config.LONG),
                implicit,
                false,
                false,
                arguments.integer("l_max"),
                ConvMethod.AUTO);
    }

    private record ListedBaseConv(Tensor filter, Linear projection) implements Parameterized {}

    private record ListedImplicitConv(
            @StateName("filter_mlp") List<FeatureLayer> network,
            @StateName("pos_emb") PositionalFeatures positions,
            Linear projection)
            implements Parameterized {}

    /** The parameters under the names that the original's class has for them. */
    static Parameterized named(String className, Mixer mixer) {
        if (!className.startsWith(LISTING) || !(mixer instanceof BaseConv baseConv)) {
            return mixer;
        }
        return switch (baseConv.conv()) {
            case LongConvolution explicit ->
                    new ListedBaseConv(explicit.filter(), baseConv.projection());
            case ImplicitLongConvolution implicit ->
                    new ListedImplicitConv(
                            implicit.mlp(), implicit.positions(), baseConv.projection());
            default -> mixer;
        };
    }

    private static MixerConfig hyena(Options arguments) {
        for (String single : List.of("num_heads", "num_blocks")) {
            if (arguments.integer(single, 1) != 1) {
                throw new UnknownCaseException("hyena with more than one of " + single);
            }
        }
        if (arguments.flag("bidirectional", false)) {
            throw new UnknownCaseException("bidirectional hyena");
        }
        arguments.ignoring("dropout", "filter_dropout", "outer_mixing", "return_state", "lr", "wd");
        var filter =
                new HyenaFilter.Options(
                        arguments.integer("filter_order", 64),
                        arguments.integer("emb_dim", 3),
                        arguments.number("w", 1),
                        arguments.integer("num_inner_mlps", 2),
                        arguments.number("lr_pos_emb", 1e-5) == 0,
                        arguments.flag("modulate", true),
                        decay(arguments),
                        arguments.flag("normalized", false),
                        arguments.flag("linear_mixer", false),
                        arguments.flag("bias", true));
        return new Hyena.Config(
                arguments.integer("l_max"),
                arguments.integer("short_filter_order", 3),
                0,
                filter,
                ConvMethod.AUTO);
    }

    private static HyenaFilter.Window decay(Options arguments) {
        var standard = HyenaFilter.Window.DEFAULT;
        return new HyenaFilter.Window(
                arguments.number("fast_decay_pct", standard.fast()),
                arguments.number("slow_decay_pct", standard.slow()),
                arguments.number("target", standard.target()),
                arguments.number("shift", standard.shift()));
    }

    /** The size of the state may be a fraction, which the original cuts off. */
    private static MixerConfig h3(Options arguments) {
        arguments.ignoring("use_fast_fftconv");
        arguments.nested("kernel_args").finish();
        return new H3.Config(
                (int) arguments.number("d_state", 64),
                arguments.integer("head_dim", 1),
                arguments.integer("l_max", 0),
                ConvMethod.AUTO);
    }

    /** How and where a scan is computed makes no difference, nor what the step sizes start from. */
    private static MixerConfig mamba(Options arguments) {
        arguments.ignoring("use_fast_path", "device", "dtype", "dt_scale", "dt_init");
        boolean usualRank = arguments.isText("dt_rank", "auto");
        return new Mamba.Config(
                arguments.integer("d_state", 16),
                arguments.integer("d_conv", 4),
                arguments.integer("expand", 2),
                usualRank ? 0 : arguments.integer("dt_rank", 0),
                arguments.flag("conv_bias", true),
                arguments.flag("bias", false),
                arguments.number("dt_min", 0.001),
                arguments.number("dt_max", 0.1),
                arguments.number("dt_init_floor", 1e-4));
    }

    private static MixerConfig nystrom(Options arguments) {
        for (String module : List.of("landmark_pooling", "v_skip_connection")) {
            if (arguments.has(module)) {
                throw new UnknownCaseException("nystrom with a module for " + module);
            }
        }
        arguments.ignoring("dropout", "causal", "landmark_pooling", "v_skip_connection");
        return new Nystrom.Config(
                arguments.integer("num_heads", 16),
                arguments.integer("num_landmarks", 64),
                0,
                0,
                false,
                new PublishedNystrom.Options(
                        arguments.flag("use_razavi_pinverse", true),
                        arguments.integer("inv_iterations", 6),
                        arguments.flag("pinverse_original_init", false),
                        arguments.integer("conv_kernel_size", 0)));
    }

    private static MixerConfig slidingAttention(Options arguments) {
        arguments.ignoring("attention_dropout", "dropout");
        return new SlidingAttention.Config(
                1, arguments.integer("block_size", 256), true, 0, arguments.flag("bias", true));
    }

    /** It takes options of other mixers and does not read them. */
    private static MixerConfig bigBird(Options arguments) {
        arguments.ignoring("dropout", "num_heads", "layer_idx");
        return new BigBird.Config(
                1, arguments.integer("block_size", 128), 0, arguments.flag("bias", true));
    }

    /** The scale is that of a head and the form causal, whatever the options say. */
    private static MixerConfig scatterBrain(Options arguments) {
        int heads = arguments.integer("num_heads");
        if (arguments.integer("num_heads_kv", heads) != heads) {
            throw new UnknownCaseException("scatterbrain whose keys have another number of heads");
        }
        if (arguments.integer("rotary_emb_dim", 0) != 0) {
            throw new UnknownCaseException("scatterbrain with rotary positions");
        }
        arguments.ignoring(
                "dropout",
                "softmax_scale",
                "causal",
                "layer_idx",
                "rotary_emb_base",
                "rotary_emb_scale_base",
                "rotary_emb_interleaved",
                "fused_bias_fc",
                "device",
                "dtype");
        return new ScatterBrain.Config(
                heads,
                arguments.integer("window_size"),
                arguments.integer("feature_dim", 24) / 2 * 2,
                arguments.flag("qkv_proj_bias", true),
                arguments.flag("out_proj_bias", true),
                false);
    }

    /** With what a recorded case drew at random, where it did. */
    static Mixer withDraws(Mixer mixer, Golden golden) {
        if (mixer instanceof BigBird bigBird && golden.has("aux.rand_rows")) {
            return bigBird.seeing(
                    RandomKeys.ofPairs(golden.ints("aux.rand_rows"), golden.ints("aux.rand_cols")));
        }
        return mixer;
    }

    /** Selected blocks have a size of their own in name only. What scores are interpolated for and the kernel change nothing. */
    private static MixerConfig nativeSparseAttention(Options arguments) {
        arguments.ignoring("use_triton_kernel", "interpolated_importance_score", "compress_mlp");
        int selected = arguments.integer("num_selected_blocks");
        int blockSize = arguments.integer("compress_block_size");
        if (arguments.integer("selection_block_size") != blockSize && selected > 0) {
            throw new UnknownCaseException(
                    "native sparse attention whose selected blocks are not those that it compresses");
        }
        return new NativeSparseAttention.Config(
                arguments.integer("num_heads"),
                arguments.integer("kv_heads", 0),
                Math.addExact(arguments.integer("sliding_window_size"), 1),
                blockSize,
                selected,
                arguments.flag("query_heads_share_selected_kv", true),
                arguments.integer("num_compressed_mem_kv", 1),
                arguments.number("compress_mlp_expand_factor", 1),
                arguments.flag("norm", true),
                arguments.flag("causal", false));
    }

    private static MixerConfig multiResolution(Options arguments) {
        if (arguments.has("attention_input_shape")) {
            throw new UnknownCaseException("multi-resolution attention of images");
        }
        arguments.ignoring("attention_input_shape", "layer_idx");
        return new MultiResolutionAttention.Config(
                arguments.integer("num_heads", 1),
                arguments.integer("num_block_per_row", 8),
                32,
                arguments.text("attention_approx_mode", "full").equals("sparse"),
                false,
                arguments.integer("max_position_embeddings"),
                arguments.integer("initial_prior_first_n_blocks", 0),
                arguments.integer("attention_initial_prior_diagonal_n_blocks", 0));
    }

    private static MixerConfig rwkv4(Options arguments) {
        arguments.ignoring("l_max", "layer_idx", "n_layer");
        return new Rwkv4.Config();
    }

    private static StateMixerConfig rwkv4ChannelMix(Options arguments) {
        arguments.ignoring("layer_idx");
        return new Rwkv4ChannelMix.Config(4);
    }

    private static MixerConfig based(Options arguments) {
        int heads = arguments.integer("num_heads", 12);
        if (arguments.integer("num_key_value_heads", 12) != heads) {
            throw new UnknownCaseException("based whose keys have another number of heads");
        }
        arguments.ignoring("l_max", "train_view");
        return new Based.Config(
                arguments.integer("feature_dim", 16),
                heads,
                OriginalFeatureMaps.config(
                        arguments.text("feature_name", "taylor_exp"),
                        arguments.nested("feature_kwargs")),
                arguments.number("eps", 1e-12),
                arguments.flag("causal", true),
                arguments.flag("apply_rotary", false),
                arguments.number("rope_theta", 10000));
    }

    private static MixerConfig hybrid(Options arguments) {
        return new Hybrid.Config(
                arguments.list("configs").stream()
                        .map(OriginalModules::layerOfHybrid)
                        .collect(Collectors.toList()));
    }

    private static MixerConfig layerOfHybrid(Options child) {
        String name = child.text("name");
        try {
            return sequenceMixer(name, child.nested("kwargs"))
                    .orElseGet(() -> new Unknown("class " + name));
        } catch (UnknownCaseException unknown) {
            return new Unknown(unknown.getMessage());
        }
    }

    private static StateMixerConfig identity(Options arguments) {
        return new Passthrough.Config();
    }

    /** A mixer of a hybrid that we do not have, which matters only where a layer uses it. */
    private record Unknown(String what) implements MixerConfig {
        @Override
        public Mixer build(Layer layer, Init init) {
            throw new UnknownCaseException(what);
        }
    }
}
