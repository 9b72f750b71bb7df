package dev.panthera.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import dev.panthera.mixer.Attention;
import dev.panthera.mixer.Hybrid;
import dev.panthera.mixer.Layer;
import dev.panthera.mixer.Mixer;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.Mixers;
import dev.panthera.mixer.Mlp;
import dev.panthera.mixer.StateMixer;
import dev.panthera.mixer.StateMixerConfig;
import dev.panthera.nn.Init;
import dev.panthera.task.DataSegment;
import dev.panthera.task.Mqar;
import dev.panthera.task.RowGenerator;
import dev.panthera.task.RowStream;
import dev.panthera.task.TaskConfig;
import dev.panthera.task.Tasks;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every mixer and task goes to text and comes back, an experiment's own too. */
class ConfigKindsTest {
    @TempDir private Path folder;

    /** Attention under a name of the test's own, with every kind of option. */
    record OwnMixer(int heads, double dropout, List<Integer> taps, Map<String, Integer> more)
            implements MixerConfig {
        @Override
        public Mixer build(Layer layer, Init init) {
            return new Attention.Config(heads, dropout, true).build(layer, init);
        }
    }

    record OwnStateMixer(Mlp.Config inner) implements StateMixerConfig {
        @Override
        public StateMixer build(Layer layer, Init init) {
            return inner.build(layer, init);
        }
    }

    /** A task around a task, with one option that it lacks. */
    record OwnTask(TaskConfig inner, boolean spaced) implements TaskConfig {
        @Override
        public String name() {
            return "own";
        }

        @Override
        public int vocabSize() {
            return inner.vocabSize();
        }

        @Override
        public int length() {
            return inner.length();
        }

        @Override
        public int labelsPerRow() {
            return inner.labelsPerRow();
        }

        @Override
        public Map<String, Integer> slices() {
            return inner.slices();
        }

        @Override
        public RowGenerator generator(RowStream stream) {
            return inner.generator(stream);
        }

        @Override
        public Optional<String> verify(int[] inputs, int[] labels) {
            return inner.verify(inputs, labels);
        }
    }

    static List<String> mixers() {
        return Mixers.SEQUENCE.names();
    }

    static List<String> stateMixers() {
        return Mixers.STATE.names();
    }

    static List<String> tasks() {
        return Tasks.ALL.names();
    }

    @ParameterizedTest
    @MethodSource("mixers")
    void everyListedMixerComesBack(String name) {
        var mixer = Mixers.SEQUENCE.named(name);
        assertComesBack(with(mixer, new Mlp.Config(2)), "\"name\" : \"" + name + "\"");
        assertComesBack(
                with(Hybrid.Config.of(mixer, new Attention.Config(2)), new Mlp.Config(2)), name);
        var byName = TinyRuns.config("model.mixer=" + name).model().mixer();
        assertThat(byName.getClass()).isEqualTo(mixer.getClass());
    }

    @ParameterizedTest
    @MethodSource("stateMixers")
    void everyListedStateMixerComesBack(String name) {
        var mixer = Mixers.STATE.named(name);
        assertComesBack(with(new Attention.Config(2), mixer), "\"name\" : \"" + name + "\"");
        assertThat(
                        TinyRuns.config("model.state_mixer=identity", "model.state_mixer=" + name)
                                .model()
                                .stateMixer())
                .isEqualTo(name.equals("identity") ? Mixers.STATE.named("identity") : mixer);
    }

    @ParameterizedTest
    @MethodSource("tasks")
    void everyListedTaskComesBack(String name) {
        var config = with(Tasks.ALL.named(name));
        assertComesBack(config, "\"name\" : \"" + name + "\"");
    }

    @Test
    void anExperimentsMixersAndTasksComeBackByTheNamesOfTheirClasses() {
        var mixer = new OwnMixer(2, 0.25, List.of(3, -1), Map.of("depth", 4));
        var config = with(Hybrid.Config.of(mixer, mixer), new OwnStateMixer(new Mlp.Config(3)));
        assertComesBack(config, OwnMixer.class.getName());
        assertComesBack(config, OwnStateMixer.class.getName());
        var data = with(new OwnTask(Mqar.of(16, 2).withVocabSize(64), true));
        assertComesBack(data, OwnTask.class.getName());
    }

    @Test
    void aRunOfAnExperimentsMixerIsResumedAndEvaluated() {
        var mixer = new OwnMixer(2, 0.1, List.of(), Map.of());
        var config = with(mixer, new OwnStateMixer(new Mlp.Config(2)));
        TinyRuns.runUntil(7, config, folder);
        assertThat(Checkpoint.readConfig(Checkpoint.locate(folder))).isEqualTo(config);
        var result = TinyRuns.resume(folder);
        assertThat(result.ending()).isEqualTo(TrainResult.Ending.ALL_EPOCHS);
        assertThat(Evaluator.evaluate(folder, new DeviceChoice("cpu", 1), null))
                .isEqualTo(result.test());
    }

    /** A class that only the context class loader knows, as where an experiment is loaded by a program of its own. */
    @Test
    void classesAreFoundThroughTheContextClassLoader() throws IOException {
        String json =
                ConfigFile.toJson(TinyRuns.config())
                        .replace("\"name\" : \"attention\"", "\"name\" : \"experiment.Echo\"")
                        .replace("\"heads\"", "\"echoes\"");
        assertThatThrownBy(() -> ConfigFile.fromJson(json))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("--mixer experiment.Echo: there is no such mixer");
        Thread thread = Thread.currentThread();
        ClassLoader before = thread.getContextClassLoader();
        try (var loader = new URLClassLoader(new URL[] {compiled().toUri().toURL()}, before)) {
            thread.setContextClassLoader(loader);
            var config = ConfigFile.fromJson(json);
            assertThat(config.model().mixer())
                    .hasToString("Echo[echoes=2, dropout=0.1, bias=true, rotary=false]");
            assertThat(config.model().mixerLabel()).isEqualTo("echo");
            assertThat(ConfigFile.toJson(config)).isEqualTo(json);
        } finally {
            thread.setContextClassLoader(before);
        }
    }

    private Path compiled() throws IOException {
        Path source =
                Files.writeString(
                        folder.resolve("Echo.java"),
                        """
                        package experiment;

                        import dev.panthera.mixer.*;
                        import dev.panthera.nn.Init;

                        public record Echo(int echoes, double dropout, boolean bias, boolean rotary) implements MixerConfig {
                            public Mixer build(Layer layer, Init init) {
                                return new Attention.Config(echoes).build(layer, init);
                            }
                        }
                        """);
        int code =
                ToolProvider.getSystemJavaCompiler()
                        .run(
                                null,
                                null,
                                null,
                                "-proc:none",
                                "-cp",
                                System.getProperty("java.class.path"),
                                "-d",
                                folder.toString(),
                                source.toString());
        assertThat(code).isZero();
        return folder;
    }

    private static void assertComesBack(TrainConfig config, String saying) {
        String json = ConfigFile.toJson(config);
        assertThat(json).contains(saying);
        assertThat(ConfigFile.fromJson(json)).isEqualTo(config);
        assertThat(ConfigFile.fromJson(ConfigFile.toJsonLine(config), TrainConfig.class))
                .isEqualTo(config);
        assertThat(ConfigFile.toJsonLine(config)).doesNotContain("\n");
        assertThat(ConfigDraft.of(config).toConfig()).isEqualTo(config);
    }

    private static TrainConfig with(MixerConfig mixer, StateMixerConfig stateMixer) {
        return ConfigDraft.of(TinyRuns.config())
                .set("model.mixer", mixer)
                .set("model.state_mixer", stateMixer)
                .toConfig();
    }

    private static TrainConfig with(TaskConfig task) {
        var config = TinyRuns.config();
        var segments = List.of(new DataSegment(task, 8));
        var data = config.data();
        return new TrainConfig(
                config.model(),
                new DataOptions(segments, segments, segments, 4, 4, data.order(), data.seed()),
                config.loss(),
                config.epochs(),
                config.learningRate(),
                config.weightDecay(),
                config.stopAbove(),
                config.protocol(),
                config.seed());
    }
}
