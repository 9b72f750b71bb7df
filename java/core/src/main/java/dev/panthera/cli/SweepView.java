package dev.panthera.cli;

import dev.panthera.sweep.CostModel;
import dev.panthera.sweep.Sweep;
import dev.panthera.sweep.SweepListener;
import dev.panthera.sweep.Trial;
import dev.panthera.sweep.TrialOutcome;
import dev.panthera.sweep.TrialStatus;
import dev.panthera.train.EpochReport;
import dev.panthera.train.RunInfo;
import dev.panthera.train.StepReport;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongSupplier;

/**
 * Shows a sweep as it goes: a line for each trial that ends; on a terminal, below them, a line for each that runs and one for the whole,
 * rewritten several times a second; elsewhere the line for the whole every half minute.
 */
final class SweepView implements SweepListener, AutoCloseable {
    private static final long REWRITE_NANOS = 200_000_000L;
    private static final long NEW_LINE_NANOS = 30_000_000_000L;
    private static final String CLEAR_BELOW = "\r\033[J";

    /** The terminal cuts longer lines at its edge: a wrapped one would take two, and the way back up would be too short. */
    private static final String CUT_LINES = "\033[?7l";

    private static final String WRAP_LINES = "\033[?7h";
    private static final int MOST_RUNNING_LINES = 16;

    private final PrintStream out;
    private final boolean live;
    private final LongSupplier nanoTime;
    private final int total;
    private final double totalWork;
    private final Map<String, Running> running = new LinkedHashMap<>();
    private long begun;
    private long shownAt;
    private int linesShown;
    private int done;
    private int failed;
    private int taken;
    private double takenWork;
    private double progressedWork;

    /** A trial that is under way. */
    private static final class Running {
        private final Trial trial;
        private final double work;
        private double resumedShare;
        private double share;
        private String state = "starts";
        private String accuracy = "";

        Running(Trial trial) {
            this.trial = trial;
            work = CostModel.work(trial.config());
        }

        double progressed() {
            return work * Math.max(0, share - resumedShare);
        }
    }

    /** @param selected the trials of which those that are not done will be run */
    SweepView(Streams streams, boolean json, List<Trial> selected, LongSupplier nanoTime) {
        out = json ? streams.err() : streams.out();
        live = streams.terminal() && !json;
        this.nanoTime = nanoTime;
        total = selected.size();
        totalWork = selected.stream().mapToDouble(trial -> CostModel.work(trial.config())).sum();
    }

    void begin(Sweep sweep, Path folder, String engine, int unavailable) {
        begun = nanoTime.getAsLong();
        shownAt = begun;
        Streams.line(
                out,
                "%s: %d trials%s, %s, in %s",
                sweep.name(),
                total,
                unavailable == 0 ? "" : Text.format(" (%d more are not available)", unavailable),
                engine,
                folder);
    }

    @Override
    public synchronized void left(int waiting, double work) {
        taken = total - waiting;
        takenWork = totalWork - work;
        if (taken > 0) {
            Streams.line(out, "%d of them have ended before", taken);
        }
    }

    @Override
    public synchronized void taken(Trial trial) {
        running.put(trial.id(), new Running(trial));
        show(false);
    }

    @Override
    public synchronized void started(Trial trial, RunInfo info) {
        var state = running.get(trial.id());
        if (state != null) {
            state.resumedShare = (double) info.history().size() / trial.config().epochs();
            state.share = state.resumedShare;
        }
    }

    @Override
    public synchronized void stepped(Trial trial, StepReport report) {
        var state = running.get(trial.id());
        if (state == null) {
            return;
        }
        double epochs = report.epoch() - 1 + (double) report.batch() / report.batches();
        state.share = epochs / trial.config().epochs();
        if (isTime()) {
            state.state =
                    Text.format(
                            "epoch %d/%d  loss %.4f",
                            report.epoch(), trial.config().epochs(), report.loss());
            show(false);
        }
    }

    @Override
    public synchronized void epochEnded(Trial trial, EpochReport report) {
        var state = running.get(trial.id());
        if (state != null) {
            state.share = (double) report.epoch() / trial.config().epochs();
            state.accuracy = "  accuracy " + Text.percent(report.deciding().accuracy());
            state.state =
                    Text.format(
                            "epoch %d/%d  loss %.4f",
                            report.epoch(), trial.config().epochs(), report.trainLoss());
        }
        show(false);
    }

    @Override
    public synchronized void finished(Trial trial, TrialOutcome outcome, boolean ours) {
        var state = running.remove(trial.id());
        if (state != null && outcome.status() != TrialStatus.WAITING) {
            progressedWork += state.work * (1 - state.resumedShare);
        }
        if (ours) {
            report(trial, outcome);
        }
        show(outcome.status() != TrialStatus.WAITING);
    }

    private void report(Trial trial, TrialOutcome outcome) {
        switch (outcome.status()) {
            case DONE -> {
                done++;
                line(
                        Text.format(
                                "[%d/%d] %s: %s, %d epochs in %s",
                                taken + done + failed,
                                total,
                                trial.label(),
                                outcome.test() == null
                                        ? ""
                                        : Text.percent(outcome.test().accuracy()),
                                outcome.epochs().size(),
                                Text.duration(outcome.seconds())));
            }
            case FAILED -> {
                failed++;
                line(
                        Text.format(
                                "[%d/%d] %s: FAILED: %s",
                                taken + done + failed, total, trial.label(), outcome.message()));
            }
            default -> {}
        }
    }

    private boolean isTime() {
        return nanoTime.getAsLong() - shownAt >= (live ? REWRITE_NANOS : NEW_LINE_NANOS);
    }

    private void line(String text) {
        clear();
        Streams.line(out, "%s", text);
    }

    private void clear() {
        if (linesShown > 0) {
            out.print("\033[" + linesShown + "A" + CLEAR_BELOW);
            linesShown = 0;
        }
    }

    private void show(boolean now) {
        if (!isTime() && !(now && live)) {
            return;
        }
        shownAt = nanoTime.getAsLong();
        if (!live) {
            Streams.line(out, "%s", whole());
            return;
        }
        clear();
        List<String> lines = new ArrayList<>();
        running.values().stream()
                .limit(MOST_RUNNING_LINES)
                .forEach(state ->
                        lines.add(
                                Text.format(
                                        "  %3.0f %%  %s: %s%s\n",
                                        100 * state.share,
                                        state.trial.label(),
                                        state.state,
                                        state.accuracy)));
        lines.add(whole() + "\n");
        out.print(CUT_LINES + String.join("", lines) + WRAP_LINES);
        out.flush();
        linesShown = lines.size();
    }

    private String whole() {
        int left = total - taken - done - failed - running.size();
        return Text.format(
                "%d running, %d done, %d failed, %d left, %s passed, ETA %s",
                running.size(), taken + done, failed, left, Text.duration(secondsPassed()), eta());
    }

    private double secondsPassed() {
        return (nanoTime.getAsLong() - begun) / 1e9;
    }

    /** As if what is left went on at the pace so far: more where mixers to come are slower, less where trials stop early. */
    private String eta() {
        double progressed =
                progressedWork + running.values().stream().mapToDouble(Running::progressed).sum();
        double left = totalWork - takenWork - progressed;
        return progressed <= 0
                ? "unknown"
                : "about " + Text.duration(Math.max(0, left) * secondsPassed() / progressed);
    }

    @Override
    public synchronized void close() {
        clear();
        out.flush();
    }
}
