package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.ConvMethod;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** The mixers that can be asked for by name, on the command line and in configuration files. */
public final class Mixers {

    /**
     * The options from which named mixers take what concerns them.
     *
     * @param heads of attention
     * @param dropout of attention weights
     * @param layers names of the mixers of a hybrid, in layer order
     * @param taps of short filters, by layer; see {@link BaseConv.Config}
     * @param window of sliding attention
     * @param convMethod of long convolutions
     */
    public record Options(
            int heads,
            double dropout,
            List<String> layers,
            List<Integer> taps,
            int window,
            ConvMethod convMethod) {
        public Options {
            layers = List.copyOf(layers);
            taps = List.copyOf(taps);
        }
    }

    private static final Map<String, Function<Options, MixerConfig>> SEQUENCE =
            new LinkedHashMap<>();
    private static final Map<String, Function<Integer, StateMixerConfig>> STATE =
            new LinkedHashMap<>();

    static {
        SEQUENCE.put(
                "attention",
                options -> new Attention.Config(options.heads(), options.dropout(), true));
        SEQUENCE.put(
                "sliding-attention",
                options ->
                        new SlidingAttention.Config(
                                options.heads(), options.window(), false, options.dropout(), true));
        SEQUENCE.put("short-conv", Mixers::shortConvolution);
        SEQUENCE.put("long-conv", options -> new LongConvolution.Config(0, options.convMethod()));
        SEQUENCE.put(
                "implicit-conv",
                options -> new ImplicitLongConvolution.Config(0, options.convMethod()));
        SEQUENCE.put(
                "base-conv", options -> new BaseConv.Config(options.taps(), options.convMethod()));
        SEQUENCE.put("hyena", options -> new Hyena.Config(options.convMethod()));
        SEQUENCE.put("hybrid", Mixers::hybrid);

        STATE.put("identity", multiple -> new Passthrough.Config());
        STATE.put("mlp", Mlp.Config::new);
        STATE.put("glu", Glu.Config::new);
    }

    private Mixers() {}

    /** Names of all sequence mixers. */
    public static List<String> names() {
        return List.copyOf(SEQUENCE.keySet());
    }

    /** Names of all state mixers. */
    public static List<String> stateMixerNames() {
        return List.copyOf(STATE.keySet());
    }

    /** The sequence mixer of that name. */
    public static MixerConfig named(String name, Options options) {
        return find(SEQUENCE, "--mixer", name).apply(options);
    }

    /**
     * The state mixer of that name.
     *
     * @param multiple hidden channels per channel of the model, where the mixer has hidden channels
     */
    public static StateMixerConfig stateMixerNamed(String name, int multiple) {
        return find(STATE, "--state-mixer", name).apply(multiple);
    }

    private static <T> T find(Map<String, T> registry, String option, String name) {
        T found = registry.get(name);
        UserException.require(
                found != null,
                "%s %s: there is no such mixer; choose from %s",
                option,
                name,
                String.join(", ", registry.keySet()));
        return found;
    }

    private static MixerConfig shortConvolution(Options options) {
        UserException.require(
                !options.taps().isEmpty(), "--taps: short-conv needs a number of taps; try 3");
        return new ShortConvolution.Config(options.taps().getFirst());
    }

    private static MixerConfig hybrid(Options options) {
        UserException.require(
                !options.layers().isEmpty(),
                "--mixer hybrid: it needs the mixers of its layers; add for example --hybrid attention,attention");
        List<MixerConfig> configs = new ArrayList<>();
        for (String name : options.layers()) {
            UserException.require(
                    !name.equals("hybrid"),
                    "--hybrid: a hybrid cannot contain a hybrid; list its mixers");
            configs.add(named(name, options));
        }
        return new Hybrid.Config(configs);
    }
}
