package dev.panthera.train;

import java.util.ArrayDeque;
import java.util.Deque;
import org.jspecify.annotations.Nullable;

/**
 * What an object owns and closes with itself, the last first. All of it is closed, whatever fails: a device that was lost in
 * the midst of a run fails often, and what is left open keeps it from being closed.
 */
final class OwnedResources implements AutoCloseable {
    private final Deque<AutoCloseable> resources = new ArrayDeque<>();

    <T extends AutoCloseable> T own(T resource) {
        resources.push(resource);
        return resource;
    }

    /** Closes what there is so far because the owner's constructor has failed; what else goes wrong is added to that. */
    void closeAfter(Throwable failure) {
        try {
            close();
        } catch (RuntimeException second) {
            failure.addSuppressed(second);
        }
    }

    @Override
    public void close() {
        @Nullable RuntimeException first = null;
        while (!resources.isEmpty()) {
            RuntimeException failure = failureOf(resources.pop());
            if (first == null) {
                first = failure;
            } else if (failure != null) {
                first.addSuppressed(failure);
            }
        }
        if (first != null) {
            throw first;
        }
    }

    private static @Nullable RuntimeException failureOf(AutoCloseable resource) {
        try {
            resource.close();
            return null;
        } catch (RuntimeException failure) {
            return failure;
        } catch (Exception impossible) {
            throw new AssertionError(
                    "closing device memory throws unchecked exceptions only", impossible);
        }
    }
}
