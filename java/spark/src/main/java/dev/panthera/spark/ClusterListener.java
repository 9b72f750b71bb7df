package dev.panthera.spark;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.spark.SparkConf;
import org.apache.spark.scheduler.AccumulableInfo;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorAdded;
import org.apache.spark.scheduler.SparkListenerExecutorMetricsUpdate;
import org.apache.spark.scheduler.SparkListenerExecutorRemoved;
import org.apache.spark.scheduler.SparkListenerJobStart;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import org.apache.spark.scheduler.SparkListenerTaskStart;
import org.apache.spark.scheduler.cluster.ExecutorInfo;
import org.jspecify.annotations.Nullable;
import scala.jdk.javaapi.CollectionConverters;

/**
 * Knows the executors, which tasks run, and what running trials have told. Spark makes it itself, so that it hears of the
 * executors that come before the context is ready.
 */
public final class ClusterListener extends SparkListener {
    /** Setting that tells one listener from those of other contexts. */
    static final String SESSION = "spark.panthera.session";

    /** Property of a job: the trial that it runs. */
    static final String TRIAL = "panthera.trial";

    private static final Map<String, ClusterListener> MADE = new ConcurrentHashMap<>();
    private static final String GPU = "gpu";

    private final int coresPerTask;
    private final double gpusPerTask;
    private final Map<String, ExecutorInfo> executors = new ConcurrentHashMap<>();
    private final Map<Integer, String> trialOfStage = new ConcurrentHashMap<>();
    private final Map<Long, String> runningTasks = new ConcurrentHashMap<>();
    private volatile long changedAt = System.nanoTime();
    private volatile @Nullable Hearer hearer;

    /** Hears what running trials tell. */
    interface Hearer {
        /**
         * @param task that runs the trial; a higher number is a later attempt
         * @param lines all that it has told so far, in order
         */
        void told(String trial, long task, List<?> lines);
    }

    /** For Spark. */
    public ClusterListener(SparkConf conf) {
        coresPerTask = conf.getInt("spark.task.cpus", 1);
        gpusPerTask = conf.getDouble("spark.task.resource.gpu.amount", 0);
        MADE.put(conf.get(SESSION), this);
    }

    /** The listener that Spark made for a session; it is handed out once. */
    static ClusterListener of(String session) {
        return Objects.requireNonNull(MADE.remove(session), "Spark has made no listener");
    }

    void hear(@Nullable Hearer newHearer) {
        hearer = newHearer;
    }

    /** How many trials the executors that are there can run at once. */
    int capacity() {
        return executors.values().stream().mapToInt(this::capacity).sum();
    }

    private int capacity(ExecutorInfo executor) {
        int byCores = executor.totalCores() / coresPerTask;
        if (gpusPerTask <= 0) {
            return byCores;
        }
        var gpu = executor.resourcesInfo().get(GPU);
        int gpus = gpu.isEmpty() ? 0 : gpu.get().addresses().length;
        int byGpus =
                gpusPerTask >= 1
                        ? (int) (gpus / gpusPerTask)
                        : gpus * (int) Math.floor(1 / gpusPerTask + 1e-9);
        return Math.min(byCores, byGpus);
    }

    /** Nanoseconds since executors came or went. */
    long unchangedNanos() {
        return System.nanoTime() - changedAt;
    }

    boolean hasExecutors() {
        return !executors.isEmpty();
    }

    /** Whether any executor still works on a trial, be it only on ending it. */
    boolean isAnyRunning() {
        return !runningTasks.isEmpty();
    }

    @Override
    public void onExecutorAdded(SparkListenerExecutorAdded event) {
        executors.put(event.executorId(), event.executorInfo());
        changedAt = System.nanoTime();
    }

    @Override
    public void onExecutorRemoved(SparkListenerExecutorRemoved event) {
        executors.remove(event.executorId());
        changedAt = System.nanoTime();
    }

    @Override
    public void onJobStart(SparkListenerJobStart event) {
        String trial = event.properties() == null ? null : event.properties().getProperty(TRIAL);
        if (trial != null) {
            CollectionConverters.asJava(event.stageInfos())
                    .forEach(stage -> trialOfStage.put(stage.stageId(), trial));
        }
    }

    @Override
    public void onTaskStart(SparkListenerTaskStart event) {
        String trial = trialOfStage.get(event.stageId());
        if (trial != null) {
            runningTasks.put(event.taskInfo().taskId(), trial);
        }
    }

    @Override
    public void onTaskEnd(SparkListenerTaskEnd event) {
        runningTasks.remove(event.taskInfo().taskId());
    }

    @Override
    public void onExecutorMetricsUpdate(SparkListenerExecutorMetricsUpdate event) {
        Hearer current = hearer;
        if (current == null) {
            return;
        }
        for (var update : CollectionConverters.asJava(event.accumUpdates())) {
            long task = (Long) update._1();
            String trial = runningTasks.get(task);
            if (trial != null) {
                CollectionConverters.asJava(update._4())
                        .forEach(info -> tell(current, trial, task, info));
            }
        }
    }

    private static void tell(Hearer hearer, String trial, long task, AccumulableInfo info) {
        boolean ours = info.name().isDefined() && info.name().get().equals(TRIAL);
        if (ours && info.update().isDefined() && info.update().get() instanceof List<?> lines) {
            hearer.told(trial, task, lines);
        }
    }
}
