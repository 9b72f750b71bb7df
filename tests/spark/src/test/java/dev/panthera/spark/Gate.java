package dev.panthera.spark;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Where trials of the test experiment wait, in whatever process, until the test opens it. */
final class Gate implements AutoCloseable {
    private final ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    private final CompletableFuture<Long> firstPid = new CompletableFuture<>();
    private final CountDownLatch open = new CountDownLatch(1);

    Gate() throws IOException {
        Thread.ofPlatform().daemon().start(this::accept);
    }

    int port() {
        return server.getLocalPort();
    }

    /** The process of the first trial that has come here. */
    long awaitFirst() throws Exception {
        return firstPid.get(300, TimeUnit.SECONDS);
    }

    void open() {
        open.countDown();
    }

    private void accept() {
        try {
            while (true) {
                Socket socket = server.accept();
                Thread.ofPlatform().daemon().start(() -> hold(socket));
            }
        } catch (IOException closed) {
            // No trial is waited for any more.
        }
    }

    private void hold(Socket socket) {
        try (socket) {
            var reader =
                    new BufferedReader(
                            new InputStreamReader(
                                    socket.getInputStream(), StandardCharsets.US_ASCII));
            firstPid.complete(Long.parseLong(reader.readLine()));
            open.await();
            socket.getOutputStream().write('\n');
        } catch (IOException killed) {
            // The trial's process is gone.
        } catch (InterruptedException end) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() throws IOException {
        open();
        server.close();
    }
}
