package dev.panthera.cli;

import java.util.concurrent.CountDownLatch;

/**
 * Turns Ctrl-C and SIGTERM into a wish to stop: the JVM, which is then shutting down, waits until the work that polls
 * {@link #requested} has ended in its own way and {@link #close} is called.
 */
final class Interruption implements AutoCloseable {
    private final CountDownLatch asked = new CountDownLatch(1);
    private final CountDownLatch finished = new CountDownLatch(1);
    private final Thread hook = new Thread(this::stopAndWait, "panthera-interruption");
    private volatile boolean requested;

    Interruption() {
        try {
            Runtime.getRuntime().addShutdownHook(hook);
        } catch (IllegalStateException shuttingDown) {
            requested = true;
        }
    }

    boolean requested() {
        return requested;
    }

    /** Waits for the wish. */
    void await() {
        try {
            asked.await();
        } catch (InterruptedException end) {
            Thread.currentThread().interrupt();
        }
    }

    private void stopAndWait() {
        requested = true;
        asked.countDown();
        try {
            finished.await();
        } catch (InterruptedException endOfJvm) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() {
        finished.countDown();
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException shuttingDown) {
            // The hook has done its work and needs no removal.
        }
    }
}
