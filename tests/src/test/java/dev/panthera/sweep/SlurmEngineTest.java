package dev.panthera.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.EpochReport;
import dev.panthera.train.Evaluation;
import dev.panthera.train.Presets;
import dev.panthera.train.TrainResult;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the Slurm engine does, with commands of Slurm that run everything at once and on this machine. */
class SlurmEngineTest {
    @TempDir private Path sweep;
    @TempDir private Path bin;
    private Path state;

    @BeforeEach
    void installCommands() throws IOException {
        state = Files.createDirectory(bin.resolve("state"));
        for (String name : List.of("submitted", "alive", "lose", "prepared")) {
            Files.createDirectory(state.resolve(name));
        }
        for (String name : List.of("sbatch", "squeue", "scancel")) {
            try (InputStream script = getClass().getResourceAsStream("/slurm/" + name)) {
                Files.write(bin.resolve(name), script.readAllBytes());
            }
            Files.setPosixFilePermissions(
                    bin.resolve(name), PosixFilePermissions.fromString("rwx------"));
        }
        Files.writeString(state.resolve("interrupt"), prepared("\"$1\"", "waiting"));
        Files.writeString(state.resolve("panthera"), prepared("\"$4\"", "done"));
    }

    /** A shell command that copies the prepared outcome of an index to where a trial writes it. */
    private String prepared(String index, String kind) {
        return "index=%s; cp '%s/prepared/'\"$index\".%s '%s/outcomes/trial-'\"$index\".json%n"
                .formatted(index, state, kind, sweep);
    }

    @Test
    void everyTrialIsAnElementOfOneArray() throws IOException {
        var queue = queue(4);
        run(queue, Map.of("slots", "2", "partition", "gpu", "time", "01:00:00"));
        assertThat(queue.outcomes()).containsExactlyElementsOf(outcomes(4));
        assertThat(submitted())
                .singleElement()
                .satisfies(words ->
                        assertThat(words)
                                .contains(
                                        "--array=0-3%2",
                                        "--partition=gpu", "--time=01:00:00", "--cpus-per-task=1")
                                .endsWith(sweep.resolve("run-trial.sh").toString()));
        assertThat(sweep.resolve("slurm-jobs.txt")).doesNotExist();
    }

    @Test
    void anElementThatLeavesNoOutcomeIsSubmittedTwiceMoreAndThenHasFailed() throws IOException {
        for (String lost : List.of("1-0", "1-2", "1-3", "2-2", "3-2")) {
            Files.createFile(state.resolve("lose").resolve(lost));
        }
        var queue = queue(4);
        run(queue, Map.of());
        assertThat(submitted())
                .extracting(words -> words.get(1))
                .containsExactly("--array=0-3", "--array=0,2-3", "--array=2");
        assertThat(queue.outcomes())
                .extracting(TrialOutcome::id)
                .containsExactlyInAnyOrder("trial-0", "trial-1", "trial-2", "trial-3");
        TrialOutcome failed = queue.outcome("trial-2");
        assertThat(failed.status()).isEqualTo(TrialStatus.FAILED);
        assertThat(failed.message())
                .isEqualTo(
                        "its job ended 3 times without an outcome; see what it printed: %s",
                        sweep.resolve("logs").resolve("3_2.log"));
    }

    @Test
    void aRequestToStopCancelsTheJobsAndGivesTheirTrialsBack() throws IOException {
        Files.createFile(state.resolve("hold"));
        var queue = queue(3);
        engine(Map.of()).run(queue, () -> queue.waiting() == 0 && !submitted().isEmpty());
        assertThat(queue.outcomes()).hasSize(3);
        assertThat(queue.outcomes())
                .extracting(TrialOutcome::status)
                .containsOnly(TrialStatus.WAITING);
        assertThat(queue.outcome("trial-1").epochs()).as("of the interrupted run").hasSize(1);
        assertThat(Files.readAllLines(state.resolve("cancelled"))).contains("1");
    }

    @Test
    void outcomesOfJobsThatWentOnWithoutTheSweepAreTakenOver() throws IOException {
        var files = new TrialFolder(sweep);
        files.prepare(null);
        files.write(outcomes(2).getFirst());
        Files.writeString(sweep.resolve("slurm-jobs.txt"), "77\n");
        var queue = queue(2);
        run(queue, Map.of());
        assertThat(Files.readAllLines(state.resolve("cancelled")))
                .contains("--name=panthera", "77");
        assertThat(submitted()).extracting(words -> words.get(1)).containsExactly("--array=1");
        assertThat(queue.outcomes()).containsExactlyElementsOf(outcomes(2));
    }

    @Test
    void whatSbatchRefusesIsSaidInOneLineAndNoTrialIsLost() throws IOException {
        Files.createFile(state.resolve("refuse"));
        var queue = queue(2);
        assertThatThrownBy(() -> run(queue, Map.of("partition", "nowhere")))
                .isInstanceOf(UserException.class)
                .hasMessage(
                        "sbatch did not take the trials: sbatch: error: invalid partition specified: nowhere;"
                                + " mend the engine's options and run the sweep again");
        assertThat(queue.outcomes())
                .extracting(TrialOutcome::status)
                .containsExactly(TrialStatus.WAITING, TrialStatus.WAITING);
    }

    @Test
    void aMachineWithoutSlurmIsSaidInOneLine() throws IOException {
        Files.delete(bin.resolve("squeue"));
        assertThatThrownBy(() -> engine(Map.of()))
                .isInstanceOf(UserException.class)
                .hasMessage(
                        "--engine slurm: there is no squeue in %s; start the sweep on a machine that submits to Slurm",
                        bin);
    }

    private Engine engine(Map<String, String> further) {
        Map<String, String> options = new HashMap<>(further);
        options.put("slurm-bin", bin.toString());
        options.put("command", "sh " + JobScript.quote(state.resolve("panthera").toString()));
        options.put("poll-ms", "10");
        options.put("grace-ms", "0");
        return EngineProviders.named("slurm").open(new EngineSetting(sweep, null, options));
    }

    private void run(ListedTrials queue, Map<String, String> options) {
        engine(options).run(queue, () -> false);
    }

    /** Words of each call of sbatch, in order. */
    private List<List<String>> submitted() {
        try (Stream<Path> calls = Files.list(state.resolve("submitted"))) {
            return calls.sorted().map(SlurmEngineTest::lines).toList();
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }

    private static List<String> lines(Path file) {
        try {
            return Files.readAllLines(file);
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }

    /** Trials whose outcomes are prepared, so that a job has only to copy one. */
    private ListedTrials queue(int count) throws IOException {
        List<TrialOutcome> outcomes = outcomes(count);
        for (int i = 0; i < count; i++) {
            Path prepared = state.resolve("prepared");
            Files.writeString(prepared.resolve(i + ".done"), outcomes.get(i).toJson());
            Files.writeString(
                    prepared.resolve(i + ".waiting"), interrupted(outcomes.get(i)).toJson());
        }
        var config = ConfigDraft.of(Presets.named(Presets.DEFAULT)).toConfig();
        return new ListedTrials(
                outcomes.stream()
                        .map(o -> new TrialOrder(o.id(), o.id(), config, "cpu", 1, null))
                        .toList());
    }

    private static List<TrialOutcome> outcomes(int count) {
        return Stream.iterate(0, i -> i + 1).limit(count).map(SlurmEngineTest::outcome).toList();
    }

    private static TrialOutcome outcome(int index) {
        var evaluation = new Evaluation(0.1 * index, 0.9, 10, Map.of());
        return new TrialOutcome(
                "trial-" + index,
                TrialStatus.DONE,
                "cpu",
                TrainResult.Ending.ALL_EPOCHS,
                evaluation,
                List.of(new EpochReport(1, 1.0 / 3, 1e-3, evaluation, 100, 1)),
                7,
                8,
                2,
                null,
                null);
    }

    private static TrialOutcome interrupted(TrialOutcome outcome) {
        return new TrialOutcome(
                outcome.id(),
                TrialStatus.WAITING,
                outcome.device(),
                TrainResult.Ending.INTERRUPTED,
                null,
                outcome.epochs(),
                7,
                8,
                1,
                null,
                null);
    }
}
