package dev.panthera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.mixer.Attention;
import dev.panthera.task.DataSegment;
import dev.panthera.task.Filler;
import dev.panthera.task.Mqar;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.ConfigFile;
import dev.panthera.train.Presets;
import dev.panthera.train.TrainConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A configuration as text, and what is laid over it. */
class ConfigLayersTest {

    @TempDir Path folder;

    static List<String> presets() {
        return Presets.names();
    }

    @ParameterizedTest
    @MethodSource("presets")
    void textAndConfigurationAreTheSame(String preset) {
        TrainConfig config = Presets.named(preset);
        String json = ConfigFile.toJson(config);
        assertThat(ConfigFile.fromJson(json)).isEqualTo(config);
        assertThat(json)
                .contains("\"d_model\"", "\"power_a\"", "\"validation\"")
                .doesNotContain("dModel", "VALIDATION");
    }

    @Test
    void aFileSaysOnlyWhatDiffers() throws IOException {
        Path file =
                Files.writeString(
                        folder.resolve("wide.yaml"),
                        """
                        learning_rate: 1e-4
                        model:
                          d_model: 96
                        data:
                          test:
                            - {task: {length: 32, pairs: 2, filler: random}, examples: 10}
                            - {task: {pairs: 2}, examples: 20}
                        """);
        var base = Presets.named(Presets.DEFAULT);
        var config = ConfigDraft.of(base).merge(file).toConfig();
        assertThat(config.learningRate()).isEqualTo(1e-4);
        assertThat(config.model().dModel()).isEqualTo(96);
        assertThat(config.model().layers()).isEqualTo(base.model().layers());
        assertThat(config.data().test())
                .containsExactly(
                        new DataSegment(task(32, 2).withFiller(Filler.RANDOM), 10),
                        new DataSegment(task(64, 2), 20));
        assertThat(config.data().train()).isEqualTo(base.data().train());
    }

    @ParameterizedTest
    @ValueSource(strings = {"config.json", "config.yaml", "config"})
    void jsonMayHaveAnyNameAndTabsIfItIsCalledJson(String name) throws IOException {
        String indent = name.endsWith(".json") ? "\t" : "  ";
        Path file = Files.writeString(folder.resolve(name), "{\n" + indent + "\"epochs\": 7\n}\n");
        assertThat(ConfigDraft.of(Presets.named(Presets.DEFAULT)).merge(file).toConfig().epochs())
                .isEqualTo(7);
    }

    @Test
    void aStarInAPathIsEveryElement() {
        var config =
                ConfigDraft.of(Presets.named(Presets.DEFAULT))
                        .setYaml(
                                "data.test",
                                "[{task: {length: 16, pairs: 2}, examples: 1}, {task: {length: 32, pairs: 2}, examples: 1}]")
                        .set("data.test.*.examples", 9)
                        .set("data.test.1.task.pairs", 3)
                        .toConfig();
        assertThat(config.data().test())
                .containsExactly(new DataSegment(task(16, 2), 9), new DataSegment(task(32, 3), 9));
    }

    /** Of the default preset, but for these. */
    private static Mqar task(int length, int pairs) {
        return Mqar.of(length, pairs).withVocabSize(256).withFiller(Filler.ZERO);
    }

    @Test
    void whatIsImpossibleNowMayBecomePossible() {
        var draft = ConfigDraft.of(Presets.named(Presets.DEFAULT)).set("model.mixer.heads", 96);
        assertThat(draft.set("model.d_model", 96).toConfig().model().mixer())
                .isEqualTo(new Attention.Config(96));
    }
}
