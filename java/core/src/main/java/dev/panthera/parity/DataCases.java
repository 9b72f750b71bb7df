package dev.panthera.parity;

import dev.panthera.task.CompositionalMqar;
import dev.panthera.task.ContinuousMqar;
import dev.panthera.task.Filler;
import dev.panthera.task.ForgettingMqar;
import dev.panthera.task.Mqar;
import dev.panthera.task.RowStream;
import dev.panthera.task.Split;
import dev.panthera.task.TaskConfig;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiFunction;

/** Recorded rows of tasks, and recorded statistics of them. */
final class DataCases {

    private static final long SEED = 123;
    private static final int HISTOGRAM_ROWS = 100_000;
    private static final double TOTAL_VARIATION = 0.01;

    private DataCases() {}

    /** Rows of a task: our oracle recomputes each label from the inputs. */
    private static void rows(TaskConfig task, Golden golden, Comparison comparison) {
        rows(task, golden.ints("inputs"), golden.ints("labels"), comparison);
    }

    private static void rows(TaskConfig task, int[] inputs, int[] labels, Comparison comparison) {
        int ids = task.inputsPerRow();
        int length = task.length();
        int wrong = inputs.length / ids == labels.length / length ? 0 : 1;
        String first = "rows of another task";
        for (int row = 0; row < inputs.length / ids; row++) {
            Optional<String> problem =
                    task.verify(
                            Arrays.copyOfRange(inputs, row * ids, (row + 1) * ids),
                            Arrays.copyOfRange(labels, row * length, (row + 1) * length));
            if (problem.isPresent() && wrong++ == 0) {
                first = "wrong rows, the first being %d: %s".formatted(row, problem.get());
            }
        }
        comparison.record(first, Comparison.Kind.OUTPUT, wrong, 0);
    }

    /** Multi-query associative recall. */
    static void mqarRows(Golden golden, Workbench bench, Comparison comparison) {
        rows(mqar(golden), golden, comparison);
    }

    /** MQAR with updates, whose new values are drawn as published. */
    static void forgettingRows(Golden golden, Workbench bench, Comparison comparison) {
        Options options = options(golden);
        var task =
                new ForgettingMqar(
                        options.integer("vocab_size", 8192),
                        options.integer("input_seq_len", 64),
                        options.integer("num_kv_pairs", 8),
                        options.integer("num_updates", 4),
                        options.number("power_a", 0.01),
                        filler(options),
                        true);
        options.finish();
        rows(task, golden, comparison);
    }

    /** MQAR with keys of two tokens. */
    static void compositionalRows(Golden golden, Workbench bench, Comparison comparison) {
        Options options = options(golden);
        var task =
                new CompositionalMqar(
                        options.integer("vocab_size", 8192),
                        options.integer("input_seq_len", 64),
                        options.integer("num_kv_pairs", 4),
                        options.number("power_a", 0.01),
                        filler(options));
        options.finish();
        rows(task, golden, comparison);
    }

    /**
     * Rows of continuous recall: vectors of embeddings, which tell the ids. Recorded labels are those of the queries alone. With
     * one mapping for all rows, the original draws keys and values anew for each; so these rows have a mapping each.
     */
    static void continuousMqarRows(Golden golden, Workbench bench, Comparison comparison) {
        Options options =
                options(golden).ignoring("input_seq_len", "vocab_size", "per_sequence_mapping");
        var task =
                new ContinuousMqar(
                        golden.shape("embeddings")[0],
                        options.integer("num_kv_pairs", 8),
                        options.integer("num_passes", 1),
                        false);
        options.finish();
        int[] recorded = golden.ints("labels");
        int[] labels = new int[recorded.length / task.pairs() * task.length()];
        Arrays.fill(labels, TaskConfig.IGNORE);
        for (int i = 0; i < recorded.length; i++) {
            int row = i / task.pairs();
            labels[row * task.length() + task.contextLength() + i % task.pairs()] = recorded[i];
        }
        rows(task, embeddedIds(golden), labels, comparison);
    }

    /** Which embedding each vector is; the number of embeddings for zeros, and -1 for none of these. */
    private static int[] embeddedIds(Golden golden) {
        int[] shape = golden.shape("embeddings");
        Map<List<Double>, Integer> ids = new HashMap<>();
        double[] embeddings = golden.doubles("embeddings");
        for (int id = 0; id < shape[0]; id++) {
            ids.put(vector(embeddings, id, shape[1]), id);
        }
        ids.put(Collections.nCopies(shape[1], 0.0), shape[0]);
        double[] inputs = golden.doubles("inputs");
        int[] found = new int[inputs.length / shape[1]];
        Arrays.setAll(found, i -> ids.getOrDefault(vector(inputs, i, shape[1]), -1));
        return found;
    }

    private static List<Double> vector(double[] values, int index, int width) {
        return Arrays.stream(values, index * width, (index + 1) * width).boxed().toList();
    }

    /** A circuit over tokens, by vocabulary and length. */
    static ParityCase circuit(BiFunction<Integer, Integer, TaskConfig> task) {
        return (golden, bench, comparison) -> {
            Options options = options(golden);
            int vocab = options.integer("vocab_size", 8192);
            int length = options.integer("input_seq_len", 64);
            options.finish();
            rows(task.apply(vocab, length), golden, comparison);
        };
    }

    /**
     * Where the queries of many rows lie: the probabilities of a single draw in closed form, and histograms of as many
     * rows of our generator, by total variation.
     */
    static void mqarSlots(Golden golden, Workbench bench, Comparison comparison) {
        Mqar task = mqar(golden);
        comparison.output("single_draw_probability", task.slotProbabilities());
        int[] slots = new int[task.slots()];
        int[] gaps = new int[task.length()];
        countQueries(task, slots, gaps);
        compareHistogram(golden, comparison, "slot_hist", slots);
        compareHistogram(golden, comparison, "gap_hist", gaps);
    }

    private static Mqar mqar(Golden golden) {
        Options options = options(golden);
        var task =
                new Mqar(
                        options.integer("vocab_size", 8192),
                        options.integer("input_seq_len", 64),
                        options.integer("num_kv_pairs", 8),
                        options.number("power_a", 0.01),
                        filler(options),
                        options.integer("num_passes", 1));
        options.finish();
        return task;
    }

    private static Options options(Golden golden) {
        return golden.options("kwargs").ignoring("name", "num_examples", "seed", "include_slices");
    }

    private static Filler filler(Options options) {
        return options.flag("random_non_queries", true) ? Filler.RANDOM : Filler.ZERO;
    }

    /** Counts slots, and gaps between a query and its key, over rows of our generator. */
    private static void countQueries(Mqar task, int[] slots, int[] gaps) {
        Mqar quick = task.withFiller(Filler.ZERO);
        int[] inputs = new int[task.length()];
        int[] labels = new int[task.length()];
        int[] positionOfKey = new int[task.vocabSize()];
        var generator = quick.generator(new RowStream(SEED, Split.TRAIN, 0));
        for (int row = 0; row < HISTOGRAM_ROWS; row++) {
            generator.row(row, inputs, labels);
            for (int position = 0; position < task.contextLength(); position += 2) {
                positionOfKey[inputs[position]] = position;
            }
            for (int position = task.contextLength(); position < labels.length; position++) {
                if (labels[position] != TaskConfig.IGNORE) {
                    slots[(position - task.contextLength()) / 2]++;
                    gaps[position - positionOfKey[inputs[position]]]++;
                }
            }
        }
    }

    /**
     * Two exact samples of n draws over k bins differ by at most about sqrt(k / (pi n)) in total variation, which can
     * exceed the usual bound where bins are many.
     */
    private static void compareHistogram(
            Golden golden, Comparison comparison, String tensor, int[] ours) {
        int[] recorded = golden.ints(tensor);
        if (recorded.length != ours.length) {
            throw new IllegalArgumentException(
                    "%s has %d bins, recorded are %d"
                            .formatted(tensor, ours.length, recorded.length));
        }
        double ourSum = Arrays.stream(ours).asLongStream().sum();
        double recordedSum = Arrays.stream(recorded).asLongStream().sum();
        double distance = 0;
        int bins = 0;
        for (int i = 0; i < ours.length; i++) {
            distance += Math.abs(ours[i] / ourSum - recorded[i] / recordedSum) / 2;
            bins += recorded[i] > 0 ? 1 : 0;
        }
        double noise = Math.sqrt(bins / (Math.PI * recordedSum));
        comparison.record(
                tensor, Comparison.Kind.OUTPUT, distance, Math.max(TOTAL_VARIATION, 1.25 * noise));
    }
}
