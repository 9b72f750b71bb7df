package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.train.Checkpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import org.jspecify.annotations.Nullable;

/** Chooses a new run's folder; makes nothing. */
final class RunFolder {
    private static final Path RUNS = Path.of("runs");
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss");

    private RunFolder() {}

    /**
     * The folder that the user asks for, or one named after mixer and time.
     *
     * @throws UserException if the folder holds anything already
     */
    static Path choose(@Nullable Path wanted, String mixer) {
        if (wanted != null) {
            requireUnused(wanted);
            return wanted;
        }
        String name = mixer + "-" + TIME.format(LocalDateTime.now());
        Path folder = RUNS.resolve(name);
        for (int i = 2; Files.exists(folder); i++) {
            folder = RUNS.resolve(name + "-" + i);
        }
        return folder;
    }

    /** The folder's own name, by which other tools list the run. */
    static String name(Path folder) {
        Path last = folder.toAbsolutePath().normalize().getFileName();
        return last == null ? "run" : last.toString();
    }

    private static void requireUnused(Path folder) {
        if (!Files.exists(folder)) {
            return;
        }
        UserException.require(
                Files.isDirectory(folder),
                "--out %s: it is a file; name a folder that is new or empty",
                folder);
        UserException.require(
                !Files.exists(folder.resolve(Checkpoint.FILE)),
                "--out %s: it holds another run; name a new folder, or go on with that run: --resume %s",
                folder,
                folder);
        try (var content = Files.list(folder)) {
            UserException.require(
                    content.findAny().isEmpty(),
                    "--out %s: it is not empty; name a folder that is new or empty",
                    folder);
        } catch (IOException failure) {
            throw new UserException(
                    "--out %s: it cannot be read (%s)".formatted(folder, failure.getMessage()),
                    failure);
        }
    }
}
