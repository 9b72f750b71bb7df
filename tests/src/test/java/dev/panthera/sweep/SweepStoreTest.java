package dev.panthera.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.panthera.UserException;
import dev.panthera.e2e.ChildJvm;
import dev.panthera.train.EpochReport;
import dev.panthera.train.Evaluation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executors;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a store promises to those who work on a sweep at the same time, and what it says when it cannot work. */
class SweepStoreTest {
    private static final List<Trial> TRIALS = Claims.sweep().grid().trials();

    @TempDir private Path folder;

    @TempDir private Path scratch;

    private SweepStore open() {
        return open(folder);
    }

    private static SweepStore open(Path folder) {
        var store = SweepStore.open(folder);
        store.list(TRIALS);
        store.select(TRIALS.stream().map(Trial::id).toList());
        return store;
    }

    // -------------------------------------------------------------------------------------------
    // trials and results

    @Test
    void everyThreadGetsOtherTrials() throws InterruptedException {
        Queue<String> taken = new ConcurrentLinkedQueue<>();
        try (var store = open();
                var threads = Executors.newFixedThreadPool(8)) {
            for (int i = 0; i < 8; i++) {
                threads.submit(() -> {
                    for (var id = store.take(); id.isPresent(); id = store.take()) {
                        taken.add(id.get());
                        store.epochEnded(id.get(), TinySweep.epoch(1, 0.5));
                        store.finished(TinySweep.done(id.get(), 0.5));
                    }
                });
            }
        }
        assertThat(taken).containsExactlyInAnyOrderElementsOf(ids()).doesNotHaveDuplicates();
        assertThat(TinySweep.stored(folder)).allMatch(trial -> trial.status() == TrialStatus.DONE);
    }

    @Test
    void trialsAreTakenInTheirOrder() {
        try (var store = open()) {
            assertThat(store.take()).contains(TRIALS.get(0).id());
            assertThat(store.take()).contains(TRIALS.get(1).id());
            assertThat(store.waitingIds()).isEqualTo(ids().subList(2, TRIALS.size()));
        }
    }

    @Test
    void everyProcessGetsOtherTrials() throws IOException, InterruptedException {
        List<ChildJvm> children = new ArrayList<>();
        List<Process> processes = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            var child = ChildJvm.of(scratch, Claims.class.getName(), folder.toString(), "false");
            children.add(child);
            processes.add(child.start());
        }
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            children.get(i).awaitText(processes.get(i), "ready");
        }
        for (Process process : processes) {
            process.outputWriter().append("go\n").close();
        }
        for (int i = 0; i < 3; i++) {
            var outcome = children.get(i).await(processes.get(i));
            assertThat(outcome.err()).isEmpty();
            assertThat(outcome.exitCode()).isZero();
            lines.addAll(outcome.out().lines().filter(line -> line.startsWith("took")).toList());
            assertThat(outcome.out()).doesNotContain("lost");
        }
        assertThat(lines)
                .containsExactlyInAnyOrderElementsOf(
                        ids().stream().map(id -> "took " + id).toList());
        assertThat(TinySweep.stored(folder))
                .allSatisfy(trial -> {
                    assertThat(trial.status()).isEqualTo(TrialStatus.DONE);
                    assertThat(trial.attempts()).isEqualTo(1);
                });
    }

    @Test
    void anEpochNotedTwiceCountsTheSecondTime() {
        String id = TRIALS.getFirst().id();
        try (var store = open()) {
            store.take();
            store.epochEnded(id, TinySweep.epoch(1, 0.25));
            store.epochEnded(id, TinySweep.epoch(2, 0.5));
            store.epochEnded(id, TinySweep.epoch(2, 0.75));
            assertThat(store.epochs(id))
                    .containsExactly(TinySweep.epoch(1, 0.25), TinySweep.epoch(2, 0.75));
            assertThat(store.trialsLike(id).getFirst().validationAccuracy()).isEqualTo(0.75);
        }
    }

    @Test
    void aLossThatIsNoNumberIsKeptAsSuch() {
        String id = TRIALS.getFirst().id();
        var nothing = new Evaluation(Double.NaN, 0, 10, Map.of());
        var epochs =
                List.of(
                        new EpochReport(1, Double.NaN, 1e-3, nothing, 100, 1),
                        new EpochReport(2, Double.POSITIVE_INFINITY, 1e-3, nothing, 100, 1));
        try (var store = open()) {
            store.take();
            store.epochEnded(id, epochs.getFirst());
            var done = TinySweep.done(id, 0);
            var outcome =
                    new TrialOutcome(
                            id,
                            done.status(),
                            "cpu",
                            done.ending(),
                            nothing,
                            epochs,
                            1,
                            1,
                            1,
                            null,
                            null);
            assertThat(TrialOutcome.fromJson(outcome.toJson())).isEqualTo(outcome);
            assertThat(store.finished(outcome)).isTrue();
            assertThat(store.epochs(id)).isEqualTo(epochs);
            assertThat(store.trialsLike(id).getFirst().test()).isEqualTo(nothing);
        }
    }

    @Test
    void aTrialThatEndsTwiceKeepsItsFirstResult() {
        String id = TRIALS.getFirst().id();
        try (var store = open()) {
            store.take();
            assertThat(store.finished(TinySweep.done(id, 0.5))).isTrue();
            assertThat(store.finished(TinySweep.done(id, 0.75))).isFalse();
            assertThat(store.trialsLike(id).getFirst().test().accuracy()).isEqualTo(0.5);
            assertThat(store.epochs(id)).containsExactly(TinySweep.epoch(1, 0.5));
        }
    }

    @Test
    void anExtendedSweepKeepsWhatIsDoneAndDropsWhatNobodyHasBegun() {
        try (var store = open()) {
            store.take();
            store.finished(TinySweep.done(TRIALS.getFirst().id(), 0.5));
            store.take();
        }
        List<Trial> others = TinySweep.four().grid().trials();
        try (var store = SweepStore.open(folder)) {
            store.list(others);
            assertThat(store.trials())
                    .extracting(StoredTrial::id)
                    .contains(TRIALS.get(0).id(), TRIALS.get(1).id())
                    .doesNotContain(TRIALS.get(2).id())
                    .hasSize(2 + others.size());
        }
    }

    @Test
    void aSweepThatAnotherProcessWorksOnLosesNoTrial() {
        try (var first = open();
                var second = SweepStore.open(folder)) {
            second.list(TinySweep.four().grid().trials());
            assertThat(first.waitingIds()).isEqualTo(ids());
        }
    }

    // -------------------------------------------------------------------------------------------------- who owns what

    @Test
    void aProcessThatIsGoneFreesItsTrials() throws IOException, InterruptedException {
        var child = ChildJvm.of(scratch, Claims.class.getName(), folder.toString(), "true");
        Process process = child.start();
        process.outputWriter().append("go\n").flush();
        child.awaitText(process, "took");
        try (var store = open()) {
            assertThat(store.trials().getFirst().status()).isEqualTo(TrialStatus.RUNNING);
            process.destroyForcibly();
            process.waitFor();
            store.heartbeat();
            assertThat(store.trials().getFirst().status()).isEqualTo(TrialStatus.WAITING);
            assertThat(store.take()).contains(TRIALS.getFirst().id());
            assertThat(store.trials().getFirst().attempts()).isEqualTo(2);
        }
    }

    /** As one on a laptop that was asleep. */
    @Test
    void aProcessThatLivesKeepsItsTrialsHoweverLongItWasSilent()
            throws IOException, InterruptedException, SQLException {
        var child = ChildJvm.of(scratch, Claims.class.getName(), folder.toString(), "true");
        Process process = child.start();
        process.outputWriter().append("go\n").flush();
        child.awaitText(process, "took");
        sql("UPDATE owner SET heartbeat = 0");
        try (var store = open()) {
            store.heartbeat();
            assertThat(store.trials().getFirst().status()).isEqualTo(TrialStatus.RUNNING);
            process.outputWriter().append("go on\n").close();
            var outcome = child.await(process);
            assertThat(outcome.out()).doesNotContain("lost").contains("end");
            assertThat(store.trials().getFirst().status()).isEqualTo(TrialStatus.DONE);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aProcessThatCannotBeAskedMustHaveBeenHeardOf(boolean heard) throws SQLException {
        String id = TRIALS.getFirst().id();
        open().close();
        long heartbeat = heard ? System.currentTimeMillis() : System.currentTimeMillis() - 100_000;
        sql("INSERT INTO owner VALUES ('other', 'elsewhere', 1, 0, " + heartbeat + ")");
        sql("UPDATE trial SET status = 'RUNNING', owner = 'other' WHERE id = '" + id + "'");
        try (var store = open()) {
            assertThat(store.trialsLike(id).getFirst().status())
                    .isEqualTo(heard ? TrialStatus.RUNNING : TrialStatus.WAITING);
            assertThat(store.take().orElseThrow().equals(id)).isEqualTo(!heard);
        }
    }

    @Test
    void closingGivesTrialsBack() {
        try (var store = open()) {
            store.take();
        }
        assertThat(TinySweep.stored(folder).getFirst().status()).isEqualTo(TrialStatus.WAITING);
    }

    @Test
    void aResultThatComesAfterTheTrialWasGivenToAnotherIsNotNoted() {
        String id = TRIALS.getFirst().id();
        try (var late = open()) {
            late.take();
            try (var other = open()) {
                sqlQuietly("UPDATE trial SET owner = 'another' WHERE id = '" + id + "'");
                assertThat(late.finished(TinySweep.done(id, 0.5))).isFalse();
                assertThat(other.trialsLike(id).getFirst().status()).isEqualTo(TrialStatus.RUNNING);
            }
        }
    }

    // -------------------------------------------------------------------------------------------
    // stores that cannot be

    @Test
    void anotherVersionIsRefused() throws SQLException {
        open().close();
        sql("PRAGMA user_version = 7");
        assertRefused(this::open, "the store has version 7", "knows version 1");
        assertRefused(() -> SweepStore.openForReading(folder), "the store has version 7");
    }

    @Test
    void anotherProgramsDatabaseIsRefusedAndNotChanged() throws SQLException, IOException {
        sql("CREATE TABLE theirs (x INTEGER)");
        byte[] before = Files.readAllBytes(file());
        assertRefused(this::open, "another program's database", "--out");
        assertRefused(() -> SweepStore.openForReading(folder), "another program's database");
        assertThat(file()).hasBinaryContent(before);
    }

    @Test
    void aFileThatIsNoDatabaseIsRefusedAndNotChanged() throws IOException {
        byte[] garbage =
                "no database, but long enough to be read as the header of one"
                        .repeat(50)
                        .getBytes();
        Files.write(file(), garbage);
        assertRefused(this::open, "no sweep's store or is damaged");
        assertRefused(() -> SweepStore.openForReading(folder), "no sweep's store or is damaged");
        assertThat(file()).hasBinaryContent(garbage);
    }

    @Test
    void anEmptyFileAsAKilledProcessLeavesItBecomesAStore() throws IOException {
        Files.createFile(file());
        try (var store = open()) {
            assertThat(store.take()).isPresent();
        }
    }

    @Test
    void aFolderWithoutASweepIsNamed() {
        assertRefused(() -> SweepStore.openForReading(folder), folder.toString(), "no sweep here");
    }

    @Test
    void aFileInPlaceOfTheFolderIsNamed() throws IOException {
        Path place = Files.createFile(folder.resolve("file"));
        assertRefused(() -> SweepStore.open(place), place.toString(), "cannot be made");
    }

    @ParameterizedTest
    @ValueSource(strings = {"nfs4", "CIFS", "fuse.sshfs", "lustre"})
    void aNetworkDiskIsRefused(String type) {
        assertRefused(
                () -> StoreFile.refuseRemote(folder, type),
                "network disk (" + type + ")",
                "local disk");
    }

    @ParameterizedTest
    @ValueSource(strings = {"ext4", "xfs", "tmpfs", "overlay", "apfs", ""})
    void aLocalDiskIsNotRefused(String type) {
        StoreFile.refuseRemote(folder, type);
        assertThat(StoreFile.NAME).isEqualTo("sweep.db");
    }

    @ParameterizedTest
    @ValueSource(strings = {"what?", "a b", "50 %41", "file:x", "ä#&=;'"})
    void aFolderMayHaveAnyName(String name) {
        Path odd = folder.resolve(name);
        open(odd).close();
        assertThat(odd.resolve(StoreFile.NAME)).isNotEmptyFile();
        assertThat(TinySweep.stored(odd)).hasSize(TRIALS.size());
    }

    @Test
    void aFolderThatMayNotBeWrittenIsNamed() throws IOException {
        Path locked = Files.createDirectory(folder.resolve("locked"));
        assertThat(locked.toFile().setWritable(false)).isTrue();
        assumeFalse(
                Files.isWritable(locked),
                "root may write everywhere: run the tests as another user to see this one");
        assertRefused(() -> SweepStore.open(locked), locked.toString(), "cannot be written here");
    }

    private List<String> ids() {
        return TRIALS.stream().map(Trial::id).toList();
    }

    private Path file() {
        return folder.resolve(StoreFile.NAME);
    }

    private void sql(String statement) throws SQLException {
        try (var connection = DriverManager.getConnection("jdbc:sqlite:" + file());
                var execution = connection.createStatement()) {
            execution.executeUpdate(statement);
        }
    }

    private void sqlQuietly(String statement) {
        try {
            sql(statement);
        } catch (SQLException failure) {
            throw new AssertionError(failure);
        }
    }

    private static void assertRefused(ThrowingCallable action, String... parts) {
        assertThatThrownBy(action)
                .isInstanceOf(UserException.class)
                .message()
                .doesNotContain("\n")
                .contains(parts);
    }
}
