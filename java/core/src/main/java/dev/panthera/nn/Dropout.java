package dev.panthera.nn;

import dev.panthera.tensor.DropoutOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * Dropout of elements and, as drop path, of whole examples.
 *
 * @param probability of dropping an element
 * @param pathProbability of dropping an example
 * @param key tells apart the dropouts of a model
 */
public record Dropout(float probability, float pathProbability, long key) {

    /** Whether anything can be dropped now. */
    public boolean isActive(Tape tape) {
        return tape.training() && (probability > 0 || pathProbability > 0);
    }

    public Tensor apply(Tape tape, Tensor x) {
        return DropoutOperation.apply(tape, probability, pathProbability, key, x);
    }
}
