package dev.panthera.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import dev.panthera.sweep.Engine;
import dev.panthera.sweep.EngineProviders;
import dev.panthera.sweep.EngineSetting;
import dev.panthera.sweep.TrialOrder;
import dev.panthera.sweep.TrialOutcome;
import dev.panthera.sweep.TrialRun;
import dev.panthera.sweep.TrialStatus;
import dev.panthera.train.Checkpoint;
import dev.panthera.train.EpochReport;
import dev.panthera.train.Evaluation;
import dev.panthera.train.RunInfo;
import dev.panthera.train.TrainListener;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Sweeps on a real cluster: a master and two workers of one core each, on this machine. */
class SparkClusterTest {
    /** Only against a test that would hang for ever. */
    private static final long LIMIT_SECONDS = 600;

    private static final Map<String, String> ONE_EXECUTOR =
            Map.of("shared-folder", "true", "conf.spark.cores.max", "1");

    @TempDir private static Path shared;
    private static Path experiment;
    private static StandaloneCluster cluster;

    @TempDir private Path folder;
    private ClassLoader before;

    @BeforeAll
    static void start() throws Exception {
        experiment = TestExperiment.compile(shared);
        cluster =
                new StandaloneCluster(
                        shared, Path.of(System.getProperty("panthera.spark.libraries")));
        cluster.startWorker();
        cluster.startWorker();
    }

    @AfterAll
    static void stop() {
        if (cluster != null) {
            cluster.close();
        }
    }

    @BeforeEach
    void seeTheExperiment() throws Exception {
        var thread = Thread.currentThread();
        before = thread.getContextClassLoader();
        thread.setContextClassLoader(
                new URLClassLoader(new URL[] {experiment.toUri().toURL()}, before));
    }

    @AfterEach
    void forgetTheExperiment() {
        Thread.currentThread().setContextClassLoader(before);
    }

    @Test
    void everyTrialEndsOnceAndAsOnThisMachineAlthoughAWorkerIsKilled() throws Exception {
        List<TrialOrder> orders = TestExperiment.orders(folder, 8, 4);
        var queue = new ListQueue(orders);
        try (var gate = new Gate()) {
            var sweep = run(engine(gate, Map.of("shared-folder", "true")), queue, false);
            cluster.killWorkerOf(gate.awaitFirst());
            gate.open();
            sweep.get(LIMIT_SECONDS, TimeUnit.SECONDS);
        } finally {
            cluster.startWorker();
        }
        assertThat(queue.outcomes)
                .extracting(TrialOutcome::id)
                .containsExactlyInAnyOrderElementsOf(orders.stream().map(TrialOrder::id).toList());
        for (TrialOrder order : orders) {
            assertThat(numbers(outcome(queue, order.id())))
                    .as(order.id())
                    .isEqualTo(numbers(here(order)));
            assertThat(queue.epochs.get(order.id())).containsOnlyKeys(1, 2, 3, 4);
        }
        assertThat(queue.starts.values().stream().flatMap(List::stream))
                .as("the lost trial went on from its checkpoint")
                .extracting(RunInfo::history)
                .anySatisfy(history -> assertThat(history).isNotEmpty());
    }

    @Test
    void aRequestToStopGivesRunningTrialsBackWithACheckpoint() throws Exception {
        var queue = new ListQueue(TestExperiment.orders(folder, 4, 100_000));
        var stop = new AtomicBoolean();
        try (var gate = new Gate()) {
            var sweep = run(engine(gate, ONE_EXECUTOR), queue, stop);
            gate.awaitFirst();
            gate.open();
            stop.set(true);
            sweep.get(LIMIT_SECONDS, TimeUnit.SECONDS);
        }
        assertThat(queue.taken).hasSize(1);
        assertThat(queue.outcomes)
                .extracting(TrialOutcome::id)
                .containsExactlyElementsOf(queue.taken);
        assertThat(queue.outcomes)
                .extracting(TrialOutcome::status)
                .containsOnly(TrialStatus.WAITING);
        assertThat(folder.resolve(queue.taken.getFirst()).resolve(Checkpoint.FILE))
                .isNotEmptyFile();
    }

    @Test
    void aTrialThatFailsOrKillsItsExecutorFailsAlone() throws Exception {
        var queue =
                new ListQueue(
                        List.of(
                                TestExperiment.order(folder, "first", 1, 1, "none"),
                                TestExperiment.order(folder, "throws", 2, 1, "exception"),
                                TestExperiment.order(folder, "halts", 3, 1, "halt"),
                                TestExperiment.order(folder, "last", 4, 1, "none")));
        Map<String, String> options =
                Map.of("conf.spark.cores.max", "1", "conf.spark.task.maxFailures", "2");
        run(engine(null, options), queue, false).get(LIMIT_SECONDS, TimeUnit.SECONDS);
        assertThat(queue.outcomes)
                .extracting(TrialOutcome::id)
                .containsExactly("first", "throws", "halts", "last");
        assertThat(queue.outcomes)
                .extracting(TrialOutcome::status)
                .containsExactly(
                        TrialStatus.DONE, TrialStatus.FAILED, TrialStatus.FAILED, TrialStatus.DONE);
        assertThat(outcome(queue, "throws").message()).contains("this trial is meant to fail");
        assertThat(outcome(queue, "throws").stack()).contains("Experiment$Staged$Config.build");
        assertThat(outcome(queue, "halts").message())
                .startsWith("the cluster lost the trial and gave it up: ")
                .contains("exited")
                .doesNotContain("\n");
        assertThat(folder.resolve("first")).as("the folder is not shared").doesNotExist();
    }

    @Test
    void aMasterThatIsNotThereIsSaidInOneLine() throws Exception {
        int free;
        try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            free = socket.getLocalPort();
        }
        var queue = new ListQueue(TestExperiment.orders(folder, 1, 1));
        Engine engine = engine(null, Map.of("master", "spark://127.0.0.1:" + free));
        assertThatThrownBy(() -> engine.run(queue, () -> false))
                .isInstanceOf(UserException.class)
                .hasMessageStartingWith(
                        "--master spark://127.0.0.1:%d: nobody answers there".formatted(free))
                .hasMessageNotContaining("\n");
        assertThat(queue.taken).isEmpty();
    }

    private Engine engine(Gate gate, Map<String, String> further) {
        Map<String, String> options = new HashMap<>();
        options.put("master", cluster.master());
        options.put("conf.spark.driver.host", "127.0.0.1");
        options.put("conf.spark.driver.bindAddress", "127.0.0.1");
        options.put("conf.spark.executor.memory", "512m");
        options.put(
                "conf.spark.executor.extraJavaOptions", "-XX:+UseSerialGC -XX:TieredStopAtLevel=1");
        if (gate != null) {
            options.put("conf.spark.executorEnv.PANTHERA_TEST_GATE", "" + gate.port());
        }
        options.putAll(further);
        return EngineProviders.named("spark").open(new EngineSetting(folder, experiment, options));
    }

    private static CompletableFuture<Void> run(Engine engine, ListQueue queue, boolean stop) {
        return run(engine, queue, new AtomicBoolean(stop));
    }

    private static CompletableFuture<Void> run(Engine engine, ListQueue queue, AtomicBoolean stop) {
        var done = new CompletableFuture<Void>();
        Thread.ofPlatform()
                .name("sweep")
                .start(() -> {
                    try {
                        engine.run(queue, stop::get);
                        done.complete(null);
                    } catch (RuntimeException | Error failure) {
                        done.completeExceptionally(failure);
                    }
                });
        return done;
    }

    private static TrialOutcome outcome(ListQueue queue, String id) {
        return queue.outcomes.stream().filter(o -> o.id().equals(id)).findFirst().orElseThrow();
    }

    private static TrialOutcome here(TrialOrder order) {
        var withoutFolder =
                new TrialOrder(order.id(), order.label(), order.config(), "cpu", 1, null);
        return TrialRun.run(withoutFolder, () -> false, TrainListener.SILENT);
    }

    /** All that must not depend on where a trial runs; records compare doubles by their bits. */
    private record Numbers(
            TrialStatus status,
            Evaluation test,
            List<Double> losses,
            List<Evaluation> evaluations,
            long parameters,
            long stateBytes) {}

    private static Numbers numbers(TrialOutcome outcome) {
        return new Numbers(
                outcome.status(),
                outcome.test(),
                outcome.epochs().stream().map(EpochReport::trainLoss).toList(),
                outcome.epochs().stream().map(EpochReport::deciding).toList(),
                outcome.parameters(),
                outcome.stateBytes());
    }
}
