package dev.panthera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.bench.KernelBench;
import dev.panthera.bench.PeerPython;
import dev.panthera.mixer.Mixers;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What the benchmarks print, at sizes at which they take no time. */
class BenchCommandTest {
    private static final String NO_PEER =
            "PyTorch is not measured: --peer-python names a Python that has it";

    @TempDir private Path folder;

    @AfterEach
    void forgetPeers() {
        System.clearProperty(PeerPython.SCRIPTS_PROPERTY);
    }

    private static Cli kernels(String... more) {
        return run(
                "bench kernels --batch 2 --length 24 --channels 16 --heads 2 --vocab 50 --threads 1",
                more);
    }

    private static Cli step(String... more) {
        return run(
                "bench step --batch 3 --length 24 --pairs 2 --d-model 8 --vocab 40 --threads 1 --steps 5",
                more);
    }

    private static Cli run(String command, String... more) {
        String[] words = command.split(" ");
        String[] all = new String[words.length + more.length];
        System.arraycopy(words, 0, all, 0, words.length);
        System.arraycopy(more, 0, all, words.length, more.length);
        return Cli.run(all);
    }

    private static List<JsonNode> json(Cli result) {
        assertThat(result.code()).as(result.err()).isZero();
        return result.outLines().stream().map(JsonMapper.shared()::readTree).toList();
    }

    private static double positive(JsonNode line, String key) {
        double value = line.path(key).asDouble(-1);
        assertThat(value).as("%s of %s", key, line).isPositive();
        return value;
    }

    @Test
    void everyKernelIsMeasuredInBothPasses() {
        var result = kernels("--json");
        assertThat(result.err()).isEqualToIgnoringNewLines(NO_PEER);
        var lines = json(result);
        assertThat(lines.stream().map(line -> line.path("op").asString()).distinct())
                .containsExactlyElementsOf(KernelBench.names());
        assertThat(lines.stream().map(line -> line.path("pass").asString()))
                .containsOnly("forward", "forward+backward");
        for (JsonNode line : lines) {
            assertThat(positive(line, "min_ms")).isLessThanOrEqualTo(positive(line, "median_ms"));
            positive(line, "gb_per_s");
            positive(line, "share_of_ceiling");
            positive(line, "peak_mb");
            assertThat(line.path("length").asInt()).isEqualTo(24);
        }
        positive(lines.getFirst(), "gflops");
    }

    @Test
    void kernelsCanBeReadByAPerson() {
        var result = kernels("--op", "attention").succeeded();
        assertThat(result.outLines()).hasSize(5);
        assertThat(result.outLines().get(1)).startsWith("operation").contains("of ceiling");
        assertThat(result.outLines().get(3)).startsWith("attention           forward+backward");
        assertThat(result.outLines().getLast()).isEqualTo(NO_PEER);
    }

    private static Cli decode(String... more) {
        return run(
                "bench decode --positions 5,12 --steps 5 --d-model 8 --vocab 20 --threads 1", more);
    }

    @Test
    void everyMixerIsMeasuredDecoding() {
        var lines = json(decode("--json", "--batch", "3"));
        assertThat(lines.stream().map(line -> line.path("mixer").asString()).distinct())
                .containsExactlyElementsOf(Mixers.SEQUENCE.names());
        assertThat(lines).hasSize(2 * Mixers.SEQUENCE.names().size());
        for (JsonNode line : lines) {
            assertThat(line.path("position").asInt()).isIn(5, 12);
            positive(line, "kept_state_bytes");
            positive(line, "state_bytes");
            assertThat(positive(line, "min_ms")).isLessThanOrEqualTo(positive(line, "median_ms"));
            positive(line, "tokens_per_s");
        }
    }

    /** 2 layers x keys and values x 12 tokens x 8 channels x 4 bytes; taps that look back 2 tokens. */
    @Test
    void decodingCanBeReadByAPerson() {
        var lines = decode("--mixer", "attention,short-conv").succeeded().outLines();
        assertThat(lines).hasSize(4);
        assertThat(lines.get(0)).startsWith("1 x 1 token a step, 2 layers, d_model 8, vocab 20; ");
        assertThat(lines.get(1)).startsWith("mixer").contains("tokens/s at 5").endsWith(" at 12");
        assertThat(lines.get(2)).startsWith("attention ").contains(" 1 536 ", "the same");
        assertThat(lines.get(3)).startsWith("short-conv ").contains(" 128 ", " 192 ");
    }

    @ParameterizedTest
    @ValueSource(strings = {"attention", "base-conv", "hyena", "sliding-attention"})
    void aStepIsMeasuredWithItsProfile(String mixer) {
        var lines = json(step("--json", "--mixer", mixer, "--profile"));
        var step = lines.getFirst();
        assertThat(step.path("mixer").asString()).isEqualTo(mixer);
        assertThat(step.path("pass").asString()).isEqualTo("step");
        positive(step, "median_ms");
        positive(step, "tokens_per_s");
        positive(step, "peak_mb");
        var profile = lines.subList(1, lines.size());
        assertThat(profile.stream().map(line -> line.path("profile").asString()))
                .contains("optimizer", "vocabulary loss, forward", "linear, backward");
        assertThat(profile.stream().mapToDouble(line -> line.path("share").asDouble()).sum())
                .isBetween(0.99, 1.01);
        double flops =
                profile.stream()
                        .filter(line -> line.path("profile").asString().startsWith("linear"))
                        .mapToDouble(line -> positive(line, "flops"))
                        .sum();
        double median = positive(step, "median_ms");
        assertThat(flops).isLessThanOrEqualTo(1.01e6 * positive(step, "gflops") * median);
    }

    @Test
    void aStepCanBeReadByAPerson() {
        var lines = step("--profile").succeeded().outLines();
        assertThat(lines.get(0)).startsWith("attention, 2 layers, 3 x 24 tokens");
        assertThat(lines.get(1)).startsWith("panthera").contains("ms a step");
        assertThat(lines.get(3)).startsWith("operation").contains("share");
    }

    @Test
    void trainingEndsWithItsProfile() {
        var out = folder.resolve("run").toString();
        var result =
                run(
                        "train --profile --train-examples 16 --validation-examples 8 --test-examples 8 --epochs 1 --threads 1",
                        "--out",
                        out);
        assertThat(result.succeeded().outLines())
                .anyMatch(line -> line.startsWith("vocabulary loss, forward"))
                .anyMatch(line -> line.startsWith("optimizer"));
    }

    @Test
    void ceilingsAreRates() {
        var lines = json(run("bench ceilings --json --threads 1"));
        assertThat(lines.stream().map(line -> line.path("ceiling").asString()))
                .containsExactly("fma", "gemm", "copy", "fresh-pages");
        positive(lines.get(0), "gflops");
        positive(lines.get(1), "gflops");
        positive(lines.get(2), "gb_per_s");
        positive(lines.get(3), "gb_per_s");
        assertThat(run("bench ceilings --threads 1").succeeded().outLines()).hasSize(5);
    }

    @Test
    void dataAreMeasured() {
        var line = json(run("bench data --examples 50 --json")).getFirst();
        assertThat(line.path("examples").asInt()).isEqualTo(50);
        positive(line, "examples_per_s");
        positive(line, "first_ms");
    }

    @Test
    void theSubjectsAreListed() {
        assertThat(Cli.run("bench").succeeded().out()).contains("kernels", "step", "ceilings");
    }

    @Test
    void mistakesGetOneLine() {
        kernels("--op", "nope").refused("--op nope", "long-conv");
        kernels("--heads", "3", "--op", "attention").refused("--heads 3", "16");
        kernels("--batch", "0").refused("--batch 0");
        kernels("--vocab", "1").refused("--vocab 1");
        kernels("--length", "2000000000").refused("too many");
        step("--mixer", "nope").refused("nope");
        step("--pairs", "30").refused("30");
        step("--steps", "0").refused("--steps 0");
        step("--batch", "0").refused("0");
        decode("--mixer", "atention").refused("atention", "attention");
        run("bench decode --positions 50,60").refused("--positions 60", "apart");
        run("bench decode --positions 0").refused("--positions 0");
        decode("--steps", "1").refused("--steps 1");
        decode("--batch", "0").refused("--batch 0");
        run("bench decode --vocab 0").refused("--vocab 0");
        run("bench data --examples 0").refused("0");
    }

    /** The peers' scripts are run by whatever is named; here a shell that answers in their place. */
    private String peer(String body) throws IOException {
        System.setProperty(PeerPython.SCRIPTS_PROPERTY, folder.toString());
        Path script = folder.resolve("python");
        Files.writeString(script, "#!/bin/sh\n[ \"$1\" = -c ] && exit 0\n" + body + "\n");
        Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
        return script.toString();
    }

    @Test
    void peersAreSetBesideOurs() throws IOException {
        String python =
                peer(
                        "echo '{\"median_ms\": 1000.0, \"form\": \"'$3'\", \"tuned\": \"'$THP_MEM_ALLOC_ENABLE'\"}'");
        var lines = json(step("--json", "--peer-python", python));
        assertThat(lines).hasSize(4);
        assertThat(lines.stream().skip(1).map(line -> line.path("form").asString()))
                .containsExactly("--form=original", "--form=original", "--form=labelled");
        assertThat(lines.stream().skip(1).map(line -> line.path("tuned").asString()))
                .containsExactly("", "1", "1");
        double ours = positive(lines.getFirst(), "median_ms");
        assertThat(positive(lines.get(1), "times_ours") * ours).isBetween(990.0, 1010.0);
        var text = step("--peer-python", python).succeeded().out();
        assertThat(text).contains("PyTorch, labelled, tuned allocator").contains("times ours");
        assertThat(json(step("--json", "--mixer", "rwkv-4", "--peer-python", python)))
                .as("an original that needs a GPU")
                .hasSize(2)
                .last()
                .satisfies(line ->
                        assertThat(line.path("form").asString()).isEqualTo("--form=labelled"));
    }

    @Test
    void aPeerThatFailsIsNamed() throws IOException {
        System.setProperty(PeerPython.SCRIPTS_PROPERTY, folder.toString());
        step("--peer-python", "/nowhere/python").refused("/nowhere/python", "PyTorch");
        String broken = peer("echo 'ImportError: no torch' >&2; exit 1");
        var result = step("--peer-python", broken);
        assertThat(result.code()).isEqualTo(2);
        assertThat(result.err()).contains("ImportError: no torch").hasLineCount(1);
        String talkative = peer("echo hello");
        assertThat(step("--peer-python", talkative).err()).contains("no JSON: hello");
        step("--peer-python", talkative, "--mixer", "long-conv").refused("long-conv");
        System.clearProperty(PeerPython.SCRIPTS_PROPERTY);
        step("--peer-python", talkative).refused("scripts are not here");
    }
}
