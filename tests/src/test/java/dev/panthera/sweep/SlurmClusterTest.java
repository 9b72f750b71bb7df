package dev.panthera.sweep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.train.Checkpoint;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.EpochReport;
import dev.panthera.train.Presets;
import dev.panthera.train.TrainConfig;
import dev.panthera.train.TrainListener;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Sweeps on a real Slurm of one node, which this test starts where Slurm is installed. */
class SlurmClusterTest {
    @TempDir private static Path shared;
    private static OneNodeSlurm slurm;

    @TempDir private Path sweep;

    @BeforeAll
    static void start() throws Exception {
        slurm = OneNodeSlurm.startOrSkip(shared);
    }

    @AfterAll
    static void stop() {
        if (slurm != null) {
            slurm.close();
        }
    }

    @Test
    void trialsComeToTheSameAsOnThisMachine() {
        List<TrialOrder> orders = Stream.of(0, 1, 2).map(i -> order("trial-" + i, i, 2)).toList();
        var queue = new ListedTrials(orders);
        engine().run(queue, () -> false);
        assertThat(queue.outcomes()).hasSize(3);
        for (TrialOrder order : orders) {
            var here =
                    TrialRun.run(
                            new TrialOrder(order.id(), "", order.config(), "cpu", 1, null),
                            () -> false,
                            TrainListener.SILENT);
            TrialOutcome there = queue.outcome(order.id());
            assertThat(there.message()).isNull();
            assertThat(there.test()).isEqualTo(here.test());
            assertThat(there.epochs())
                    .extracting(EpochReport::trainLoss)
                    .isEqualTo(here.epochs().stream().map(EpochReport::trainLoss).toList());
            assertThat(queue.start(order.id())).isPresent();
            assertThat(queue.epochs(order.id()))
                    .extracting(EpochReport::epoch)
                    .containsExactly(1, 2);
        }
    }

    @Test
    void aRunningTrialThatIsCancelledLeavesACheckpoint() {
        var queue = new ListedTrials(List.of(order("long", 1, 100_000)));
        engine().run(queue, () -> !queue.epochs("long").isEmpty());
        assertThat(queue.outcomes())
                .singleElement()
                .satisfies(outcome -> {
                    assertThat(outcome.status()).isEqualTo(TrialStatus.WAITING);
                    assertThat(outcome.epochs()).isNotEmpty();
                });
        assertThat(sweep.resolve("long").resolve(Checkpoint.FILE)).isNotEmptyFile();
        assertThat(Files.exists(sweep.resolve("slurm-jobs.txt"))).isFalse();
    }

    private Engine engine() {
        return EngineProviders.named("slurm")
                .open(
                        new EngineSetting(
                                sweep,
                                null,
                                Map.of(
                                        "slurm-bin",
                                        slurm.commands().toString(),
                                        "poll-ms",
                                        "200")));
    }

    private TrialOrder order(String id, int seed, int epochs) {
        TrainConfig config =
                ConfigDraft.of(Presets.named(Presets.DEFAULT))
                        .setYaml("model.d_model", "16")
                        .setYaml("data.train.*.examples", "160")
                        .setYaml("data.validation.*.examples", "40")
                        .setYaml("data.test.*.examples", "40")
                        .setYaml("epochs", "" + epochs)
                        .setYaml("seed", "" + seed)
                        .toConfig();
        return new TrialOrder(id, id, config, "cpu", 1, sweep.resolve(id).toString());
    }
}
