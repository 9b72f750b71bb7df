package dev.panthera.testing;

import java.net.URISyntaxException;
import java.nio.file.Path;

/** The tensors that were recorded from the original implementation. */
public final class Goldens {

    private Goldens() {}

    /** The folder of a group, such as {@code mixers}. */
    public static Path folder(String group) {
        try {
            return Path.of(Goldens.class.getResource("/goldens/" + group).toURI());
        } catch (URISyntaxException failure) {
            throw new IllegalStateException(failure);
        }
    }
}
