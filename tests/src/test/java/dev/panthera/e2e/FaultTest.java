package dev.panthera.e2e;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.panthera.io.SafetensorsFile;
import dev.panthera.train.Checkpoint;
import dev.panthera.train.DeviceChoice;
import dev.panthera.train.Evaluator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a run leaves behind when it is interrupted, killed, or cannot write. */
@EnabledOnOs({OS.LINUX, OS.MAC})
class FaultTest {
    private static final String PROGRAM = "dev.panthera.cli.Panthera";

    /** Enough for a run's log and configuration, but not for its checkpoint of about 300 KiB. */
    private static final int FILE_LIMIT_KIB = 128;

    private static final List<String> TINY =
            List.of(
                    "train",
                    "--length=16",
                    "--pairs=2",
                    "--vocab=512",
                    "--d-model=32",
                    "--train-examples=640",
                    "--threads=2");

    @TempDir private Path folder;

    @TempDir private Path scratch;

    /** SIGINT is what Ctrl-C sends, SIGTERM what a service manager does. */
    @ParameterizedTest
    @ValueSource(strings = {"INT", "TERM"})
    void aSignalLeavesACheckpointThatResumes(String signal)
            throws IOException, InterruptedException {
        Path run = folder.resolve("run");
        var training = train(run, "--epochs=100000");
        Process process = training.start();
        training.awaitText(process, "epoch 2");
        new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid())).start().waitFor();
        var outcome = training.await(process);
        assertThat(outcome.exitCode()).isEqualTo(signal.equals("INT") ? 130 : 143);
        assertThat(outcome.out()).contains("--resume " + run);
        assertThat(outcome.err()).isEmpty();
        assertLoadable(run);
        long steps = steps(run);
        var resumed = ChildJvm.of(scratch, PROGRAM, "train", "--resume=" + run);
        Process again = resumed.start();
        resumed.awaitText(again, "epoch");
        new ProcessBuilder("kill", "-INT", Long.toString(again.pid())).start().waitFor();
        assertThat(resumed.await(again).exitCode()).isEqualTo(130);
        assertThat(steps(run)).isGreaterThan(steps);
    }

    @Test
    void aFullDiskKeepsTheLastCheckpoint() throws IOException, InterruptedException {
        Path run = interruptedRun();
        byte[] before = Files.readAllBytes(run.resolve(Checkpoint.FILE));
        var outcome =
                ChildJvm.withFileLimit(FILE_LIMIT_KIB, scratch, PROGRAM, "train", "--resume=" + run)
                        .run();
        assertOneLine(outcome, "cannot write " + run.resolve(Checkpoint.FILE));
        assertThat(run.resolve(Checkpoint.FILE)).hasBinaryContent(before);
        assertThat(run).isDirectoryNotContaining("glob:**.tmp");
        assertLoadable(run);
    }

    @Test
    void aFileInPlaceOfTheFolderIsNamed() throws IOException, InterruptedException {
        Path file = Files.writeString(folder.resolve("file"), "x");
        assertOneLine(train(file.resolve("run"), "--epochs=1").run(), file.toString());
        assertThat(file).hasContent("x");
    }

    @Test
    void aReadOnlyFolderIsNamed() throws IOException, InterruptedException {
        Path locked = Files.createDirectory(folder.resolve("locked"));
        assertThat(locked.toFile().setWritable(false)).isTrue();
        assumeFalse(
                Files.isWritable(locked),
                "root may write everywhere: run the tests as another user to see this one");
        assertOneLine(train(locked.resolve("run"), "--epochs=1").run(), locked.toString());
    }

    @ParameterizedTest
    @ValueSource(strings = {"train --resume", "eval"})
    void aTruncatedCheckpointIsNamed(String command) throws IOException, InterruptedException {
        Path run = interruptedRun();
        Path file = run.resolve(Checkpoint.FILE);
        byte[] bytes = Files.readAllBytes(file);
        Files.write(file, Arrays.copyOf(bytes, bytes.length / 2));
        List<String> arguments = new ArrayList<>(List.of(command.split(" ")));
        arguments.add(run.toString());
        assertOneLine(
                ChildJvm.of(scratch, PROGRAM, arguments.toArray(String[]::new)).run(),
                file.toString());
        assertThat(file).hasBinaryContent(Arrays.copyOf(bytes, bytes.length / 2));
    }

    /** The delays only spread the kills over a write's phases; whichever phase is hit, the file must be a whole one. */
    @ParameterizedTest
    @ValueSource(ints = {0, 3, 7, 12, 18})
    void aKilledProcessLeavesAWholeCheckpoint(int milliseconds)
            throws IOException, InterruptedException {
        var loop = ChildJvm.of(scratch, "dev.panthera.train.CheckpointLoop", folder.toString());
        Process process = loop.start();
        loop.awaitText(process, "written");
        Thread.sleep(milliseconds);
        process.destroyForcibly();
        assertThat(loop.await(process).exitCode()).isEqualTo(137);
        var stored = SafetensorsFile.read(folder.resolve(Checkpoint.FILE));
        float number = Float.parseFloat(stored.metadata().get("steps"));
        assertThat(number).isPositive();
        stored.tensors()
                .forEach((name, tensor) -> {
                    float expected = name.startsWith("optimizer.") ? 0 : number;
                    for (float value : tensor.toFloats()) {
                        assertThat(value).isEqualTo(expected);
                    }
                });
        assertLoadable(folder);
    }

    private ChildJvm train(Path run, String... options) throws IOException {
        List<String> arguments = new ArrayList<>(TINY);
        arguments.add("--out=" + run);
        arguments.addAll(List.of(options));
        return ChildJvm.of(scratch, PROGRAM, arguments.toArray(String[]::new));
    }

    private Path interruptedRun() throws IOException, InterruptedException {
        Path run = folder.resolve("run");
        var training = train(run, "--epochs=100000");
        Process process = training.start();
        training.awaitText(process, "epoch");
        new ProcessBuilder("kill", "-INT", Long.toString(process.pid())).start().waitFor();
        assertThat(training.await(process).exitCode()).isEqualTo(130);
        return run;
    }

    private static void assertOneLine(ChildJvm.Outcome outcome, String saying) {
        assertThat(outcome.exitCode()).as(outcome.err()).isEqualTo(2);
        assertThat(outcome.err().lines())
                .singleElement()
                .asString()
                .startsWith("panthera: ")
                .contains(saying);
    }

    private static void assertLoadable(Path run) {
        var evaluation = Evaluator.evaluate(run, new DeviceChoice("cpu", 1), null);
        assertThat(evaluation.examples()).isPositive();
    }

    private static long steps(Path run) {
        return Long.parseLong(
                SafetensorsFile.read(run.resolve(Checkpoint.FILE)).metadata().get("steps"));
    }
}
