package dev.panthera.cli;

import dev.panthera.bench.Timing;
import java.util.Map;

/** What the benchmarks print alike. */
final class BenchLines {
    private static final double DIGITS = 1e4;

    private BenchLines() {}

    /** To four significant digits or so: times are no more exact. */
    static double rounded(double value) {
        if (value == 0 || !Double.isFinite(value)) {
            return 0;
        }
        double scale = DIGITS / Math.pow(10, Math.ceil(Math.log10(Math.abs(value))));
        return Math.round(value * scale) / scale;
    }

    static JsonLine withTiming(JsonLine line, Timing timing) {
        return line.with("median_ms", rounded(timing.medianMs()))
                .with("min_ms", rounded(timing.minMs()));
    }

    /** The time that a peer's line states: a median, or the seconds of work that is done once. */
    static double medianMs(Map<String, Object> peerLine) {
        return peerLine.get("median_ms") instanceof Number median
                ? median.doubleValue()
                : 1e3 * ((Number) peerLine.get("seconds")).doubleValue();
    }

    /** A peer's line as it came, with how many times as long it took as we did. */
    static JsonLine peerLine(Map<String, Object> peerLine, Timing ours) {
        var line = new JsonLine().with("peer", "pytorch");
        peerLine.forEach(line::with);
        return line.with("times_ours", rounded(medianMs(peerLine) / ours.medianMs()));
    }
}
