package dev.panthera.track;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.panthera.train.MetricSink;
import dev.panthera.train.TrainResult.Ending;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Against a server of the JDK that answers as MLflow does. */
class MlflowSinkTest {
    private static final String API = "/api/2.0/mlflow/";
    private static final String CONFIG =
            "{\"model\":{\"mixer\":\"hyena\",\"taps\":[3,-1]},\"epochs\":3}";
    private static final String NO_EXPERIMENT = "{\"error_code\":\"RESOURCE_DOES_NOT_EXIST\"}";

    private record Request(String call, JsonNode content) {}

    private record Answer(int status, String body) {}

    private final List<Request> requests = new CopyOnWriteArrayList<>();
    private final List<String> warnings = new ArrayList<>();
    private final Map<String, Answer> answers = new LinkedHashMap<>();
    private final CountDownLatch answering = new CountDownLatch(1);
    private HttpServer server;

    @BeforeEach
    void startServer() throws IOException {
        answers.put(
                "GET experiments/get-by-name?experiment_name=recall+%26+more",
                new Answer(404, NO_EXPERIMENT));
        answers.put("POST experiments/create", new Answer(200, "{\"experiment_id\":\"7\"}"));
        answers.put(
                "POST runs/create", new Answer(200, "{\"run\":{\"info\":{\"run_id\":\"r1\"}}}"));
        answers.put("POST runs/log-batch", new Answer(200, "{}"));
        answers.put("POST runs/update", new Answer(200, "{}"));
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.createContext("/", this::answer);
        server.start();
    }

    @AfterEach
    void stopServer() {
        answering.countDown();
        server.stop(0);
    }

    private void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            String path = exchange.getRequestURI().toString();
            assertThat(path).startsWith(API);
            String call = exchange.getRequestMethod() + " " + path.substring(API.length());
            String body = new String(exchange.getRequestBody().readAllBytes(), UTF_8);
            requests.add(new Request(call, JsonMapper.shared().readTree(body)));
            answering.await();
            Answer answer = answers.getOrDefault(call, new Answer(400, "{}"));
            byte[] bytes = answer.body().getBytes(UTF_8);
            exchange.sendResponseHeaders(answer.status(), bytes.length);
            exchange.getResponseBody().write(bytes);
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
        }
    }

    private MetricSink sink() {
        URI address = URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/");
        return new TrackingOptions(null, address, "recall & more")
                .sinks("a-run", warnings::add)
                .getFirst();
    }

    private static SequencedMap<String, Number> line(String name, double value) {
        SequencedMap<String, Number> line = new LinkedHashMap<>();
        line.put(name, value);
        return line;
    }

    private List<String> calls() {
        return requests.stream().map(Request::call).toList();
    }

    private List<JsonNode> contents(String call) {
        return requests.stream()
                .filter(request -> request.call().equals(call))
                .map(Request::content)
                .toList();
    }

    private List<JsonNode> metrics() {
        return contents("POST runs/log-batch").stream()
                .flatMap(content -> content.get("metrics").valueStream())
                .toList();
    }

    @Test
    void aRunIsMadeInItsExperimentAndGetsParametersAndMetrics() {
        answering.countDown();
        var sink = sink();
        sink.started(CONFIG, 0);
        sink.metrics(1, line("train/loss", 2.5));
        sink.metrics(2, line("train/loss", Double.NaN));
        sink.flush();
        sink.metrics(2, line("test/accuracy", 0.75));
        sink.ended(Ending.ALL_EPOCHS);
        assertThat(calls())
                .startsWith(
                        "GET experiments/get-by-name?experiment_name=recall+%26+more",
                        "POST experiments/create", "POST runs/create", "POST runs/log-batch")
                .endsWith("POST runs/update");
        assertThat(contents("POST experiments/create").getFirst().get("name").asString())
                .isEqualTo("recall & more");
        JsonNode run = contents("POST runs/create").getFirst();
        assertThat(run.get("experiment_id").asString()).isEqualTo("7");
        assertThat(run.get("run_name").asString()).isEqualTo("a-run");
        assertThat(run.get("start_time").isIntegralNumber()).isTrue();
        assertThat(contents("POST runs/log-batch").getFirst().get("params").valueStream())
                .extracting(value ->
                        value.get("key").asString() + " = " + value.get("value").asString())
                .containsExactly("model.mixer = hyena", "model.taps = [3,-1]", "epochs = 3");
        assertThat(contents("POST runs/log-batch"))
                .allSatisfy(batch -> assertThat(batch.get("run_id").asString()).isEqualTo("r1"));
        assertThat(metrics())
                .extracting(metric ->
                        metric.get("key").asString()
                                + " "
                                + metric.get("value")
                                + " "
                                + metric.get("step"))
                .containsExactly("train/loss 2.5 1", "test/accuracy 0.75 2");
        assertThat(metrics())
                .allSatisfy(metric ->
                        assertThat(metric.get("timestamp").asLong())
                                .isGreaterThanOrEqualTo(run.get("start_time").asLong()));
        assertThat(warnings).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "ALL_EPOCHS, FINISHED",
        "STOPPED_EARLY, FINISHED",
        "INTERRUPTED, KILLED",
        ", FAILED"
    })
    void theServerIsToldHowTheRunEnded(Ending ending, String status) {
        answering.countDown();
        var sink = sink();
        sink.started(CONFIG, 0);
        sink.ended(ending);
        JsonNode update = contents("POST runs/update").getLast();
        assertThat(update.get("status").asString()).isEqualTo(status);
        assertThat(update.get("run_id").asString()).isEqualTo("r1");
    }

    @Test
    void anExperimentThatIsThereIsUsed() {
        answering.countDown();
        answers.put(
                "GET experiments/get-by-name?experiment_name=recall+%26+more",
                new Answer(200, "{\"experiment\":{\"experiment_id\":\"3\"}}"));
        var sink = sink();
        sink.started(CONFIG, 0);
        sink.ended(Ending.ALL_EPOCHS);
        assertThat(calls()).doesNotContain("POST experiments/create");
        assertThat(contents("POST runs/create").getFirst().get("experiment_id").asString())
                .isEqualTo("3");
    }

    /** No call of the run waits for an answer; all there is goes out, in order, once the server answers. */
    @Test
    void aSlowServerHoldsNothingUpAndLosesNothing() {
        var sink = sink();
        sink.started(CONFIG, 0);
        for (int step = 1; step <= 2500; step++) {
            sink.metrics(step, line("train/loss", step));
            sink.flush();
        }
        assertThat(requests).hasSizeLessThanOrEqualTo(1);
        answering.countDown();
        sink.ended(Ending.ALL_EPOCHS);
        assertThat(metrics().stream().mapToLong(metric -> metric.get("step").asLong()))
                .containsExactlyElementsOf(LongStream.rangeClosed(1, 2500).boxed().toList());
        assertThat(contents("POST runs/log-batch"))
                .allSatisfy(
                        batch -> assertThat(batch.get("metrics").size()).isLessThanOrEqualTo(1000));
        assertThat(warnings).isEmpty();
    }

    /** The first batch has parameters if there are any, otherwise metrics. */
    @ParameterizedTest
    @ValueSource(strings = {CONFIG, "{}"})
    @Timeout(60)
    void whatAServerRefusedIsSentAgain(String config) throws InterruptedException {
        answering.countDown();
        var refuse = new AtomicBoolean(true);
        var refused = new CountDownLatch(1);
        var delivered = new CountDownLatch(1);
        server.removeContext("/");
        server.createContext(
                "/",
                exchange -> {
                    if (exchange.getRequestURI().getPath().endsWith("log-batch")
                            && refuse.getAndSet(false)) {
                        exchange.sendResponseHeaders(503, -1);
                        exchange.close();
                        refused.countDown();
                    } else {
                        answer(exchange);
                        if (metrics().size() == 2) {
                            delivered.countDown();
                        }
                    }
                });
        var sink = sink();
        sink.started(config, 0);
        sink.metrics(1, line("train/loss", 1));
        sink.flush();
        refused.await();
        sink.metrics(2, line("train/loss", 2));
        sink.flush();
        delivered.await();
        sink.ended(Ending.ALL_EPOCHS);
        assertThat(metrics())
                .extracting(metric -> metric.get("step").asLong())
                .containsExactly(1L, 2L);
        int parameters =
                contents("POST runs/log-batch").stream()
                        .mapToInt(batch -> batch.get("params").size())
                        .sum();
        assertThat(parameters).isEqualTo(config.equals(CONFIG) ? 3 : 0);
        assertThat(contents("POST runs/create")).hasSize(1);
        assertThat(warnings).hasSizeLessThanOrEqualTo(1);
    }

    @Test
    void aServerThatFailsIsNamedOnce() {
        answering.countDown();
        answers.put("POST runs/create", new Answer(500, "<html>"));
        var sink = sink();
        sink.started(CONFIG, 0);
        IntStream.range(0, 50)
                .forEach(step -> {
                    sink.metrics(step, line("train/loss", step));
                    sink.flush();
                });
        sink.ended(Ending.ALL_EPOCHS);
        assertThat(warnings)
                .singleElement()
                .asString()
                .contains("--mlflow http://127.0.0.1", "runs/create answers 500", "the run goes on")
                .doesNotContain("\n");
    }

    @Test
    void aServerThatIsNotThereIsNamedOnce() {
        var sink = sink();
        server.stop(0);
        sink.started(CONFIG, 0);
        sink.metrics(1, line("train/loss", 1));
        sink.flush();
        sink.ended(null);
        assertThat(warnings).hasSize(1);
        assertThat(requests).isEmpty();
    }

    @Test
    void anAnswerThatIsNotOfMlflowIsNamed() {
        answering.countDown();
        answers.put("POST runs/create", new Answer(200, "{\"hello\":\"world\"}"));
        var sink = sink();
        sink.started(CONFIG, 0);
        sink.ended(Ending.ALL_EPOCHS);
        assertThat(warnings)
                .singleElement()
                .asString()
                .contains("the answer has no /run/info/run_id");
    }
}
