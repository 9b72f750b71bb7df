package dev.panthera.parity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import dev.panthera.io.SafetensorsFile;
import dev.panthera.io.SafetensorsWriter;
import dev.panthera.io.StoredTensor;
import dev.panthera.task.TaskConfig;
import dev.panthera.testing.Goldens;
import dev.panthera.train.DeviceChoice;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The runner: what it finds, what it prints, and that it can fail. */
class ParityTest {

    private static final String NO_OVERRIDE = "";

    @TempDir private Path folder;

    /** @param lines those behind the first, which names the device */
    private record Run(int exitCode, List<String> lines) {

        String lineOf(String name) {
            return lines.stream()
                    .filter(line -> line.startsWith(name + " "))
                    .findFirst()
                    .orElseThrow();
        }

        String summary() {
            return lines.getLast();
        }
    }

    @Test
    void aFolderIsSearchedRecursivelyInOrderAndOtherFilesArePassedOver() throws IOException {
        Path deep = Files.createDirectories(folder.resolve("b/c"));
        copy("kernels/silu", deep.resolve("silu.safetensors"));
        copy("kernels/sigmoid", folder.resolve("z.safetensors"));
        copy("mixers/mlp", Files.createDirectories(folder.resolve("a")).resolve("mlp.safetensors"));
        Files.writeString(folder.resolve("index.json"), "{}");
        Run run = run(folder);
        assertThat(run.exitCode()).isZero();
        assertThat(run.lines()).hasSize(5);
        assertThat(run.lines().getFirst()).matches("case +outputs +gradients +tolerance +result");
        assertThat(run.lines().get(1)).matches("a/mlp +[0-9.e-]+ +[0-9.e-]+ +2.0e-05  pass");
        assertThat(run.lines().get(2)).startsWith("b/c/silu ");
        assertThat(run.lines().get(3)).startsWith("z ");
        assertThat(run.summary()).isEqualTo("3 passed, 0 failed, 0 unknown");
    }

    @Test
    void linksToFoldersAreFollowed() throws IOException {
        Path real = Files.createDirectory(folder.resolve("real"));
        copy("kernels/silu", real.resolve("silu.safetensors"));
        Path link = Files.createSymbolicLink(folder.resolve("link"), real);
        assertThat(run(link).summary()).isEqualTo("1 passed, 0 failed, 0 unknown");
        assertThat(run(folder).summary()).isEqualTo("2 passed, 0 failed, 0 unknown");
    }

    @Test
    void theIdentityHasNoParametersAndPassesTheGradientOn() {
        float[] values = {1, -2, 3, 4, 5, -6};
        long[] shape = {1, 3, 2};
        var writer = new SafetensorsWriter().metadata("module_class", "torch.nn.Identity");
        for (String tensor : List.of("input", "output", "grad_output", "grad_input")) {
            writer.tensor(tensor, shape, values);
        }
        writer.write(folder.resolve("identity.safetensors"));
        assertThat(run(folder).summary()).isEqualTo("1 passed, 0 failed, 0 unknown");
    }

    @Test
    void anEmptyFolderHasNoCases() {
        Run run = run(folder);
        assertThat(run.exitCode()).isZero();
        assertThat(run.summary()).isEqualTo("0 passed, 0 failed, 0 unknown");
    }

    @Test
    void aFolderThatCannotBeReadIsAUserError() throws IOException {
        assertThatThrownBy(() -> run(folder.resolve("missing")))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("missing")
                .hasMessageContaining("no such folder");
        Path file = Files.writeString(folder.resolve("notes.txt"), "text");
        assertThatThrownBy(() -> run(file))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("neither a folder");
    }

    @Test
    void aCorruptFileFailsWithAReasonAndTheOthersGoOn() throws IOException {
        byte[] whole = Files.readAllBytes(golden("mixers/mlp"));
        Files.write(folder.resolve("cut.safetensors"), Arrays.copyOf(whole, whole.length / 2));
        Files.write(folder.resolve("empty.safetensors"), new byte[0]);
        Files.writeString(
                folder.resolve("text.safetensors"), "this is not a safetensors file at all");
        Files.write(folder.resolve("whole.safetensors"), whole);
        Run run = run(folder);
        assertThat(run.exitCode()).isEqualTo(Parity.FAILED);
        assertThat(run.lineOf("cut")).contains(" fail ").contains("cut.safetensors: ");
        assertThat(run.lineOf("empty")).contains(" fail ").contains("too few");
        assertThat(run.lineOf("text")).contains(" fail ");
        assertThat(run.lineOf("whole")).endsWith(" pass");
        assertThat(run.summary()).isEqualTo("1 passed, 3 failed, 0 unknown");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            textBlock =
                    """
                    mixers/mha_h2 | module_class | zoology.mixers.other.Other      | class zoology.mixers.other.Other
                    mixers/mha_h2 | ctor_kwargs  | {"d_model": 16, "num_heads": 2, "rotary": true} | option rotary is not supported
                    mixers/hybrid_idx1 | ctor_kwargs | {"configs": [{"name": "other.Mixer"}], "layer_idx": 1} | class other.Mixer
                    models/attention | model_class | zoology.model.Other           | class zoology.model.Other
                    models/attention | model_config | {"block_type": "OtherBlock"} | block OtherBlock
                    losses/mse    | function     | zoology.metrics.other           | function zoology.metrics.other
                    kernels/silu  | case         | other                           | kernel other
                    """)
    void whatIsNotThereIsUnknown(String name, String key, String value, String reason) {
        rewrite(name, key, value, NO_OVERRIDE, 0);
        Run run = run(folder);
        assertThat(run.exitCode()).isZero();
        assertThat(run.lines().get(1)).contains(" unknown ").contains(reason);
        assertThat(run.summary()).isEqualTo("0 passed, 0 failed, 1 unknown");
    }

    /** Each perturbation is small, but larger than any tolerance. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "mixers/mha_h2 output",
                "mixers/mha_h2 grad_input",
                "mixers/mha_h2 grad.Wqkv.weight",
                "mixers/mha_h2 param.out_proj.bias",
                "mixers/glu grad.fc2.bias",
                "models/attention embeddings",
                "models/attention layer1.residual",
                "models/attention hidden",
                "models/attention logits",
                "models/attention loss",
                "models/attention loss_ce_embed",
                "models/attention grad.lm_head.weight",
                "models/attention_untied_frozen grad.backbone.ln_f.bias",
                "models/continuous_attention output",
                "models/continuous_attention loss",
                "models/continuous_attention loss_mse",
                "models/continuous_attention grad_input",
                "models/continuous_attention grad.input_proj.bias",
                "train/attention losses",
                "train/attention final.backbone.ln_f.weight",
                "train/attention init.backbone.ln_f.weight",
                "kernels/causal_attention_L64 grad_in.v",
                "kernels/layernorm_D64 grad_in.weight",
                "kernels/rmsnorm_D64 out.y",
                "kernels/cross_entropy_L7 grad_in.logits",
                "kernels/adamw out.exp_avg_sq",
                "kernels/gelu_exact out.y",
                "losses/ce_with_embeddings grad_embeddings",
                "losses/mse loss",
                "data/mqar_gaps_L64_kv4_a0.1 single_draw_probability"
            })
    void aPerturbedCaseFails(String caseAndTensor) {
        String[] parts = caseAndTensor.split(" ");
        String perturbed = parts[1];
        rewrite(parts[0], NO_OVERRIDE, NO_OVERRIDE, perturbed, 1e-3);
        Run run = run(folder);
        assertThat(run.lines().get(1)).contains(" fail ");
        assertThat(run.summary()).isEqualTo("0 passed, 1 failed, 0 unknown");
        assertThat(run.exitCode()).isEqualTo(Parity.FAILED);
    }

    @ParameterizedTest
    @CsvSource({
        "mixers/mha_h2,output",
        "models/attention,grad.backbone.ln_f.bias",
        "train/attention,losses"
    })
    void aNotANumberFails(String name, String tensor) {
        rewrite(name, NO_OVERRIDE, NO_OVERRIDE, tensor, Double.NaN);
        assertThat(run(folder).exitCode()).isEqualTo(Parity.FAILED);
    }

    @ParameterizedTest
    @CsvSource({"mqar_V256_L64_kv4_a0.1_rand0, 0", "stacked_continuous, 4"})
    void aWrongLabelFails(String name, int context) {
        var source = SafetensorsFile.read(golden("data/" + name));
        int[] labels = source.tensor("labels").toInts();
        int labelled = 0;
        while (labels[labelled] == TaskConfig.IGNORE) {
            labelled++;
        }
        labels[labelled]++;
        var writer = new SafetensorsWriter();
        source.metadata().forEach(writer::metadata);
        for (StoredTensor tensor : source.tensors().values()) {
            if (tensor.name().equals("labels")) {
                writer.tensor("labels", tensor.shape(), labels);
            } else {
                writer.tensor(tensor.name(), tensor.type(), tensor.shape(), tensor.data());
            }
        }
        writer.write(folder.resolve("case.safetensors"));
        Run run = run(folder);
        assertThat(run.lines().get(1))
                .contains("wrong rows, the first being 0: position " + (context + labelled));
        assertThat(run.summary()).isEqualTo("0 passed, 1 failed, 0 unknown");
    }

    @Test
    void aParameterOfAnotherShapeFails() {
        rewrite(
                "mixers/mha_h2",
                "ctor_kwargs",
                "{\"d_model\": 16, \"num_heads\": 2, \"bias\": false}",
                NO_OVERRIDE,
                0);
        Run run = run(folder);
        assertThat(run.lines().get(1))
                .contains(" fail ")
                .contains("our model has no parameter Wqkv.bias");
    }

    @Test
    void aDeviationFromABugOfTheOriginalIsNoFailure() {
        rewrite("kernels/cross_entropy_L7", NO_OVERRIDE, NO_OVERRIDE, "out.y", Double.NaN);
        Run run = run(folder);
        assertThat(run.lines().get(1))
                .contains(" deviation ")
                .contains("the original's loss is NaN");
        assertThat(run.summary()).isEqualTo("0 passed, 0 failed, 1 unknown");
        assertThat(run.exitCode()).isZero();
    }

    @Test
    void theToleranceIsTheLargerOfRecommendationAndNote() {
        assertThat(tolerance(Map.of())).isEqualTo(2e-5);
        assertThat(tolerance(Map.of("recommended_rtol", "None"))).isEqualTo(2e-5);
        assertThat(tolerance(Map.of("recommended_rtol", "0.075"))).isEqualTo(0.075);
        assertThat(
                        tolerance(
                                Map.of(
                                        "recommended_rtol",
                                        "2e-05",
                                        "tolerance_note",
                                        "amplifies; use rtol 1e-3")))
                .isEqualTo(1e-3);
        assertThat(tolerance(Map.of("recommended_rtol", "5e-03", "tolerance_note", "rtol 1e-3")))
                .isEqualTo(5e-3);
        assertThat(tolerance(Map.of("recommended_rtol", "3e-05", "tolerance_note", "as nystrom")))
                .isEqualTo(3e-5);
    }

    private static double tolerance(Map<String, String> metadata) {
        return new Golden("case", new SafetensorsFile(Path.of("case"), metadata, Map.of()))
                .tolerance();
    }

    /**
     * Writes {@code case.safetensors}: a recorded case with a metadata entry replaced, or with the largest value of a
     * tensor changed by {@code relative} of it.
     */
    private void rewrite(String name, String key, String value, String perturbed, double relative) {
        var source = SafetensorsFile.read(golden(name));
        var writer = new SafetensorsWriter();
        source.metadata()
                .forEach((entry, text) -> writer.metadata(entry, entry.equals(key) ? value : text));
        for (StoredTensor tensor : source.tensors().values()) {
            if (tensor.name().equals(perturbed)) {
                writer.tensor(tensor.name(), tensor.shape(), perturb(tensor.toFloats(), relative));
            } else {
                writer.tensor(tensor.name(), tensor.type(), tensor.shape(), tensor.data());
            }
        }
        assertThat(perturbed.isEmpty() || source.tensors().containsKey(perturbed)).isTrue();
        assertThat(key.isEmpty() || source.metadata().containsKey(key)).isTrue();
        writer.write(folder.resolve("case.safetensors"));
    }

    private static float[] perturb(float[] values, double relative) {
        int largest = 0;
        for (int i = 1; i < values.length; i++) {
            largest = Math.abs(values[i]) > Math.abs(values[largest]) ? i : largest;
        }
        values[largest] += (float) (relative * values[largest]);
        return values;
    }

    private static Path golden(String name) {
        int slash = name.indexOf('/');
        return Goldens.folder(name.substring(0, slash))
                .resolve(name.substring(slash + 1) + ".safetensors");
    }

    private static void copy(String name, Path target) throws IOException {
        Files.copy(golden(name), target);
    }

    private static Run run(Path directory) {
        var out = new ByteArrayOutputStream();
        int exitCode =
                Parity.run(
                        directory,
                        new DeviceChoice("cpu", 0),
                        new PrintStream(out, true, StandardCharsets.UTF_8));
        List<String> lines = out.toString(StandardCharsets.UTF_8).lines().toList();
        assertThat(lines.getFirst()).matches("on cpu:\\w+, threads: \\d+");
        return new Run(exitCode, lines.subList(1, lines.size()));
    }
}
