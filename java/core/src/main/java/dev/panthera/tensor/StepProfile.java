package dev.panthera.tensor;

import dev.panthera.kernels.DeviceStream;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Where the time of steps goes: seconds, bytes and floating-point operations by operation and pass. Bytes are those of the
 * tensors that an operation names, each once, and in backward those of their gradients too; so they are what must move if
 * no cache holds anything, without what a kernel keeps to itself.
 */
public final class StepProfile {
    private static final ClassValue<List<RecordComponent>> TENSORS =
            new ClassValue<>() {
                @Override
                protected List<RecordComponent> computeValue(Class<?> type) {
                    return type.isRecord() ? tensorComponents(type) : List.of();
                }
            };

    private final Map<String, Entry> entries = new LinkedHashMap<>();

    /** The sums of one operation's forward or backward. */
    public static final class Entry {
        private final String name;
        private long calls;
        private long nanos;
        private double bytes;
        private double flops;

        private Entry(String name) {
            this.name = name;
        }

        /** For example {@code "linear, backward"}. */
        public String name() {
            return name;
        }

        public long calls() {
            return calls;
        }

        public double seconds() {
            return nanos / 1e9;
        }

        public double bytes() {
            return bytes;
        }

        public double flops() {
            return flops;
        }
    }

    /** Everything measured so far, what took longest first. */
    public List<Entry> entries() {
        List<Entry> sorted = new ArrayList<>(entries.values());
        sorted.sort(Comparator.comparingLong((Entry entry) -> entry.nanos).reversed());
        return sorted;
    }

    /** Sum of all entries. */
    public double seconds() {
        return entries.values().stream().mapToDouble(Entry::seconds).sum();
    }

    /** Measures work that is no operation of a tape, such as the optimizer's. */
    public void measure(
            DeviceStream stream, String name, double bytes, double flops, Runnable work) {
        stream.synchronize();
        long start = System.nanoTime();
        work.run();
        stream.synchronize();
        Entry entry = entries.computeIfAbsent(name, Entry::new);
        entry.nanos += System.nanoTime() - start;
        entry.calls++;
        entry.bytes += bytes;
        entry.flops += flops;
    }

    void forward(DeviceStream stream, Operation operation, Runnable work) {
        measure(stream, operation.name() + ", forward", bytes(operation), operation.flops(), work);
    }

    void backward(DeviceStream stream, Operation operation, Runnable work) {
        measure(
                stream,
                operation.name() + ", backward",
                2 * bytes(operation),
                operation.backwardFlops(),
                work);
    }

    private static List<RecordComponent> tensorComponents(Class<?> type) {
        return Arrays.stream(type.getRecordComponents())
                .filter(component ->
                        component.getType() == Tensor.class || component.getType() == Columns.class)
                .toList();
    }

    private static double bytes(Operation operation) {
        double bytes = 0;
        for (RecordComponent component : TENSORS.get(operation.getClass())) {
            bytes +=
                    switch (read(component, operation)) {
                        case Tensor tensor -> tensor.values().byteSize();
                        case Columns columns ->
                                (double) columns.tensor().rows()
                                        * columns.count()
                                        * columns.tensor().values().type().bytes();
                        case null, default -> 0;
                    };
        }
        return bytes;
    }

    private static @Nullable Object read(RecordComponent component, Operation operation) {
        try {
            return component.getAccessor().invoke(operation);
        } catch (ReflectiveOperationException impossible) {
            throw new AssertionError(impossible);
        }
    }
}
