package dev.panthera.spark;

import dev.panthera.sweep.ProgressLine;
import dev.panthera.sweep.TrialOrder;
import dev.panthera.sweep.TrialOutcome;
import dev.panthera.sweep.TrialRun;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.Function;
import org.apache.spark.util.CollectionAccumulator;

/**
 * What an executor does: an order in JSON goes in, an outcome in JSON comes out, whatever happens to the trial. A named
 * class with plain fields, so that nothing of the sweep is dragged along and both sides may be compiled apart.
 */
final class TrialTask implements Function<String, String> {
    private static final long serialVersionUID = 1L;
    private static final String GPU = "gpu";

    private final String id;
    private final int threads;
    private final boolean sharedFolder;
    private final CollectionAccumulator<String> progress;

    /**
     * @param progress takes {@link ProgressLine}s, which reach the driver with the executor's heartbeats
     */
    TrialTask(
            String id, int threads, boolean sharedFolder, CollectionAccumulator<String> progress) {
        this.id = id;
        this.threads = threads;
        this.sharedFolder = sharedFolder;
        this.progress = progress;
    }

    @Override
    public String call(String json) {
        return run(json).toJson();
    }

    private TrialOutcome run(String json) {
        var context = TaskContext.get();
        try {
            TrialOrder order = placed(TrialOrder.fromJson(json), context);
            return TrialRun.run(order, context::isInterrupted, ProgressLine.writer(progress::add));
        } catch (RuntimeException | LinkageError failure) {
            return TrialOutcome.failed(id, failure);
        }
    }

    /** On the GPU that Spark gave to the task, if it gave one; Spark's addresses of GPUs are CUDA's numbers. */
    private TrialOrder placed(TrialOrder order, TaskContext context) {
        var gpu = context.resourcesJMap().get(GPU);
        String device = gpu == null ? order.device() : "cuda:" + gpu.addresses()[0];
        return new TrialOrder(
                order.id(),
                order.label(),
                order.config(),
                device,
                threads,
                sharedFolder ? order.folder() : null,
                order.tracking());
    }
}
