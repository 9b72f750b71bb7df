package dev.panthera.mixer;

import dev.panthera.kernels.ConvMethod;
import dev.panthera.sweep.ExperimentJar;
import dev.panthera.tensor.ParameterStore;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.Rig;
import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Every sequence mixer with the options under which it must keep the contract. A new mixer adds a line. */
final class MixerContracts {

    /** Channels for which the options are valid. */
    static final int WIDTH = 8;

    private MixerContracts() {}

    /**
     * @param name in {@link Mixers}
     * @param config the options
     * @param golden a case recorded from the original; null where that has no such mixer
     */
    record Contract(String name, MixerConfig config, @Nullable String golden) {
        @Override
        public String toString() {
            return config.toString();
        }
    }

    static List<Contract> all() {
        var oneHead = new Attention.Config(1, 0, true);
        return List.of(
                new Contract("attention", oneHead, "mha_h1"),
                new Contract("attention", new Attention.Config(2, 0, true), "mha_h2"),
                new Contract("attention", new Attention.Config(4, 0, false), "mha_nobias"),
                new Contract("attention", new Attention.Config(2, 0, true, true), "mha_h2"),
                new Contract(
                        "hybrid",
                        new Hybrid.Config(List.of(new Attention.Config(2, 0, false), oneHead)),
                        "hybrid_idx1"),
                new Contract(
                        "sliding-attention",
                        new SlidingAttention.Config(2, 5, false, 0, true),
                        "sliding_attn"),
                new Contract(
                        "sliding-attention",
                        new SlidingAttention.Config(2, 5, false, 0, true, true),
                        "sliding_attn"),
                new Contract(
                        "sliding-attention",
                        new SlidingAttention.Config(1, 40, true, 0, false),
                        "sliding_attn_nobias_wide"),
                new Contract("bigbird", new BigBird.Config(2, 1), "bigbird"),
                new Contract("bigbird", new BigBird.Config(1, 2, 7, false), "bigbird"),
                new Contract("scatterbrain", new ScatterBrain.Config(2, 3, 6), "scatterbrain"),
                new Contract(
                        "scatterbrain",
                        new ScatterBrain.Config(1, 20, 4, false, false, true),
                        "scatterbrain"),
                new Contract(
                        "based",
                        new Based.Config(4, 2, new TaylorExp.Config()),
                        "based_linear_taylor"),
                new Contract(
                        "based",
                        new Based.Config(
                                4, 1, new PointwiseMaps.PosElu(1), 1e-6, true, true, 10000),
                        "based_rotary"),
                new Contract(
                        "selected-attention",
                        new SelectedAttention.Config(
                                2, new LearnedSelection.Config(), 0, 0, true, false),
                        null),
                new Contract(
                        "selected-attention",
                        new SelectedAttention.Config(
                                1,
                                new LearnedSelection.Config(true, 0, 0.5, true),
                                12,
                                0,
                                false,
                                true),
                        null),
                new Contract(
                        "selected-attention",
                        new SelectedAttention.Config(
                                1, new RandomSelection.Config(), 12, 0, true, false),
                        null),
                new Contract(
                        "selected-attention",
                        new SelectedAttention.Config(
                                2, new FullSelection.Config(), 1, 0, true, false),
                        null),
                new Contract(
                        "selective-lookups",
                        new SelectiveLookups.Config(2, 3, 0, true, true),
                        "selective_lookups_train"),
                new Contract(
                        "sigmoid-lookups",
                        new SigmoidLookups.Config(1, 0, 0, false, 0.1, true),
                        "selective_sigmoid_train"),
                new Contract(
                        "sma", new Sma.Config(2, 0, 0, true, 0.5, true), "selective_sma_train"),
                new Contract(
                        "nsa",
                        new NativeSparseAttention.Config(4, 2, 5, 4, 2, true, 1, 1, true, true),
                        "nsa_causal_gqa"),
                new Contract(
                        "nsa",
                        new NativeSparseAttention.Config(4, 2, 3, 3, 1, false, 3, 0.5, false, true),
                        "nsa"),
                new Contract(
                        "nsa",
                        new NativeSparseAttention.Config(2, 0, 6, 7, 0, true, 1, 1, true, true),
                        "nsa_noselect"),
                new Contract(
                        "mra",
                        new MultiResolutionAttention.Config(2, 1, 4, false, true, 0, 0, 0),
                        "mra_full"),
                new Contract(
                        "mra",
                        new MultiResolutionAttention.Config(1, 2, 3, true, true, 0, 0, 0),
                        "mra_sparse"),
                new Contract("cum-sum", new CumSum.Config(), null),
                new Contract("performer", new Performer.Config(2, 6), "based_quadratic_performer"),
                new Contract("nystrom", new Nystrom.Config(2, 6), "nystrom"),
                new Contract(
                        "nystrom",
                        new Nystrom.Config(1, 3, 0.5, 0, true, PublishedNystrom.Options.USUAL),
                        "nystrom_uneven"),
                new Contract("nystrom", new Nystrom.Config(1, 200), "nystrom_full"),
                new Contract("short-conv", new ShortConvolution.Config(3), "short_convolution"),
                new Contract(
                        "long-conv",
                        new LongConvolution.Config(0, ConvMethod.DIRECT),
                        "long_convolution"),
                new Contract(
                        "implicit-conv",
                        new ImplicitLongConvolution.Config(0, 5, 8, true, ConvMethod.DIRECT),
                        "implicit_long_convolution_emb5"),
                new Contract(
                        "base-conv",
                        new BaseConv.Config(List.of(3, -1), ConvMethod.DIRECT),
                        "baseconv_long_implicit"),
                new Contract(
                        "base-conv",
                        new BaseConv.Config(List.of(-1), false, true, true, 0, ConvMethod.DIRECT),
                        "baseconv_long_implicit_act"),
                new Contract("rwkv-4", new Rwkv4.Config(), "rwkv4_timemix"),
                new Contract("mamba", new Mamba.Config(4), "mamba"),
                new Contract(
                        "mamba",
                        new Mamba.Config(3, 3, 1, 2, false, true, 0.01, 0.5, 0.1),
                        "mamba_opts"),
                new Contract("hyena", new Hyena.Config(ConvMethod.DIRECT), "hyena"),
                new Contract(
                        "hyena",
                        new Hyena.Config(
                                0,
                                4,
                                0,
                                new HyenaFilter.Options(
                                        8,
                                        5,
                                        1,
                                        1,
                                        true,
                                        true,
                                        new HyenaFilter.Window(0.2, 2, 0.05, 0.05),
                                        true,
                                        false,
                                        false),
                                ConvMethod.DIRECT),
                        "hyena_opts"),
                new Contract("h3", new H3.Config(6, 1, 0, ConvMethod.DIRECT), "h3"),
                new Contract("h3", new H3.Config(40, 2, 0, ConvMethod.DIRECT), "h3_headdim2"),
                new Contract("h3", new H3.Config(3, 4, 0, ConvMethod.DIRECT), "h3_short_L"));
    }

    /** {@link #all}, and the mixer that docs/adding-a-mixer.md shows. */
    static List<Contract> withShown() {
        return Stream.concat(all().stream(), Stream.of(Shown.CONTRACT)).toList();
    }

    /** Compiled from the file of an experiment, as {@code panthera run} does it. */
    private static final class Shown {
        static final Contract CONTRACT = new Contract("gated-convolution", config(), "");

        private static MixerConfig config() {
            try {
                Path jar = Files.createTempFile("own-mixer", ".jar");
                jar.toFile().deleteOnExit();
                ExperimentJar.compile(Path.of("../experiments/OwnMixer.java"), jar);
                Class<?> config =
                        Class.forName(
                                "OwnMixer$GatedConvolution$Config",
                                true,
                                ExperimentJar.loader(jar));
                var constructor = config.getDeclaredConstructor(int.class);
                constructor.setAccessible(true);
                return (MixerConfig) constructor.newInstance(3);
            } catch (IOException | ReflectiveOperationException failure) {
                throw new IllegalStateException(failure);
            }
        }
    }

    /** The configurations of {@link #all} that choose how a convolution is computed, all of whose convolutions go by FFT. */
    static List<MixerConfig> byFft() {
        return all().stream()
                .map(Contract::config)
                .filter(config -> components(config).contains(ConvMethod.class))
                .map(MixerContracts::byFft)
                .toList();
    }

    private static List<Class<?>> components(MixerConfig config) {
        return Arrays.stream(config.getClass().getRecordComponents())
                .<Class<?>>map(RecordComponent::getType)
                .toList();
    }

    private static MixerConfig byFft(MixerConfig config) {
        try {
            List<Object> values = new ArrayList<>();
            for (var component : config.getClass().getRecordComponents()) {
                Object value = component.getAccessor().invoke(config);
                values.add(value instanceof ConvMethod ? ConvMethod.FFT : value);
            }
            var constructor =
                    config.getClass()
                            .getDeclaredConstructor(components(config).toArray(Class<?>[]::new));
            return (MixerConfig) constructor.newInstance(values.toArray());
        } catch (ReflectiveOperationException failure) {
            throw new IllegalStateException(failure);
        }
    }

    /** Gives all parameters larger values: initial ones are so small that their products would hide errors. */
    static void enlarge(Rig rig, ParameterStore store) {
        long seed = 100;
        for (Tensor parameter : store.named().values()) {
            double[] values = Rig.gaussian(seed++, Math.toIntExact(parameter.size()));
            rig.stream()
                    .copyToDevice(
                            parameter.values(), Arrays.stream(values).map(v -> v / 2).toArray());
        }
    }
}
