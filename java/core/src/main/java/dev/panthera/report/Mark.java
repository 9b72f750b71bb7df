package dev.panthera.report;

/**
 * A point of a line chart.
 *
 * @param row of the panel; empty if panels have no rows
 * @param column of the panel, or the panel itself if they have no rows
 * @param low lowest value over the seeds; y itself for a single seed
 * @param high highest value over the seeds
 * @param published whether it comes from a published figure rather than from the sweep
 * @param marker whether a symbol is drawn, rather than the line alone
 * @param detail what a tooltip adds
 */
record Mark(
        String row,
        String column,
        Series series,
        double x,
        double y,
        double low,
        double high,
        boolean published,
        boolean marker,
        String detail) {

    static Mark measured(
            String row, String column, Series series, double x, Statistics y, String detail) {
        return new Mark(row, column, series, x, y.mean(), y.min(), y.max(), false, true, detail);
    }

    static Mark published(String column, Series series, double x, double y) {
        return new Mark("", column, series, x, y, y, y, true, true, "published");
    }
}
