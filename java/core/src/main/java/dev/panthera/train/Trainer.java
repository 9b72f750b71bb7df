package dev.panthera.train;

import dev.panthera.UserException;
import dev.panthera.io.AtomicFile;
import dev.panthera.kernels.KernelException;
import dev.panthera.task.Batch;
import dev.panthera.task.Dataset;
import dev.panthera.task.RowStorage;
import dev.panthera.task.Split;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The loop over epochs: train, evaluate on the deciding split, write a checkpoint; at the end evaluate on the test split. */
public final class Trainer {
    /** Name of the configuration in a run's folder. */
    public static final String CONFIG_FILE = "config.json";

    /**
     * Training rows are kept in memory up to this many ids (4 bytes each with their labels, 8 of large vocabularies), and
     * made anew in each epoch above it.
     */
    private static final long MATERIALISED_IDS = 4L << 20;

    private final TrainConfig config;
    private final RunOptions options;
    private final TrainListener listener;
    private final String device;
    private final Session session;
    private final TrainingStep step;
    private final Dataset train;
    private final Dataset deciding;
    private final @Nullable Path checkpoint;
    private final long started = System.nanoTime();
    private Checkpoint.Position position = Checkpoint.Position.START;

    private Trainer(
            TrainConfig config,
            RunOptions options,
            TrainListener listener,
            String device,
            Session session,
            TrainingStep step,
            Dataset train,
            Dataset deciding) {
        this.config = config;
        this.options = options;
        this.listener = listener;
        this.device = device;
        this.session = session;
        this.step = step;
        this.train = train;
        this.deciding = deciding;
        checkpoint = checkpoint(options);
        if (checkpoint != null && options.resume()) {
            position = Checkpoint.resume(Checkpoint.locate(checkpoint), session, step.optimizer());
        }
    }

    /**
     * Trains a model.
     *
     * @throws DivergedException if loss or gradients become NaN or infinite
     * @throws UserException if the run's folder cannot be written, or the device cannot be used, is full or has failed; the
     *     last checkpoint stays as it was, and the run can go on from it on any device
     */
    public static TrainResult run(TrainConfig config, RunOptions options, TrainListener listener) {
        var data = config.data();
        var decidingSplit =
                config.protocol() == TrainConfig.Protocol.PUBLISHED ? Split.TEST : Split.VALIDATION;
        long positions = Math.max(data.trainPositions(), data.testPositions());
        try (var train = data.trainDataset(storage(data));
                var deciding = data.testDataset(decidingSplit, RowStorage.STREAMED);
                var chosen = options.device().open();
                var session = new Session(chosen.device(), config, positions);
                var step =
                        new TrainingStep(
                                session,
                                AdamW.Options.withWeightDecay(config.weightDecay()),
                                config.seed())) {
            step.profileWith(options.profile());
            return new Trainer(
                            config,
                            options,
                            listener,
                            chosen.description(),
                            session,
                            step,
                            train,
                            deciding)
                    .run();
        } catch (KernelException.OutOfMemory | KernelException.DeviceFailure trouble) {
            throw DeviceTrouble.explain(trouble, checkpoint(options));
        }
    }

    private static @Nullable Path checkpoint(RunOptions options) {
        var folder = options.folder();
        return folder == null ? null : folder.resolve(Checkpoint.FILE);
    }

    private static RowStorage storage(DataOptions data) {
        long ids =
                data.train().stream()
                        .mapToLong(segment ->
                                (long) segment.examples() * segment.task().inputsPerRow())
                        .sum();
        return ids <= MATERIALISED_IDS ? RowStorage.MATERIALISED : RowStorage.STREAMED;
    }

    private TrainResult run() {
        var folder = options.folder();
        String configText = ConfigFile.toJson(config);
        List<MetricSink> sinks = new ArrayList<>();
        if (folder != null) {
            if (!options.resume()) {
                makeFolder(folder);
                AtomicFile.write(folder.resolve(CONFIG_FILE), configText + "\n");
            }
            sinks.add(new MetricsLog(folder));
        }
        sinks.addAll(options.sinks());
        try (var metrics = RunMetrics.start(sinks, configText, position.steps())) {
            TrainResult result = run(metrics);
            metrics.endedAs(result.ending());
            return result;
        }
    }

    private static void makeFolder(Path folder) {
        try {
            Files.createDirectories(folder);
        } catch (IOException failure) {
            throw new UserException(
                    "%s: the folder cannot be made (%s); choose a place that you may write to"
                            .formatted(folder, failure),
                    failure);
        }
    }

    private TrainResult run(RunMetrics metrics) {
        listener.started(
                new RunInfo(
                        device,
                        session.parameters().trainableParameters(),
                        stateBytes(),
                        train.batchesPerEpoch(),
                        options.folder(),
                        position.history()));
        while (position.epoch() < config.epochs() && !position.stoppedEarly()) {
            if (!runEpoch(metrics)) {
                save(metrics);
                return result(null, TrainResult.Ending.INTERRUPTED);
            }
            save(metrics);
        }
        Evaluation test = evaluateTest();
        metrics.end(position.steps(), test);
        return result(
                test,
                position.stoppedEarly()
                        ? TrainResult.Ending.STOPPED_EARLY
                        : TrainResult.Ending.ALL_EPOCHS);
    }

    /** Returns false if the run was asked to stop. */
    private boolean runEpoch(RunMetrics metrics) {
        long epochStart = System.nanoTime();
        int epoch = position.epoch();
        double learningRate = new CosineSchedule(config.learningRate(), config.epochs()).at(epoch);
        int first = position.batch();
        long tokens = 0;
        for (int i = first; i < train.batchesPerEpoch(); i++) {
            if (options.stopRequested().getAsBoolean()) {
                return false;
            }
            Batch batch = train.batch(epoch, i);
            float loss = step.run(batch, learningRate);
            tokens += (long) batch.rows() * batch.length();
            position = position.stepped(loss);
            metrics.step(position.steps(), epoch + 1, loss);
            double seconds = secondsSince(epochStart);
            double secondsLeft = seconds / (i + 1 - first) * (train.batchesPerEpoch() - i - 1);
            listener.stepped(
                    new StepReport(
                            epoch + 1,
                            i + 1,
                            train.batchesPerEpoch(),
                            loss,
                            tokens / seconds,
                            secondsLeft));
        }
        double trainSeconds = secondsSince(epochStart);
        Evaluation evaluation = new Evaluator(session).evaluate(deciding, Evaluator.Detail.TAGS);
        var report =
                new EpochReport(
                        epoch + 1,
                        position.lossSum() / train.batchesPerEpoch(),
                        learningRate,
                        evaluation,
                        tokens / trainSeconds,
                        secondsSince(epochStart));
        boolean stop = evaluation.accuracy() > config.stopAbove();
        metrics.epoch(position.steps(), report);
        position = position.epochEnded(report, stop);
        listener.epochEnded(report);
        return true;
    }

    /** The log comes first: a resumed run drops lines behind its checkpoint, but cannot bring back missing ones. */
    private void save(RunMetrics metrics) {
        metrics.flush();
        if (checkpoint != null) {
            Checkpoint.write(checkpoint, config, session, step.optimizer(), position);
        }
    }

    private Evaluation evaluateTest() {
        try (var test = config.data().testDataset(Split.TEST, RowStorage.STREAMED)) {
            return new Evaluator(session).evaluate(test, Evaluator.Detail.DISTANCES);
        }
    }

    /** Counted as in the published figures, so that results can be set beside them. */
    private long stateBytes() {
        return session.model().publishedStateBytes(config.data().maxTestLength());
    }

    private TrainResult result(@Nullable Evaluation test, TrainResult.Ending ending) {
        return new TrainResult(
                test,
                position.history(),
                session.parameters().trainableParameters(),
                stateBytes(),
                ending,
                secondsSince(started),
                checkpoint);
    }

    private static double secondsSince(long nanoTime) {
        return (System.nanoTime() - nanoTime) / 1e9;
    }
}
