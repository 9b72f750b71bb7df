package dev.panthera.train;

import dev.panthera.UserException;
import dev.panthera.task.BatchOrder;
import dev.panthera.task.DataConfig;
import dev.panthera.task.DataSegment;
import dev.panthera.task.Dataset;
import dev.panthera.task.Filler;
import dev.panthera.task.Mqar;
import dev.panthera.task.RowStorage;
import dev.panthera.task.Split;
import java.util.ArrayList;
import java.util.List;

/**
 * The data of a run by names and numbers: MQAR segments of one vocabulary.
 *
 * @param vocab number of tokens
 * @param powerA exponent of the slots' power law
 * @param fillers what stands where nothing is asked
 * @param passes how often the pairs are repeated
 * @param train what is trained on
 * @param validation what decides about stopping; not made under the published protocol
 * @param test what is reported
 * @param batch rows of a training batch
 * @param testBatch rows of a batch of the other splits
 * @param order whether rows are shuffled anew each epoch
 * @param seed of all rows and of their order
 */
public record DataOptions(
        int vocab,
        double powerA,
        Filler fillers,
        int passes,
        List<Segment> train,
        List<Segment> validation,
        List<Segment> test,
        int batch,
        int testBatch,
        BatchOrder order,
        long seed) {

    /** {@code examples} rows of {@code length} tokens with {@code pairs} key-value pairs. */
    public record Segment(int length, int pairs, int examples) {}

    public DataOptions {
        train = List.copyOf(train);
        validation = List.copyOf(validation);
        test = List.copyOf(test);
        UserException.require(
                batch >= 1, "--batch %d: a batch needs at least one row; try 64", batch);
        UserException.require(
                testBatch >= 1, "test batch %d: a batch needs at least one row; try 64", testBatch);
        config(vocab, powerA, fillers, passes, train, validation, test, seed);
    }

    /** The data, checked. */
    public DataConfig config() {
        return config(vocab, powerA, fillers, passes, train, validation, test, seed);
    }

    private static DataConfig config(
            int vocab,
            double powerA,
            Filler fillers,
            int passes,
            List<Segment> train,
            List<Segment> validation,
            List<Segment> test,
            long seed) {
        List<List<DataSegment>> splits = new ArrayList<>();
        for (var segments : List.of(train, validation, test)) {
            splits.add(
                    segments.stream()
                            .map(segment ->
                                    new DataSegment(
                                            Mqar.of(segment.length(), segment.pairs())
                                                    .withVocabSize(vocab)
                                                    .withPowerA(powerA)
                                                    .withFiller(fillers)
                                                    .withPasses(passes),
                                            segment.examples()))
                            .toList());
        }
        return new DataConfig(splits.get(0), splits.get(1), splits.get(2), seed);
    }

    /** The longest row of any segment. */
    public int maxLength() {
        return config().maxLength();
    }

    /** The longest row of any test segment: what a model's state size is quoted for. */
    public int maxTestLength() {
        return test.stream().mapToInt(Segment::length).max().orElseThrow();
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

    private static long positions(List<List<Segment>> splits, int batch) {
        return splits.stream()
                .flatMap(List::stream)
                .mapToLong(segment -> (long) Math.min(batch, segment.examples()) * segment.length())
                .max()
                .orElse(0);
    }
}
