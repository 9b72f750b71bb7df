package dev.panthera.parity;

import dev.panthera.mixer.Attention;
import dev.panthera.mixer.Glu;
import dev.panthera.mixer.Hybrid;
import dev.panthera.mixer.Layer;
import dev.panthera.mixer.Mixer;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.Mlp;
import dev.panthera.mixer.Passthrough;
import dev.panthera.mixer.StateMixerConfig;
import dev.panthera.nn.Init;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * The original's module classes and what they are here: class name to a function from its keyword arguments to our
 * configuration. A new mixer adds a line. Dropout is always left out: no case was recorded with it.
 */
final class OriginalModules {

    private static final Map<String, Function<Options, MixerConfig>> SEQUENCE =
            Map.of(
                    "zoology.mixers.attention.MHA", OriginalModules::attention,
                    "zoology.mixers.hybrid.Hybrid", OriginalModules::hybrid);

    private static final Map<String, Function<Options, StateMixerConfig>> STATE =
            Map.of(
                    "torch.nn.Identity", OriginalModules::identity,
                    "zoology.mixers.mlp.GLU",
                            options -> new Glu.Config(options.integer("hidden_mult", 1)),
                    "zoology.mixers.mlp.MLP",
                            options -> new Mlp.Config(options.integer("hidden_mult", 1)));

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
