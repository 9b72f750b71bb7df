package dev.panthera.report;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/** The published curves that a sweep's own are laid beside, from {@code published.json}, which names their sources. */
final class Published {

    /**
     * A published curve.
     *
     * @param points each a pair (width or state bytes, accuracy)
     */
    record Curve(String mixer, List<double[]> points) {
        Curve {
            points = List.copyOf(points);
        }
    }

    private static final JsonNode FILE = Json.tree(Resources.text("published.json"));

    private Published() {}

    /** Accuracy against width at that length and number of pairs, of the mixers of {@code labels}. */
    static List<Curve> againstWidth(Set<String> labels, int length, int pairs) {
        List<JsonNode> matching = new ArrayList<>();
        for (JsonNode curve : FILE.get("width").get("curves")) {
            if (curve.get("length").asInt() == length && curve.get("pairs").asInt() == pairs) {
                matching.add(curve);
            }
        }
        return ofMixers(matching, labels);
    }

    /**
     * Accuracy against state bytes, of the mixers of {@code labels}; none unless the test sets are the published ones.
     *
     * @param testPairs numbers of pairs that were tested
     */
    static List<Curve> againstState(
            Set<String> labels, int length, int pairs, Set<Integer> testPairs) {
        JsonNode state = FILE.get("state");
        Set<Integer> published = new HashSet<>();
        state.get("testPairs").forEach(value -> published.add(value.asInt()));
        boolean sameTask =
                length == state.get("length").asInt() && pairs == state.get("pairs").asInt();
        if (!sameTask && !testPairs.equals(published)) {
            return List.of();
        }
        List<JsonNode> curves = new ArrayList<>();
        state.get("curves").forEach(curves::add);
        return ofMixers(curves, labels);
    }

    /** Each label that names a curve's mixer gets that curve. */
    private static List<Curve> ofMixers(List<JsonNode> curves, Set<String> labels) {
        List<Curve> result = new ArrayList<>();
        for (JsonNode curve : curves) {
            String key = MixerStyle.key(curve.get("mixer").asString());
            for (String label : labels) {
                if (MixerStyle.key(label).equals(key)) {
                    result.add(new Curve(label, points(curve.get("points"))));
                }
            }
        }
        return result;
    }

    private static List<double[]> points(JsonNode pairs) {
        List<double[]> points = new ArrayList<>();
        for (JsonNode pair : pairs) {
            points.add(new double[] {pair.get(0).asDouble(), pair.get(1).asDouble()});
        }
        return points;
    }

    static String widthSource() {
        return source("width");
    }

    static String stateSource() {
        return source("state");
    }

    private static String source(String figure) {
        JsonNode node = FILE.get(figure);
        return node.get("source").asString()
                + "; "
                + node.get("note").asString()
                + "; read off by eye";
    }
}
