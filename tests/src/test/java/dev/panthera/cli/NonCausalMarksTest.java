package dev.panthera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.compare.ComparisonPlan;
import dev.panthera.mixer.Attention;
import dev.panthera.mixer.Based;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.TaylorExp;
import dev.panthera.train.Presets;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;

/** Wherever an accuracy of a mixer that looks ahead is told, it says so; and no accuracy of another does. */
class NonCausalMarksTest {
    private static final String MARK = "(non-causal)";

    @TempDir private Path folder;

    private static Cli train(Path run, boolean causal, String... more) {
        String options =
                """
                train --length 16 --pairs 2 --vocab 20 --train-examples 16 --validation-examples 8 --test-examples 8
                --d-model 8 --batch 8 --epochs 1 --threads 1 --mixer based --set model.mixer.causal=%s --out %s
                """
                        .formatted(causal, run);
        return Cli.run(
                Stream.concat(Stream.of(options.strip().split("\\s+")), Stream.of(more))
                        .toArray(String[]::new));
    }

    @Test
    void theSummaryOfARunAndItsEvaluation() {
        for (boolean causal : new boolean[] {true, false}) {
            Path run = folder.resolve("run-" + causal);
            var lines = train(run, causal).succeeded().outLines();
            assertThat(lines)
                    .filteredOn(line -> line.startsWith("test accuracy"))
                    .singleElement()
                    .satisfies(line -> assertThat(line.contains(" % " + MARK)).isEqualTo(!causal));
            assertThat(lines.stream().anyMatch(line -> line.startsWith("causal         no: ")))
                    .isEqualTo(!causal);
            String evaluation = Cli.run("eval", run.toString(), "--threads", "1").succeeded().out();
            assertThat(evaluation.contains(" % " + MARK)).isEqualTo(!causal);
            String json =
                    Cli.run("eval", run.toString(), "--threads", "1", "--json").succeeded().out();
            assertThat(new JsonMapper().readTree(json).get("causal").booleanValue())
                    .isEqualTo(causal);
        }
    }

    @Test
    void theSummaryAsJson() {
        var result = train(folder.resolve("run"), false, "--json");
        assertThat(new JsonMapper().readTree(result.out()).get("causal").booleanValue()).isFalse();
    }

    /** Where the sweep varies the mixer, where it varies an option of it, and where all trials have the same. */
    @Test
    void trialsOfASweep() throws IOException {
        var over = new LinkedHashMap<String, Integer>();
        over.put("{mixer: [attention, {name: based, causal: false}]}", 1);
        over.put("{model.mixer.causal: [true, false]}", 1);
        over.put("{lr: [1e-3, 1e-2]}", 2);
        int number = 0;
        for (var sweep : over.entrySet()) {
            String mixer = sweep.getKey().startsWith("{mixer") ? "attention" : "based";
            String option = sweep.getKey().startsWith("{lr") ? ", model.mixer.causal: false" : "";
            Path grid =
                    Files.writeString(
                            folder.resolve("grid-" + number + ".yaml"),
                            RunCommandTest.GRID
                                    .replace(
                                            "model.d_model: 8",
                                            "model.d_model: 8, model.mixer: " + mixer + option)
                                    .replace("{lr: [1e-3, 1e-2]}", sweep.getKey()));
            Path out = folder.resolve("sweep-" + number++);
            Cli.run("run", grid.toString(), "--out", out.toString(), "--threads", "1").succeeded();
            List<String> listed = Cli.run("ls", out.toString()).succeeded().outLines();
            assertThat(listed.subList(1, 3))
                    .filteredOn(line -> line.contains(MARK))
                    .hasSize(sweep.getValue());
            String id = listed.get(2).split(" ")[0];
            assertThat(Cli.run("show", id, "--sweep", out.toString()).succeeded().out())
                    .contains("causal      no: ", " % " + MARK);
            assertThat(
                            Cli.run("export", out.toString(), "--format", "jsonl")
                                    .succeeded()
                                    .outLines())
                    .filteredOn(line -> line.contains("\"causal\":\"false\""))
                    .hasSize(sweep.getValue());
            Cli.run("report", out.toString(), "--no-images").succeeded();
            assertThat(Files.readString(out.resolve("report").resolve("report.html")))
                    .contains(MARK);
        }
    }

    @Test
    void aComparison() {
        Map<String, MixerConfig> mixers = new LinkedHashMap<>();
        mixers.put("attention", new Attention.Config(1));
        mixers.put(
                "based",
                new Based.Config(4, 1, new TaylorExp.Config(), 1e-12, false, false, 10000));
        var plan =
                new ComparisonPlan(
                        Presets.named(Presets.DEFAULT), mixers, List.of(1e-3), List.of(), 8192);
        assertThat(plan.mixers().keySet()).containsExactly("attention", "based " + MARK);
        assertThat(plan.sweep().grid().trials())
                .extracting(trial -> trial.factors().get("mixer"))
                .containsExactly("attention", "based " + MARK);
    }
}
