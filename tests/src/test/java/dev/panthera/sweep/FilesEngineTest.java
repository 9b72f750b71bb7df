package dev.panthera.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.Presets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Trials that somebody else runs from the sweep's folder. */
class FilesEngineTest {
    @TempDir private Path sweep;

    @Test
    void ordersAreWrittenAndTheOutcomesOfWhoeverRunsThemCollected() {
        var queue = new ListedTrials(List.of(order("a"), order("b")));
        var next = new AtomicInteger();
        engine().run(
                        queue,
                        () -> {
                            runNextOrder(next);
                            return false;
                        });
        assertThat(queue.outcomes())
                .extracting(TrialOutcome::id)
                .containsExactlyInAnyOrder("a", "b");
        assertThat(queue.outcomes())
                .extracting(TrialOutcome::status)
                .containsOnly(TrialStatus.DONE);
        assertThat(queue.epochs("a")).hasSize(1);
    }

    /** The job of somebody else, which runs whenever the engine asks whether to stop. */
    private void runNextOrder(AtomicInteger next) {
        int index = next.get();
        if (Files.exists(sweep.resolve("orders").resolve(index + ".json"))) {
            RunTrial.run(sweep, index, () -> false);
            next.incrementAndGet();
        }
    }

    @Test
    void anInterruptedSweepGivesItsTrialsBack() {
        var queue = new ListedTrials(List.of(order("a"), order("b")));
        engine().run(queue, () -> queue.waiting() == 0);
        assertThat(queue.outcomes())
                .extracting(TrialOutcome::status)
                .containsExactly(TrialStatus.WAITING, TrialStatus.WAITING);
    }

    @Test
    void anEngineOrOptionThatDoesNotExistIsSaidInOneLine() {
        assertThatThrownBy(() -> EngineProviders.named("ray"))
                .isInstanceOf(UserException.class)
                .hasMessage(
                        "--engine ray: there is no such engine; choose from files, slurm, spark");
        var setting = new EngineSetting(sweep, null, Map.of("slots", "3"));
        assertThatThrownBy(() -> EngineProviders.named("files").open(setting))
                .isInstanceOf(UserException.class)
                .hasMessage(
                        "engine option slots: engine files has no such option; choose from device, poll-ms, threads");
    }

    @Test
    void sparkThatIsNotInstalledIsSaidInOneLineWithWhatToSet() throws Exception {
        Path jar = Files.createFile(sweep.resolve("panthera-spark.jar"));
        System.setProperty(SparkLibraries.ENGINE_JAR, jar.toString());
        System.setProperty(SparkLibraries.SPARK_JARS, sweep.toString());
        try {
            assertThatThrownBy(() -> EngineProviders.named("spark"))
                    .isInstanceOf(UserException.class)
                    .hasMessage(
                            "--engine spark: %s has no spark-core jar; set SPARK_HOME to the folder of an installation of Spark 4.2",
                            sweep);
        } finally {
            System.clearProperty(SparkLibraries.ENGINE_JAR);
            System.clearProperty(SparkLibraries.SPARK_JARS);
        }
    }

    private Engine engine() {
        return EngineProviders.named("files")
                .open(new EngineSetting(sweep, null, Map.of("poll-ms", "10")));
    }

    private TrialOrder order(String id) {
        var config =
                ConfigDraft.of(Presets.named(Presets.DEFAULT))
                        .setYaml("model.d_model", "16")
                        .setYaml("data.train.*.examples", "64")
                        .setYaml("data.validation.*.examples", "40")
                        .setYaml("data.test.*.examples", "40")
                        .setYaml("epochs", "1")
                        .toConfig();
        return new TrialOrder(id, id, config, "cpu", 1, sweep.resolve(id).toString());
    }
}
