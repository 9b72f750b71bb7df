package dev.panthera.e2e;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.panthera.UserException;
import dev.panthera.sweep.StoredTrial;
import dev.panthera.sweep.SweepStore;
import dev.panthera.sweep.TrialStatus;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Sweeps on a disk that is full, and on one that is read-only; only root may make such disks. */
@EnabledOnOs(OS.LINUX)
class SweepFolderTest {
    private static final String PROGRAM = "dev.panthera.cli.Panthera";

    private static final String GRID =
            """
            preset: default
            set: {data.**.length: 16, data.**.pairs: 2, data.**.vocab_size: 256, data.**.examples: 32, epochs: 2}
            over: {d_model: [128], lr: [1e-3, 1e-2]}
            """;

    @TempDir private Path scratch;

    private Path disk;
    private Path grid;

    @BeforeEach
    void mount() throws IOException, InterruptedException {
        disk = Files.createDirectory(scratch.resolve("disk"));
        grid = Files.writeString(scratch.resolve("grid.yaml"), GRID);
        assumeTrue(
                succeeds("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk.toString()),
                "a disk cannot be mounted: run the tests as root to see this one");
    }

    @AfterEach
    void unmount() throws IOException, InterruptedException {
        succeeds("umount", disk.toString());
    }

    /** A checkpoint of these trials takes 3 MB. */
    @Test
    void aFullDiskIsOneLineAndTheSameCommandGoesOnWhenThereIsSpace()
            throws IOException, InterruptedException {
        var full = sweep();
        assertThat(full.exitCode()).as(full.err()).isEqualTo(2);
        assertThat(full.err().lines())
                .singleElement()
                .asString()
                .startsWith("panthera: ")
                .contains("free space");
        assertThat(trials()).hasSize(2).allMatch(trial -> trial.status() == TrialStatus.WAITING);
        assertThat(succeeds("mount", "-o", "remount,size=64m", disk.toString())).isTrue();
        var again = sweep();
        assertThat(again.err()).isEmpty();
        assertThat(again.out()).contains("2 done, 0 failed");
    }

    @Test
    void aStoreWithoutSpaceIsOneLineAndKeepsWhatItHas() throws IOException, InterruptedException {
        try (var store = SweepStore.open(disk)) {
            store.put("first", "kept");
            byte[] rest = new byte[1 << 20];
            Path filler = disk.resolve("filler");
            assertThatThrownBy(() -> Files.write(filler, rest)).isInstanceOf(IOException.class);
            assertThatThrownBy(() -> store.put("second", "x".repeat(1 << 19)))
                    .isInstanceOf(UserException.class)
                    .hasMessageContaining("nothing that was stored is lost");
            assertThat(store.get("first")).contains("kept");
            Files.delete(filler);
            store.put("third", "fits");
        }
        try (var store = SweepStore.openForReading(disk)) {
            assertThat(store.get("first")).contains("kept");
            assertThat(store.get("second")).isEmpty();
            assertThat(store.get("third")).contains("fits");
        }
    }

    @Test
    void aFinishedSweepCanBeReadWhereNothingCanBeWritten()
            throws IOException, InterruptedException {
        assertThat(succeeds("mount", "-o", "remount,size=64m", disk.toString())).isTrue();
        assertThat(sweep().out()).contains("2 done");
        assertThat(succeeds("mount", "-o", "remount,ro", disk.toString())).isTrue();
        assertThat(trials()).hasSize(2).allMatch(trial -> trial.status() == TrialStatus.DONE);
        var refused = sweep();
        assertThat(refused.exitCode()).isEqualTo(2);
        assertThat(refused.err().lines())
                .singleElement()
                .asString()
                .contains("cannot be written here", "--out");
        assertThat(panthera("ls", disk.toString()).out()).contains("2 trials: 2 done");
    }

    private List<StoredTrial> trials() {
        try (var store = SweepStore.openForReading(disk)) {
            return store.trials();
        }
    }

    private ChildJvm.Outcome sweep() throws IOException, InterruptedException {
        return panthera("run", grid.toString(), "--out", disk.toString());
    }

    private ChildJvm.Outcome panthera(String... arguments)
            throws IOException, InterruptedException {
        return ChildJvm.of(scratch, PROGRAM, arguments).run();
    }

    private static boolean succeeds(String... command) throws IOException, InterruptedException {
        try {
            return new ProcessBuilder(command).redirectErrorStream(true).start().waitFor() == 0;
        } catch (IOException noSuchProgram) {
            return false;
        }
    }
}
