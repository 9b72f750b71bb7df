package dev.panthera.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import dev.panthera.io.SafetensorsFile;
import dev.panthera.io.SafetensorsWriter;
import dev.panthera.io.StoredType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a checkpoint holds, and what is said about one that is damaged. */
class CheckpointTest {
    private static final TrainConfig CONFIG = TinyRuns.config();

    @TempDir private static Path run;

    @TempDir private Path folder;

    private Path file;

    @BeforeAll
    static void train() {
        TinyRuns.runUntil(7, CONFIG, run);
    }

    @BeforeEach
    void copy() throws IOException {
        file = folder.resolve(Checkpoint.FILE);
        Files.copy(run.resolve(Checkpoint.FILE), file);
    }

    @Test
    void holdsConfigurationPositionParametersAndMoments() {
        var stored = SafetensorsFile.read(file);
        assertThat(Checkpoint.readConfig(file)).isEqualTo(CONFIG);
        assertThat(stored.metadata())
                .containsAllEntriesOf(Map.of("steps", "7", "epoch", "1", "batch", "2"));
        String weight = "backbone.layers.1.sequence_mixer.Wqkv.weight";
        assertThat(stored.tensors())
                .containsKeys(
                        weight, "optimizer.exp_avg." + weight, "optimizer.exp_avg_sq." + weight);
        assertThat(stored.tensor("optimizer.exp_avg." + weight).shape()).containsExactly(48, 16);
    }

    /** The head shares the word table, which is stored once. */
    @Test
    void tiedParametersAreStoredOnce() {
        assertThat(SafetensorsFile.read(file).tensors())
                .containsKey("backbone.embeddings.word_embeddings.weight")
                .doesNotContainKey("lm_head.weight");
    }

    @Test
    void evaluatingItGivesTheResultOfItsRun() {
        Path whole = folder.resolve("whole");
        var result = TinyRuns.run(CONFIG, whole);
        assertThat(Evaluator.evaluate(whole, new DeviceChoice("cpu", 1), null))
                .isEqualTo(result.test());
    }

    @Test
    void testRowsThatTheModelCannotReadAreRefused() {
        var device = new DeviceChoice("cpu", 1);
        var longer = TinyRuns.config("data.test.0.task.length=18").data();
        assertThatThrownBy(() -> Evaluator.evaluate(folder, device, longer))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("--length 18: the model has learned 16 positions");
        var moreTokens = TinyRuns.config("data.test.*.task.vocab_size=65").data();
        assertThatThrownBy(() -> Evaluator.evaluate(folder, device, moreTokens))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("--vocab 65: the model knows 64 tokens");
    }

    @Test
    void aModelWithoutPositionsReadsLongerRows() {
        var config = TinyRuns.config("model.positions=false", "epochs=1");
        Path whole = folder.resolve("whole");
        TinyRuns.run(config, whole);
        var longer = TinyRuns.config("data.test.0.task.length=40").data();
        assertThat(
                        Evaluator.evaluate(whole, new DeviceChoice("cpu", 1), longer)
                                .slices()
                                .get("input_seq_len"))
                .containsOnlyKeys(12, 40);
    }

    /** Cut within the length, the header, the tensors, and by the last byte alone. */
    @ParameterizedTest
    @ValueSource(doubles = {0, 0.0001, 0.01, 0.5, 0.999999})
    void aTruncatedFileIsNamedOnOneLine(double part) throws IOException {
        byte[] bytes = Files.readAllBytes(file);
        Files.write(file, Arrays.copyOf(bytes, (int) (part * bytes.length)));
        assertRefused("");
    }

    /** The first bytes of the length, and of the header. */
    @ParameterizedTest
    @CsvSource({"0", "7", "8", "9", "20"})
    void aDamagedHeaderIsNamedOnOneLine(int position) throws IOException {
        byte[] bytes = Files.readAllBytes(file);
        bytes[position] ^= 0x55;
        Files.write(file, bytes);
        assertRefused("");
    }

    @Test
    void anotherFormatIsRefused() {
        rewrite("format", "panthera-checkpoint-999", "");
        assertRefused("it is no checkpoint of this version");
    }

    @ParameterizedTest
    @ValueSource(strings = {"epoch", "batch", "steps", "loss_sum"})
    void aPositionThatIsNoNumberIsRefused(String key) {
        rewrite(key, "seven", "");
        assertRefused("seven");
    }

    @ParameterizedTest
    @ValueSource(strings = {"epoch", "batch", "steps"})
    void aNegativePositionIsRefused(String key) {
        rewrite(key, "-1", "");
        assertRefused("position is negative");
    }

    @Test
    void holdsTheFinishedEpochsOfAnInterruptedRun() {
        Path again = folder.resolve("again");
        var interrupted = TinyRuns.runUntil(7, CONFIG, again);
        assertThat(interrupted.history())
                .singleElement()
                .satisfies(epoch -> {
                    assertThat(epoch.epoch()).isEqualTo(1);
                    assertThat(epoch.deciding().slices()).isNotEmpty();
                });
        assertThat(TinyRuns.resumeUntil(0, CONFIG, again).history())
                .isEqualTo(interrupted.history());
    }

    @Test
    void aHistoryOfAnotherLengthThanThePositionSaysIsRefused() {
        rewrite("history", "[]", "");
        assertRefused("knows 0 epochs, and stands at epoch 1");
        rewrite("epoch", "0", "");
        rewrite(
                "history",
                SafetensorsFile.read(run.resolve(Checkpoint.FILE)).metadata().get("history"),
                "");
        assertRefused("knows 1 epochs, and stands at epoch 0");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "null", "[null]", "[", "{}", "7", "[{\"epoch\":1}]", "[\"one\"]"})
    void aHistoryThatIsNoneIsRefused(String damaged) {
        rewrite("history", damaged, "");
        assertRefused("history is damaged");
    }

    @Test
    void aConfigurationThatIsNoneIsRefused() {
        rewrite("config", "{\"model\": 3}", "");
        assertRefused("model");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "backbone.ln_f.weight",
                "optimizer.exp_avg.backbone.ln_f.weight",
                "optimizer.exp_avg_sq.backbone.ln_f.weight"
            })
    void aMissingParameterOrMomentIsNamed(String name) {
        rewrite("", "", name);
        assertRefused(name);
    }

    @Test
    void aModelOfAnotherShapeIsRefused() {
        assertThatThrownBy(
                        () -> TinyRuns.resumeUntil(1, TinyRuns.config("model.d_model=32"), folder))
                .isInstanceOf(UserException.class)
                .hasMessageContaining(
                        "backbone.embeddings.word_embeddings.weight has shape [64, 16]");
    }

    @Test
    void aFolderWithoutOneIsNamed() {
        assertThatThrownBy(() -> Checkpoint.locate(folder.resolve("nowhere")))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("there is no checkpoint");
    }

    private void assertRefused(String saying) {
        assertThatThrownBy(() -> TinyRuns.resume(folder))
                .isInstanceOf(UserException.class)
                .hasMessageContaining(saying)
                .message()
                .contains(Checkpoint.FILE)
                .doesNotContain("\n");
    }

    /** Writes the checkpoint again with another value for a metadata key and without a tensor. */
    private void rewrite(String key, String value, String without) {
        var stored = SafetensorsFile.read(file);
        var writer = new SafetensorsWriter();
        stored.metadata().forEach(writer::metadata);
        if (!key.isEmpty()) {
            writer.metadata(key, value);
        }
        stored.tensors().values().stream()
                .filter(tensor -> !tensor.name().equals(without))
                .forEach(tensor ->
                        writer.tensor(
                                tensor.name(), StoredType.F32, tensor.shape(), tensor.data()));
        writer.write(file);
    }
}
