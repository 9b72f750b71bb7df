package dev.panthera.spark;

import dev.panthera.sweep.ProgressLine;
import dev.panthera.sweep.TrialOutcome;
import dev.panthera.sweep.TrialQueue;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.util.CollectionAccumulator;

/** A trial that the cluster works on: passes on to the queue what it tells, each thing once for each attempt, in order. */
final class RunningTrial {
    private final String id;
    private final TrialQueue queue;
    private final CollectionAccumulator<String> progress;
    private long task = -1;
    private final List<String> told = new ArrayList<>();
    private boolean over;

    RunningTrial(String id, TrialQueue queue, CollectionAccumulator<String> progress) {
        this.id = id;
        this.queue = queue;
        this.progress = progress;
    }

    String id() {
        return id;
    }

    /** What an attempt has told so far; what an earlier attempt says after a later one has begun does not count. */
    synchronized void tell(long fromTask, List<?> lines) {
        if (over || fromTask < task) {
            return;
        }
        if (fromTask > task) {
            task = fromTask;
            told.clear();
        }
        for (Object line : lines.subList(Math.min(told.size(), lines.size()), lines.size())) {
            told.add((String) line);
            ProgressLine.fromJson((String) line).tell(queue, id);
        }
    }

    /**
     * The trial has an outcome, and with it has come all that the attempt with the outcome has told. Nothing of that may have
     * been heard before, if no heartbeat came since an earlier attempt was lost.
     */
    synchronized void finish(TrialOutcome outcome) {
        if (over) {
            return;
        }
        List<String> all = progress.value();
        boolean heard = all.size() >= told.size() && all.subList(0, told.size()).equals(told);
        tell(heard ? task : Long.MAX_VALUE, all);
        over = true;
        queue.finished(outcome);
    }

    /** The trial is given up without an outcome. */
    synchronized void giveBack() {
        if (!over) {
            over = true;
            queue.finished(TrialOutcome.waiting(id));
        }
    }
}
