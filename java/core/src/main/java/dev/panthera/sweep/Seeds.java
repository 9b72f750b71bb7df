package dev.panthera.sweep;

import java.util.Arrays;

/** The factor {@code seed}: of the models and of their data, together. */
public final class Seeds {
    private Seeds() {}

    /** These seeds. */
    public static Factor of(long... seeds) {
        return Factor.of("seed", Arrays.stream(seeds).boxed().toArray());
    }
}
