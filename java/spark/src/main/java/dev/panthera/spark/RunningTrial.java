package dev.panthera.spark;

import dev.panthera.sweep.ProgressLine;
import dev.panthera.sweep.TrialOutcome;
import dev.panthera.sweep.TrialQueue;
import java.util.List;
import org.apache.spark.util.CollectionAccumulator;

/** A trial that the cluster works on: passes on to the queue what it tells, each thing once for each attempt, in order. */
final class RunningTrial {
    private final String id;
    private final TrialQueue queue;
    private final CollectionAccumulator<String> progress;
    private long task = -1;
    private int told;
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
            told = 0;
        }
        for (; told < lines.size(); told++) {
            ProgressLine.fromJson((String) lines.get(told)).tell(queue, id);
        }
    }

    /** The trial has an outcome: what it told at last has come with it. */
    synchronized void finish(TrialOutcome outcome) {
        if (over) {
            return;
        }
        tell(Math.max(task, 0), progress.value());
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
