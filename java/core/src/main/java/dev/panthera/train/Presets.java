package dev.panthera.train;

import dev.panthera.UserException;
import dev.panthera.mixer.Attention;
import dev.panthera.mixer.BlockKind;
import dev.panthera.mixer.Mixers;
import dev.panthera.mixer.Mlp;
import dev.panthera.mixer.Passthrough;
import dev.panthera.mixer.StateMixerConfig;
import dev.panthera.model.Loss;
import dev.panthera.nn.EmbeddingInit;
import dev.panthera.task.BatchOrder;
import dev.panthera.task.DataSegment;
import dev.panthera.task.Filler;
import dev.panthera.task.Mqar;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/** Configurations with a name: what the command line starts from. */
public final class Presets {
    /** Two layers of attention that learn recall within a minute on two cores. */
    public static final String DEFAULT = "default";

    /** The setting of figure 2 of Arora et al. 2023 (arXiv 2312.04927) at (L, D) = (64, 4). */
    public static final String FIGURE_2 = "figure-2";

    private static final double WEIGHT_DECAY = 0.1;
    private static final double STOP_ABOVE = 0.99;

    /** Leaves room for the test split to do a little worse than the validation split, and still pass 99 %. */
    private static final double DEFAULT_STOP_ABOVE = 0.995;

    private static final long SEED = 123;

    private static final Map<String, Supplier<TrainConfig>> ALL = new LinkedHashMap<>();

    static {
        ALL.put(DEFAULT, Presets::defaults);
        ALL.put("zoology-basic", Presets::zoologyBasic);
        ALL.put(FIGURE_2, Presets::figure2);
    }

    private Presets() {}

    /** Names of all presets. */
    public static List<String> names() {
        return List.copyOf(ALL.keySet());
    }

    /**
     * The preset of that name.
     *
     * @throws UserException if there is none
     */
    public static TrainConfig named(String name) {
        var preset = ALL.get(name);
        UserException.require(
                preset != null,
                "--preset %s: there is no such preset; choose from %s",
                name,
                String.join(", ", ALL.keySet()));
        return preset.get();
    }

    private static TrainConfig defaults() {
        var model = attention(64, new Passthrough.Config());
        var task = Mqar.of(64, 8).withVocabSize(256).withFiller(Filler.ZERO);
        return config(model, data(task, 20_000, 1_000, 32), 16, 2e-3, DEFAULT_STOP_ABOVE);
    }

    /** The original's basic example. */
    private static TrainConfig zoologyBasic() {
        var model = attention(128, new Mlp.Config(4));
        var task = Mqar.of(64, 4).withVocabSize(256);
        return config(model, data(task, 10_000, 1_000, 32), 100, 1e-3, STOP_ABOVE);
    }

    /** Attention at (L, D) = (64, 4) in figure 2 of Arora et al. 2023 (arXiv 2312.04927), second learning rate. */
    private static TrainConfig figure2() {
        var model = attention(64, new Passthrough.Config());
        var task = Mqar.of(64, 4).withFiller(Filler.ZERO);
        return config(model, data(task, 100_000, 3_000, 512), 64, 4.64e-4, STOP_ABOVE);
    }

    /**
     * The preset of that name for another mixer than its own: in figure 2 the models without attention have four layers and
     * no positions.
     */
    public static TrainConfig named(String name, String mixer) {
        TrainConfig preset = named(name);
        if (!name.equals(FIGURE_2) || mixer.equals(preset.model().mixerLabel())) {
            return preset;
        }
        return preset.withModel(preset.model().withMixer(Mixers.SEQUENCE.named(mixer), 4, false));
    }

    private static ModelOptions attention(int dModel, StateMixerConfig stateMixer) {
        return new ModelOptions(
                new Attention.Config(1),
                BlockKind.AUTO,
                2,
                dModel,
                stateMixer,
                true,
                true,
                EmbeddingInit.DEFAULT,
                0.1,
                0,
                0);
    }

    private static DataOptions data(Mqar task, int trainExamples, int testExamples, int batch) {
        var train = List.of(new DataSegment(task, trainExamples));
        var held = List.of(new DataSegment(task, testExamples));
        return new DataOptions(train, held, held, batch, batch, BatchOrder.SHUFFLED, SEED);
    }

    private static TrainConfig config(
            ModelOptions model,
            DataOptions data,
            int epochs,
            double learningRate,
            double stopAbove) {
        return new TrainConfig(
                model,
                data,
                Loss.CROSS_ENTROPY,
                epochs,
                learningRate,
                WEIGHT_DECAY,
                stopAbove,
                TrainConfig.Protocol.VALIDATION,
                SEED);
    }
}
