package dev.panthera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.NamedConfigs;
import dev.panthera.mixer.Mixers;
import dev.panthera.task.Filler;
import dev.panthera.task.GapLaw;
import dev.panthera.task.Row;
import dev.panthera.task.TaskConfig;
import dev.panthera.task.TaskContracts;
import dev.panthera.task.Tasks;
import dev.panthera.task.ZipfMqar;
import dev.panthera.train.Checkpoint;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.ConfigFile;
import dev.panthera.train.Presets;
import dev.panthera.train.TrainConfig;
import dev.panthera.train.UsualOptions;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Every task is one plain command away. */
class TaskCommandsTest {

    private static final String SMALL =
            " --train-examples 8 --validation-examples 4 --test-examples 4 --batch 4 --epochs 1 --d-model 8 --threads 1";

    @TempDir Path folder;

    static Stream<String> names() {
        return Tasks.ALL.names().stream();
    }

    @ParameterizedTest
    @MethodSource("names")
    void dataPrintsItsRows(String name) {
        TaskConfig task = Tasks.ALL.named(name);
        var lines =
                Cli.run("data", name, "--examples", "2", "--format", "jsonl")
                        .succeeded()
                        .outLines();
        assertThat(lines).hasSize(2);
        for (int index = 0; index < 2; index++) {
            JsonNode row = JsonMapper.shared().readTree(lines.get(index));
            assertThat(JsonMapper.shared().treeToValue(row.get("inputs"), int[].class))
                    .isEqualTo(Row.of(task, index).inputs());
            assertThat(JsonMapper.shared().treeToValue(row.get("labels"), int[].class))
                    .isEqualTo(Row.of(task, index).labels());
        }
    }

    /** And says in its help how to set each of them. */
    @ParameterizedTest
    @MethodSource("names")
    void everyOptionOfATaskCanBeSet(String name) {
        List<String> settable =
                ConfigOption.task("train").stream().map(ConfigOption::lastKey).toList();
        assertThat(settable).containsAll(UsualOptions.keys(Tasks.ALL, name));
        String help = Cli.run("data", name, "--help").succeeded().out().replaceAll("\\s+", " ");
        for (ConfigOption option : ConfigOption.task("train")) {
            boolean has = UsualOptions.keys(Tasks.ALL, name).contains(option.lastKey());
            assertThat(help.contains(option.description())).as(option.name()).isEqualTo(has);
        }
        assertThat(help).contains(Tasks.ALL.description(name));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            textBlock =
                    """
                    mqar --vocab 30 --length 16 --pairs 2 --passes 2            | --pairs 3 --passes 1
                    zipf-mqar --vocab 30 --length 16 --pairs 2 --gap-law fixed --gap 6 --value-exponent 0 | --gap 8
                    forgetting-mqar --vocab 30 --length 16 --pairs 2 --updates 1 --fillers zero | --updates 2
                    compositional-mqar --vocab 30 --length 24 --power-a 0.5     | --pairs 1
                    continuous-mqar --vocab 30 --pairs 3                        | --passes 2
                    induction-heads --vocab 8 --length 12                       | --length 9
                    selective-copying --vocab 8 --length 12 --data-tokens 3     | --data-tokens 2
                    parity --length 5                                           | --length 3
                    majority --length 5                                         | --length 4
                    vocab-majority --vocab 6 --length 5                         | --vocab 5
                    cumulative-parity --length 5                                | --length 4
                    cumulative-majority --length 5                              | --length 4
                    """)
    void oneCommandTrainsAndAnotherEvaluates(String options, String others) {
        Path run = folder.resolve("run");
        var trained =
                Cli.run(("train --task " + options + SMALL + " --out " + run).split(" "))
                        .succeeded();
        TrainConfig config = Checkpoint.readConfig(Checkpoint.locate(run));
        TaskConfig task = config.data().test().getFirst().task();
        assertThat(task.name()).isEqualTo(options.split(" ")[0]);
        assertThat(trained.out().contains(" % by chance)")).isEqualTo(task.chance().isPresent());
        assertThat(config.data().train().getFirst().task()).isEqualTo(task);
        assertThat(config.data().validation().getFirst().task()).isEqualTo(task);
        assertThat(Cli.run(("eval " + run + " --threads 1 " + others).split(" ")).succeeded().out())
                .startsWith("accuracy ")
                .contains("(4 examples");
    }

    @Test
    void anEvaluationMayBeOfAnotherTask() {
        Path run = folder.resolve("run");
        Cli.run(("train --length 16 --pairs 2 --vocab 30" + SMALL + " --out " + run).split(" "))
                .succeeded();
        String[] eval =
                ("eval "
                                + run
                                + " --threads 1 --task zipf-mqar --length 16 --pairs 2 --vocab 20 --gap-law uniform")
                        .split(" ");
        assertThat(Cli.run(eval).succeeded().out()).contains("(4 examples)", "num_kv_pairs 2");
    }

    @Test
    void optionsReachTheLawOfDistances() {
        Path run = folder.resolve("run");
        String options =
                "--task zipf-mqar --gap-law geometric --gap-ratio 0.25 --key-exponent 0.5 --vocab 100";
        Cli.run(("train " + options + SMALL + " --out " + run).split(" ")).succeeded();
        assertThat(Checkpoint.readConfig(Checkpoint.locate(run)).data().train().getFirst().task())
                .isEqualTo(
                        new ZipfMqar(
                                100, 64, 4, 0.5, 1, new GapLaw.Geometric(0.25), Filler.RANDOM, 1));
    }

    @Test
    void everyTaskComesBackFromItsConfiguration() {
        for (TaskConfig task : TaskContracts.ALL) {
            var draft = ConfigDraft.of(Presets.named(Presets.DEFAULT));
            List.of("train", "validation", "test")
                    .forEach(split -> draft.set("data." + split + ".*.task", task));
            TrainConfig config = draft.toConfig();
            assertThat(config.data().test().getFirst().task()).isEqualTo(task);
            assertThat(ConfigFile.fromJson(ConfigFile.toJson(config))).isEqualTo(config);
        }
    }

    /** The documentation shows a row of every task, as it comes. */
    @Test
    void theDocumentationShowsTheRowsThatThereAre() throws IOException {
        List<String> lines = Files.readAllLines(Path.of("../docs/tasks.md"));
        String start = "    ./panthera data ";
        List<String> shown = new ArrayList<>();
        for (int i = 0; i < lines.size(); i++) {
            if (lines.get(i).startsWith(start)) {
                String command = lines.get(i).substring("    ./panthera ".length());
                assertThat(Cli.run(command.split(" ")).succeeded().out().strip())
                        .as(command)
                        .isEqualTo(lines.get(i + 1).strip());
                shown.add(command.split(" ")[1]);
            }
        }
        assertThat(shown).containsExactlyInAnyOrderElementsOf(Tasks.ALL.names());
    }

    @Test
    void theListsNameEachOneWithItsOptions() {
        assertList(Tasks.ALL, Cli.run("tasks").succeeded().outLines());
        assertList(Mixers.SEQUENCE, Cli.run("mixers").succeeded().outLines());
        assertList(Mixers.STATE, Cli.run("mixers").succeeded().outLines());
        assertThat(Cli.run("tasks").out())
                .contains("key_exponent=1.0", "gap_law=power-law(power_a=0.01)");
        assertThat(Cli.run("mixers").out()).contains("taps=[3, -1]", "configs=[base-conv(taps=[3]");
    }

    private static void assertList(NamedConfigs<?> kinds, List<String> lines) {
        for (String name : kinds.names()) {
            String start = kinds.description(name).split(" ")[0];
            assertThat(start).isNotBlank();
            assertThat(lines)
                    .filteredOn(line ->
                            line.matches(
                                    Pattern.quote(name) + " {2,}" + Pattern.quote(start) + ".*"))
                    .hasSize(1);
        }
    }

    @Test
    void linesAreNoWiderThanTheTerminal() {
        for (int width : new int[] {60, 80, 120}) {
            var bytes = new ByteArrayOutputStream();
            var streams = new Streams(new PrintStream(bytes), System.err, false);
            var list = new KindList(streams, width);
            list.print(Tasks.ALL);
            list.print(Mixers.SEQUENCE);
            assertThat(bytes.toString().lines().mapToInt(String::length).max().orElseThrow())
                    .isLessThanOrEqualTo(width)
                    .isGreaterThan(width - 20);
        }
    }

    @Test
    void theListsAsJsonHaveAnObjectForEach() {
        List<JsonNode> tasks = json("tasks");
        assertThat(tasks.stream().map(line -> line.get("task").asString()))
                .containsExactlyElementsOf(Tasks.ALL.names());
        assertThat(tasks.getFirst().get("options").toString())
                .isEqualTo(
                        "{\"vocab_size\":8192,\"length\":64,\"pairs\":4,\"power_a\":0.01,\"filler\":\"random\",\"passes\":1}");
        List<JsonNode> mixers = json("mixers");
        assertThat(
                        mixers.stream()
                                .filter(line -> line.has("mixer"))
                                .map(line -> line.get("mixer").asString()))
                .containsExactlyElementsOf(Mixers.SEQUENCE.names());
        assertThat(mixers.stream().filter(line -> line.has("state_mixer")))
                .hasSameSizeAs(Mixers.STATE.names())
                .allMatch(line -> !line.get("description").asString().isEmpty());
    }

    private static List<JsonNode> json(String command) {
        return Cli.run(command, "--json").succeeded().outLines().stream()
                .map(JsonMapper.shared()::readTree)
                .toList();
    }
}
