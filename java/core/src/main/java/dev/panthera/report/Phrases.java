package dev.panthera.report;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/** Pieces of sentences that several charts share. */
final class Phrases {
    private static final int NAMED = 6;

    private Phrases() {}

    /** A learning rate in as few digits as it needs, such as 4.64e-4 or 0.01. */
    static String rate(double learningRate) {
        String text = String.format(Locale.ROOT, "%.3g", learningRate);
        if (learningRate != 0 && learningRate < 0.001) {
            text = String.format(Locale.ROOT, "%.2e", learningRate);
            return text.replaceFirst("\\.?0+e", "e").replaceFirst("e([+-])0", "e$1");
        }
        return text.contains(".") ? text.replaceFirst("\\.?0+$", "") : text;
    }

    static String accuracy(double value) {
        return String.format(Locale.ROOT, "%.3f", value);
    }

    /** "1 seed", "3 seeds". */
    static String count(long number, String noun) {
        return number + " " + noun + (number == 1 ? "" : "s");
    }

    /** Of rows, such as "length 64, 4 pairs"; a task may have no pairs. */
    static String sizes(int length, int pairs) {
        return "length " + length + (pairs == 0 ? "" : ", " + count(pairs, "pair"));
    }

    /** The first few, and how many more there are. */
    static String list(List<String> names) {
        String first = names.stream().limit(NAMED).collect(Collectors.joining("; "));
        return names.size() <= NAMED ? first : first + "; and " + (names.size() - NAMED) + " more";
    }

    /** What a tooltip says of a selected setting. */
    static String chosen(Selected selected) {
        String seeds = count(selected.trials().size(), "seed");
        return "learning rate " + rate(selected.learningRate()) + ", " + seeds;
    }

    /** What the bars of a chart are, if it has any. */
    static String bars(boolean severalSeeds) {
        return severalSeeds
                ? " Points are means over the seeds, bars run from the lowest to the highest seed."
                : "";
    }
}
