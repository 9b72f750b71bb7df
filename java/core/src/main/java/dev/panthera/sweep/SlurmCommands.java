package dev.panthera.sweep;

import dev.panthera.UserException;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Runs Slurm's commands.
 *
 * @param folder that has them; null: they are found on the path
 */
record SlurmCommands(@Nullable String folder) {
    private static final long LIMIT_SECONDS = 60;

    /**
     * How a command ended.
     *
     * @param exitCode 0 if it did what was asked
     * @param out what it printed
     * @param problem what it said on its error stream, on one line
     */
    record Answer(int exitCode, String out, String problem) {
        boolean isGood() {
            return exitCode == 0;
        }
    }

    /** @throws UserException if one of them is missing */
    void requireInstalled() {
        String path = folder == null ? System.getenv().getOrDefault("PATH", "") : folder;
        for (String name : List.of("sbatch", "squeue", "scancel")) {
            boolean found =
                    Stream.of(path.split(Pattern.quote(File.pathSeparator)))
                            .filter(place -> !place.isEmpty())
                            .anyMatch(place -> Files.isExecutable(Path.of(place, name)));
            UserException.require(
                    found,
                    "--engine slurm: there is no %s %s; start the sweep on a machine that submits to Slurm",
                    name,
                    folder == null ? "on the PATH" : "in " + folder);
        }
    }

    /** Runs one of them to its end; a command that hangs is killed and counts as failed. */
    Answer run(String name, List<String> arguments) {
        List<String> words = new ArrayList<>();
        words.add(folder == null ? name : Path.of(folder, name).toString());
        words.addAll(arguments);
        return run(words);
    }

    private static Answer run(List<String> words) {
        try {
            Path out = Files.createTempFile("panthera-slurm", ".out");
            Path err = Files.createTempFile("panthera-slurm", ".err");
            try {
                var process =
                        new ProcessBuilder(words)
                                .redirectOutput(out.toFile())
                                .redirectError(err.toFile())
                                .start();
                boolean ended = process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS);
                if (!ended) {
                    process.destroyForcibly();
                    return new Answer(
                            1, "", "it did not answer within %d s".formatted(LIMIT_SECONDS));
                }
                return new Answer(
                        process.exitValue(), text(out), text(err).replaceAll("\\s+", " "));
            } finally {
                Files.deleteIfExists(out);
                Files.deleteIfExists(err);
            }
        } catch (IOException failure) {
            throw new UncheckedIOException(words.getFirst() + " cannot be run", failure);
        } catch (InterruptedException wish) {
            Thread.currentThread().interrupt();
            return new Answer(1, "", "it was interrupted");
        }
    }

    private static String text(Path file) throws IOException {
        return new String(Files.readAllBytes(file), StandardCharsets.UTF_8).strip();
    }
}
