package dev.panthera.report;

import java.util.List;
import java.util.Optional;

/**
 * A chart of a report: one definition for the page, the SVG and the PNG.
 *
 * @param name of its files and its place in the page, such as {@code recall-by-width}
 * @param caption what is read off it, in one sentence, then what the marks mean
 * @param alternative what it shows, for readers who do not see it
 * @param specification in Vega-Lite, as JSON with its data; empty if there is nothing to draw
 * @param notes what the chart leaves out; why there is none if the specification is empty
 */
public record Chart(
        String name,
        String title,
        String caption,
        String alternative,
        Optional<String> specification,
        List<String> notes) {
    public Chart {
        notes = List.copyOf(notes);
    }

    static Chart leftOut(String name, String title, String why) {
        return new Chart(name, title, "", "", Optional.empty(), List.of(why));
    }

    static Chart drawn(
            String name,
            String title,
            String caption,
            String alternative,
            String specification,
            List<String> notes) {
        return new Chart(name, title, caption, alternative, Optional.of(specification), notes);
    }
}
