package dev.panthera.sweep;

import java.util.Arrays;

/** The factor {@code d_model}: channels of the models. */
public final class Width {
    private Width() {}

    /** These widths. */
    public static Factor of(int... widths) {
        return Factor.of("d_model", Arrays.stream(widths).boxed().toArray());
    }
}
