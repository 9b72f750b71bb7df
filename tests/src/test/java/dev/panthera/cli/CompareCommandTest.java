package dev.panthera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Comparisons that are small enough to end at once. */
class CompareCommandTest {
    private static final Map<String, String> SMALL =
            Map.ofEntries(
                    Map.entry("--mixers", "attention,short-conv"),
                    Map.entry("--length", "16"),
                    Map.entry("--pairs", "2"),
                    Map.entry("--vocab", "32"),
                    Map.entry("--d-model", "8"),
                    Map.entry("--train-examples", "40"),
                    Map.entry("--validation-examples", "8"),
                    Map.entry("--test-examples", "8"),
                    Map.entry("--batch", "8"),
                    Map.entry("--epochs", "2"),
                    Map.entry("--lr", "1e-3,1e-2"),
                    Map.entry("--threads", "1"),
                    Map.entry("--max-length", "64"),
                    Map.entry("--tokens", "128"));

    @TempDir Path folder;

    /** With these options instead of, or beside, the small ones. */
    private static Cli compare(Path out, String... more) {
        Map<String, String> options = new HashMap<>(SMALL);
        List<String> flags = new ArrayList<>(List.of("compare", "--no-images"));
        for (int i = 0; i < more.length; i++) {
            if (more[i].equals("--json")) {
                flags.add(more[i]);
            } else {
                options.put(more[i], more[++i]);
            }
        }
        options.put("--out", out.toString());
        options.forEach((option, value) -> flags.addAll(List.of(option, value)));
        return Cli.run(flags.toArray(String[]::new));
    }

    @Test
    void itEndsWithATableAndAPageAndAgainTrainsNothing() throws IOException {
        Path out = folder.resolve("c");
        List<String> lines = compare(out).succeeded().outLines();

        assertThat(lines.getFirst()).contains("compare-mqar-16-2: 4 trials");
        assertThat(lines)
                .anyMatch(line -> line.startsWith("length 64, a step of 2 rows: attention "));
        assertThat(lines)
                .anyMatch(
                        line -> line.matches("mixer +accuracy +lr +epochs +parameters +state .*"));
        assertThat(lines).anyMatch(line -> line.matches("attention +\\d+\\.\\d\\d % .* 2 KiB .*"));
        assertThat(lines).anyMatch(line -> line.matches("short-conv +\\d+\\.\\d\\d % .*"));
        assertThat(lines.getLast()).isEqualTo("page          " + out.resolve("compare.html"));
        assertThat(Files.readString(out.resolve("compare.html")))
                .contains("attention", "short-conv", "mqar-16-2", "Content-Security-Policy");

        assertThat(compare(out).succeeded().outLines()).contains("4 of them have ended before");
    }

    @Test
    void linesOfJsonHaveTheMixersThenTheStepsThenTheFolder() {
        Cli result = compare(folder.resolve("c"), "--json");

        assertThat(result.code()).isZero();
        List<JsonNode> lines =
                result.outLines().stream().map(line -> JsonMapper.shared().readTree(line)).toList();
        assertThat(lines).hasSize(5);
        assertThat(lines.subList(0, 2))
                .allMatch(line ->
                        line.get("accuracy").isNumber() && line.get("state_bytes").asLong() > 0);
        assertThat(lines.subList(2, 4))
                .allMatch(line ->
                        line.get("length").asInt() == 64
                                && line.get("tokens_per_s").asDouble() > 0);
        assertThat(lines.getLast().get("folder").asString()).endsWith("c");
    }

    @Test
    void aMixerThatFailsIsNamedAndTheOthersAreCompared() {
        // At this learning rate logits overflow, with any mixer that has parameters to move.
        Cli result = compare(folder.resolve("c"), "--lr", "1e-3,1e38", "--max-length", "0");

        assertThat(result.code()).isZero();
        assertThat(result.out()).contains("failed: attention, learning rate 1e38: ");
        assertThat(result.outLines()).anyMatch(line -> line.matches("attention +\\d.* 0\\.001 .*"));
    }

    @Test
    void optionsReachTheMixersThatHaveThem() throws IOException {
        Path out = folder.resolve("c");
        compare(out, "--heads", "2", "--lr", "1e-3", "--max-length", "0").succeeded();

        try (var configs = Files.walk(out.resolve("trials"))) {
            List<String> texts =
                    configs.filter(file -> file.endsWith("config.json"))
                            .map(CompareCommandTest::read)
                            .toList();
            assertThat(texts).hasSize(2);
            assertThat(texts.stream().filter(text -> text.matches("(?s).*\"heads\"\\s*:\\s*2.*")))
                    .hasSize(1);
        }
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }

    @Test
    void mistakesGetOneLineAndNothingIsWritten() throws IOException {
        Path out = folder.resolve("c");
        compare(out, "--mixers", "attention,mambo")
                .refused("--mixers mambo", "choose from attention");
        compare(out, "--mixers", "hyena,hyena").refused("--mixers hyena", "twice");
        compare(out, "--task", "chess").refused("--task chess", "choose from mqar");
        compare(out, "--lr", "1e-3,1e-3").refused("lr: 0.001 is there twice");
        compare(out, "--lr", "-1").refused("learning rate must be a positive number");
        compare(out, "--lr", "fast").refused("--lr", "a number");
        compare(out, "--max-length", "100000000").refused("--max-length 100000000", "64");
        compare(out, "--max-length", "1024").refused("--tokens 128", "--tokens 1024");
        compare(out, "--tokens", "0").refused("--tokens 0", "try 8192");
        compare(out, "--window", "4")
                .refused("--window", "none of the mixers attention, short-conv");
        compare(out, "--heads", "3").refused("--heads 3", "divide the width");
        compare(out, "--device", "tpu").refused("--device tpu");
        compare(out, "--pairs", "9").refused("--length 16", "9 pairs");
        assertThat(out).doesNotExist();

        Path file = Files.writeString(folder.resolve("file"), "x");
        compare(file).refused("--out", "it is a file");
    }
}
