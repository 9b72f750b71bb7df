package dev.panthera.train;

import dev.panthera.UserException;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.KernelException;
import dev.panthera.task.Batch;
import dev.panthera.task.Dataset;
import dev.panthera.task.RowStorage;
import dev.panthera.task.Split;
import dev.panthera.task.TaskConfig;
import dev.panthera.tensor.Tape;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Measures loss and accuracy of a model. */
public final class Evaluator {
    /** Which slices an evaluation has. */
    enum Detail {
        /** Those of the tasks' tags. */
        TAGS,
        /** Also {@link Evaluation#KEY_QUERY_DISTANCE}. */
        DISTANCES
    }

    private final Session session;

    Evaluator(Session session) {
        this.session = session;
    }

    /** As {@link #evaluate(Path, Device, DataOptions)} on a device that is opened for it. */
    public static Evaluation evaluate(
            Path checkpoint, DeviceChoice choice, @Nullable DataOptions data) {
        try (var chosen = choice.open()) {
            return evaluate(checkpoint, chosen.device(), data);
        }
    }

    /**
     * Evaluates a checkpoint on its test split.
     *
     * @param checkpoint file, or folder of a run
     * @param device where to compute; it is closed at the end
     * @param data whose test split is used; null: that of the run
     * @throws UserException if the checkpoint does not fit the data, or the device is full or has failed
     */
    public static Evaluation evaluate(Path checkpoint, Device device, @Nullable DataOptions data) {
        var file = Checkpoint.locate(checkpoint);
        TrainConfig config = Checkpoint.readConfig(file);
        DataOptions used = data == null ? config.data() : data;
        requireFit(config, used);
        try (var dataset = used.testDataset(Split.TEST, RowStorage.STREAMED);
                var session = new Session(device, config, used.testPositions())) {
            Checkpoint.readParameters(file, session);
            return new Evaluator(session).evaluate(dataset, Detail.DISTANCES);
        } catch (KernelException.OutOfMemory | KernelException.DeviceFailure trouble) {
            throw DeviceTrouble.explain(trouble);
        }
    }

    private static void requireFit(TrainConfig config, DataOptions data) {
        UserException.require(
                data.continuous() == config.data().continuous(),
                "%s: the model was trained on %s; one has tokens, the other vectors",
                data.test().getFirst().task().name(),
                config.data().train().getFirst().task().name());
        int known = config.data().vocabSize();
        UserException.require(
                data.vocabSize() <= known,
                "--vocab %d: the model knows %d tokens; use at most as many",
                data.vocabSize(),
                known);
        UserException.require(
                !data.continuous() || data.vocabSize() == known,
                "--vocab %d: half of the model's %d tokens are values; use as many",
                data.vocabSize(),
                known);
        int positions = config.model().config(config.data()).maxPositions();
        UserException.require(
                positions == 0 || data.maxTestLength() <= positions,
                "--length %d: the model has learned %d positions; test it on rows that are no longer",
                data.maxTestLength(),
                positions);
    }

    /** Evaluates all examples of a dataset. */
    Evaluation evaluate(Dataset dataset, Detail detail) {
        var totals = new Totals(detail == Detail.DISTANCES ? new DistanceTotals() : null);
        for (int i = 0; i < dataset.batchesPerEpoch(); i++) {
            add(dataset.batch(0, i), totals);
        }
        return totals.evaluation();
    }

    private void add(Batch batch, Totals totals) {
        var tape = session.tape();
        var loaded = session.loadLabelled(batch);
        tape.begin(Tape.Mode.EVALUATION);
        var result = session.loss().evaluate(tape, session.model(), loaded);
        float[] losses = session.stream().toFloatArray(result.rowLoss().values());
        int[] predicted = session.stream().toIntArray(result.answers().values());
        tape.end();
        totals.add(batch, batch.labelArray(), losses, predicted);
    }

    /** Sums over examples, in their order. */
    private static final class Totals {
        private double loss;
        private long labelled;
        private double accuracy;
        private long examples;
        private final Map<String, Map<Integer, double[]>> slices = new TreeMap<>();
        private final @Nullable DistanceTotals distances;

        Totals(@Nullable DistanceTotals distances) {
            this.distances = distances;
        }

        /** Losses and predictions are those of the labelled positions, in their order. */
        void add(Batch batch, int[] labels, float[] losses, int[] predicted) {
            if (distances != null) {
                distances.add(batch, labels, predicted);
            }
            double batchAccuracy = 0;
            int next = 0;
            for (int row = 0; row < batch.rows(); row++) {
                int asked = 0;
                int right = 0;
                for (int i = row * batch.length(); i < (row + 1) * batch.length(); i++) {
                    if (labels[i] != TaskConfig.IGNORE) {
                        asked++;
                        right += predicted[next] == labels[i] ? 1 : 0;
                        loss += losses[next++];
                    }
                }
                labelled += asked;
                batchAccuracy += asked == 0 ? 1 : (double) right / asked;
            }
            accuracy += batchAccuracy;
            examples += batch.rows();
            for (var slice : batch.slices().entrySet()) {
                double[] sums =
                        slices.computeIfAbsent(slice.getKey(), key -> new TreeMap<>())
                                .computeIfAbsent(slice.getValue(), value -> new double[2]);
                sums[0] += batchAccuracy;
                sums[1] += batch.rows();
            }
        }

        Evaluation evaluation() {
            Map<String, Map<Integer, Double>> accuracies = new TreeMap<>();
            slices.forEach((name, values) -> {
                Map<Integer, Double> byValue = new TreeMap<>();
                values.forEach((value, sums) -> byValue.put(value, sums[0] / sums[1]));
                accuracies.put(name, byValue);
            });
            if (distances != null && distances.any()) {
                accuracies.put(Evaluation.KEY_QUERY_DISTANCE, distances.accuracies());
            }
            return new Evaluation(
                    labelled == 0 ? 0 : loss / labelled, accuracy / examples, examples, accuracies);
        }
    }
}
