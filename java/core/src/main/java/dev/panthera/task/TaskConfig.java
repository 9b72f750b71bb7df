package dev.panthera.task;

import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * A synthetic task: which rows there are, and what is the right answer. A task is one file: a record of its options
 * that validates them in its constructor and implements this interface.
 */
public interface TaskConfig {

    /** Label of positions where nothing is to be predicted. */
    int IGNORE = -100;

    /** What {@link #answerDistance} returns where no place shows the answer. */
    int NO_DISTANCE = -1;

    /** Name on the command line and in configurations, such as {@code mqar}. */
    String name();

    /** What a person calls the task with its main options, such as {@code mqar-64-4}; no spaces. */
    default String label() {
        return name() + "-" + length();
    }

    /** Token ids are in [0, vocabSize). */
    int vocabSize();

    /** Positions of each row. */
    int length();

    /**
     * Whether positions hold vectors instead of tokens. Then a position's inputs are two ids, of a key and of a value; either may
     * be {@link #vocabSize()}, which is nothing. The input is the vectors of both side by side, in the model's word table as it
     * is before training, with zeros for nothing. Labels count the values: label j is token {@code vocabSize / 2 + j}.
     */
    default boolean continuous() {
        return false;
    }

    /** Ids of each row. */
    default int inputsPerRow() {
        return continuous() ? Math.multiplyExact(2, length()) : length();
    }

    /** The most positions of a row that have a label. */
    int labelsPerRow();

    /** Tags by which accuracies are reported, the same for all rows. */
    Map<String, Integer> slices();

    /**
     * How far back a labelled position must look: the distance in tokens to the place where the row showed last what is
     * asked there, such as the key that a query repeats. Accuracies are reported by it. Called for every label of a
     * test, so it should not allocate.
     *
     * @param inputs ids of one row of this task
     * @param position a position of the row that has a label
     * @return at least 1, or {@link #NO_DISTANCE} if there is no such place
     */
    default int answerDistance(int[] inputs, int position) {
        return NO_DISTANCE;
    }

    /**
     * Expected accuracy of the best answers that do not depend on a row's inputs: what a model does that has learned which
     * answers there are, and nothing else.
     *
     * @return in (0, 1]; empty if it is not known
     */
    default OptionalDouble chance() {
        return OptionalDouble.empty();
    }

    /** A generator of the rows of {@code stream}. */
    RowGenerator generator(RowStream stream);

    /**
     * Checks a row of any origin against the task's definition: recomputes the labels from the inputs and compares.
     *
     * @return the first thing wrong with it, empty if it is a row of this task
     */
    Optional<String> verify(int[] inputs, int[] labels);
}
