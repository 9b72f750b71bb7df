package dev.panthera.random;

/**
 * What random numbers are drawn for. Sequences of different purposes never overlap, so drawing more numbers for one
 * changes nothing elsewhere. The codes are part of the definition of every generated data set: they never change.
 */
public enum Purpose {
    /** Initial values of parameters; index: the parameter. */
    INIT(1),
    /** Which positions of a sequence a mixer lets see each other; index: the layer. */
    PATTERN(2),
    /** Scores by which a random selection chooses positions; index: the layer. */
    SELECTION(3),
    /** What makes up a row of a task (for MQAR keys, values and slots); index: the row. */
    ROW(16),
    /** Tokens of a row that carry no information; index: the row. */
    FILLER(17),
    /** Order of the rows within a segment; index: the epoch. */
    SHUFFLE(18),
    /** Order of the batches across segments; index: the epoch. */
    BATCH_ORDER(19),
    /** What all rows of a data set share, in all splits. */
    SHARED(20);

    private final int code;

    Purpose(int code) {
        this.code = code;
    }

    /** Stable code in [1, 256). */
    public int code() {
        return code;
    }
}
