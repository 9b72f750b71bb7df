package dev.panthera.compare;

import java.util.Locale;

/** Numbers as a person reads them, the same in every locale. */
final class Amounts {
    private static final long KIB = 1024;

    private Amounts() {}

    private static String format(String format, Object... arguments) {
        return String.format(Locale.ROOT, format, arguments);
    }

    /** For example {@code 99.31 %}. */
    static String percent(double share) {
        return format("%.2f %%", 100 * share);
    }

    /** For example {@code 512 B}, {@code 16 KiB} or {@code 1.5 MiB}. */
    static String bytes(double bytes) {
        double amount = bytes;
        String unit = "B";
        for (String larger : new String[] {"KiB", "MiB", "GiB", "TiB"}) {
            if (amount < KIB) {
                break;
            }
            amount /= KIB;
            unit = larger;
        }
        boolean whole = amount == Math.rint(amount) || amount >= 100;
        return format(whole ? "%.0f %s" : "%.1f %s", amount, unit);
    }

    /** For example {@code 412k} or {@code 1.3M}. */
    static String perSecond(double rate) {
        if (rate >= 1e6) {
            return format("%.1fM", rate / 1e6);
        }
        return rate >= 1e4 ? format("%.0fk", rate / 1e3) : format("%.0f", rate);
    }

    /** For example {@code 0.001} or {@code 4.64e-4}. */
    static String rate(double learningRate) {
        String text = format("%.2e", learningRate);
        return learningRate >= 1e-3
                ? Double.toString(Double.parseDouble(format("%.3g", learningRate)))
                : text.replaceFirst("\\.?0*e", "e").replaceFirst("e([+-])0", "e$1");
    }

    /** For example {@code 12.3 ms} or {@code 0.08 ms}. */
    static String milliseconds(double seconds) {
        double milliseconds = 1e3 * seconds;
        return format(milliseconds < 1 ? "%.2f ms" : "%.1f ms", milliseconds);
    }

    /** For example {@code 12,345}. */
    static String grouped(long number) {
        return format("%,d", number);
    }
}
