package dev.panthera.bench;

import dev.panthera.task.BatchOrder;
import dev.panthera.task.DataSegment;
import dev.panthera.task.Dataset;
import dev.panthera.task.Mqar;
import dev.panthera.task.RowStorage;
import dev.panthera.task.Split;
import java.util.List;

/** Times the making of MQAR rows, all of which are kept in memory. */
public final class DataBench {
    private static final Timing.Rounds ROUNDS = new Timing.Rounds(1, 0, 5, 5, 0);
    private static final long SEED = 123;
    private static final int BATCH = 64;

    private DataBench() {}

    /**
     * What was measured.
     *
     * @param timing of all rows
     * @param first time of the first round, with what the JVM has to compile, in milliseconds
     * @param peakMb largest resident memory in 1e6 bytes, with that of the JVM; 0 where unknown
     */
    public record Result(Timing timing, double first, double peakMb) {}

    /**
     * Makes rows again and again.
     *
     * @throws dev.panthera.UserException if the sizes are impossible
     */
    public static Result run(int examples, int length, int pairs, int vocab) {
        var segment = new DataSegment(Mqar.of(length, pairs).withVocabSize(vocab), examples);
        PeakMemory.reset();
        long start = System.nanoTime();
        make(segment);
        double first = (System.nanoTime() - start) / 1e6;
        return new Result(
                Timing.measure(ROUNDS, () -> {}, () -> make(segment)),
                first,
                PeakMemory.megabytes());
    }

    private static void make(DataSegment segment) {
        new Dataset(
                        List.of(segment),
                        SEED,
                        Split.TRAIN,
                        BATCH,
                        BatchOrder.FIXED,
                        RowStorage.MATERIALISED)
                .close();
    }
}
