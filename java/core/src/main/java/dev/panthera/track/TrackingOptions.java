package dev.panthera.track;

import dev.panthera.UserException;
import dev.panthera.train.MetricSink;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Where metrics go besides a run's own folder. One value serves many runs: each asks for sinks of its own.
 *
 * @param tensorboard folder in which each run gets a folder of event files; null: none
 * @param mlflow address of an MLflow tracking server, such as {@code http://localhost:5000}; null: none
 * @param experiment MLflow's experiment that runs belong to; it is made if need be
 */
public record TrackingOptions(@Nullable Path tensorboard, @Nullable URI mlflow, String experiment) {

    /** MLflow's experiment unless another is named. */
    public static final String DEFAULT_EXPERIMENT = "panthera";

    /** Nothing is sent anywhere. */
    public static final TrackingOptions NONE = new TrackingOptions(null, null, DEFAULT_EXPERIMENT);

    /** @throws UserException if the folder is a file, the address is not one of a server, or the experiment has no name */
    public TrackingOptions {
        UserException.require(
                tensorboard == null || !Files.exists(tensorboard) || Files.isDirectory(tensorboard),
                "--tensorboard %s: it is a file; name a folder",
                tensorboard);
        UserException.require(
                mlflow == null
                        || mlflow.getHost() != null
                                && ("http".equals(mlflow.getScheme())
                                        || "https".equals(mlflow.getScheme())),
                "--mlflow %s: it must be the address of a tracking server; for example http://localhost:5000",
                mlflow);
        UserException.require(
                !experiment.isBlank(),
                "--mlflow-experiment: an experiment needs a name; try %s",
                DEFAULT_EXPERIMENT);
    }

    /**
     * New sinks for one run. Nothing is written or sent before the run starts them.
     *
     * @param runName how the run is listed; also the name of a folder
     * @param warnings receives one line, on the run's thread, if a server fails
     */
    public List<MetricSink> sinks(String runName, Consumer<String> warnings) {
        List<MetricSink> sinks = new ArrayList<>();
        if (tensorboard != null) {
            sinks.add(new TensorBoardSink(tensorboard.resolve(runName)));
        }
        if (mlflow != null) {
            sinks.add(new MlflowSink(mlflow, experiment, runName, warnings));
        }
        return List.copyOf(sinks);
    }
}
