package dev.panthera.report;

import dev.panthera.mixer.Mixers;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The look of a mixer, the same in every report. Colours and order of the mixers down to TTT-MLP are those of the
 * published figures; two pairs share a colour there, and differ by shape and dash here.
 *
 * @param rank place in legends
 */
record MixerStyle(int rank, String colour, String shape, List<Integer> dash) {
    static final List<Integer> SOLID = List.of(1, 0);
    private static final List<Integer> DOTTED = List.of(2, 3);
    private static final double PALE = 0.4;

    private static final Map<String, MixerStyle> STYLES = new LinkedHashMap<>();
    private static final Map<String, String> OTHER_NAMES =
            Map.ofEntries(
                    Map.entry("mha", "attention"),
                    Map.entry("slidingwindow", "slidingattention"),
                    Map.entry("slidingwindowattention", "slidingattention"),
                    Map.entry("slidingattn", "slidingattention"),
                    Map.entry("swa", "slidingattention"),
                    Map.entry("gatedlinearattention", "gla"),
                    Map.entry("longconvolution", "longconv"),
                    Map.entry("shortconvolution", "shortconv"),
                    Map.entry("implicitlongconv", "implicitconv"),
                    Map.entry("implicitlongconvolution", "implicitconv"),
                    Map.entry("nystromformer", "nystrom"),
                    Map.entry("nativesparseattention", "nsa"),
                    Map.entry("deepseeknsa", "nsa"),
                    Map.entry("multiresolutionattention", "mra"),
                    Map.entry("rwkv4", "rwkv"));

    /** For labels that no style has, such as a user's own mixer. */
    private static final List<String> SPARE_COLOURS =
            List.of("#2A9134", "#C2185B", "#3A86FF", "#8A5A00", "#5F0F40", "#00798C");

    private static final List<String> SPARE_SHAPES =
            List.of(
                    "triangle-left",
                    "cross",
                    "square",
                    "diamond",
                    "circle",
                    "triangle-down",
                    "triangle-up");

    static {
        add("attention", "#000000", "circle", SOLID);
        add("slidingattention", "#000000", "square", List.of(6, 3));
        add("h3", "#B07AA1", "diamond", SOLID);
        add("hyena", "#BAB0AC", "triangle-up", SOLID);
        add("based", "#59A14F", "square", SOLID);
        add("mamba", "#76B7B2", "triangle-down", SOLID);
        add("gla", "#F28E2B", "cross", SOLID);
        add("mamba2", "#4E79A7", "circle", SOLID);
        add("deltanet", "#E15759", "diamond", SOLID);
        add("rwkv7", "#EDC948", "triangle-right", SOLID);
        add("gateddeltanet", "#9C755F", "triangle-left", SOLID);
        add("tttlinear", "#D3722C", "triangle-up", SOLID);
        add("tttmlp", "#EDC948", "cross", List.of(6, 3));
        add("baseconv", "#D6337C", "square", SOLID);
        add("longconv", "#2F4B7C", "triangle-down", SOLID);
        add("implicitconv", "#7A8B00", "cross", SOLID);
        add("shortconv", "#FF9DA7", "triangle-left", SOLID);
        add("rwkv", "#A68A00", "triangle-right", SOLID);
        add("performer", "#A4036F", "cross", SOLID);
        add("bigbird", "#004E64", "square", SOLID);
        add("scatterbrain", "#9B2226", "circle", SOLID);
        add("nsa", "#0096C7", "triangle-right", SOLID);
        add("nystrom", "#2DB81F", "diamond", SOLID);
        add("mra", "#2340F0", "triangle-up", SOLID);
        add("cumsum", "#0B6E4F", "triangle-left", SOLID);
        add("hybrid", "#6A3D9A", "diamond", SOLID);
        add("selectedattention", "#C44900", "circle", SOLID);
        add("selectivelookups", "#1D7874", "circle", List.of(6, 3));
        add("sigmoidlookups", "#7B2D26", "triangle-up", List.of(6, 3));
        add("sma", "#5C6BC0", "square", List.of(6, 3));
    }

    private static void add(String key, String colour, String shape, List<Integer> dash) {
        STYLES.put(key, new MixerStyle(STYLES.size(), colour, shape, dash));
    }

    /** The name under which a label is known: lower case, no punctuation, one name for synonyms, no mark of one that looks ahead. */
    static String key(String mixer) {
        String unmarked =
                looksAhead(mixer)
                        ? mixer.substring(0, mixer.length() - Mixers.NON_CAUSAL.length())
                        : mixer;
        String plain = unmarked.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]", "");
        return OTHER_NAMES.getOrDefault(plain, plain);
    }

    private static boolean looksAhead(String mixer) {
        return mixer.endsWith(Mixers.NON_CAUSAL);
    }

    /** The style of a known mixer, paler and dotted if it looks ahead; else null. */
    static @Nullable MixerStyle known(String mixer) {
        MixerStyle style = STYLES.get(key(mixer));
        return style == null || !looksAhead(mixer)
                ? style
                : new MixerStyle(
                        style.rank, Palette.paler(style.colour, PALE), style.shape, DOTTED);
    }

    /** The style of the unknown mixer number {@code index}, behind all known ones. */
    static MixerStyle spare(int index) {
        return new MixerStyle(
                STYLES.size() + index,
                SPARE_COLOURS.get(index % SPARE_COLOURS.size()),
                SPARE_SHAPES.get(index % SPARE_SHAPES.size()),
                index < SPARE_COLOURS.size() ? SOLID : List.of(4, 2));
    }
}
