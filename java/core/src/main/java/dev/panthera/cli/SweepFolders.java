package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.sweep.SweepStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Finds sweeps. */
final class SweepFolders {
    /** Where sweeps go that are given no folder. */
    static final Path SWEEPS = Path.of("sweeps");

    private SweepFolders() {}

    /** The folder itself, or the one of that name in {@link #SWEEPS}. */
    static Path find(Path folder) {
        Path named = SWEEPS.resolve(folder.toString());
        return !SweepStore.exists(folder) && SweepStore.exists(named) ? named : folder;
    }

    /** This sweep alone if one is given, else all in {@link #SWEEPS}. */
    static List<Path> choose(@Nullable Path folder) {
        return folder == null ? all() : List.of(find(folder));
    }

    /** All sweeps in {@link #SWEEPS}, by name. */
    static List<Path> all() {
        if (!Files.isDirectory(SWEEPS)) {
            return List.of();
        }
        try (var folders = Files.list(SWEEPS)) {
            return folders.filter(SweepStore::exists).sorted().toList();
        } catch (IOException failure) {
            throw new UserException(
                    "%s: it cannot be read (%s)".formatted(SWEEPS, failure.getMessage()), failure);
        }
    }
}
