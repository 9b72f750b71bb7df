package dev.panthera.compare;

import dev.panthera.UserException;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.Mixers;
import dev.panthera.sweep.Layers;
import dev.panthera.sweep.LearningRate;
import dev.panthera.sweep.Sweep;
import dev.panthera.task.DataSegment;
import dev.panthera.train.TrainConfig;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * What is to be compared, and on what.
 *
 * @param base task, width, epochs and all else that the mixers have in common; its own mixer and learning rate do not count
 * @param mixers at least one, by what a person calls it, in the order in which they are told of
 * @param learningRates of which each mixer's best counts; at least one
 * @param lengths at which training steps are timed, ascending; none to time nothing
 * @param tokens of each timed batch
 */
public record ComparisonPlan(
        TrainConfig base,
        Map<String, MixerConfig> mixers,
        List<Double> learningRates,
        List<Integer> lengths,
        int tokens) {
    /** The first of the lengths at which steps are timed. */
    public static final int SHORTEST = 64;

    private static final int LONGEST = 1 << 20;

    public ComparisonPlan {
        Map<String, MixerConfig> marked = new LinkedHashMap<>();
        mixers.forEach((label, mixer) -> marked.put(Mixers.marked(label, mixer), mixer));
        mixers = Collections.unmodifiableMap(marked);
        learningRates = List.copyOf(learningRates);
        lengths = List.copyOf(lengths);
        UserException.require(
                !mixers.isEmpty(), "--mixers: there is nothing to compare; name at least one");
        UserException.require(
                !learningRates.isEmpty(),
                "--lr: at least one learning rate is needed; try 1e-3,2e-3,3e-3");
        int longest = lengths.stream().mapToInt(length -> length).max().orElse(1);
        UserException.require(
                tokens >= longest,
                "--tokens %d: a batch must hold at least one row of length %d; try --tokens %d or a smaller --max-length",
                tokens,
                longest,
                longest);
    }

    /**
     * The lengths 64, 128, 256, ... up to the longest, which is the last itself.
     *
     * @param longest 0 for none
     */
    public static List<Integer> lengthsUpTo(int longest) {
        UserException.require(
                longest == 0 || longest >= SHORTEST && longest <= LONGEST && longest % 2 == 0,
                "--max-length %d: an even length from %d to %d is possible; 0 times no steps",
                longest,
                SHORTEST,
                LONGEST);
        if (longest == 0) {
            return List.of();
        }
        var doubled = IntStream.iterate(SHORTEST, length -> length < longest, length -> 2 * length);
        return IntStream.concat(doubled, IntStream.of(longest)).boxed().toList();
    }

    /** What a person calls the task, such as {@code mqar-64-4}. */
    public String task() {
        return base.data().test().getFirst().task().label();
    }

    /** The sweep that finds each mixer's accuracy: every mixer with every learning rate. */
    public Sweep sweep() {
        int layers = base.model().layers();
        return Sweep.named("compare-" + task())
                .description("Which mixers recall, with the best of a few learning rates each.")
                .from(base)
                .over(
                        mixers.entrySet().stream()
                                .map(mixer ->
                                        Layers.of(layers, mixer.getValue()).named(mixer.getKey()))
                                .toArray(Layers[]::new))
                .over(LearningRate.of(learningRates.stream().mapToDouble(rate -> rate).toArray()));
    }

    /** What a reader needs to repeat the comparison: a text by label. */
    Map<String, String> settings() {
        var data = base.data();
        Map<String, String> settings = new LinkedHashMap<>();
        settings.put(
                "task",
                "%s, vocabulary %d, %d training rows, %d test rows"
                        .formatted(
                                task(),
                                data.vocabSize(),
                                data.train().stream().mapToInt(DataSegment::examples).sum(),
                                data.test().stream().mapToInt(DataSegment::examples).sum()));
        settings.put(
                "models",
                "%d layers, d_model %d, state mixer %s"
                        .formatted(
                                base.model().layers(),
                                base.model().dModel(),
                                Mixers.STATE.label(base.model().stateMixer())));
        settings.put(
                "training",
                "at most %d epochs, batches of %d rows, learning rates %s, one seed (%d)"
                        .formatted(
                                base.epochs(),
                                data.batch(),
                                learningRates.stream()
                                        .map(Amounts::rate)
                                        .collect(Collectors.joining(", ")),
                                base.seed()));
        if (!lengths.isEmpty()) {
            settings.put("timing", "batches of %d tokens".formatted(tokens));
        }
        return settings;
    }
}
