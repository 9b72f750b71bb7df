package dev.panthera.cli;

import dev.panthera.train.EpochReport;
import dev.panthera.train.RunInfo;
import dev.panthera.train.StepReport;
import dev.panthera.train.TrainConfig;
import dev.panthera.train.TrainConfig.Protocol;
import dev.panthera.train.TrainListener;
import java.io.PrintStream;
import java.util.function.LongSupplier;

/**
 * Shows a run as it goes: a line per finished epoch, and below it the current one. On a terminal that line is rewritten
 * several times a second; elsewhere a new one comes every ten seconds.
 */
final class Progress implements TrainListener {
    private static final long REWRITE_NANOS = 200_000_000L;
    private static final long NEW_LINE_NANOS = 10_000_000_000L;
    private static final String START_OF_LINE = "\r";
    private static final String CLEAR_LINE = "\r\033[K";

    private final PrintStream out;
    private final boolean live;
    private final LongSupplier nanoTime;
    private final int epochs;
    private final String decidingSplit;
    private long shownAt;
    private long epochStart;
    private boolean lineOpen;
    private double secondsPerEpoch;
    private String accuracy = "";

    /**
     * @param live whether lines can be rewritten
     * @param nanoTime the clock, as of {@link System#nanoTime}
     */
    Progress(TrainConfig config, PrintStream out, boolean live, LongSupplier nanoTime) {
        this.out = out;
        this.live = live;
        this.nanoTime = nanoTime;
        epochs = config.epochs();
        decidingSplit = config.protocol() == Protocol.PUBLISHED ? "test" : "validation";
    }

    @Override
    public void started(RunInfo info) {
        epochStart = nanoTime.getAsLong();
        shownAt = epochStart;
        Streams.line(
                out,
                "%s parameters, %d steps an epoch, on %s",
                Text.grouped(info.parameters()),
                info.stepsPerEpoch(),
                info.device());
        if (!info.history().isEmpty()) {
            Streams.line(out, "resumed after %d epochs", info.history().size());
        }
    }

    @Override
    public void stepped(StepReport report) {
        long now = nanoTime.getAsLong();
        if (now - shownAt < (live ? REWRITE_NANOS : NEW_LINE_NANOS)) {
            return;
        }
        shownAt = now;
        int epochsAfter = epochs - report.epoch();
        double epochSeconds =
                secondsPerEpoch > 0
                        ? secondsPerEpoch
                        : (now - epochStart) / 1e9 + report.secondsLeft();
        show(
                Text.format(
                        "epoch %d/%d  batch %d/%d  loss %.4f%s  %s tokens/s  ETA %s",
                        report.epoch(),
                        epochs,
                        report.batch(),
                        report.batches(),
                        report.loss(),
                        accuracy,
                        Text.rate(report.tokensPerSecond()),
                        Text.duration(report.secondsLeft() + epochsAfter * epochSeconds)));
    }

    @Override
    public void epochEnded(EpochReport report) {
        epochStart = nanoTime.getAsLong();
        shownAt = epochStart;
        secondsPerEpoch = report.seconds();
        accuracy = "  accuracy " + Text.percent(report.deciding().accuracy());
        clear();
        Streams.line(
                out,
                "epoch %d/%d  loss %.4f  %s loss %.4f%s  %s tokens/s  %s  ETA %s",
                report.epoch(),
                epochs,
                report.trainLoss(),
                decidingSplit,
                report.deciding().loss(),
                accuracy,
                Text.rate(report.tokensPerSecond()),
                Text.duration(report.seconds()),
                Text.duration((epochs - report.epoch()) * secondsPerEpoch));
    }

    /** Removes the unfinished line, so that what is printed next starts on a line of its own. */
    void clear() {
        if (lineOpen) {
            out.print(CLEAR_LINE);
            lineOpen = false;
        }
    }

    private void show(String line) {
        if (live) {
            out.print(CLEAR_LINE + line + START_OF_LINE);
            out.flush();
            lineOpen = true;
        } else {
            Streams.line(out, "%s", line);
        }
    }
}
