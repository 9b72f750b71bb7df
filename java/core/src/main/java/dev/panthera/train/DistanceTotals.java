package dev.panthera.train;

import dev.panthera.task.Batch;
import dev.panthera.task.TaskConfig;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.TreeMap;

/** Counts labelled positions and right answers by the distance to where the answer was last shown. */
final class DistanceTotals {
    /** Bucket k holds the distances in (2^(k-1), 2^k]. */
    private static final int BUCKETS = Integer.SIZE - 1;

    private final long[] labelled = new long[BUCKETS];
    private final long[] right = new long[BUCKETS];
    private int[] row = new int[0];

    /** Predictions are those of the labelled positions, in their order. */
    void add(Batch batch, int[] labels, int[] predicted) {
        TaskConfig task = batch.task();
        int length = batch.length();
        int ids = task.inputsPerRow();
        if (row.length != ids) {
            row = new int[ids];
        }
        int next = 0;
        for (int r = 0; r < batch.rows(); r++) {
            int first = r * length;
            long offset = (long) r * ids * Integer.BYTES;
            MemorySegment.copy(batch.inputs(), ValueLayout.JAVA_INT, offset, row, 0, ids);
            for (int position = 0; position < length; position++) {
                int label = labels[first + position];
                if (label != TaskConfig.IGNORE) {
                    int distance = task.answerDistance(row, position);
                    if (distance != TaskConfig.NO_DISTANCE) {
                        int bucket = bucket(distance);
                        labelled[bucket]++;
                        right[bucket] += predicted[next] == label ? 1 : 0;
                    }
                    next++;
                }
            }
        }
    }

    private static int bucket(int distance) {
        return Integer.SIZE - Integer.numberOfLeadingZeros(Math.max(1, distance) - 1);
    }

    /** Whether any position had a distance. */
    boolean any() {
        for (long count : labelled) {
            if (count > 0) {
                return true;
            }
        }
        return false;
    }

    /** Share of right answers by the upper bound of each bucket that is not empty. */
    Map<Integer, Double> accuracies() {
        Map<Integer, Double> accuracies = new TreeMap<>();
        for (int bucket = 0; bucket < BUCKETS; bucket++) {
            if (labelled[bucket] > 0) {
                accuracies.put(1 << bucket, (double) right[bucket] / labelled[bucket]);
            }
        }
        return accuracies;
    }
}
