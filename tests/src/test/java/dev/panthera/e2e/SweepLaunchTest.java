package dev.panthera.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.sweep.StoredTrial;
import dev.panthera.sweep.SweepStore;
import dev.panthera.sweep.TrialStatus;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Experiments that are started in each of the ways that the documentation names, and stopped. */
class SweepLaunchTest {
    private static final String PROGRAM = "dev.panthera.cli.Panthera";

    private static final String TINY =
            """
            Sweep.named("tiny").from(Presets.named("default"))
                    .over(Mqar.of(16, 2).withVocabSize(64)).examples(64, 32).batch(16).over(Width.of(8))
                    .over(LearningRate.of(1e-3, 1e-2)).epochs(1)
            """;

    private static final String OWN_MIXER =
            """
            import module dev.panthera;

            record Mine() implements Mixer {
                record Config(int width) implements MixerConfig {
                    @Override public Mixer build(Layer layer, Init init) { return new Mine(); }
                }
                @Override public Tensor forward(Tape tape, Tensor x) { return x; }
                @Override public long stateSize(int length) { return 7; }
            }

            void main(String... args) {
                SWEEP.over(Layers.of(1, new Mine.Config(3))).run(args);
            }
            """
                    .replace("SWEEP", TINY.strip());

    @TempDir private Path folder;

    @TempDir private Path scratch;

    @Test
    void javaStartsASourceFileOnTheModulePath() throws IOException, InterruptedException {
        Path file = Files.writeString(folder.resolve("X.java"), OWN_MIXER);
        var outcome =
                ChildJvm.withOptions(
                                scratch,
                                List.of(
                                        "-p",
                                        ModulePathTest.modulePath(),
                                        "--add-modules=dev.panthera",
                                        "--enable-native-access=dev.panthera.kernels,org.xerial.sqlitejdbc",
                                        "--illegal-native-access=deny",
                                        file.toString(),
                                        "--out",
                                        out()))
                        .run();
        assertThat(outcome.out()).contains("2 done, 0 failed");
        assertThat(outcome.exitCode()).as(outcome.err()).isZero();
    }

    /** A trial is the same however its experiment was compiled. */
    @Test
    void theProgramRunsItOnTheModulePathAndFindsWhatJavaHasDone()
            throws IOException, InterruptedException {
        javaStartsASourceFileOnTheModulePath();
        var outcome =
                ChildJvm.withOptions(
                                scratch,
                                List.of(
                                        "-p",
                                        ModulePathTest.modulePath(),
                                        "--enable-native-access=dev.panthera.kernels,org.xerial.sqlitejdbc",
                                        "--illegal-native-access=deny",
                                        "-m",
                                        "dev.panthera/" + PROGRAM,
                                        "run",
                                        folder.resolve("X.java").toString(),
                                        "--out",
                                        out()))
                        .run();
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.out()).contains("2 of them have ended before", "2 done, 0 failed");
    }

    @Test
    void aJavaThatForbidsNativeAccessIsToldWhatToAllow() throws IOException, InterruptedException {
        Path file = Files.writeString(folder.resolve("X.java"), OWN_MIXER);
        var outcome =
                ChildJvm.withOptions(
                                scratch,
                                List.of(
                                        "-p",
                                        ModulePathTest.modulePath(),
                                        "--add-modules=dev.panthera",
                                        "--enable-native-access=dev.panthera.kernels",
                                        "--illegal-native-access=deny",
                                        file.toString(),
                                        "--out",
                                        out()))
                        .run();
        assertThat(outcome.exitCode()).isEqualTo(2);
        assertThat(outcome.err().lines())
                .singleElement()
                .asString()
                .contains("--enable-native-access=org.xerial.sqlitejdbc");
    }

    @Test
    void jshellRunsASweep() throws IOException, InterruptedException {
        Path script =
                Files.writeString(
                        folder.resolve("sweep.jsh"),
                        """
                        import dev.panthera.sweep.*;
                        import dev.panthera.task.Mqar;
                        import dev.panthera.train.Presets;
                        Sweep sweep = %s;
                        sweep.run("--out", "%s", "--slots=1");
                        /exit
                        """
                                .formatted(TINY.replaceAll("\\s*\\R\\s*", ""), out()));
        Path log = scratch.resolve("jshell.txt");
        Process shell =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "jshell")
                                        .toString(),
                                "--class-path",
                                existingClassPath(),
                                "-R--enable-native-access=ALL-UNNAMED",
                                "-R-Dpanthera.library.path="
                                        + System.getProperty("panthera.library.path"),
                                script.toString())
                        .redirectErrorStream(true)
                        .redirectOutput(log.toFile())
                        .start();
        shell.outputWriter().close();
        if (!shell.waitFor(3, TimeUnit.MINUTES)) {
            shell.destroyForcibly();
        }
        assertThat(log).content().contains("2 done, 0 failed");
    }

    /** JShell refuses a folder that is not there, such as that of the main classes of a module that has tests alone. */
    private static String existingClassPath() {
        return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(entry -> Files.exists(Path.of(entry)))
                .collect(Collectors.joining(File.pathSeparator));
    }

    /** SIGINT is what Ctrl-C sends. */
    @ParameterizedTest
    @ValueSource(strings = {"INT", "TERM"})
    @EnabledOnOs({OS.LINUX, OS.MAC})
    void aSignalStopsASweepThatTheSameCommandFinishes(String signal)
            throws IOException, InterruptedException {
        Path file =
                Files.writeString(
                        folder.resolve("X.java"),
                        "import module dev.panthera;\nvoid main(String... args) { "
                                + TINY
                                + ".examples(4000, 32).epochs(20).stopAbove(1).run(args); }");
        String[] command = {"run", file.toString(), "--out", out(), "--slots=1"};
        var running = ChildJvm.of(scratch, PROGRAM, command);
        Process process = running.start();
        running.awaitText(process, "2 trials");
        awaitEpoch(process);
        new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid())).start().waitFor();
        var outcome = running.await(process);
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.exitCode()).isEqualTo(signal.equals("INT") ? 130 : 143);
        assertThat(outcome.out())
                .contains("interrupted: 0 done, 0 failed, 2 left; the same command goes on")
                .doesNotContain("\033");
        assertThat(trials()).allMatch(trial -> trial.status() == TrialStatus.WAITING);
        assertThat(trials().getFirst().epochs()).isPositive();
        var again = ChildJvm.of(scratch, PROGRAM, command).run();
        assertThat(again.err()).isEmpty();
        assertThat(again.exitCode()).isZero();
        assertThat(again.out()).contains("2 done, 0 failed");
        assertThat(trials()).extracting(StoredTrial::attempts).containsExactly(2, 1);
    }

    /** Polls the store as a user would with panthera ls. */
    private void awaitEpoch(Process process) throws InterruptedException {
        while (trials().isEmpty() || trials().getFirst().epochs() == 0) {
            assertThat(process.isAlive()).isTrue();
            Thread.sleep(20);
        }
    }

    private List<StoredTrial> trials() {
        try (var store = SweepStore.openForReading(Path.of(out()))) {
            return store.trials();
        }
    }

    private String out() {
        return folder.resolve("out").toString();
    }
}
