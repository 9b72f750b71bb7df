package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.track.TrackingOptions;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The options that send metrics to other tools. */
final class TrackingMixin {
    @Option(
            names = "--tensorboard",
            paramLabel = "DIR",
            description =
                    "Writes event files for TensorBoard to a folder of the run's name in DIR.")
    private @Nullable Path tensorboard;

    @Option(
            names = "--mlflow",
            paramLabel = "URL",
            description = "Logs to an MLflow server; a failing one stops nothing.")
    private @Nullable String mlflow;

    @Option(
            names = "--mlflow-experiment",
            paramLabel = "NAME",
            description = "The experiment there. Default: " + TrackingOptions.DEFAULT_EXPERIMENT)
    private @Nullable String experiment;

    TrackingOptions options() {
        UserException.require(
                experiment == null || mlflow != null,
                "--mlflow-experiment %s: it belongs to a server; name that too, for example --mlflow http://localhost:5000",
                experiment);
        return new TrackingOptions(
                tensorboard,
                mlflow == null ? null : address(mlflow),
                experiment == null ? TrackingOptions.DEFAULT_EXPERIMENT : experiment);
    }

    private static URI address(String text) {
        try {
            return new URI(text);
        } catch (URISyntaxException failure) {
            throw new UserException(
                    "--mlflow %s: it must be the address of a tracking server; for example http://localhost:5000"
                            .formatted(text),
                    failure);
        }
    }
}
