package dev.panthera.sweep;

import dev.panthera.task.DataSegment;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.ConfigFile;
import dev.panthera.train.DeviceChoice;
import dev.panthera.train.RepeatedStep;
import dev.panthera.train.TrainConfig;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Estimates what trials cost. The time of a training step is taken to be {@code a + b rows}: both numbers are measured for each kind of
 * model and row, with two small batches, so that an estimate takes a fraction of a second and needs little memory even where a step
 * takes a minute. Evaluating a row takes {@value #EVALUATION} of training on it, since there is a forward pass alone.
 */
public final class CostModel {
    /** One forward pass instead of a forward and a backward pass, which is twice the work. */
    private static final double EVALUATION = 1.0 / 3;

    private static final int FEW_TOKENS = 1024;
    private static final int MORE_TOKENS = 4096;
    private static final int TIMED_STEPS = 5;
    private static final double WARM_UP_SECONDS = 1.5;

    private final DeviceChoice device;
    private final Map<String, Line> measured = new HashMap<>();
    private boolean warm;

    /** @param device where trials will run, one at a time */
    public CostModel(DeviceChoice device) {
        this.device = device;
    }

    /** A step with one batch size. */
    private record Point(int rows, double seconds, long bytes) {}

    /** Steps with any batch size: a line through two points that does not fall, nor start below zero. */
    private record Line(Point few, Point more, long parameters, long stateBytes) {

        double seconds(long rows) {
            return at(few.seconds, more.seconds, rows);
        }

        double secondsPerRow() {
            return seconds(1) - seconds(0);
        }

        long bytes(long rows) {
            return Math.round(at(few.bytes, more.bytes, rows));
        }

        private double at(double low, double high, long rows) {
            double perRow = Math.max(0, (high - low) / (more.rows - few.rows));
            double fixed = low - perRow * few.rows;
            return fixed < 0 ? high * rows / more.rows : fixed + perRow * rows;
        }
    }

    /**
     * What a trial costs.
     *
     * @throws dev.panthera.UserException if its model does not fit into memory, or the device cannot be used
     */
    public synchronized Cost of(TrainConfig config) {
        long steps = 0;
        double trainSeconds = 0;
        double longestStep = 0;
        long bytes = 0;
        Line line = null;
        var data = config.data();
        for (DataSegment segment : data.train()) {
            line = line(config, segment);
            long full = segment.examples() / data.batch();
            long rest = segment.examples() % data.batch();
            double step = line.seconds(Math.min(data.batch(), segment.examples()));
            trainSeconds +=
                    full * line.seconds(data.batch()) + (rest == 0 ? 0 : line.seconds(rest));
            steps += full + (rest == 0 ? 0 : 1);
            longestStep = Math.max(longestStep, step);
            bytes = Math.max(bytes, line.bytes(Math.min(data.batch(), segment.examples())));
        }
        boolean published = config.protocol() == TrainConfig.Protocol.PUBLISHED;
        double deciding = evaluation(config, published ? data.test() : data.validation());
        double epoch = trainSeconds + deciding;
        double all = config.epochs() * epoch + evaluation(config, data.test());
        return new Cost(line.parameters(), line.stateBytes(), bytes, longestStep, epoch, all);
    }

    /**
     * Bytes of memory that a trial takes, as in {@link Cost#bytes}, without measuring times.
     *
     * @throws dev.panthera.UserException as {@link #of}
     */
    public long bytes(TrainConfig config) {
        long bytes = 0;
        int batch = config.data().batch();
        for (DataSegment segment : config.data().train()) {
            int few = few(segment);
            int more = more(segment);
            try (var first = step(config, segment, few);
                    var second = step(config, segment, more)) {
                first.run();
                second.run();
                var line =
                        new Line(
                                new Point(few, 0, first.deviceBytes()),
                                new Point(more, 0, second.deviceBytes()),
                                0,
                                0);
                bytes = Math.max(bytes, line.bytes(Math.min(batch, segment.examples())));
            }
        }
        return bytes;
    }

    private static int few(DataSegment segment) {
        return Math.max(1, FEW_TOKENS / segment.task().length());
    }

    private static int more(DataSegment segment) {
        return Math.max(few(segment) + 1, MORE_TOKENS / segment.task().length());
    }

    private double evaluation(TrainConfig config, List<DataSegment> segments) {
        double seconds = 0;
        for (DataSegment segment : segments) {
            seconds += EVALUATION * line(config, segment).secondsPerRow() * segment.examples();
        }
        return seconds;
    }

    private Line line(TrainConfig config, DataSegment segment) {
        String key =
                ConfigFile.toJsonLine(config.model()) + ConfigFile.toJsonLine(new Rows(segment));
        Line known = measured.get(key);
        if (known == null) {
            known = measure(config, segment);
            measured.put(key, known);
        }
        return known;
    }

    /** What of a segment decides about the time of a row. */
    private record Rows(String task, int length, int vocabSize) {
        Rows(DataSegment segment) {
            this(segment.task().label(), segment.task().length(), segment.task().vocabSize());
        }
    }

    private Line measure(TrainConfig config, DataSegment segment) {
        if (!warm) {
            warm = true;
            warmUp(config, segment);
        }
        int few = few(segment);
        int more = more(segment);
        try (var first = step(config, segment, few);
                var second = step(config, segment, more)) {
            return new Line(
                    point(first, few), point(second, more), first.parameters(), first.stateBytes());
        }
    }

    /** The JVM compiles the code that a step runs. */
    private void warmUp(TrainConfig config, DataSegment segment) {
        try (var step = step(config, segment, 1)) {
            long start = System.nanoTime();
            while (System.nanoTime() - start < 1e9 * WARM_UP_SECONDS) {
                step.run();
            }
        }
    }

    private RepeatedStep step(TrainConfig config, DataSegment segment, int rows) {
        var few = List.of(new DataSegment(segment.task(), rows));
        var draft = ConfigDraft.of(config).set("data.train", few).set("data.batch", rows);
        return new RepeatedStep(draft.toConfig(), device.open().device());
    }

    private static Point point(RepeatedStep step, int rows) {
        step.run();
        double least = Double.POSITIVE_INFINITY;
        for (int i = 0; i < TIMED_STEPS; i++) {
            long start = System.nanoTime();
            step.run();
            least = Math.min(least, (System.nanoTime() - start) / 1e9);
        }
        return new Point(rows, least, step.deviceBytes());
    }

    /**
     * How much work a trial is compared with others, without measuring: in multiply-adds of an epoch's training, as if every mixer were
     * made of dense projections alone.
     */
    public static double work(TrainConfig config) {
        double perToken =
                12.0 * config.model().layers() * config.model().dModel() * config.model().dModel();
        double perLabel = (double) config.model().dModel() * config.data().vocabSize();
        double work = 0;
        for (DataSegment segment : config.data().train()) {
            var task = segment.task();
            work +=
                    segment.examples()
                            * (perToken * task.length() + perLabel * task.labelsPerRow());
        }
        return config.epochs() * work;
    }
}
