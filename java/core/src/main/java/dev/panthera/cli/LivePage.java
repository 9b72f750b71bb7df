package dev.panthera.cli;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.panthera.UserException;
import dev.panthera.report.ReportPage;
import dev.panthera.report.SweepSummary;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Supplier;

/** A page that is made anew each time it is asked for, at an address that only this machine can reach. */
final class LivePage implements AutoCloseable {
    private static final int SECONDS_BETWEEN = 10;

    private final HttpServer server;
    private final ExecutorService threads;

    private LivePage(HttpServer server, ExecutorService threads) {
        this.server = server;
        this.threads = threads;
    }

    /**
     * Starts to serve the page of a sweep.
     *
     * @param port 0: any that is free
     * @throws UserException if the port cannot be used
     */
    static LivePage open(int port, Supplier<SweepSummary> summary) {
        try {
            var address =
                    new InetSocketAddress(
                            InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), port);
            var server = HttpServer.create(address, 0);
            var threads = Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().factory());
            server.setExecutor(threads);
            server.createContext("/", exchange -> answer(exchange, summary));
            server.start();
            return new LivePage(server, threads);
        } catch (IOException failure) {
            throw new UserException(
                    "--port %d: it cannot be used (%s); choose another, or leave it out for any that is free"
                            .formatted(port, failure.getMessage()),
                    failure);
        }
    }

    /** Where the page is. */
    String address() {
        return "http://127.0.0.1:" + server.getAddress().getPort() + "/";
    }

    private static void answer(HttpExchange exchange, Supplier<SweepSummary> summary)
            throws IOException {
        try (exchange) {
            boolean read =
                    exchange.getRequestMethod().equals("GET")
                            || exchange.getRequestMethod().equals("HEAD");
            boolean known = exchange.getRequestURI().getPath().equals("/");
            // A page of another site could reach this address by a name of its own.
            boolean local = isLocal(exchange.getRequestHeaders().getFirst("Host"));
            if (!read || !known || !local) {
                exchange.sendResponseHeaders(known && local ? 405 : 404, -1);
                return;
            }
            byte[] page = page(summary).getBytes(StandardCharsets.UTF_8);
            var headers = exchange.getResponseHeaders();
            headers.set("Content-Type", "text/html; charset=utf-8");
            headers.set("Cache-Control", "no-store");
            headers.set("Refresh", Integer.toString(SECONDS_BETWEEN));
            if (exchange.getRequestMethod().equals("HEAD")) {
                exchange.sendResponseHeaders(200, -1);
            } else {
                exchange.sendResponseHeaders(200, page.length);
                exchange.getResponseBody().write(page);
            }
        }
    }

    private static boolean isLocal(String host) {
        return host != null && host.matches("(127\\.0\\.0\\.1|localhost)(:\\d+)?");
    }

    private static String page(Supplier<SweepSummary> summary) {
        return ReportPage.html(summary.get());
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }
}
