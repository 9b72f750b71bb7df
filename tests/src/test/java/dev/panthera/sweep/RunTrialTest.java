package dev.panthera.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import dev.panthera.train.Checkpoint;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.EpochReport;
import dev.panthera.train.Presets;
import dev.panthera.train.TrainListener;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One trial from a sweep's folder, as a job runs it. */
class RunTrialTest {
    /** A compact source file with a mixer of its own. */
    private static final String EXPERIMENT =
            """
            import dev.panthera.mixer.*;
            import dev.panthera.nn.*;
            import dev.panthera.tensor.*;

            record Doubled() implements Mixer {
                record Config() implements MixerConfig {
                    public Doubled build(Layer layer, Init init) {
                        return new Doubled();
                    }
                }

                public Tensor forward(Tape tape, Tensor x) {
                    return x;
                }

                public long stateSize(int length) {
                    return 0;
                }
            }

            void main() {}
            """;

    @TempDir private Path folder;

    @Test
    void anInterruptedTrialGoesOnFromItsCheckpointToTheSameOutcome() {
        TrialOrder order = order("t", 3);
        TrialFolder files = write(order);
        var steps = new AtomicInteger();
        TrialOutcome interrupted = RunTrial.run(folder, 0, () -> steps.incrementAndGet() > 15);
        assertThat(interrupted.status()).isEqualTo(TrialStatus.WAITING);
        assertThat(folder.resolve("t").resolve(Checkpoint.FILE)).isNotEmptyFile();
        TrialOutcome resumed = RunTrial.run(folder, 0, () -> false);
        TrialOutcome straight =
                TrialRun.run(
                        new TrialOrder("t", "t", order.config(), "cpu", 1, null),
                        () -> false,
                        TrainListener.SILENT);
        assertThat(files.outcome("t")).contains(resumed);
        assertThat(resumed.test()).isEqualTo(straight.test());
        assertThat(losses(resumed)).isEqualTo(losses(straight));
        assertThat(files.progress("t").getFirst().info()).isNotNull();
        assertThat(files.progress("t")).filteredOn(line -> line.epoch() != null).hasSize(2);
    }

    private static List<Double> losses(TrialOutcome outcome) {
        return outcome.epochs().stream().map(EpochReport::trainLoss).toList();
    }

    @Test
    void aTrialThatIsDoneIsNotRunAgain() {
        write(order("t", 1));
        TrialOutcome first = RunTrial.run(folder, 0, () -> false);
        TrialOutcome second =
                RunTrial.run(
                        folder,
                        0,
                        () -> {
                            throw new AssertionError("a step of a trial that is done");
                        });
        assertThat(second).isEqualTo(first);
    }

    @Test
    void anOrderThatIsMissingIsSaidInOneLine() {
        write(order("t", 1));
        assertThatThrownBy(() -> RunTrial.run(folder, 7, () -> false))
                .isInstanceOf(UserException.class)
                .hasMessage(
                        "--index 7: %s is missing; give the folder of a sweep and an index that has an order in it",
                        folder.resolve("orders").resolve("7.json"));
    }

    @Test
    void theMixersOfAnExperimentComeFromItsJar() throws IOException {
        Path jar = compileExperiment();
        var thread = Thread.currentThread();
        ClassLoader before = thread.getContextClassLoader();
        try (var loader = new URLClassLoader(new URL[] {jar.toUri().toURL()}, before)) {
            thread.setContextClassLoader(loader);
            write(order("t", 1, "model.mixer={name: Experiment$Doubled$Config}"));
        } finally {
            thread.setContextClassLoader(before);
        }
        TrialOutcome outcome = RunTrial.run(folder, 0, () -> false);
        assertThat(outcome.message()).isNull();
        assertThat(outcome.status()).isEqualTo(TrialStatus.DONE);
        assertThat(thread.getContextClassLoader()).isSameAs(before);
    }

    private TrialFolder write(TrialOrder order) {
        var files = new TrialFolder(folder);
        files.prepare(null);
        files.write(0, order);
        return files;
    }

    private TrialOrder order(String id, int epochs, String... settings) {
        var draft =
                ConfigDraft.of(Presets.named(Presets.DEFAULT))
                        .setYaml("model.d_model", "16")
                        .setYaml("data.batch", "16")
                        .setYaml("data.train.*.examples", "160")
                        .setYaml("data.validation.*.examples", "40")
                        .setYaml("data.test.*.examples", "40")
                        .setYaml("epochs", "" + epochs);
        for (String setting : settings) {
            String[] keyAndValue = setting.split("=", 2);
            draft.setYaml(keyAndValue[0], keyAndValue[1]);
        }
        return new TrialOrder(id, id, draft.toConfig(), "cpu", 1, folder.resolve(id).toString());
    }

    private Path compileExperiment() throws IOException {
        Path source = Files.writeString(folder.resolve("Experiment.java"), EXPERIMENT);
        Path classes = Files.createDirectory(folder.resolve("classes"));
        int status =
                ToolProvider.getSystemJavaCompiler()
                        .run(
                                null,
                                null,
                                null,
                                "-cp",
                                System.getProperty("java.class.path"),
                                "-d",
                                classes.toString(),
                                source.toString());
        assertThat(status).as("status of the compiler").isZero();
        Path jar = folder.resolve("experiment.jar");
        try (var out = new JarOutputStream(Files.newOutputStream(jar));
                Stream<Path> files = Files.walk(classes)) {
            for (Path file : (Iterable<Path>) files.filter(Files::isRegularFile)::iterator) {
                out.putNextEntry(new JarEntry(classes.relativize(file).toString()));
                Files.copy(file, out);
            }
        }
        return jar;
    }
}
