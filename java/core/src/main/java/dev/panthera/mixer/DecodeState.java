package dev.panthera.mixer;

import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.DeviceStream;
import dev.panthera.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What a layer keeps of the tokens that it has seen, to go on with those that follow: named tensors that outlive the steps of a
 * tape. A mixer asks for them by name and shape in {@link Mixer#extend}; they are zeros at first. Not for use by several
 * threads.
 */
public final class DecodeState implements AutoCloseable {
    private final Shared shared;
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();
    private final Map<String, DecodeState> parts = new LinkedHashMap<>();

    /** What a state and all its parts have in common. */
    private static final class Shared {
        final Device device;
        final DeviceStream stream;
        final DataType type;
        final int batch;
        final int capacity;
        int position;

        Shared(Device device, DeviceStream stream, DataType type, int batch, int capacity) {
            this.device = device;
            this.stream = stream;
            this.type = type;
            this.batch = batch;
            this.capacity = capacity;
        }
    }

    private DecodeState(Shared shared) {
        this.shared = shared;
    }

    /**
     * The state before the first token.
     *
     * @param stream that the tape which decodes uses
     * @param type of the tape's tensors
     * @param batch sequences, which go on together
     * @param capacity the most tokens of a sequence that will be seen
     */
    public static DecodeState empty(
            Device device, DeviceStream stream, DataType type, int batch, int capacity) {
        return new DecodeState(new Shared(device, stream, type, batch, capacity));
    }

    public int batch() {
        return shared.batch;
    }

    /** The most tokens of a sequence that will be seen. */
    public int capacity() {
        return shared.capacity;
    }

    /** Tokens of each sequence seen so far: the position of the next one. */
    public int position() {
        return shared.position;
    }

    /**
     * Counts tokens as seen, in all parts; for who calls {@link Mixer#extend}, after all layers have seen them.
     *
     * @throws IllegalArgumentException if they are more than {@link #capacity}
     */
    public void advance(int tokens) {
        if (tokens < 0 || tokens > shared.capacity - shared.position) {
            throw new IllegalArgumentException(
                    "%d tokens after %d: the state was made for %d"
                            .formatted(tokens, shared.position, shared.capacity));
        }
        shared.position += tokens;
    }

    /** The tensor of a name, made of zeros when it is first asked for. Kernels may write it. */
    public Tensor tensor(String name, int... shape) {
        Tensor found =
                tensors.computeIfAbsent(
                        name,
                        absent -> {
                            long elements =
                                    Arrays.stream(shape).asLongStream().reduce(1, Math::multiplyExact);
                            DeviceBuffer buffer = shared.device.allocate(shared.type, elements);
                            shared.stream.zero(buffer);
                            return Tensor.wrap(buffer, shape);
                        });
        if (!Arrays.equals(found.shape(), shape)) {
            throw new IllegalArgumentException(
                    "%s is %s, not of shape %s".formatted(name, found, Arrays.toString(shape)));
        }
        return found;
    }

    /** The state of a mixer within this one's mixer. */
    public DecodeState part(String name) {
        return parts.computeIfAbsent(name, absent -> new DecodeState(shared));
    }

    /** Bytes of all tensors, parts included. */
    public long bytes() {
        long bytes = 0;
        for (Tensor tensor : tensors.values()) {
            bytes += tensor.values().byteSize();
        }
        for (DecodeState part : parts.values()) {
            bytes += part.bytes();
        }
        return bytes;
    }

    /** Gives the memory back; waits for nothing. */
    @Override
    public void close() {
        tensors.values().forEach(tensor -> tensor.values().close());
        tensors.clear();
        parts.values().forEach(DecodeState::close);
        parts.clear();
    }
}
