package dev.panthera.spark;

import dev.panthera.UserException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * How a sweep uses a Spark cluster.
 *
 * @param master as Spark names it, for example {@code spark://host:7077} or {@code local[4]}; null: as {@code spark-submit} says
 * @param jars of Panthera and what it needs, natives included, that executors load; empty under {@code spark-submit --jars}
 * @param experimentJar with the mixers and tasks of the experiment's own; null if there are none
 * @param slots most trials at once; null: as many as the executors have cores, or GPUs, for
 * @param threads of a trial, which are that many cores of an executor
 * @param conf further settings of Spark, which win over the engine's own
 * @param sharedFolder whether the trials' folders are the same on every machine: then a trial that was lost or interrupted
 *     goes on from its checkpoint, else it starts again
 * @param patience how long there may be no executor before the engine gives up
 */
public record SparkOptions(
        @Nullable String master,
        List<Path> jars,
        @Nullable Path experimentJar,
        @Nullable Integer slots,
        int threads,
        Map<String, String> conf,
        boolean sharedFolder,
        Duration patience) {

    public SparkOptions {
        jars = List.copyOf(jars);
        conf = new TreeMap<>(conf);
        UserException.require(
                slots == null || slots >= 1,
                "slots %s: at least one trial must run at once; try 4, or leave it out",
                slots);
        UserException.require(
                threads >= 1, "threads %d: a trial needs at least one; try 1", threads);
        for (String name : conf.keySet()) {
            UserException.require(
                    name.startsWith("spark."),
                    "conf.%s: settings of Spark begin with spark. ; for example conf.spark.executor.memory=4g",
                    name);
        }
    }
}
