package dev.panthera.spark;

import dev.panthera.sweep.Engine;
import dev.panthera.sweep.TrialQueue;
import java.util.function.BooleanSupplier;

/**
 * Carries trials out on a cluster of Apache Spark: one job of one task for each, so that each is scheduled, retried and
 * reported by itself. A trial crosses as JSON and its outcome comes back as JSON; the classes come from jars that the
 * executors fetch.
 *
 * <p>A trial that fails is an outcome like any other. A trial whose executor is lost runs again elsewhere, from its
 * checkpoint if the folder is shared; one that loses its executor too often ({@code spark.task.maxFailures}) has failed.
 */
public final class SparkEngine implements Engine {
    private final SparkOptions options;

    public SparkEngine(SparkOptions options) {
        this.options = options;
    }

    @Override
    public void run(TrialQueue queue, BooleanSupplier stopRequested) {
        var thread = Thread.currentThread();
        ClassLoader callers = thread.getContextClassLoader();
        var callersQueue = new ContextQueue(queue, callers);
        thread.setContextClassLoader(SparkEngine.class.getClassLoader());
        try (var guard = new ShutdownGuard();
                var cluster = Cluster.connect(options)) {
            guard.install();
            new SparkLoop(options, cluster, callersQueue, stopRequested).run();
        } finally {
            thread.setContextClassLoader(callers);
        }
    }

    @Override
    public String description() {
        return "Spark at %s, %s, %d threads each%s"
                .formatted(
                        options.master() == null ? "spark-submit's master" : options.master(),
                        options.slots() == null
                                ? "as many trials at once as it has room for"
                                : "at most " + options.slots() + " trials at once",
                        options.threads(),
                        options.sharedFolder() ? ", shared folder" : "");
    }
}
