package dev.panthera.mixer;

import dev.panthera.NamedConfigs;
import dev.panthera.kernels.ConvMethod;
import java.util.List;

/** The mixers that can be asked for by name, on the command line and in configuration files, with their usual options. */
public final class Mixers {
    private static final List<Integer> SHORT_AND_LONG = List.of(3, BaseConv.Config.LONG);

    /** Sequence mixers. */
    public static final NamedConfigs<MixerConfig> SEQUENCE =
            new NamedConfigs<MixerConfig>("mixer", MixerConfig.class)
                    .with(
                            "attention",
                            "causal multi-head softmax attention",
                            new Attention.Config(1))
                    .with(
                            "sliding-attention",
                            "softmax attention over the last positions alone",
                            new SlidingAttention.Config(1, 32, false, 0.1, true))
                    .with(
                            "bigbird",
                            "BigBird: softmax attention over the last positions, the first ones and random ones",
                            new BigBird.Config(1, 8))
                    .with(
                            "mra",
                            "MRA: softmax attention to the blocks that fit best, and to the means of the others",
                            new MultiResolutionAttention.Config(1, 4))
                    .with(
                            "scatterbrain",
                            "ScatterBrain: softmax attention over the last positions, random features before them",
                            new ScatterBrain.Config(1, 32, 24))
                    .with(
                            "selected-attention",
                            "softmax attention of chosen positions alone",
                            new SelectedAttention.Config(1, new LearnedSelection.Config(), 0))
                    .with(
                            "selective-lookups",
                            "attention where a softmax over the positions selects it",
                            new SelectiveLookups.Config(1))
                    .with(
                            "sigmoid-lookups",
                            "attention where a gate of each position selects it",
                            new SigmoidLookups.Config(1))
                    .with(
                            "sma",
                            "attention where a gate with a trained temperature selects it",
                            new Sma.Config(1))
                    .with(
                            "short-conv",
                            "depthwise causal convolution with a short filter",
                            new ShortConvolution.Config(3))
                    .with(
                            "long-conv",
                            "depthwise causal convolution with a filter as long as the sequence",
                            new LongConvolution.Config(0, ConvMethod.AUTO))
                    .with(
                            "implicit-conv",
                            "long convolution whose filter a small network makes",
                            new ImplicitLongConvolution.Config(0, ConvMethod.AUTO))
                    .with(
                            "base-conv",
                            "BaseConv: a convolution, gated by a projection of its input",
                            new BaseConv.Config(SHORT_AND_LONG, ConvMethod.AUTO))
                    .with(
                            "hyena",
                            "Hyena: long implicit convolution between two gates",
                            new Hyena.Config(ConvMethod.AUTO))
                    .with(
                            "h3",
                            "H3: a shift and a diagonal state space between two gates",
                            new H3.Config(ConvMethod.AUTO))
                    .with(
                            "mamba",
                            "Mamba: a selective state space behind a short convolution, gated",
                            new Mamba.Config(16))
                    .with(
                            "based",
                            "linear attention with a feature map",
                            new Based.Config(16, 1, new TaylorExp.Config()))
                    .with(
                            "performer",
                            "linear attention with random features of the softmax",
                            new Performer.Config(1, 256))
                    .with("cum-sum", "the sum of all values so far", new CumSum.Config())
                    .with(
                            "nystrom",
                            "Nyström attention: to landmarks of earlier segments, exactly within one's own",
                            new Nystrom.Config(1, 16))
                    .with(
                            "rwkv-4",
                            "RWKV-4: average of all values so far, weighted by keys that decay",
                            new Rwkv4.Config())
                    .with(
                            "nsa",
                            "native sparse attention: compressed blocks, the best of them, and the last positions",
                            new NativeSparseAttention.Config(2, 16, 8, 4))
                    .with(
                            "hybrid",
                            "one mixer after the other, by layer",
                            Hybrid.Config.of(shortConv(), new Attention.Config(1)));

    /** State mixers. */
    public static final NamedConfigs<StateMixerConfig> STATE =
            new NamedConfigs<StateMixerConfig>("state mixer", StateMixerConfig.class)
                    .with("identity", "leaves its input as it is", new Passthrough.Config())
                    .with("mlp", "two dense layers with GELU between them", new Mlp.Config(4))
                    .with("glu", "gated linear unit", new Glu.Config(4))
                    .with(
                            "rwkv-4",
                            "RWKV-4's channel mix: squared ReLUs with a gate, of a position and the one before",
                            new Rwkv4ChannelMix.Config(4));

    /** Behind the label of a mixer that looks ahead. */
    public static final String NON_CAUSAL = " (non-causal)";

    private Mixers() {}

    /** A label as tables and figures show it: with a mark if the mixer looks ahead. */
    public static String marked(String label, MixerConfig mixer) {
        return mixer.causal() || label.endsWith(NON_CAUSAL) ? label : label + NON_CAUSAL;
    }

    private static MixerConfig shortConv() {
        return new BaseConv.Config(List.of(3), ConvMethod.AUTO);
    }
}
