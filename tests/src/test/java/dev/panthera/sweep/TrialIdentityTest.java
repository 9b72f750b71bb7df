package dev.panthera.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import dev.panthera.e2e.ChildJvm;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.ConfigFile;
import dev.panthera.train.DeviceChoice;
import dev.panthera.train.EpochReport;
import dev.panthera.train.RunOptions;
import dev.panthera.train.TrainConfig;
import dev.panthera.train.TrainListener;
import dev.panthera.train.Trainer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What makes a trial the same trial. */
class TrialIdentityTest {
    private static final TrainConfig CONFIG = TinySweep.one().grid().trials().getFirst().config();

    @TempDir private Path folder;

    @Test
    void anIdentityIsSixteenHexadecimalDigits() {
        assertThat(TrialIdentity.of(CONFIG)).matches("[0-9a-f]{16}");
    }

    /** The child computes it first, so that no order of class loading or hashing decides. */
    @Test
    void anotherJvmGivesTheSameIdentity() throws IOException, InterruptedException {
        String json = ConfigFile.toJsonLine(CONFIG);
        var outcome = ChildJvm.of(folder, Printer.class.getName(), json).run();
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.out().strip()).isEqualTo(TrialIdentity.of(CONFIG));
    }

    /** Prints the identity of a configuration. */
    static final class Printer {
        public static void main(String[] json) {
            IO.println(TrialIdentity.of(ConfigFile.fromJson(json[0])));
        }
    }

    @Test
    void theOrderInWhichValuesAreSetMakesNoDifference() {
        var one = ConfigDraft.of(CONFIG).set("epochs", 9).set("model.d_model", 32).toConfig();
        var other = ConfigDraft.of(CONFIG).set("model.d_model", 32).set("epochs", 9).toConfig();
        assertThat(TrialIdentity.of(one)).isEqualTo(TrialIdentity.of(other));
    }

    @ParameterizedTest
    @CsvSource({
        "epochs, 3",
        "learning_rate, 0.0011",
        "weight_decay, 0.2",
        "stop_above, 0.5",
        "protocol, published",
        "seed, 4",
        "model.layers, 2",
        "model.d_model, 16",
        "model.positions, false",
        "model.state_mixer, mlp",
        "model.block, mamba",
        "model.embedding_init, normal",
        "loss, mse",
        "model.mixer.heads, 2",
        "model.mixer.dropout, 0.3",
        "model.mixer, base-conv",
        "model.dropout, 0.2",
        "model.drop_path, 0.2",
        "data.batch, 8",
        "data.test_batch, 8",
        "data.order, fixed",
        "data.seed, 9",
        "data.train.0.examples, 65",
        "data.test.0.examples, 33",
        "data.validation.0.examples, 33",
        "data.train.0.task.pairs, 1",
        "data.train.0.task.filler, zero"
    })
    void eachValueMakesADifference(String path, String value) {
        TrainConfig other = ConfigDraft.of(CONFIG).setYaml(path, value).toConfig();
        assertThat(other).isNotEqualTo(CONFIG);
        assertThat(TrialIdentity.of(other)).isNotEqualTo(TrialIdentity.of(CONFIG));
    }

    @ParameterizedTest
    @CsvSource({"1e-3", "0.001", "1.0E-3", "10e-4"})
    void howALearningRateIsWrittenMakesNoDifference(String rate) {
        var config = ConfigDraft.of(CONFIG).setYaml("learning_rate", rate).toConfig();
        var plain = ConfigDraft.of(CONFIG).set("learning_rate", 0.001).toConfig();
        assertThat(TrialIdentity.of(config)).isEqualTo(TrialIdentity.of(plain));
    }

    /** As an earlier version wrote it, which knew neither block types, nor embedding starts, nor losses. */
    @Test
    void aTrialStoredBeforeThereWereSomeKeysIsStillTheSame() {
        String rows =
                """
                [{"task":{"name":"mqar","vocab_size":256,"length":64,"pairs":8,"power_a":0.01,"filler":"zero","passes":1},\
                "examples":1000}]\
                """;
        String stored =
                """
                {"model":{"mixer":{"name":"attention","heads":1,"dropout":0.1,"bias":true},"layers":2,"d_model":64,\
                "state_mixer":{"name":"identity"},"positions":true,"learn_word_embeddings":true,"dropout":0.1,\
                "residual_dropout":0.0,"drop_path":0.0},"data":{"train":%s,"validation":%s,"test":%s,"batch":32,\
                "test_batch":32,"order":"shuffled","seed":123},"epochs":16,"learning_rate":0.002,"weight_decay":0.1,\
                "stop_above":0.995,"protocol":"validation","seed":123}\
                """
                        .formatted(rows.replace("1000", "20000"), rows, rows);
        TrainConfig read = ConfigFile.fromJson(stored);
        assertThat(TrialIdentity.of(read)).isEqualTo("219243ba703327d3");
        assertThat(read).isEqualTo(ConfigFile.fromJson(ConfigFile.toJson(read)));
    }

    @Test
    void theCodeOfAnExperimentsMixerMakesADifference() throws Exception {
        String identity = identity(mixer("x", "2", "1e-3"));
        assertThat(identity(mixer("x", "2", "1e-3"))).as("compiled again").isEqualTo(identity);
        assertThat(identity(mixer("Helper.same(x)", "2", "1e-3")))
                .as("another method body")
                .isNotEqualTo(identity);
    }

    @Test
    void theCodeThatAMixerCallsMakesADifference() throws Exception {
        String calling = mixer("Helper.same(x)", "2", "1e-3");
        assertThat(identity(calling.replace("times = 2", "times = 3")))
                .isNotEqualTo(identity(calling));
    }

    @Test
    void theCodeAroundAMixerMakesNone() throws Exception {
        String source = mixer("x", "2", "1e-3");
        String identity = identity(source);
        assertThat(identity(mixer("x", "2", "1e-3, 1e-2"))).as("a larger grid").isEqualTo(identity);
        assertThat(identity("// why\n\n" + source)).as("a comment").isEqualTo(identity);
        assertThat(identity(mixer("x", "3", "1e-3")))
                .as("a class it does not use")
                .isEqualTo(identity);
    }

    private static String mixer(String result, String times, String rates) {
        return """
        import module dev.panthera;

        record Mine() implements Mixer {
            record Config(int width) implements MixerConfig {
                @Override public Mixer build(Layer layer, Init init) { return new Mine(); }
            }

            @Override public Tensor forward(Tape tape, Tensor x) { return %s; }

            @Override public long stateSize(int length) { return 0; }
        }

        interface Helper {
            int times = %s;
            static Tensor same(Tensor x) { int rest = times; while (rest > 0) { rest--; } return x; }
        }

        void main(String... args) {
            Sweep.named("s").over(LearningRate.of(%s)).over(Layers.of(1, new Mine.Config(3))).run(args);
        }
        """
                .formatted(result, times, rates);
    }

    private String identity(String source) throws Exception {
        Path file = Files.writeString(folder.resolve("X.java"), source);
        Path jar = folder.resolve("x.jar");
        ExperimentJar.compile(file, jar);
        var thread = Thread.currentThread();
        var before = thread.getContextClassLoader();
        try (var loader = ExperimentJar.loader(jar)) {
            thread.setContextClassLoader(loader);
            var type = loader.loadClass("X$Mine$Config");
            var constructor = type.getDeclaredConstructor(int.class);
            constructor.setAccessible(true);
            var mixer = (MixerConfig) constructor.newInstance(3);
            return TrialIdentity.of(ConfigDraft.of(CONFIG).set("model.mixer", mixer).toConfig());
        } finally {
            thread.setContextClassLoader(before);
        }
    }

    /**
     * Fixes what rows, initial values and training steps are for one configuration. If this fails and the change is meant, results in
     * old stores are no longer those of this program: add 1 to {@link TrialIdentity#SEMANTICS} and record the new numbers.
     */
    @Test
    void theSameConfigurationGivesTheSameLossesAsEver() {
        assertThat(TrialIdentity.SEMANTICS).isEqualTo(1);
        var result =
                Trainer.run(
                        ConfigDraft.of(CONFIG)
                                .setYaml(
                                        "model.mixer",
                                        "{name: hybrid, configs: [attention, base-conv, hyena]}")
                                .setYaml("model.layers", "3")
                                .setYaml("model.state_mixer", "mlp")
                                .toConfig(),
                        new RunOptions(new DeviceChoice("cpu", 1), null, false, () -> false),
                        TrainListener.SILENT);
        var losses =
                new ArrayList<>(result.history().stream().map(EpochReport::trainLoss).toList());
        losses.add(result.test().loss());
        double[] expected = {4.153690934181213, 4.1231571435928345, 4.160751074552536};
        assertThat(losses).hasSize(expected.length);
        for (int i = 0; i < expected.length; i++) {
            assertThat(losses.get(i))
                    .as("%d of %s", i, losses)
                    .isCloseTo(expected[i], withinPercentage(1e-2));
        }
    }
}
