package dev.panthera.sweep;

import dev.panthera.UserException;
import dev.panthera.task.DataSegment;
import dev.panthera.task.Filler;
import dev.panthera.task.TaskConfig;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.Presets;
import dev.panthera.train.TrainConfig;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.function.Consumer;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/**
 * An experiment: a trial for each combination of what is varied.
 *
 * <pre>{@code
 * Sweep.named("widths")
 *     .over(Mqar.of(64, 4), Mqar.of(128, 8)).examples(100_000, 3_000)
 *     .over(Width.of(64, 128))
 *     .over(LearningRate.logspace(-4, -2, 4))
 *     .over(Layers.of(2, new Attention.Config(1)), Layers.of(4, new Hyena.Config(ConvMethod.AUTO)))
 *     .epochs(64).stopAbove(0.99)
 *     .run(args);
 * }</pre>
 *
 * What is not said is as in the preset {@value Presets#FIGURE_2}. What is said of one thing twice counts the second time, so that a
 * {@link #scale} can change what came before. Not for use by several threads.
 */
public final class Sweep {
    private static final String TASK = "task";
    private static final String MIXER = "mixer";

    private final String name;
    private String description = "";
    private TrainConfig base = Presets.named(Presets.FIGURE_2);
    private final Map<String, Object> settings = new LinkedHashMap<>();
    private final Map<String, Factor> factors = new LinkedHashMap<>();
    private final Map<String, Object> overrides = new LinkedHashMap<>();
    private final Map<String, Consumer<Sweep>> scales = new LinkedHashMap<>();
    private List<TaskConfig> tasks = List.of();
    private int trainExamples = 100_000;
    private int testExamples = 3_000;
    private @Nullable ToIntFunction<TaskConfig> batch;

    private Sweep(String name) {
        UserException.require(
                name.matches("[A-Za-z0-9][A-Za-z0-9._-]*"),
                "sweep %s: its name becomes a folder's; use letters, digits, points, _ and -",
                name);
        this.name = name;
    }

    /** A sweep of one trial, to begin with. */
    public static Sweep named(String name) {
        return new Sweep(name);
    }

    /** Its name, which is that of its folder unless another is chosen. */
    public String name() {
        return name;
    }

    /** What it is about, for its report. */
    public Sweep description(String text) {
        description = text;
        return this;
    }

    /** What it is about; empty if nothing was said. */
    public String description() {
        return description;
    }

    /** Starts from this configuration. */
    public Sweep from(TrainConfig config) {
        base = config;
        return this;
    }

    /** Varies one thing. */
    public Sweep over(Factor factor) {
        if (factor.name().equals(TASK)) {
            tasks = List.of();
        }
        factors.put(factor.name(), factor);
        return this;
    }

    /** Varies the mixers, with their numbers of layers: the factor {@code mixer}. */
    public Sweep over(Layers... models) {
        return over(new Factor(MIXER, Arrays.stream(models).map(Layers::level).toList()));
    }

    /** Varies the task that is trained, validated and tested on: the factor {@code task}. */
    public Sweep over(TaskConfig... choices) {
        tasks = List.of(choices);
        factors.put(TASK, taskFactor());
        return this;
    }

    /** How many rows of each task are trained on, and how many are validated and tested on. */
    public Sweep examples(int train, int test) {
        trainExamples = train;
        testExamples = test;
        return this;
    }

    /** What stands in rows where nothing is asked. */
    public Sweep fillers(Filler filler) {
        overrides.put("data.**.filler", filler);
        return this;
    }

    /** Rows of a batch. */
    public Sweep batch(int rows) {
        return batch(task -> rows);
    }

    /** Rows of a batch, by task. */
    public Sweep batch(ToIntFunction<TaskConfig> rows) {
        batch = rows;
        return this;
    }

    /** Most passes over the training rows. */
    public Sweep epochs(int epochs) {
        return set("epochs", epochs);
    }

    /** Ends a trial after an epoch whose accuracy is greater. */
    public Sweep stopAbove(double accuracy) {
        return set("stop_above", accuracy);
    }

    /** Which split decides about stopping. */
    public Sweep protocol(TrainConfig.Protocol protocol) {
        return set("protocol", protocol);
    }

    /** Sets one value in all trials; see {@link ConfigDraft#set(String, Object)}. */
    public Sweep set(String path, Object value) {
        settings.put(path, value);
        return this;
    }

    /** Sets a value in all trials over what factors say, as the command line does. */
    Sweep override(String path, Object value) {
        overrides.put(path, value);
        return this;
    }

    /** Says what {@code --scale NAME} changes. */
    public Sweep scale(String scale, Consumer<Sweep> change) {
        scales.put(scale, change);
        return this;
    }

    /** Applies a scale. */
    Sweep scaled(String scale) {
        Consumer<Sweep> change = scales.get(scale);
        UserException.require(
                change != null,
                "--scale %s: %s has no such scale; %s",
                scale,
                name,
                scales.isEmpty()
                        ? "it has only one size"
                        : "choose from " + String.join(", ", scales.keySet()));
        change.accept(this);
        return this;
    }

    /** What is varied, in the order that it was said. */
    public List<Factor> factors() {
        if (!tasks.isEmpty()) {
            factors.put(TASK, taskFactor());
        }
        return List.copyOf(factors.values());
    }

    private Factor taskFactor() {
        return new Factor(TASK, tasks.stream().map(this::level).toList());
    }

    private Level level(TaskConfig task) {
        var held = List.of(new DataSegment(task, testExamples));
        Map<String, Object> values = new LinkedHashMap<>();
        values.put("data.train", List.of(new DataSegment(task, trainExamples)));
        values.put("data.validation", held);
        values.put("data.test", held);
        if (batch != null) {
            int rows = batch.applyAsInt(task);
            values.put("data.batch", rows);
            values.put("data.test_batch", rows);
        }
        return new Level(task.label(), values, true);
    }

    /**
     * All trials.
     *
     * @throws UserException if a configuration is impossible, or two are the same
     */
    public Grid grid() {
        return Grid.of(factors(), this::config);
    }

    private TrainConfig config(List<Level> levels) {
        var draft = ConfigDraft.of(base);
        settings.forEach(draft::set);
        for (Level level : levels) {
            level.values().forEach(draft::set);
        }
        overrides.forEach(draft::set);
        return draft.toConfig();
    }

    /** As {@link #run(String...)} with the arguments that {@code panthera run} was given for the experiment. */
    public void run() {
        run(Launch.current().map(Launch::arguments).orElse(List.of()).toArray(String[]::new));
    }

    /**
     * Carries out what is not done yet, as the arguments say; {@code --help} tells which there are. Where {@code panthera run} has
     * started the experiment, it also ends it; elsewhere this ends the JVM if something went wrong.
     */
    public void run(String... args) {
        var console =
                ServiceLoader.load(SweepConsole.class)
                        .findFirst()
                        .orElseThrow(
                                () -> new IllegalStateException("the command line is not there"));
        int code = console.run(this, List.of(args));
        Launch.current()
                .ifPresentOrElse(
                        launch -> launch.ended(code),
                        () -> {
                            if (code != 0) {
                                System.exit(code);
                            }
                        });
    }

    @Override
    public String toString() {
        return name;
    }
}
