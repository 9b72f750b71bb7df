package dev.panthera.track;

import dev.panthera.train.MetricSink;
import dev.panthera.train.TrainResult;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Logs a run to an MLflow server: its configuration as parameters {@code model.d_model} and so on, its metrics by step.
 * A thread of its own talks to the server. What a failing server did not take is tried again with what follows; the
 * oldest metrics are given up once {@link #MAX_WAITING} wait. So a server can neither stop a run nor hold it up, except
 * for a wait of at most {@link #LAST_WAIT} at its end. A run that goes on from a checkpoint is another run of the same
 * name to the server, and its steps continue.
 */
final class MlflowSink implements MetricSink {
    private static final int MAX_WAITING = 100_000;
    private static final Duration LAST_WAIT = Duration.ofSeconds(10);
    private static final Duration LAST_WAIT_AFTER_FAILURE = Duration.ofSeconds(1);

    /** Older servers refuse longer parameters. */
    private static final int MAX_PARAMETER_LENGTH = 500;

    private final URI server;
    private final String experiment;
    private final String runName;
    private final Consumer<String> warnings;
    private final Deque<Map<String, Object>> waiting = new ArrayDeque<>();
    private final AtomicBoolean scheduled = new AtomicBoolean();
    private final ExecutorService worker =
            Executors.newSingleThreadExecutor(Thread.ofVirtual().name("mlflow").factory());
    private final long startMillis = System.currentTimeMillis();
    private final List<Map<String, Object>> parameters = new ArrayList<>();
    private @Nullable String runId;
    private boolean warned;

    /** Why what waits could not be sent; null if it was sent or nothing has been tried. */
    private volatile @Nullable String problem;

    /** Used by the worker alone, so that also the start of an HTTP client costs the run nothing. */
    private @Nullable MlflowClient client;

    MlflowSink(URI server, String experiment, String runName, Consumer<String> warnings) {
        this.server = server;
        this.experiment = experiment;
        this.runName = runName;
        this.warnings = warnings;
    }

    @Override
    public void started(String config, long steps) {
        flatten("", JsonMapper.shared().readTree(config));
        schedule();
    }

    private void flatten(String name, JsonNode node) {
        if (node.isObject()) {
            String prefix = name.isEmpty() ? "" : name + ".";
            node.forEachEntry((key, value) -> flatten(prefix + key, value));
        } else {
            String text = node.isString() ? node.asString() : node.toString();
            int length = Math.min(text.length(), MAX_PARAMETER_LENGTH);
            parameters.add(Map.of("key", name, "value", text.substring(0, length)));
        }
    }

    /** A value that is no number has no form in JSON and is left out. */
    @Override
    public void metrics(long step, SequencedMap<String, Number> values) {
        long now = System.currentTimeMillis();
        boolean full;
        synchronized (waiting) {
            values.forEach((name, value) -> {
                if (Double.isFinite(value.doubleValue())) {
                    waiting.add(
                            Map.of("key", name, "value", value, "timestamp", now, "step", step));
                }
            });
            while (waiting.size() > MAX_WAITING) {
                waiting.removeFirst();
            }
            full = waiting.size() >= MlflowClient.MAX_METRICS;
        }
        if (full && problem == null) {
            schedule();
        }
    }

    @Override
    public void flush() {
        schedule();
        warn();
    }

    @Override
    public void ended(TrainResult.@Nullable Ending ending) {
        String status =
                switch (ending) {
                    case null -> "FAILED";
                    case INTERRUPTED -> "KILLED";
                    case ALL_EPOCHS, STOPPED_EARLY -> "FINISHED";
                };
        var last = worker.submit(() -> attempt(status));
        try {
            var wait = problem == null ? LAST_WAIT : LAST_WAIT_AFTER_FAILURE;
            last.get(wait.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException late) {
            problem = "no answer in time";
        } catch (ExecutionException failure) {
            throw new AssertionError("the worker catches what can go wrong", failure);
        } catch (InterruptedException interruption) {
            Thread.currentThread().interrupt();
        }
        worker.shutdownNow();
        warn();
    }

    /** One task at most waits behind the one that runs: it sends all there is by then. */
    private void schedule() {
        if (scheduled.compareAndSet(false, true)) {
            worker.execute(() -> {
                scheduled.set(false);
                attempt(null);
            });
        }
    }

    private void warn() {
        String cause = problem;
        if (cause != null && !warned) {
            warned = true;
            warnings.accept(
                    "--mlflow %s: %s; the run goes on, and its metrics.jsonl has what does not get through"
                            .formatted(server, cause));
        }
    }

    private void attempt(@Nullable String status) {
        try {
            if (client == null) {
                client = new MlflowClient(server);
            }
            send(client);
            if (status != null) {
                client.endRun(run(client), status, System.currentTimeMillis());
            }
            problem = null;
        } catch (IOException | RuntimeException failure) {
            problem = failure.getMessage() == null ? failure.toString() : failure.getMessage();
        } catch (InterruptedException givenUp) {
            Thread.currentThread().interrupt();
        }
        if (status != null && client != null) {
            client.close();
        }
    }

    private void send(MlflowClient mlflow) throws IOException, InterruptedException {
        String run = run(mlflow);
        for (var batch = nextBatch(); !batch.isEmpty(); batch = nextBatch()) {
            try {
                mlflow.log(run, batch, List.of());
            } catch (IOException failure) {
                putBack(batch);
                throw failure;
            }
        }
    }

    private String run(MlflowClient mlflow) throws IOException, InterruptedException {
        String run = runId;
        if (run == null) {
            run = mlflow.newRun(mlflow.experiment(experiment), runName, startMillis);
            runId = run;
        }
        while (!parameters.isEmpty()) {
            int count = Math.min(parameters.size(), MlflowClient.MAX_PARAMETERS);
            var first = parameters.subList(0, count);
            mlflow.log(run, List.of(), first);
            first.clear();
        }
        return run;
    }

    private List<Map<String, Object>> nextBatch() {
        List<Map<String, Object>> batch = new ArrayList<>();
        synchronized (waiting) {
            while (!waiting.isEmpty() && batch.size() < MlflowClient.MAX_METRICS) {
                batch.add(waiting.removeFirst());
            }
        }
        return batch;
    }

    private void putBack(List<Map<String, Object>> batch) {
        synchronized (waiting) {
            batch.reversed().forEach(waiting::addFirst);
        }
    }
}
