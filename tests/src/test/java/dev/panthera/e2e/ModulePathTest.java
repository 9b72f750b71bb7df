package dev.panthera.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.cli.Panthera;
import dev.panthera.kernels.Device;
import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.snakeyaml.engine.v2.api.Load;
import tools.jackson.core.JsonParser;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.dataformat.yaml.YAMLMapper;

/** The program as a module, with native access for the kernels alone. */
class ModulePathTest {

    @TempDir private Path folder;

    @Test
    void printsItsVersionWithoutAWarning() throws IOException, InterruptedException {
        var outcome = run("--version");
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.exitCode()).isZero();
        assertThat(outcome.out()).startsWith("panthera ").hasLineCount(1);
    }

    /** Options, configuration files, model parameters and metrics all go through reflection. */
    @Test
    void trainsWithoutAWarning() throws IOException, InterruptedException {
        Path run = folder.resolve("run");
        var outcome =
                run(
                        "train",
                        "--length=16",
                        "--pairs=2",
                        "--vocab=64",
                        "--d-model=16",
                        "--train-examples=64",
                        "--test-examples=16",
                        "--epochs=1",
                        "--model.state_mixer=glu",
                        "--out=" + run);
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.exitCode()).isZero();
        assertThat(run.resolve("checkpoint.safetensors")).isNotEmptyFile();
    }

    @Test
    void theFirstExperimentRuns() throws IOException, InterruptedException {
        Path experiment =
                Path.of("..", "experiments", "FirstRun.java").toAbsolutePath().normalize();
        var outcome = runExperiment(experiment);
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.out()).matches("accuracy (0\\.99\\d*|1\\.0) after \\d+ epochs\\s*");
    }

    /** Its mixer has no public class, no module, and no name but that of its class. */
    @Test
    void anExperimentsMixerGoesToTextAndComesBack() throws IOException, InterruptedException {
        Path experiment =
                Files.writeString(
                        folder.resolve("Experiment.java"),
                        """
                        import module dev.panthera;

                        record MyMixer(int heads) implements MixerConfig {
                            public Mixer build(Layer layer, Init init) {
                                return new Attention.Config(heads).build(layer, init);
                            }
                        }

                        void main() {
                            var config =
                                    ConfigDraft.of(Presets.named("default"))
                                            .set("model.mixer", new MyMixer(2))
                                            .toConfig();
                            var read = ConfigFile.fromJson(ConfigFile.toJson(config));
                            IO.println(read.equals(config) + " " + read.model().mixerLabel());
                        }
                        """);
        var outcome = runExperiment(experiment);
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.out()).isEqualToIgnoringNewLines("true my-mixer");
    }

    private ChildJvm.Outcome runExperiment(Path source) throws IOException, InterruptedException {
        return ChildJvm.withOptions(
                        folder,
                        List.of(
                                "-p",
                                modulePath(),
                                "--add-modules=dev.panthera",
                                "--enable-native-access=dev.panthera.kernels",
                                "--illegal-native-access=deny",
                                source.toString()))
                .run();
    }

    private ChildJvm.Outcome run(String... arguments) throws IOException, InterruptedException {
        List<String> options =
                new ArrayList<>(
                        List.of(
                                "-p",
                                modulePath(),
                                "--enable-native-access=dev.panthera.kernels",
                                "--illegal-native-access=deny",
                                "-m",
                                "dev.panthera/dev.panthera.cli.Panthera"));
        options.addAll(List.of(arguments));
        return ChildJvm.withOptions(folder, options).run();
    }

    static String modulePath() {
        return Stream.of(
                        Panthera.class,
                        Device.class,
                        picocli.CommandLine.class,
                        org.sqlite.JDBC.class,
                        JsonParser.class,
                        JsonMapper.class,
                        YAMLMapper.class,
                        Load.class,
                        com.fasterxml.jackson.annotation.JsonProperty.class,
                        com.github.weisj.jsvg.SVGDocument.class,
                        org.graalvm.polyglot.Context.class,
                        org.graalvm.collections.EconomicMap.class,
                        org.graalvm.nativeimage.ImageInfo.class,
                        org.graalvm.word.WordBase.class)
                .map(ModulePathTest::location)
                .distinct()
                .collect(Collectors.joining(File.pathSeparator));
    }

    private static String location(Class<?> type) {
        try {
            return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI())
                    .toString();
        } catch (URISyntaxException impossible) {
            throw new AssertionError(impossible);
        }
    }
}
