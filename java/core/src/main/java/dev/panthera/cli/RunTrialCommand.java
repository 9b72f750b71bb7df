package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.sweep.RunTrial;
import dev.panthera.sweep.TrialOutcome;
import dev.panthera.sweep.TrialStatus;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code panthera run-trial}: one trial of a sweep, as the job of a cluster. */
@Command(
        name = "run-trial",
        sortOptions = false,
        description = {
            "Runs one trial of a sweep that orders it; clusters start it, people seldom do.",
            "The outcome, a failure too, goes to FOLDER/outcomes; the exit code is 130 if it was interrupted."
        })
final class RunTrialCommand implements Callable<Integer> {
    private final Streams streams;

    @Parameters(paramLabel = "FOLDER", description = "Folder of the sweep.")
    private Path folder;

    @Option(
            names = "--index",
            paramLabel = "N",
            description =
                    "Which of FOLDER/orders. Default: SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX.")
    private @Nullable Integer index;

    RunTrialCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public Integer call() {
        try (var interruption = new Interruption()) {
            TrialOutcome outcome = RunTrial.run(folder, index(), interruption::requested);
            streams.line(
                    "%s %s%s",
                    outcome.id(),
                    outcome.status().name().toLowerCase(Locale.ROOT),
                    outcome.message() == null ? "" : ": " + outcome.message());
            return outcome.status() == TrialStatus.WAITING ? Panthera.INTERRUPTED : Panthera.OK;
        }
    }

    private int index() {
        if (index != null) {
            return index;
        }
        String text =
                Stream.of("SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX")
                        .map(System::getenv)
                        .filter(value -> value != null && value.matches("\\d{1,9}"))
                        .findFirst()
                        .orElseThrow(() ->
                                new UserException(
                                        "--index is missing; give the number of a file in FOLDER/orders"));
        return Integer.parseInt(text);
    }
}
