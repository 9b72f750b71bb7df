package dev.panthera.sweep;

import dev.panthera.UserException;
import dev.panthera.io.AtomicFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The files through which a sweep talks to trials that run as jobs on other machines, on a file system that all of them see:
 *
 * <pre>
 * orders/INDEX.json     what the job with that index runs
 * progress/ID.jsonl     what it has to tell while it runs
 * outcomes/ID.json      what it came to; appears as a whole
 * logs/                 what the jobs print
 * experiment.jar        the experiment's own classes, if it has any
 * </pre>
 *
 * @param root of them all
 */
record TrialFolder(Path root) {

    Path script() {
        return root.resolve("run-trial.sh");
    }

    Path logs() {
        return root.resolve("logs");
    }

    Path experimentJar() {
        return root.resolve("experiment.jar");
    }

    private Path orderFile(int index) {
        return root.resolve("orders").resolve(index + ".json");
    }

    private Path outcomeFile(String id) {
        return root.resolve("outcomes").resolve(fileName(id) + ".json");
    }

    private Path progressFile(String id) {
        return root.resolve("progress").resolve(fileName(id) + ".jsonl");
    }

    private static String fileName(String id) {
        UserException.require(
                id.matches("[A-Za-z0-9._-]{1,200}"),
                "trial %s: its id must be letters, digits, dots and dashes, since files are named after it",
                id);
        return id;
    }

    /** Makes the folders, and brings the experiment's classes here. */
    void prepare(@Nullable Path experiment) {
        try {
            for (String name : List.of("orders", "progress", "outcomes", "logs")) {
                Files.createDirectories(root.resolve(name));
            }
            if (experiment != null && !experiment.equals(experimentJar())) {
                Files.copy(experiment, experimentJar(), StandardCopyOption.REPLACE_EXISTING);
            }
        } catch (IOException failure) {
            throw unusable(failure);
        }
    }

    /** Writes an order, and removes what an earlier job of the same trial left. */
    void write(int index, TrialOrder order) {
        forget(order.id());
        AtomicFile.write(orderFile(index), order.toJson() + "\n");
    }

    /** Removes a trial's outcome and progress. */
    void forget(String id) {
        try {
            Files.deleteIfExists(outcomeFile(id));
            Files.deleteIfExists(progressFile(id));
        } catch (IOException failure) {
            throw unusable(failure);
        }
    }

    /**
     * Reads an order.
     *
     * @throws UserException if there is none of that index
     */
    TrialOrder order(int index) {
        return TrialOrder.fromJson(
                read(orderFile(index))
                        .orElseThrow(() ->
                                new UserException(
                                        "--index %d: %s is missing; give the folder of a sweep and an index that has an order in it"
                                                .formatted(index, orderFile(index)))));
    }

    void write(TrialOutcome outcome) {
        AtomicFile.write(outcomeFile(outcome.id()), outcome.toJson() + "\n");
    }

    /** The outcome of a trial, if a job has written one. */
    Optional<TrialOutcome> outcome(String id) {
        return read(outcomeFile(id)).map(TrialOutcome::fromJson);
    }

    /** Starts a trial's progress file anew. */
    void beginProgress(String id) {
        try {
            Files.createDirectories(progressFile(id).getParent());
            Files.createDirectories(outcomeFile(id).getParent());
            Files.writeString(progressFile(id), "");
        } catch (IOException failure) {
            throw unusable(failure);
        }
    }

    void appendProgress(String id, String line) {
        try {
            Files.writeString(
                    progressFile(id),
                    line + "\n",
                    StandardCharsets.UTF_8,
                    StandardOpenOption.CREATE,
                    StandardOpenOption.APPEND);
        } catch (IOException failure) {
            throw unusable(failure);
        }
    }

    /** What a trial has told so far, in order: finished lines alone. */
    List<ProgressLine> progress(String id) {
        String text = read(progressFile(id)).orElse("");
        return text.substring(0, text.lastIndexOf('\n') + 1)
                .lines()
                .map(ProgressLine::fromJson)
                .toList();
    }

    private Optional<String> read(Path file) {
        try {
            return Optional.of(Files.readString(file));
        } catch (NoSuchFileException absent) {
            return Optional.empty();
        } catch (IOException failure) {
            throw unusable(failure);
        }
    }

    private UserException unusable(IOException failure) {
        return new UserException(
                "%s: the sweep's folder cannot be used (%s); it must be writable on every machine that runs trials"
                        .formatted(root, failure),
                failure);
    }
}
