package dev.panthera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.mixer.MixerConfig;
import dev.panthera.sweep.ExperimentJar;
import dev.panthera.sweep.SweepStore;
import dev.panthera.sweep.TrialIdentity;
import dev.panthera.sweep.TrialOrder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Experiments from the command line: compiled, started, listed, and what is said when that cannot be. */
class RunCommandTest {
    static final String TINY =
            """
            Sweep.named("tiny").from(Presets.named("default"))
                .over(Mqar.of(16, 2).withVocabSize(64)).examples(64, 32).batch(16).over(Width.of(8))
                .over(LearningRate.of(1e-3, 1e-2)).epochs(1)
                .scale("small", s -> s.over(LearningRate.of(1e-2)))
            """;

    @TempDir private Path folder;

    @ParameterizedTest
    @MethodSource("experiments")
    void everyExperimentCompiles(Path experiment) throws IOException {
        Path jar = folder.resolve("experiment.jar");
        ExperimentJar.compile(experiment, jar);
        assertThat(jar).isNotEmptyFile();
    }

    static Stream<Path> experiments() throws IOException {
        try (var files = Files.list(Path.of("..", "experiments"))) {
            return files
                    .filter(file -> file.toString().endsWith(".java"))
                    .sorted()
                    .toList()
                    .stream();
        }
    }

    /** Those that have a small scale, since the costs of large models take long to estimate. */
    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("smallExperiments")
    void everySmallExperimentCanBeListed(Path experiment) throws IOException {
        var result = run(experiment, oneModel(experiment)).succeeded();
        assertThat(result.out()).contains(" trials", "for one trial after the other");
        assertThat(out()).doesNotExist();
    }

    /** Where many models are compared, one of them alone: each has to be measured. */
    private static String[] oneModel(Path experiment) throws IOException {
        String source = Files.readString(experiment);
        List<String> options = new ArrayList<>(List.of("--scale", "small", "--dry-run"));
        if (source.contains("new Factor(\"model\"")) {
            options.addAll(List.of("--only", "model=attention-d16"));
        } else if (source.contains("Layers[] models(")) {
            options.addAll(List.of("--only", "mixer=attention"));
        }
        return options.toArray(String[]::new);
    }

    static Stream<Path> smallExperiments() throws IOException {
        List<Path> small = new ArrayList<>();
        for (Path file : experiments().toList()) {
            if (Files.readString(file).contains(".scale(\"small\"")) {
                small.add(file);
            }
        }
        return small.stream();
    }

    @Test
    void aSweepRunsOnceAndIsThenDone() throws IOException {
        Path file = experiment("void main(String... args) { " + TINY + ".run(args); }");
        var first = run(file).succeeded();
        assertThat(first.out())
                .contains("tiny: 2 trials", "[1/2] ", "[2/2] ", "2 done, 0 failed")
                .doesNotContain("\033");
        assertThat(out().resolve(ExperimentJar.NAME)).isNotEmptyFile();
        var second = run(file).succeeded();
        assertThat(second.out())
                .contains("2 of them have ended before", "2 done, 0 failed")
                .doesNotContain("[");
    }

    @Test
    void numbersOfTrialsComeAsOneLineOfJson() throws IOException {
        Path file = experiment("void main() { " + TINY + ".run(); }");
        var result = run(file, "--json", "--only", "lr=1e-3");
        assertThat(result.code()).isZero();
        assertThat(result.out())
                .isEqualTo(
                        new JsonLine()
                                        .with("folder", out().toString())
                                        .with("done", 1)
                                        .with("failed", 0)
                                        .with("left", 0)
                                + "\n");
        assertThat(result.err()).contains("1 done, 0 failed").doesNotContain("\033");
    }

    @Test
    void optionsReachTheSweepWhereverTheyStand() throws IOException {
        Path file = experiment("void main(String... args) { " + TINY + ".run(args); }");
        var result =
                Cli.run(
                        "run",
                        "--set",
                        "epochs=2",
                        "--only=lr=0.01",
                        file.toString(),
                        "--out",
                        out().toString(),
                        "--data.batch=8");
        result.succeeded();
        assertThat(result.out()).contains("tiny: 1 trials", "2 epochs");
    }

    @Test
    void aFailedTrialIsToldAndExitsWithOne() throws IOException {
        Path file =
                experiment(
                        "void main(String... args) { "
                                + TINY
                                + ".over(LearningRate.of(1e30, 1e-3)).run(args); }");
        var result = run(file);
        assertThat(result.err()).isEmpty();
        assertThat(result.code()).isEqualTo(1);
        assertThat(result.out())
                .contains(
                        "FAILED: ",
                        "1 done, 1 failed",
                        "panthera ls " + out() + " --status failed",
                        "--retry-failed");
        assertThat(run(file, "--retry-failed").out()).contains("FAILED: ");
        assertThat(run(file).code()).isEqualTo(1);
    }

    @Test
    void aDryRunListsAndWritesNothing() throws IOException {
        Path file =
                experiment(
                        "void main(String... args) { "
                                + TINY
                                + ".over(Layers.of(1, new Attention.Config(1)), Layers.missing(\"h3\")).run(args); }");
        var result = run(file, "--dry-run").succeeded();
        assertThat(result.out())
                .contains(
                        "tiny: 2 trials",
                        "parameters",
                        "mixer=attention",
                        "2 not available: mixer=h3",
                        "2 more are not available");
        assertThat(out()).doesNotExist();
    }

    @Test
    void aGridInYamlRunsToo() throws IOException {
        Path file = Files.writeString(folder.resolve("grid.yaml"), GRID);
        assertThat(run(file).succeeded().out()).contains("grid: 2 trials", "2 done, 0 failed");
        assertThat(run(file, "--dry-run").succeeded().out()).contains("grid: 2 trials");
    }

    static final String GRID =
            """
            preset: default
            set: {data.**.length: 16, data.**.pairs: 2, data.**.vocab_size: 64, data.**.examples: 32, epochs: 1, model.d_model: 8}
            over: {lr: [1e-3, 1e-2]}
            """;

    @Test
    void aCompileErrorNamesFileAndLine() throws IOException {
        Path file = experiment("\n\nvoid main() { int x = \"text\"; }");
        run(file).refused(file + ":4: incompatible types", "String cannot be converted to int");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "void mian() {}                                            | X.java:2: compact source file | void main",
                "class X { void run() {} }                                 | X.java: it has no main method | void main",
                "void main() { throw new UserException(\"it is so\"); }    | it is so                      | it is so",
                "package a; class Y { void main() {} }                     | declares no class X           | name the file after",
                "class X { X(int i) {} void main() {} }                    | no constructor without parameters | make main static"
            })
    void whatAnExperimentLacksIsNamed(String source, String what, String possible)
            throws IOException {
        Path file = source.startsWith("void") ? experiment(source) : plain(source);
        run(file).refused(what, possible);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "void main() { throw new IllegalStateException(\"my fault\"); } | IllegalStateException: my fault",
                "void main() throws Exception { throw new java.io.IOException(\"my fault\"); } | IOException: my fault",
                "void main() { throw new StackOverflowError(\"my fault\"); }    | StackOverflowError: my fault",
                "int[] x = new int[-1]; void main() {}                          | NegativeArraySizeException: -1"
            })
    void whatAnExperimentThrowsIsOneLineAndExitsWithOne(String source, String message)
            throws IOException {
        var result = run(experiment(source));
        assertThat(result.err().lines())
                .singleElement()
                .asString()
                .startsWith("panthera: unexpected")
                .contains(message, "--stacktrace tells where");
        assertThat(result.code()).isEqualTo(1);
        assertThat(run(experiment(source), "--stacktrace").err()).contains("at X.");
    }

    @ParameterizedTest
    @CsvSource({
        "void main() { IO.println(); SWEEP.run(); }",
        "void main(String[] args) { SWEEP.run(args); }",
        "static void main(String... args) { SWEEP.run(args); }",
        "static void main() { SWEEP.run(); }"
    })
    void everyMainMethodOfJavaStarts(String source) throws IOException {
        run(experiment(source.replace("SWEEP", TINY)), "--only=lr=1e-3").succeeded();
        try (var store = SweepStore.openForReading(out())) {
            assertThat(store.trials()).hasSize(2);
        }
    }

    @Test
    void anOrdinaryClassInAPackageStarts() throws IOException {
        Path file =
                plain(
                        """
                        package lab.recall;

                        import dev.panthera.sweep.LearningRate;
                        import dev.panthera.sweep.Sweep;
                        import dev.panthera.sweep.Width;
                        import dev.panthera.task.Mqar;
                        import dev.panthera.train.Presets;

                        public class X {
                            public static void main(String[] args) {
                                %s.run(args);
                            }
                        }
                        """
                                .formatted(TINY));
        assertThat(run(file).succeeded().out()).contains("2 done");
    }

    @Test
    void aScriptOfJbangCompiles() throws IOException {
        Path file =
                plain(
                        """
                        ///usr/bin/env jbang "$0" "$@" ; exit $?
                        //JAVA 25
                        //DEPS dev.panthera:panthera:0.1.0

                        import dev.panthera.sweep.*;
                        import dev.panthera.task.Mqar;
                        import dev.panthera.train.Presets;

                        class X {
                            public static void main(String... args) {
                                %s.run(args);
                            }
                        }
                        """
                                .formatted(TINY));
        ExperimentJar.compile(file, folder.resolve("x.jar"));
        assertThat(folder.resolve("x.jar")).isNotEmptyFile();
    }

    @Test
    void theSameSourceGivesTheSameJar() throws IOException {
        Path file = experiment("void main() { Runnable r = () -> {}; r.run(); }");
        ExperimentJar.compile(file, folder.resolve("1.jar"));
        ExperimentJar.compile(file, folder.resolve("2.jar"));
        assertThat(folder.resolve("1.jar")).hasSameBinaryContentAs(folder.resolve("2.jar"));
    }

    static final String OWN_MIXER =
            """
            record Mine() implements Mixer {
                record Config(int width) implements MixerConfig {
                    @Override public Mixer build(Layer layer, Init init) { return new Mine(); }
                }
                @Override public Tensor forward(Tape tape, Tensor x) { return x; }
                @Override public long stateSize(int length) { return 7; }
            }

            void main(String... args) {
                SWEEP.over(Layers.of(1, new Mine.Config(3))).run(args);
            }
            """
                    .replace("SWEEP", TINY);

    @Test
    void anExperimentsOwnMixerIsTrainedAndComesBackFromJsonInAFreshClassLoader()
            throws IOException {
        run(experiment(OWN_MIXER)).succeeded();
        StoredConfig stored;
        try (var store = SweepStore.openForReading(out())) {
            var trial = store.trials().getFirst();
            assertThat(trial.label()).contains("mixer=mine");
            assertThat(trial.stateBytes()).isEqualTo(7 * 4);
            stored = new StoredConfig(trial.id(), trial.config());
        }
        var thread = Thread.currentThread();
        var before = thread.getContextClassLoader();
        try (var loader = ExperimentJar.loader(out().resolve(ExperimentJar.NAME))) {
            thread.setContextClassLoader(loader);
            var order =
                    TrialOrder.fromJson(
                            ("{\"id\":\"%s\",\"label\":\"\",\"config\":%s,\"device\":\"cpu\",\"threads\":1,\"folder\":null,"
                                            + "\"tracking\":{\"tensorboard\":null,\"mlflow\":null,\"experiment\":\"x\"}}")
                                    .formatted(stored.id, stored.config));
            MixerConfig mixer = order.config().model().mixer();
            assertThat(mixer.getClass().getName()).isEqualTo("X$Mine$Config");
            assertThat(mixer.getClass().getClassLoader()).isSameAs(loader);
            assertThat(TrialIdentity.of(order.config())).isEqualTo(stored.id);
        } finally {
            thread.setContextClassLoader(before);
        }
    }

    private record StoredConfig(String id, String config) {}

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--set lr=1,1          | lr: 1 is there twice        | leave one out",
                "--set lr=             | --set lr=                   | for example lr=1e-3,1e-2",
                "--set mixer=hyaena    | --mixer hyaena              | attention",
                "--set epochs=0        | --epochs 0                  | at least one",
                "--set weight_decay=0,0.0 | same                     | vary something",
                "--only mixer=h3       | varies no mixer             | choose from",
                "--only lr=3           | --only lr=3                 | 0.001, 0.01",
                "--scale big           | --scale big                 | small",
                "--slots -1            | --slots -1                  | 1 to 1024",
                "--slots x             | --slots x                   | a whole number",
                "--threads -1          | --threads -1                | 1 to 1024",
                "--device gpu          | --device gpu                | cuda:0",
                "--device cuda:7       | --device cuda:7             | --device cpu",
                "--retry               | --retry                     | --retry-failed",
                "surplus               | surplus                     | no such"
            })
    void whatCannotBeAskedOfASweepIsNamed(String options, String what, String possible)
            throws IOException {
        Path file = experiment("void main(String... args) { " + TINY + ".run(args); }");
        run(file, options.strip().split(" ")).refused(what, possible);
        assertThat(out()).doesNotExist();
    }

    @ParameterizedTest
    @CsvSource({
        "none.java, there is no such file",
        "none.yaml, there is no such file",
        "note.txt, an experiment is a .java or .yaml file",
        "., there is no such file"
    })
    void whatIsNoExperimentIsNamed(String name, String message) throws IOException {
        Files.writeString(folder.resolve("note.txt"), "void main() {}");
        run(folder.resolve(name)).refused(name, message);
    }

    @Test
    void aFolderThatIsAFileIsNamed() throws IOException {
        Files.writeString(out(), "x");
        Path file = experiment("void main(String... args) { " + TINY + ".run(args); }");
        run(file).refused("--out " + out(), "it is a file");
    }

    @Test
    void aSweepOfNothingThatExistsIsRefused() throws IOException {
        Path file =
                experiment(
                        "void main(String... args) { "
                                + TINY
                                + ".over(Layers.missing(\"h3\")).run(args); }");
        run(file).refused("there is no trial to run", "does not exist yet");
        assertThat(run(file, "--dry-run").succeeded().out()).contains("2 not available: mixer=h3");
    }

    private Path experiment(String body) throws IOException {
        return plain("import module dev.panthera;\n" + body);
    }

    private Path plain(String source) throws IOException {
        return Files.writeString(folder.resolve("X.java"), source);
    }

    private Path out() {
        return folder.resolve("out");
    }

    private Cli run(Path file, String... options) {
        List<String> arguments =
                new ArrayList<>(List.of("run", file.toString(), "--out", out().toString()));
        arguments.addAll(List.of(options));
        return Cli.run(arguments.toArray(String[]::new));
    }
}
