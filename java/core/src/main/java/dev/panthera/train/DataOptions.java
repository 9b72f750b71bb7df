package dev.panthera.train;

import dev.panthera.UserException;
import dev.panthera.task.BatchOrder;
import dev.panthera.task.DataConfig;
import dev.panthera.task.DataSegment;
import dev.panthera.task.Dataset;
import dev.panthera.task.RowStorage;
import dev.panthera.task.Split;
import dev.panthera.task.TaskConfig;
import java.util.List;
import java.util.OptionalDouble;

/**
 * The data of a run and how they are cut into batches.
 *
 * @param train what is trained on
 * @param validation what decides about stopping; not made under the published protocol
 * @param test what is reported
 * @param batch rows of a training batch
 * @param testBatch rows of a batch of the other splits
 * @param order whether rows are shuffled anew each epoch
 * @param seed of all rows and of their order
 */
public record DataOptions(
        List<DataSegment> train,
        List<DataSegment> validation,
        List<DataSegment> test,
        int batch,
        int testBatch,
        BatchOrder order,
        long seed) {

    public DataOptions {
        UserException.require(
                batch >= 1, "--batch %d: a batch needs at least one row; try 64", batch);
        UserException.require(
                testBatch >= 1, "test batch %d: a batch needs at least one row; try 64", testBatch);
        var checked = new DataConfig(train, validation, test, seed);
        train = checked.train();
        validation = checked.validation();
        test = checked.test();
    }

    /** The data alone. */
    public DataConfig config() {
        return new DataConfig(train, validation, test, seed);
    }

    /** The smallest vocabulary that covers every segment. */
    public int vocabSize() {
        return config().vocabSize();
    }

    /** Whether {@linkplain dev.panthera.task.TaskConfig#continuous positions hold vectors}. */
    public boolean continuous() {
        return config().continuous();
    }

    /** The longest row of any segment. */
    public int maxLength() {
        return config().maxLength();
    }

    /** The longest row of any test segment: what a model's state size is quoted for. */
    public int maxTestLength() {
        return test.stream().mapToInt(segment -> segment.task().length()).max().orElseThrow();
    }

    /** Accuracy on the test rows by chance (see {@link TaskConfig#chance}); empty if some task does not know it. */
    public OptionalDouble testChance() {
        double sum = 0;
        long examples = 0;
        for (DataSegment segment : test) {
            OptionalDouble chance = segment.task().chance();
            if (chance.isEmpty()) {
                return chance;
            }
            sum += chance.getAsDouble() * segment.examples();
            examples += segment.examples();
        }
        return OptionalDouble.of(sum / examples);
    }

    /** The batches that are trained on. */
    Dataset trainDataset(RowStorage storage) {
        return config().dataset(Split.TRAIN, batch, order, storage);
    }

    /** The batches of a split that is only evaluated, always in the same order. */
    Dataset testDataset(Split split, RowStorage storage) {
        return config().dataset(split, testBatch, BatchOrder.FIXED, storage);
    }

    /** Most tokens of a training batch. */
    long trainPositions() {
        return positions(List.of(train), batch);
    }

    /** Most tokens of a batch of the other splits. */
    long testPositions() {
        return positions(List.of(validation, test), testBatch);
    }

    private static long positions(List<List<DataSegment>> splits, int batch) {
        return splits.stream()
                .flatMap(List::stream)
                .mapToLong(segment ->
                        (long) Math.min(batch, segment.examples()) * segment.task().length())
                .max()
                .orElse(0);
    }
}
