package dev.panthera.report;

import java.util.List;

/**
 * A line of a chart and its look.
 *
 * @param label of the legend
 * @param colour as {@code #rrggbb}
 * @param shape of the points, by Vega's name
 * @param dash lengths of strokes and gaps; {@code [1, 0]} is solid
 */
record Series(String label, String mixer, String colour, String shape, List<Integer> dash) {}
