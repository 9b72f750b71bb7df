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
                    .with("attention", new Attention.Config(1))
                    .with("sliding-attention", new SlidingAttention.Config(1, 32, false, 0.1, true))
                    .with("short-conv", new ShortConvolution.Config(3))
                    .with("long-conv", new LongConvolution.Config(0, ConvMethod.AUTO))
                    .with("implicit-conv", new ImplicitLongConvolution.Config(0, ConvMethod.AUTO))
                    .with("base-conv", new BaseConv.Config(SHORT_AND_LONG, ConvMethod.AUTO))
                    .with("hyena", new Hyena.Config(ConvMethod.AUTO))
                    .with("mamba", new Mamba.Config(16))
                    .with("hybrid", Hybrid.Config.of(shortConv(), new Attention.Config(1)));

    /** State mixers. */
    public static final NamedConfigs<StateMixerConfig> STATE =
            new NamedConfigs<StateMixerConfig>("state mixer", StateMixerConfig.class)
                    .with("identity", new Passthrough.Config())
                    .with("mlp", new Mlp.Config(4))
                    .with("glu", new Glu.Config(4));

    private Mixers() {}

    private static MixerConfig shortConv() {
        return new BaseConv.Config(List.of(3), ConvMethod.AUTO);
    }
}
