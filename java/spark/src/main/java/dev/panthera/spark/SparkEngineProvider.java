package dev.panthera.spark;

import dev.panthera.sweep.Engine;
import dev.panthera.sweep.EngineProvider;
import dev.panthera.sweep.EngineSetting;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.SparkConf;

/** Makes engines that run trials on a cluster of Apache Spark. */
public final class SparkEngineProvider implements EngineProvider {
    /** Names the file that the logging configuration in this jar writes to; it is read when Spark's first class is used. */
    private static final String LOG_PROPERTY = "panthera.spark.log";

    private static final String MASTER = "master";
    private static final String SLOTS = "slots";
    private static final String THREADS = "threads";
    private static final String SHARED_FOLDER = "shared-folder";
    private static final String PATIENCE = "patience";
    private static final String CONF = "conf.";

    /** For {@link java.util.ServiceLoader}. */
    public SparkEngineProvider() {}

    @Override
    public String name() {
        return "spark";
    }

    @Override
    public Map<String, String> options() {
        var options = new LinkedHashMap<String, String>();
        options.put(MASTER, "spark://HOST:PORT, or local[N]; default: as spark-submit says");
        options.put(SLOTS, "most trials at once; default: all that the executors have room for");
        options.put(THREADS, "threads and cores of a trial; default: 1");
        options.put(
                SHARED_FOLDER,
                "true if all machines see the sweep's folder under the same path; default: false");
        options.put(PATIENCE, "seconds to wait for an executor; default: 120");
        options.put(CONF + "*", "a setting of Spark, for example conf.spark.executor.memory=4g");
        return options;
    }

    @Override
    public Engine open(EngineSetting setting) {
        setting.requireKnown(this);
        System.setProperty(LOG_PROPERTY, setting.folder().resolve("spark.log").toString());
        return new SparkEngine(
                new SparkOptions(
                        setting.text(MASTER),
                        jars(setting.folder()),
                        setting.experimentJar(),
                        setting.text(SLOTS) == null ? null : setting.count(SLOTS, 1, 1),
                        setting.count(THREADS, 1, 1),
                        setting.startingWith(CONF),
                        setting.flag(SHARED_FOLDER, false),
                        Duration.ofSeconds(setting.count(PATIENCE, 1, 120))));
    }

    /** Those that {@code spark-submit} was given, or all that this program runs on. */
    private static List<Path> jars(Path folder) {
        return new SparkConf().contains("spark.jars")
                ? List.of()
                : PantheraJars.find(folder.resolve("spark"));
    }
}
