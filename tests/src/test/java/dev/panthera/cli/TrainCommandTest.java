package dev.panthera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.kernels.Backend;
import dev.panthera.kernels.ConvMethod;
import dev.panthera.kernels.NativeInfo;
import dev.panthera.mixer.Attention;
import dev.panthera.mixer.BaseConv;
import dev.panthera.mixer.BlockKind;
import dev.panthera.mixer.Glu;
import dev.panthera.mixer.Hybrid;
import dev.panthera.mixer.Hyena;
import dev.panthera.mixer.Mamba;
import dev.panthera.mixer.Mixers;
import dev.panthera.mixer.ShortConvolution;
import dev.panthera.mixer.SlidingAttention;
import dev.panthera.task.DataSegment;
import dev.panthera.task.Filler;
import dev.panthera.task.Mqar;
import dev.panthera.train.Checkpoint;
import dev.panthera.train.Presets;
import dev.panthera.train.TrainConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Runs that are small enough to end at once. */
class TrainCommandTest {

    private static final String SMALL =
            "train --length 16 --pairs 2 --vocab 20 --train-examples 40"
                    + " --validation-examples 8 --test-examples 8 --d-model 8 --batch 8 --epochs 2 --threads 1";

    @TempDir Path folder;

    private Cli train(Path run, String... more) {
        var args =
                Stream.of(SMALL.split(" "), new String[] {"--out", run.toString()}, more)
                        .flatMap(Arrays::stream)
                        .toArray(String[]::new);
        return Cli.run(args);
    }

    private TrainConfig config(String... options) {
        Path run = folder.resolve("run-" + Arrays.hashCode(options));
        train(run, options).succeeded();
        return Checkpoint.readConfig(Checkpoint.locate(run));
    }

    @Test
    void theSummaryTellsResultAndFolder() {
        Path run = folder.resolve("run");
        var lines = train(run).succeeded().outLines();
        assertThat(lines)
                .anySatisfy(
                        line -> assertThat(line).matches("epoch 2/2 .*accuracy .* tokens/s .*"));
        assertThat(lines.reversed().subList(0, 5))
                .satisfiesExactly(
                        line ->
                                assertThat(line)
                                        .startsWith("run folder")
                                        .contains("panthera eval " + run),
                        line ->
                                assertThat(line)
                                        .startsWith("state")
                                        .contains(" bytes after 16 tokens"),
                        line -> assertThat(line).startsWith("parameters"),
                        line -> assertThat(line).startsWith("trained").contains("2 epochs"),
                        line -> assertThat(line).startsWith("test accuracy"));
        assertThat(run)
                .isDirectoryContaining("glob:**/config.json")
                .isDirectoryContaining("glob:**/metrics.jsonl");
    }

    @Test
    void optionsOfConvolutionsReachTheConfiguration() {
        var model =
                config("--mixer", "base-conv", "--taps", "5,-1,2", "--conv-method", "direct")
                        .model();
        assertThat(model.mixer())
                .isEqualTo(new BaseConv.Config(List.of(5, -1, 2), ConvMethod.DIRECT));
        assertThat(config("--mixer", "sliding-attention", "--window", "7").model().mixer())
                .isEqualTo(new SlidingAttention.Config(1, 7, false, 0.1, true));
        assertThat(config("--mixer", "short-conv", "--taps", "5").model().mixer())
                .isEqualTo(new ShortConvolution.Config(5));
        var mamba = config("--mixer", "mamba", "--state-size", "8").model();
        assertThat(mamba.mixer()).isEqualTo(new Mamba.Config(8));
        assertThat(mamba.block()).isEqualTo(BlockKind.AUTO);
        assertThat(config("--mixer", "mamba", "--block", "transformer").model().block())
                .isEqualTo(BlockKind.TRANSFORMER);
    }

    @Test
    void optionsOfMixersReachThoseOfAHybridThatHaveThem() {
        var model =
                config("--hybrid", "base-conv,attention,short-conv", "--heads", "4", "--taps", "2")
                        .model();
        assertThat(model.mixer())
                .isEqualTo(
                        Hybrid.Config.of(
                                new BaseConv.Config(List.of(2), ConvMethod.AUTO),
                                new Attention.Config(4),
                                new ShortConvolution.Config(2)));
    }

    @Test
    void filesAndSettingsMayHoldOptionsOfTheMixerThatAnOptionChooses() throws IOException {
        Path file =
                Files.writeString(
                        folder.resolve("c.yaml"), "model: {mixer: {taps: [4]}, state_mixer: glu}");
        var model =
                config(
                                "--mixer",
                                "base-conv",
                                "--config",
                                file.toString(),
                                "--set",
                                "model.mixer.method=direct",
                                "--set",
                                "model.state_mixer.multiple=2")
                        .model();
        assertThat(model.mixer()).isEqualTo(new BaseConv.Config(List.of(4), ConvMethod.DIRECT));
        assertThat(model.stateMixer()).isEqualTo(new Glu.Config(2));
        assertThat(
                        config("--mixer", "attention", "--set", "model.mixer=hyena")
                                .model()
                                .mixerLabel())
                .isEqualTo("attention");
        assertThat(
                        config(
                                        "--set",
                                        "model.mixer.configs.1.heads=4",
                                        "--hybrid",
                                        "hyena,attention")
                                .model()
                                .mixer())
                .isEqualTo(
                        Hybrid.Config.of(
                                new Hyena.Config(ConvMethod.AUTO), new Attention.Config(4)));
    }

    @Test
    void withJsonStandardOutputIsOneObject() {
        Path run = folder.resolve("run");
        var result = train(run, "--json");
        assertThat(result.code()).isZero();
        assertThat(result.err()).contains("test accuracy");
        assertThat(result.outLines()).hasSize(1);
        JsonNode json = JsonMapper.shared().readTree(result.out());
        assertThat(json.propertyNames())
                .containsExactly(
                        "accuracy",
                        "causal",
                        "loss",
                        "epochs",
                        "seconds",
                        "parameters",
                        "state_bytes",
                        "folder");
        assertThat(json.get("epochs").asInt()).isEqualTo(2);
        assertThat(json.get("seconds").asDouble()).isPositive();
        assertThat(json.get("folder").asString()).isEqualTo(run.toString());
    }

    @Test
    void evaluationGivesWhatTheRunGave() {
        Path run = folder.resolve("run");
        JsonNode trained = JsonMapper.shared().readTree(train(run, "--json").out());
        JsonNode evaluated =
                JsonMapper.shared()
                        .readTree(Cli.run("eval", run.toString(), "--json").succeeded().out());
        assertThat(evaluated.get("accuracy")).isEqualTo(trained.get("accuracy"));
        assertThat(evaluated.get("loss")).isEqualTo(trained.get("loss"));
        assertThat(evaluated.get("examples").asInt()).isEqualTo(8);
        assertThat(evaluated.get("slices").get("key_query_distance").propertyNames())
                .isNotEmpty()
                .isSubsetOf("2", "4", "8", "16");
        var others =
                Cli.run(
                                "eval",
                                run.toString(),
                                "--length",
                                "12",
                                "--pairs",
                                "1",
                                "--test-examples",
                                "5")
                        .succeeded();
        assertThat(others.out())
                .contains(
                        "(5 examples; 10.00 % by chance)",
                        "input_seq_len 12:", "num_kv_pairs 1:", "key_query_distance ");
    }

    /** With two pairs, as in training, four passes would not fit. */
    @Test
    void otherTestRowsNeedNotSuitTheTrainingRows() {
        Path run = folder.resolve("run");
        train(run).succeeded();
        var others = Cli.run("eval", run.toString(), "--pairs", "1", "--passes", "4").succeeded();
        assertThat(others.out()).contains("num_passes 4:");
    }

    @Test
    void aFinishedRunCanBeResumedButNotChanged() {
        Path run = folder.resolve("run");
        train(run).succeeded();
        var resumed = Cli.run("train", "--resume", run.toString()).succeeded();
        assertThat(resumed.out()).contains("resumed after 2 epochs", "test accuracy");
        Cli.run("train", "--resume", run.toString(), "--lr", "1")
                .refused("--lr", "keeps its configuration");
        Cli.run("train", "--resume", run.toString(), "--set", "epochs=9").refused("--set");
        Cli.run("train", "--resume", run.resolve(Checkpoint.FILE).toString())
                .refused("it is a file", "name the run's folder");
    }

    @Test
    void aRunIsNotOverwritten() throws IOException {
        Path run = folder.resolve("run");
        train(run).succeeded();
        byte[] before = Files.readAllBytes(run.resolve(Checkpoint.FILE));
        train(run).refused("holds another run", "--resume " + run);
        assertThat(run.resolve(Checkpoint.FILE)).hasBinaryContent(before);
    }

    @Test
    void optionsBeatSettingsThatBeatTheFile() throws IOException {
        Path file =
                Files.writeString(
                        folder.resolve("c.yaml"),
                        "{seed: 1, weight_decay: 0.5, learning_rate: 0.5}");
        var config =
                config(
                        "--config",
                        file.toString(),
                        "--lr",
                        "0.125",
                        "--set",
                        "weight_decay=0.25",
                        "--set",
                        "learning_rate=2");
        assertThat(config.seed()).isEqualTo(1);
        assertThat(config.weightDecay()).isEqualTo(0.25);
        assertThat(config.learningRate()).isEqualTo(0.125);
    }

    @Test
    void everyOptionReachesItsKey() {
        var config =
                config(
                        "--hybrid",
                        "attention,attention",
                        "--layers",
                        "3",
                        "--heads",
                        "2",
                        "--state-mixer",
                        "glu",
                        "--rotary",
                        "--positions",
                        "false",
                        "--embedding-init",
                        "spherical",
                        "--loss",
                        "cross-entropy-embeddings",
                        "--dropout",
                        "0.25",
                        "--passes",
                        "2",
                        "--power-a",
                        "0.5",
                        "--fillers",
                        "random",
                        "--order",
                        "fixed",
                        "--lr",
                        "0.01",
                        "--weight-decay",
                        "0.2",
                        "--stop-above",
                        "0.5",
                        "--protocol",
                        "published",
                        "--seed",
                        "77",
                        "--data.test_batch=4");
        assertThat(config.toString())
                .contains(
                        "mixer=Config[configs=["
                                + "Config[heads=2, dropout=0.25, bias=true, rotary=true], "
                                + "Config[heads=2, dropout=0.25, bias=true, rotary=true]]]",
                        "layers=3",
                        "dModel=8")
                .contains(
                        "positions=false, learnWordEmbeddings=true, embeddingInit=SPHERICAL, dropout=0.25",
                        "order=FIXED")
                .contains(
                        "batch=8",
                        "testBatch=4",
                        "epochs=2",
                        "learningRate=0.01",
                        "weightDecay=0.2")
                .contains("loss=cross-entropy-embeddings", "stopAbove=0.5", "protocol=PUBLISHED");
        assertThat(config.model().stateMixer()).isEqualTo(new Glu.Config(4));
        var task = new Mqar(20, 16, 2, 0.5, Filler.RANDOM, 2);
        assertThat(config.data().train()).containsExactly(new DataSegment(task, 40));
        assertThat(config.data().validation()).containsExactly(new DataSegment(task, 8));
        assertThat(config.data().test()).containsExactly(new DataSegment(task, 8));
        assertThat(List.of(config.seed(), config.data().seed())).containsOnly(77L);
    }

    @Test
    void theHelpNamesEveryPresetAndDefault() {
        String help = Cli.run("train", "--help").succeeded().out();
        assertThat(help).contains(Presets.names());
        var defaults = Presets.named(Presets.DEFAULT);
        assertThat(help.replaceAll("\\s+", " "))
                .contains("--d-model=N Channels. Default: " + defaults.model().dModel())
                .contains("--vocab=N Number of tokens. Default: " + defaults.data().vocabSize())
                .contains(
                        "--mixer=NAME Sequence mixer; panthera mixers lists them. Default: attention")
                .contains(
                        "--state-mixer=NAME State mixer; panthera mixers lists them. Default: identity")
                .contains("--heads=N Heads of attention. Default: 1")
                .contains(
                        "--lr=X Learning rate of the first epoch. Default: "
                                + defaults.learningRate());
        assertThat(Cli.run("mixers").succeeded().out())
                .contains(Mixers.SEQUENCE.names())
                .contains(Mixers.STATE.names());
    }

    @Test
    void autoSaysWhatItChoseAndWhy() {
        var problem = NativeInfo.backendProblem(Backend.CUDA);
        Path run = folder.resolve("run");
        String expected = problem.map(reason -> "; no CUDA: " + reason).orElse("on cuda:0 (");
        assertThat(train(run, "--device", "auto").succeeded().outLines().getFirst())
                .contains(expected);
        assertThat(Cli.run("eval", run.toString(), "--device", "auto").succeeded().out())
                .contains(expected);
    }

    @Test
    void aDeviceThatIsNotThereIsRefusedWithTheReason() {
        var problem = NativeInfo.backendProblem(Backend.CUDA);
        String device = problem.isPresent() ? "cuda:0" : "cuda:999";
        Path run = folder.resolve("run");
        train(run, "--device", device)
                .refused("--device " + device, problem.orElse("CUDA devices; use "));
        assertThat(run).doesNotExist();
    }

    @Test
    void withoutArgumentsTheCommandsAreListed() {
        var help = Cli.run().succeeded();
        assertThat(help.out())
                .contains("train", "eval", "data", "tasks", "mixers", "parity", "doctor");
        assertThat(Cli.run("--help").succeeded()).isEqualTo(help);
        assertThat(Cli.run("--version").succeeded().out()).startsWith("panthera ").hasLineCount(1);
    }

    @Test
    void theDoctorNamesWhatIsUsed() {
        assertThat(Cli.run("doctor", "--ops").succeeded().out())
                .contains(
                        "java",
                        "libpanthera.so",
                        "interface",
                        "baseline",
                        "threads",
                        "GEMM",
                        "cuda")
                .contains("linear_forward");
    }
}
