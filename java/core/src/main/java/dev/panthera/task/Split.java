package dev.panthera.task;

/**
 * What rows are used for. The split enters the key of every random draw, so that the rows of one split do not depend on
 * the sizes or number of the segments of another. The codes never change.
 */
public enum Split {
    TRAIN(0),
    VALIDATION(1),
    TEST(2);

    private final int code;

    Split(int code) {
        this.code = code;
    }

    int code() {
        return code;
    }
}
