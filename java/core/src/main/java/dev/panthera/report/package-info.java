/**
 * The report of a sweep: which learning rate counts, the charts, one self-contained page, and pictures of the charts
 * without a browser.
 *
 * <p>A chart is one Vega-Lite specification. The page draws it in a browser, {@link
 * dev.panthera.report.ChartRenderer} draws the same text as SVG, and a PNG is that SVG in pixels.
 */
@NullMarked
package dev.panthera.report;

import org.jspecify.annotations.NullMarked;
