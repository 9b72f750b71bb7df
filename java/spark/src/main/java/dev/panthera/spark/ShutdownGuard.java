package dev.panthera.spark;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.util.ShutdownHookManager;

/**
 * Holds back Spark's own shutdown hook, which would cut the connection as soon as the JVM is told to end, until the engine
 * has stopped in its own way.
 */
final class ShutdownGuard implements AutoCloseable {
    /** Above that of every hook of Spark and Hadoop: they run in the order of their priorities, one after the other. */
    private static final int FIRST = 1000;

    private static final long LIMIT_SECONDS = 60;

    private final CountDownLatch ended = new CountDownLatch(1);
    private final Runnable hook = this::await;

    void install() {
        try {
            ShutdownHookManager.get().addShutdownHook(hook, FIRST, LIMIT_SECONDS, TimeUnit.SECONDS);
        } catch (IllegalStateException shuttingDown) {
            ended.countDown();
        }
    }

    private void await() {
        try {
            ended.await();
        } catch (InterruptedException limit) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() {
        ended.countDown();
        try {
            ShutdownHookManager.get().removeShutdownHook(hook);
        } catch (IllegalStateException shuttingDown) {
            // The hook runs already, and has just been told to end.
        }
    }
}
