package dev.panthera.task;

import java.util.Optional;
import java.util.function.IntUnaryOperator;

/**
 * Checks what follows the context of a recall row: slots, some of which hold a query, and fillers. A query is the first
 * {@code width} tokens of its slot; its last token has the label.
 *
 * @param vocabSize token ids are below it
 * @param context positions before the first slot
 * @param stride positions of a slot
 * @param width tokens of a query
 * @param filler what stands elsewhere
 */
record QueryCheck(int vocabSize, int context, int stride, int width, Filler filler) {

    /**
     * The first thing wrong.
     *
     * @param values of the pairs, each of which must be asked once
     * @param pairAt which pair the query asks that ends at a position; -1 if none
     */
    Optional<String> firstProblem(
            int[] inputs, int[] labels, int[] values, IntUnaryOperator pairAt) {
        boolean[] asked = new boolean[values.length];
        int queries = 0;
        for (int position = context; position < inputs.length; position++) {
            int token = inputs[position];
            if (token < 0 || token >= vocabSize) {
                return RowCheck.problem(position, "token %d is out of range", token);
            }
            if (labels[position] == TaskConfig.IGNORE) {
                if (filler == Filler.ZERO && token != 0 && !isPartOfQuery(labels, position)) {
                    return RowCheck.problem(
                            position, "token %d is neither a query nor the filler 0", token);
                }
                continue;
            }
            int pair = isEndOfQuery(inputs, position) ? pairAt.applyAsInt(position) : -1;
            if (pair < 0 || asked[pair]) {
                return RowCheck.problem(position, "token %d has a label but is no query", token);
            }
            if (labels[position] != values[pair]) {
                return RowCheck.problem(
                        position,
                        "label %d, but key %d has value %d",
                        labels[position],
                        token,
                        values[pair]);
            }
            asked[pair] = true;
            queries++;
        }
        return queries == values.length
                ? Optional.empty()
                : Optional.of("%d keys are asked, expected %d".formatted(queries, values.length));
    }

    private boolean isEndOfQuery(int[] inputs, int position) {
        int slot = position - (position - context) % stride;
        return position == slot + width - 1 && slot + stride <= inputs.length;
    }

    private boolean isPartOfQuery(int[] labels, int position) {
        int end = position - (position - context) % stride + width - 1;
        return position < end && end < labels.length && labels[end] != TaskConfig.IGNORE;
    }
}
