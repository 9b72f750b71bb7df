package dev.panthera.report;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/** Charts in words. */
final class Summaries {
    private static final int PANELS = 4;
    private static final int LINES = 8;

    private Summaries() {}

    /** A panel's place. */
    private record Place(String row, String column) {
        static Place of(Mark mark) {
            return new Place(mark.row(), mark.column());
        }

        String label() {
            return row.isEmpty() ? column : row + ", " + column;
        }
    }

    /** Where the lines of each panel end, such as "length 64, 4 pairs: attention 1.00 at d_model 512". */
    static String atTheRight(List<Mark> marks, String axis) {
        List<Place> panels = marks.stream().map(Place::of).distinct().toList();
        List<String> sentences = new ArrayList<>();
        for (Place panel : panels.subList(0, Math.min(PANELS, panels.size()))) {
            List<Mark> inside =
                    marks.stream().filter(mark -> Place.of(mark).equals(panel)).toList();
            sentences.add(panel.label() + ": " + ends(inside, axis));
        }
        if (panels.size() > PANELS) {
            sentences.add("and " + Phrases.count(panels.size() - PANELS, "more panel"));
        }
        return "Rightmost values: " + String.join("; ", sentences) + ".";
    }

    private static String ends(List<Mark> marks, String axis) {
        List<Series> lines = marks.stream().map(Mark::series).distinct().limit(LINES).toList();
        List<String> ends = new ArrayList<>();
        for (Series line : lines) {
            Mark last =
                    marks.stream()
                            .filter(mark -> mark.series().equals(line))
                            .max(Comparator.comparingDouble(Mark::x))
                            .orElseThrow();
            ends.add(
                    String.format(
                            Locale.ROOT,
                            "%s %.2f at %s %.0f",
                            line.label(),
                            last.y(),
                            axis,
                            last.x()));
        }
        return String.join(", ", ends);
    }
}
