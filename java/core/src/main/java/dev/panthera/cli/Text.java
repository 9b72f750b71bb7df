package dev.panthera.cli;

import java.util.List;
import java.util.Locale;

/** Numbers and lists as a person reads them, the same in every locale. */
final class Text {
    /** Behind "causal", of a model whose mixer looks ahead. */
    static final String LOOKS_AHEAD =
            "no: positions see later tokens, so accuracy is no measure of what the model could generate";

    private Text() {}

    static String format(String format, Object... arguments) {
        return String.format(Locale.ROOT, format, arguments);
    }

    /** For example {@code 99.31 %}. */
    static String percent(double share) {
        return format("%.2f %%", 100 * share);
    }

    /** For example {@code 1 234 567}. */
    static String grouped(long number) {
        return format("%,d", number).replace(',', ' ');
    }

    /** For example {@code 0.42 s}, {@code 17 s}, {@code 2:05 min} or {@code 1:02:05 h}. */
    static String duration(double seconds) {
        if (seconds < 10) {
            return format("%.2f s", seconds);
        }
        long whole = Math.round(seconds);
        if (whole < 60) {
            return whole + " s";
        }
        return whole < 3600
                ? format("%d:%02d min", whole / 60, whole % 60)
                : format("%d:%02d:%02d h", whole / 3600, whole / 60 % 60, whole % 60);
    }

    /** For example {@code 412k} or {@code 1.3M}. */
    static String rate(double perSecond) {
        if (perSecond >= 1e6) {
            return format("%.1fM", perSecond / 1e6);
        }
        return perSecond >= 1e4 ? format("%.0fk", perSecond / 1e3) : format("%.0f", perSecond);
    }

    /** For example {@code a, b or c}. */
    static String alternatives(List<String> names) {
        int last = names.size() - 1;
        return last < 1
                ? String.join("", names)
                : String.join(", ", names.subList(0, last)) + " or " + names.get(last);
    }
}
