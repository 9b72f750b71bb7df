package dev.panthera.sweep;

import com.sun.management.OperatingSystemMXBean;
import dev.panthera.train.DeviceChoice;
import dev.panthera.train.TrainConfig;
import java.lang.management.ManagementFactory;
import java.util.Comparator;
import java.util.List;

/** How many trials fit into this machine's memory at once. */
public final class TrialMemory {
    /** Of the machine's memory that trials may take; the rest is for the JVM, the rows and others. */
    private static final double SHARE = 0.7;

    /** Below this share of the memory, a rough count is enough to see that there is no need to measure. */
    private static final double SURE = 0.1;

    /** Numbers of 4 bytes that a training step keeps for each token, channel and layer, at a guess that is rather high. */
    private static final double NUMBERS_KEPT = 24;

    private TrialMemory() {}

    /**
     * So many of the trials fit at once, at least one; the largest is measured if that may be fewer than wanted.
     *
     * @param device where they run
     * @param wanted most that are asked for
     */
    public static int fitting(List<Trial> trials, DeviceChoice device, int wanted) {
        var largest =
                trials.stream()
                        .map(Trial::config)
                        .max(Comparator.comparingDouble(TrialMemory::guess));
        double memory = SHARE * totalBytes();
        if (largest.isEmpty() || wanted * guess(largest.get()) < SURE * memory) {
            return wanted;
        }
        long bytes = new CostModel(device).bytes(largest.get());
        return (int) Math.clamp(Math.floor(memory / bytes), 1, wanted);
    }

    private static long totalBytes() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                .getTotalMemorySize();
    }

    private static double guess(TrainConfig config) {
        var model = config.model();
        var data = config.data();
        double tokens =
                data.train().stream()
                        .mapToDouble(segment ->
                                (double) Math.min(data.batch(), segment.examples())
                                        * segment.task().length())
                        .max()
                        .orElse(0);
        double optimizer = 16.0 * data.vocabSize() * model.dModel();
        return optimizer + 4 * NUMBERS_KEPT * tokens * model.dModel() * model.layers();
    }
}
