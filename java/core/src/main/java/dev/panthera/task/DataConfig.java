package dev.panthera.task;

import dev.panthera.UserException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * All data of a run. The three splits are disjoint streams of random numbers: changing one changes no row of another.
 *
 * @param train      what is trained on, at least one segment
 * @param validation what decides about stopping and selection; empty where a protocol uses the test split for that
 * @param test       what is reported, at least one segment
 * @param seed       seed of all rows and of their order
 */
public record DataConfig(
        List<DataSegment> train, List<DataSegment> validation, List<DataSegment> test, long seed) {

    /** @throws UserException if there are no training or no test segments, a split has too many, or tasks do not go together */
    public DataConfig {
        train = List.copyOf(train);
        validation = List.copyOf(validation);
        test = List.copyOf(test);
        UserException.require(!train.isEmpty(), "no train data: give at least one segment");
        UserException.require(!test.isEmpty(), "no test data: give at least one segment");
        for (var segments : List.of(train, validation, test)) {
            UserException.require(
                    segments.size() <= RowStream.SEGMENTS,
                    "%d segments in a split: at most %d are possible",
                    segments.size(),
                    RowStream.SEGMENTS);
        }
        TaskConfig first = train.getFirst().task();
        tasks(train, validation, test).forEach(other -> requireSameKind(first, other));
    }

    private static void requireSameKind(TaskConfig first, TaskConfig other) {
        UserException.require(
                first.continuous() == other.continuous(),
                "%s and %s: one has tokens, the other vectors, and a model takes one of them; use tasks of one kind",
                first.name(),
                other.name());
        UserException.require(
                !first.continuous() || first.vocabSize() == other.vocabSize(),
                "--vocab %d and %d: half of the tokens are values, so tasks on vectors need the same number; use one",
                first.vocabSize(),
                other.vocabSize());
    }

    /** Whether {@linkplain TaskConfig#continuous positions hold vectors}. */
    public boolean continuous() {
        return train.getFirst().task().continuous();
    }

    /** The segments of a split. */
    public List<DataSegment> segments(Split split) {
        return switch (split) {
            case TRAIN -> train;
            case VALIDATION -> validation;
            case TEST -> test;
        };
    }

    /** The batches of a split, to be closed after use. */
    public Dataset dataset(Split split, int batchSize, BatchOrder order, RowStorage storage) {
        return new Dataset(segments(split), seed, split, batchSize, order, storage);
    }

    /** The smallest vocabulary that covers every segment. */
    public int vocabSize() {
        return tasks(train, validation, test).mapToInt(TaskConfig::vocabSize).max().orElseThrow();
    }

    /** The longest row of any segment. */
    public int maxLength() {
        return tasks(train, validation, test).mapToInt(TaskConfig::length).max().orElseThrow();
    }

    @SafeVarargs
    private static Stream<TaskConfig> tasks(List<DataSegment>... splits) {
        return Arrays.stream(splits).flatMap(List::stream).map(DataSegment::task);
    }
}
