package dev.panthera.train;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * Makes the lines of a run's metrics, named as in the original, and hands each to all sinks. Closing ends the sinks: as
 * failed, unless {@link #endedAs} was called.
 */
final class RunMetrics implements AutoCloseable {
    private final List<MetricSink> sinks;
    private int started;
    private TrainResult.@Nullable Ending ending;

    private RunMetrics(List<MetricSink> sinks) {
        this.sinks = sinks;
    }

    /** Starts all sinks; if one cannot, those before it are ended. */
    static RunMetrics start(List<MetricSink> sinks, String config, long steps) {
        var metrics = new RunMetrics(sinks);
        try {
            for (MetricSink sink : sinks) {
                sink.started(config, steps);
                metrics.started++;
            }
            return metrics;
        } catch (RuntimeException failure) {
            try {
                metrics.close();
            } catch (RuntimeException second) {
                failure.addSuppressed(second);
            }
            throw failure;
        }
    }

    void step(long step, int epoch, double loss) {
        SequencedMap<String, Number> line = new LinkedHashMap<>();
        line.put("epoch", epoch);
        line.put("train/loss", loss);
        send(step, line);
    }

    void epoch(long step, EpochReport report) {
        SequencedMap<String, Number> line = new LinkedHashMap<>();
        line.put("epoch", report.epoch());
        line.put("learning_rate", report.learningRate());
        line.put("train/loss_mean", report.trainLoss());
        put(line, "valid", report.deciding());
        line.put("tokens_per_second", report.tokensPerSecond());
        line.put("seconds", report.seconds());
        send(step, line);
        flush();
    }

    void end(long step, Evaluation test) {
        SequencedMap<String, Number> line = new LinkedHashMap<>();
        put(line, "test", test);
        send(step, line);
        flush();
    }

    private static void put(
            SequencedMap<String, Number> line, String split, Evaluation evaluation) {
        line.put(split + "/loss", evaluation.loss());
        line.put(split + "/accuracy", evaluation.accuracy());
        evaluation
                .slices()
                .forEach((slice, values) ->
                        values.forEach((value, accuracy) ->
                                line.put(split + "/" + slice + "/accuracy-" + value, accuracy)));
    }

    private void send(long step, SequencedMap<String, Number> line) {
        sinks.forEach(sink -> sink.metrics(step, line));
    }

    void flush() {
        sinks.forEach(MetricSink::flush);
    }

    void endedAs(TrainResult.Ending ending) {
        this.ending = ending;
    }

    /** Ends every sink, also where one before it fails. */
    @Override
    public void close() {
        RuntimeException failure = null;
        for (MetricSink sink : sinks.subList(0, started)) {
            try {
                sink.ended(ending);
            } catch (RuntimeException next) {
                if (failure == null) {
                    failure = next;
                } else {
                    failure.addSuppressed(next);
                }
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
