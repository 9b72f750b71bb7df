package dev.panthera.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import dev.panthera.mixer.Attention;
import dev.panthera.mixer.Layer;
import dev.panthera.mixer.Mixer;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.nn.Init;
import dev.panthera.train.Checkpoint;
import dev.panthera.train.EpochReport;
import dev.panthera.train.RunInfo;
import dev.panthera.train.StepReport;
import dev.panthera.train.TrainListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Trials that run in this process: their results, what becomes of those that fail, and stopping. */
class LocalEngineTest {

    @TempDir private Path folder;

    @TempDir private Path other;

    @ParameterizedTest
    @ValueSource(ints = {2, 4})
    void resultsDoNotDependOnHowManyTrialsRunAtOnce(int slots) {
        var counts = TinySweep.run(TinySweep.four(), folder, slots);
        TinySweep.run(TinySweep.four(), other, 1);
        assertThat(counts).containsEntry(TrialStatus.DONE, 4);
        assertThat(TinySweep.results(folder)).hasSize(4).isEqualTo(TinySweep.results(other));
    }

    @Test
    void whatIsStoredIsComplete() {
        TinySweep.run(TinySweep.one(), folder, 1);
        var trial = TinySweep.stored(folder).getFirst();
        assertThat(trial.epochs()).isEqualTo(2);
        assertThat(trial.attempts()).isEqualTo(1);
        assertThat(trial.parameters()).isPositive();
        assertThat(trial.stateBytes()).isEqualTo(2 * 16 * 8 * 4);
        assertThat(trial.seconds()).isPositive();
        assertThat(trial.tokensPerSecond()).isPositive();
        assertThat(trial.device()).startsWith("cpu:").endsWith("threads: 1");
        assertThat(trial.test().examples()).isEqualTo(32);
        assertThat(trial.test().slices()).containsKey("num_kv_pairs");
        assertThat(trial.message()).isNull();
        assertThat(trial.label()).contains("mixer=attention d_model=8".split(" "));
    }

    @Test
    void finishedTrialsLeaveNoCheckpointUnlessItIsKept() {
        TinySweep.run(TinySweep.one(), folder, 1);
        var plan = TinySweep.plan(TinySweep.one(), other);
        var keeping = new SweepRun.Plan(plan.all(), plan.selected(), other, false, true);
        TinySweep.run(keeping, 1, () -> false, SweepListener.SILENT);
        String id = plan.all().getFirst().id();
        assertThat(checkpoint(folder, id)).doesNotExist();
        assertThat(folder.resolve(SweepRun.TRIALS).resolve(id).resolve("metrics.jsonl")).exists();
        assertThat(checkpoint(other, id)).exists();
    }

    private static Path checkpoint(Path folder, String id) {
        return folder.resolve(SweepRun.TRIALS).resolve(id).resolve(Checkpoint.FILE);
    }

    @Test
    void aTrialThatDivergesKeepsMessageAndStackAndTheOthersGoOn() {
        var sweep = TinySweep.one().over(LearningRate.of(1e-3, 1e30, 1e-2));
        var counts = TinySweep.run(sweep, folder, 1);
        assertThat(counts).containsEntry(TrialStatus.DONE, 2).containsEntry(TrialStatus.FAILED, 1);
        var failed = TinySweep.stored(folder).get(1);
        assertThat(failed.status()).isEqualTo(TrialStatus.FAILED);
        assertThat(failed.message())
                .startsWith("step ")
                .endsWith("try a smaller --lr")
                .doesNotContain("\n");
        assertThat(failed.stack()).contains("\tat dev.panthera.train.");
        assertThat(failed.test()).isNull();
    }

    @Test
    void aTrialThatFindsNoMemoryFailsAndTheOthersGoOn() {
        var sweep =
                TinySweep.one()
                        .over(Layers.of(1, new Attention.Config(1)), Layers.of(1, new Hungry()));
        var counts = TinySweep.run(sweep, folder, 2);
        assertThat(counts).containsEntry(TrialStatus.DONE, 1).containsEntry(TrialStatus.FAILED, 1);
        assertThat(TinySweep.stored(folder).get(1).message())
                .startsWith("java.lang.OutOfMemoryError");
    }

    /** A mixer that does not fit into any Java heap. */
    record Hungry() implements MixerConfig {
        @Override
        public Mixer build(Layer layer, Init init) {
            throw new AssertionError(new long[Integer.MAX_VALUE].length);
        }
    }

    @Test
    void aTrialWhoseCheckpointIsDamagedFailsAndTheOthersGoOn() throws IOException {
        var plan = TinySweep.plan(TinySweep.four(), folder);
        Path damaged = checkpoint(folder, plan.all().getFirst().id());
        Files.createDirectories(damaged.getParent());
        Files.writeString(damaged, "half");
        var counts = TinySweep.run(plan, 1, () -> false, SweepListener.SILENT);
        assertThat(counts).containsEntry(TrialStatus.DONE, 3).containsEntry(TrialStatus.FAILED, 1);
        assertThat(TinySweep.stored(folder).getFirst().message()).contains(Checkpoint.FILE);
    }

    @Test
    void failedTrialsWaitUntilTheyAreToBeRetried() {
        var sweep = TinySweep.one().over(LearningRate.of(1e-3, 1e30));
        var plan = TinySweep.plan(sweep, folder);
        TinySweep.run(plan, 1, () -> false, SweepListener.SILENT);
        var taken = new Taken();
        TinySweep.run(plan, 1, () -> false, taken);
        assertThat(taken.ids).isEmpty();
        var retry = new SweepRun.Plan(plan.all(), plan.selected(), folder, true, false);
        TinySweep.run(retry, 1, () -> false, taken);
        assertThat(taken.ids).containsExactly(plan.all().get(1).id());
        assertThat(TinySweep.stored(folder).get(1).attempts()).isEqualTo(2);
        assertThat(TinySweep.stored(folder).get(1).message()).contains("try a smaller --lr");
    }

    /** Stops after each number of steps from the first on, so that every place of a trial is one. */
    @Test
    void aSweepThatIsStoppedAgainAndAgainComesToTheSameResults() {
        TinySweep.run(TinySweep.four(), other, 1);
        var plan = TinySweep.plan(TinySweep.four(), folder);
        int runs = 0;
        Map<TrialStatus, Integer> counts;
        do {
            var steps = new Taken();
            int most = 3 + runs % 4;
            counts = TinySweep.run(plan, 2, () -> steps.steps.get() >= most, steps);
            assertThat(counts).containsEntry(TrialStatus.RUNNING, 0);
            runs++;
        } while (counts.get(TrialStatus.WAITING) > 0 && runs < 40);
        assertThat(runs).isGreaterThan(4);
        assertThat(counts).containsEntry(TrialStatus.DONE, 4);
        assertThat(TinySweep.results(folder)).isEqualTo(TinySweep.results(other));
    }

    @Test
    void aStopLeavesTrialsWaitingWithACheckpoint() {
        var plan = TinySweep.plan(TinySweep.four(), folder);
        var steps = new Taken();
        var counts = TinySweep.run(plan, 1, () -> steps.steps.get() >= 6, steps);
        assertThat(counts).containsEntry(TrialStatus.WAITING, 4);
        var first = TinySweep.stored(folder).getFirst();
        assertThat(first.status()).isEqualTo(TrialStatus.WAITING);
        assertThat(first.epochs()).isEqualTo(1);
        assertThat(checkpoint(folder, first.id())).exists();
        var again = new Taken();
        TinySweep.run(plan, 1, () -> again.steps.get() >= 1, again);
        assertThat(again.resumedAfter).containsExactly(1);
    }

    @Test
    void aStopBeforeTheBeginningTakesNothing() {
        var taken = new Taken();
        var counts = TinySweep.run(TinySweep.plan(TinySweep.four(), folder), 2, () -> true, taken);
        assertThat(counts).containsEntry(TrialStatus.WAITING, 4);
        assertThat(taken.ids).isEmpty();
    }

    @Test
    void aFinishedSweepIsLeftAlone() throws IOException {
        TinySweep.run(TinySweep.four(), folder, 2);
        var before = TinySweep.stored(folder);
        var dates = dates(folder.resolve(SweepRun.TRIALS));
        var taken = new Taken();
        var counts = TinySweep.run(TinySweep.plan(TinySweep.four(), folder), 2, () -> false, taken);
        assertThat(counts).containsEntry(TrialStatus.DONE, 4);
        assertThat(taken.ids).isEmpty();
        assertThat(taken.left).isZero();
        assertThat(TinySweep.stored(folder)).isEqualTo(before);
        assertThat(dates(folder.resolve(SweepRun.TRIALS))).hasSizeGreaterThan(4).isEqualTo(dates);
    }

    @Test
    void onlySelectedTrialsAreRun() {
        var plan = TinySweep.plan(TinySweep.four(), folder);
        var part = new SweepRun.Plan(plan.all(), plan.all().subList(2, 3), folder, false, false);
        var counts = TinySweep.run(part, 2, () -> false, SweepListener.SILENT);
        assertThat(counts).containsEntry(TrialStatus.DONE, 1).containsEntry(TrialStatus.WAITING, 0);
        assertThat(TinySweep.stored(folder))
                .extracting(StoredTrial::status)
                .containsExactly(
                        TrialStatus.WAITING,
                        TrialStatus.WAITING,
                        TrialStatus.DONE,
                        TrialStatus.WAITING);
    }

    /** As when the store's disk is full for a moment while an epoch is noted. */
    @Test
    void troubleWithTheStoreFailsTheSweepAndNoTrial() {
        var full = new UserException("the disk is full");
        var queue =
                new OneTrial() {
                    @Override
                    public void epochEnded(String id, EpochReport report) {
                        throw full;
                    }
                };
        assertThatThrownBy(() -> TinySweep.engine(1).run(queue, () -> false)).isSameAs(full);
        assertThat(queue.outcomes).isEmpty();
    }

    @Test
    void aFolderThatCannotBeWrittenFailsTheSweepAndNoTrial() throws IOException {
        Files.createDirectories(folder);
        Files.createFile(folder.resolve(SweepRun.TRIALS));
        var plan = TinySweep.plan(TinySweep.four(), folder);
        assertThatThrownBy(() -> TinySweep.run(plan, 2, () -> false, SweepListener.SILENT))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("the folder cannot be made");
        assertThat(TinySweep.stored(folder))
                .allMatch(trial -> trial.status() == TrialStatus.WAITING);
        Files.delete(folder.resolve(SweepRun.TRIALS));
        assertThat(TinySweep.run(plan, 2, () -> false, SweepListener.SILENT))
                .containsEntry(TrialStatus.DONE, 4);
    }

    @Test
    void anErrorOfTheProgramItselfStopsTheOtherSlots() {
        var broken = new IllegalStateException("broken");
        var failing =
                new SweepListener() {
                    @Override
                    public void finished(Trial trial, TrialOutcome outcome, boolean ours) {
                        throw broken;
                    }
                };
        var plan = TinySweep.plan(TinySweep.four(), folder);
        assertThatThrownBy(() -> TinySweep.run(plan, 2, () -> false, failing)).isSameAs(broken);
        assertThat(TinySweep.stored(folder))
                .noneMatch(trial -> trial.status() == TrialStatus.RUNNING)
                .anyMatch(trial -> trial.status() == TrialStatus.WAITING);
    }

    @Test
    void ordersAndOutcomesTravelAsJson() {
        var config = TinySweep.one().grid().trials().getFirst().config();
        var order = new TrialOrder("id", "label", config, "cpu", 1, null);
        assertThat(TrialOrder.fromJson(order.toJson())).isEqualTo(order);
        assertThat(order.toJson()).doesNotContain("\n");
        var outcome = TrialRun.run(order, () -> false, TrainListener.SILENT);
        assertThat(TrialOutcome.fromJson(outcome.toJson())).isEqualTo(outcome);
        var failed = TrialOutcome.failed("id", new IllegalStateException("so\nwhat"));
        assertThat(failed.message()).isEqualTo("java.lang.IllegalStateException: so what");
        assertThat(TrialOutcome.fromJson(failed.toJson())).isEqualTo(failed);
    }

    private static Map<Path, FileTime> dates(Path folder) throws IOException {
        Map<Path, FileTime> dates = new TreeMap<>();
        try (var files = Files.walk(folder)) {
            for (Path file : files.collect(Collectors.toSet())) {
                dates.put(file, Files.getLastModifiedTime(file));
            }
        }
        return dates;
    }

    /** Counts what is done. */
    private static final class Taken implements SweepListener {
        private final Set<String> ids = new ConcurrentSkipListSet<>();
        private final Set<Integer> resumedAfter = new ConcurrentSkipListSet<>();
        private final AtomicInteger steps = new AtomicInteger();
        private volatile int left = -1;

        @Override
        public void left(int waiting, double work) {
            left = waiting;
        }

        @Override
        public void taken(Trial trial) {
            ids.add(trial.id());
        }

        @Override
        public void started(Trial trial, RunInfo info) {
            resumedAfter.add(info.history().size());
        }

        @Override
        public void stepped(Trial trial, StepReport report) {
            steps.incrementAndGet();
        }
    }

    /** A queue of one trial without a folder. */
    private static class OneTrial implements TrialQueue {
        private final AtomicInteger waiting = new AtomicInteger(1);
        final List<TrialOutcome> outcomes = new CopyOnWriteArrayList<>();

        @Override
        public Optional<TrialOrder> take() {
            Trial trial = TinySweep.one().grid().trials().getFirst();
            return waiting.getAndDecrement() > 0
                    ? Optional.of(
                            new TrialOrder(
                                    trial.id(), trial.label(), trial.config(), "cpu", 1, null))
                    : Optional.empty();
        }

        @Override
        public int waiting() {
            return waiting.get();
        }

        @Override
        public void started(String id, RunInfo info) {}

        @Override
        public void stepped(String id, StepReport report) {}

        @Override
        public void epochEnded(String id, EpochReport report) {}

        @Override
        public void finished(TrialOutcome outcome) {
            outcomes.add(outcome);
        }
    }
}
