package dev.panthera.bench;

/** How far results are from those of the reference. */
final class Agreement {
    private Agreement() {}

    /** The largest difference relative to the largest expected magnitude; NaN if anything is. */
    static double error(double[] found, double[] expected) {
        double error = 0;
        double largest = 0;
        for (int i = 0; i < expected.length; i++) {
            double difference = Math.abs(found[i] - expected[i]);
            error = Double.isNaN(difference) ? Double.NaN : Math.max(error, difference);
            largest = Math.max(largest, Math.abs(expected[i]));
        }
        return error == 0 ? 0 : error / largest;
    }
}
