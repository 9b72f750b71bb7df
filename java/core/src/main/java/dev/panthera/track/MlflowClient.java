package dev.panthera.track;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The few calls of MLflow's REST interface, version 2.0, that a run needs. Each waits for the answer, at most
 * {@link #TIMEOUT}, and throws if it is not the one that was hoped for. Source: mlflow.org/docs/latest/rest-api.html.
 */
final class MlflowClient implements AutoCloseable {
    /** How long an answer may take. */
    static final Duration TIMEOUT = Duration.ofSeconds(10);

    /** Metrics that one call may carry. */
    static final int MAX_METRICS = 1000;

    /** Parameters that one call may carry. */
    static final int MAX_PARAMETERS = 100;

    private static final JsonMapper JSON = JsonMapper.shared();

    private final String server;
    private final HttpClient http =
            HttpClient.newBuilder()
                    .version(HttpClient.Version.HTTP_1_1)
                    .connectTimeout(TIMEOUT)
                    .build();

    MlflowClient(URI server) {
        this.server = server.toString().replaceAll("/+$", "");
    }

    /** Id of the experiment of that name, which is made if there is none. */
    String experiment(String name) throws IOException, InterruptedException {
        String query = "?experiment_name=" + URLEncoder.encode(name, UTF_8);
        var found = send(request("experiments/get-by-name" + query).GET());
        return found.statusCode() == 404
                ? text(post("experiments/create", Map.of("name", name)), "/experiment_id")
                : text(content(found), "/experiment/experiment_id");
    }

    /** Id of a new run. */
    String newRun(String experimentId, String name, long startMillis)
            throws IOException, InterruptedException {
        Map<String, Object> run =
                Map.of("experiment_id", experimentId, "run_name", name, "start_time", startMillis);
        return text(post("runs/create", run), "/run/info/run_id");
    }

    /**
     * Adds to a run.
     *
     * @param metrics at most {@link #MAX_METRICS}, each with key, value, timestamp and step
     * @param parameters at most {@link #MAX_PARAMETERS}, each with key and value
     */
    void log(String runId, List<?> metrics, List<?> parameters)
            throws IOException, InterruptedException {
        post("runs/log-batch", Map.of("run_id", runId, "metrics", metrics, "params", parameters));
    }

    /** @param status {@code FINISHED}, {@code FAILED} or {@code KILLED} */
    void endRun(String runId, String status, long endMillis)
            throws IOException, InterruptedException {
        post("runs/update", Map.of("run_id", runId, "status", status, "end_time", endMillis));
    }

    private JsonNode post(String call, Map<String, Object> content)
            throws IOException, InterruptedException {
        var body = BodyPublishers.ofString(JSON.writeValueAsString(content));
        return content(send(request(call).header("Content-Type", "application/json").POST(body)));
    }

    private HttpRequest.Builder request(String call) {
        return HttpRequest.newBuilder(URI.create(server + "/api/2.0/mlflow/" + call))
                .timeout(TIMEOUT);
    }

    private HttpResponse<String> send(HttpRequest.Builder request)
            throws IOException, InterruptedException {
        return http.send(request.build(), BodyHandlers.ofString());
    }

    private static JsonNode content(HttpResponse<String> response) throws IOException {
        if (response.statusCode() != 200) {
            throw new IOException(
                    "%s answers %d".formatted(response.uri().getPath(), response.statusCode()));
        }
        return JSON.readTree(response.body());
    }

    private static String text(JsonNode content, String path) throws IOException {
        JsonNode node = content.at(path);
        if (!node.isString()) {
            throw new IOException("the answer has no " + path);
        }
        return node.asString();
    }

    /** Gives up what has not been answered. */
    @Override
    public void close() {
        http.shutdownNow();
    }
}
