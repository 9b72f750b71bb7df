package dev.panthera.spark;

import dev.panthera.UserException;
import dev.panthera.sweep.TrialOrder;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaFutureAction;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.util.CollectionAccumulator;

/** The engine's connection to a cluster. */
final class Cluster implements AutoCloseable {
    private static final String TAG = "panthera-" + UUID.randomUUID();

    private final SparkOptions options;
    private final JavaSparkContext context;
    private final ClusterListener listener;

    private Cluster(SparkOptions options, JavaSparkContext context, ClusterListener listener) {
        this.options = options;
        this.context = context;
        this.listener = listener;
    }

    /**
     * Connects.
     *
     * @throws UserException if there is no such cluster, or it does not take the application
     */
    static Cluster connect(SparkOptions options) {
        SparkConf conf = conf(options);
        UserException.require(
                conf.contains("spark.master"),
                "--engine spark: no master is given; say --master spark://HOST:PORT, or local[N] to try it out");
        String master = conf.get("spark.master");
        Masters.requireReachable(master);
        try {
            var context = new JavaSparkContext(conf);
            return new Cluster(
                    options, context, ClusterListener.of(conf.get(ClusterListener.SESSION)));
        } catch (RuntimeException failure) {
            throw new UserException(
                    "--master %s: Spark cannot be used (%s); it must be a master of the same version of Spark as here, %s"
                            .formatted(
                                    master,
                                    Messages.firstLine(failure),
                                    org.apache.spark.package$.MODULE$.SPARK_VERSION()),
                    failure);
        }
    }

    private static SparkConf conf(SparkOptions options) {
        var conf = new SparkConf();
        if (options.master() != null) {
            conf.setMaster(options.master());
        }
        conf.setIfMissing("spark.app.name", "panthera");
        conf.setIfMissing("spark.ui.enabled", "false");
        conf.setIfMissing("spark.ui.showConsoleProgress", "false");
        conf.setIfMissing("spark.executor.heartbeatInterval", "3s");
        conf.set("spark.task.cpus", Integer.toString(options.threads()));
        options.conf().forEach(conf::set);
        conf.set("spark.speculation", "false");
        conf.set(ClusterListener.SESSION, UUID.randomUUID().toString());
        append(conf, "spark.extraListeners", List.of(ClusterListener.class.getName()));
        append(
                conf,
                "spark.jars",
                Stream.concat(options.jars().stream(), Stream.ofNullable(options.experimentJar()))
                        .map(Path::toUri)
                        .map(URI::toString)
                        .toList());
        return conf;
    }

    private static void append(SparkConf conf, String name, List<String> values) {
        String all =
                Stream.concat(
                                Stream.of(conf.get(name, "").split(",")).filter(v -> !v.isEmpty()),
                                values.stream())
                        .distinct()
                        .collect(Collectors.joining(","));
        if (!all.isEmpty()) {
            conf.set(name, all);
        }
    }

    ClusterListener listener() {
        return listener;
    }

    CollectionAccumulator<String> progress() {
        var progress = new CollectionAccumulator<String>();
        context.sc().register(progress, ClusterListener.TRIAL);
        return progress;
    }

    /** Starts a trial as a job of its own, which ends in one outcome as JSON. */
    JavaFutureAction<List<String>> submit(
            TrialOrder order, CollectionAccumulator<String> progress) {
        var task = new TrialTask(order.id(), options.threads(), options.sharedFolder(), progress);
        context.addJobTag(TAG);
        context.setLocalProperty(ClusterListener.TRIAL, order.id());
        context.setJobDescription(order.label());
        return context.parallelize(List.of(order.toJson()), 1).map(task).collectAsync();
    }

    /** Ends all jobs; tasks that run are told, and end when they have seen it. */
    void cancelAll() {
        if (!isStopped()) {
            context.cancelJobsWithTag(TAG);
        }
    }

    boolean isStopped() {
        return context.sc().isStopped();
    }

    String master() {
        return context.master();
    }

    @Override
    public void close() {
        context.close();
    }
}
