package dev.panthera.spark;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A master and workers of Spark, each a JVM of its own, on the loopback interface and ports that the system chooses. */
final class StandaloneCluster implements AutoCloseable {
    private static final Pattern MASTER_READY =
            Pattern.compile("Starting Spark master at (spark://\\S+)");
    private static final Pattern WORKER_READY =
            Pattern.compile("Successfully registered with master");

    /** Only against a test that would hang for ever. */
    private static final long LIMIT_SECONDS = 300;

    private final Path folder;
    private final Path jars;
    private final List<Process> processes = new ArrayList<>();
    private final String master;

    /**
     * Starts a master.
     *
     * @param folder for what workers write
     * @param jars of Spark, in a folder {@code jars}
     */
    StandaloneCluster(Path folder, Path jars) {
        this.folder = folder;
        this.jars = jars;
        master =
                start(
                                MASTER_READY,
                                "org.apache.spark.deploy.master.Master",
                                "--host",
                                "127.0.0.1",
                                "--port",
                                "0",
                                "--webui-port",
                                "0")
                        .group(1);
    }

    String master() {
        return master;
    }

    /** Starts a worker of one core; it is ready when this returns. */
    void startWorker() {
        start(
                WORKER_READY,
                "org.apache.spark.deploy.worker.Worker",
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--webui-port",
                "0",
                "--cores",
                "1",
                "--memory",
                "1g",
                "--work-dir",
                folder.resolve("worker-" + processes.size()).toString(),
                master);
    }

    /** Kills, as {@code kill -9}, the worker that has started an executor; returns when both are gone. */
    void killWorkerOf(long executorPid) throws Exception {
        ProcessHandle executor = ProcessHandle.of(executorPid).orElseThrow();
        long parent = executor.parent().orElseThrow().pid();
        Process worker =
                processes.stream().filter(p -> p.pid() == parent).findFirst().orElseThrow();
        worker.destroyForcibly().waitFor();
        executor.onExit().get(LIMIT_SECONDS, TimeUnit.SECONDS);
    }

    private Matcher start(Pattern ready, String mainClass, String... arguments) {
        List<String> command =
                new ArrayList<>(
                        List.of(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "-Xmx256m",
                                "-XX:+UseSerialGC",
                                "-XX:TieredStopAtLevel=1",
                                "--enable-native-access=ALL-UNNAMED",
                                "-cp",
                                jars + "/*",
                                mainClass));
        command.addAll(List.of(arguments));
        var builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().put("SPARK_HOME", jars.getParent().toString());
        builder.environment().put("SPARK_SCALA_VERSION", "2.13");
        builder.environment().put("SPARK_LOCAL_IP", "127.0.0.1");
        try {
            Process process = builder.start();
            processes.add(process);
            return awaitLine(process, ready);
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }

    private static Matcher awaitLine(Process process, Pattern ready) {
        var found = new CompletableFuture<Matcher>();
        Thread.ofPlatform().daemon().start(() -> read(process, ready, found));
        try {
            return found.get(LIMIT_SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException | ExecutionException | TimeoutException failure) {
            process.destroyForcibly();
            throw new AssertionError("Spark has not started: " + failure.getMessage(), failure);
        }
    }

    /** Reads to the end, so that the process never waits for a reader; a pipe's reader holds its thread, so not a virtual one. */
    private static void read(Process process, Pattern ready, CompletableFuture<Matcher> found) {
        var printed = new StringBuilder();
        try (BufferedReader lines = process.inputReader()) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                Matcher matcher = ready.matcher(line);
                if (matcher.find()) {
                    found.complete(matcher);
                } else if (!found.isDone()) {
                    printed.append(line).append('\n');
                }
            }
        } catch (IOException killed) {
            // The end of what it had to say.
        }
        found.completeExceptionally(new IOException("it printed " + printed));
    }

    @Override
    public void close() {
        for (Process process : processes) {
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly().onExit().join();
        }
    }
}
