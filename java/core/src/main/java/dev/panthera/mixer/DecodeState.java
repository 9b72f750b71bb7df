package dev.panthera.mixer;

import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.DeviceStream;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;

/**
 * What a layer keeps of the tokens that it has seen, to go on with those that follow: named tensors that outlive the steps of a
 * tape. A mixer asks for them by name and shape in {@link Mixer#extend}; they are zeros at first. Not for use by several
 * threads.
 */
public final class DecodeState implements AutoCloseable {
    private final Shared shared;
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();
    private final Map<String, Tensor> derived = new LinkedHashMap<>();
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
        Tensor found = tensors.computeIfAbsent(name, absent -> zeros(shape));
        if (!Arrays.equals(found.shape(), shape)) {
            throw new IllegalArgumentException(
                    "%s is %s, not of shape %s".formatted(name, found, Arrays.toString(shape)));
        }
        return found;
    }

    /**
     * What follows from the parameters alone, such as the filter that a network computes: computed when it is first asked for,
     * and kept. It is no state, so {@link #bytes} leaves it out.
     *
     * @param computed its values, which are copied
     */
    public Tensor derived(String name, Supplier<Tensor> computed) {
        Tensor found = derived.get(name);
        if (found == null) {
            Tensor values = computed.get();
            found = zeros(values.shape());
            derived.put(name, found);
            shared.stream.copy(found.values(), values.values());
        }
        return found;
    }

    private Tensor zeros(int... shape) {
        return zeros(shared.type, shape);
    }

    private Tensor zeros(DataType type, int... shape) {
        long elements = Arrays.stream(shape).asLongStream().reduce(1, Math::multiplyExact);
        DeviceBuffer buffer = shared.device.allocate(type, elements);
        try {
            shared.stream.zero(buffer);
            return Tensor.wrap(buffer, shape);
        } catch (RuntimeException | Error failure) {
            buffer.close();
            throw failure;
        }
    }

    /**
     * All rows so far: {@code x} comes behind those that earlier calls of this name have brought, one for each token.
     *
     * @param x {@code (batch, count, channels)}, of the next positions
     * @return {@code (batch, capacity, channels)}, of which the first {@code position + count} rows of each sequence are there
     */
    public Tensor history(String name, Tensor x) {
        Tensor all = tensor(name, x.size(0), shared.capacity, x.size(2));
        Rows.copy(shared.stream, x, 0, all, shared.position, x.size(1));
        return all;
    }

    /**
     * All tokens so far, as {@link #history}.
     *
     * @param ids int32 {@code (batch, count)}, of the next positions
     * @return int32 {@code (batch, capacity)}, of which the first {@code position + count} of each sequence are there
     */
    public Tensor tokens(String name, Tensor ids) {
        int count = ids.size(1);
        Tensor all =
                tensors.computeIfAbsent(
                        name, absent -> zeros(DataType.I32, ids.size(0), shared.capacity));
        for (int sequence = 0; sequence < ids.size(0); sequence++) {
            long to = (long) sequence * shared.capacity + shared.position;
            shared.stream.copy(
                    all.values().slice(to, count),
                    ids.values().slice((long) sequence * count, count));
        }
        return all;
    }

    /**
     * The last rows before {@code x}, followed by {@code x}; afterwards the last {@code past} of these are kept. For what looks
     * back a fixed number of positions, such as a short convolution.
     *
     * @param past how many rows to look back; before the first token there are none
     * @param x {@code (batch, count, channels)}, of the next positions
     * @return {@code (batch, min(past, position) + count, channels)}, valid as long as {@code x}
     */
    public Tensor withPast(Tape tape, String name, int past, Tensor x) {
        int count = x.size(1);
        int most = Math.min(past, shared.capacity);
        if (most == 0) {
            return x;
        }
        Tensor kept = tensor(name, x.size(0), most, x.size(2));
        int before = Math.min(most, shared.position);
        Tensor joined = Rows.allocate(tape, x, before + count);
        Rows.copy(shared.stream, kept, 0, joined, 0, before);
        Rows.copy(shared.stream, x, 0, joined, before, count);
        int after = Math.min(most, before + count);
        Rows.copy(shared.stream, joined, before + count - after, kept, 0, after);
        return joined;
    }

    /**
     * Numbers of rows of a tensor {@code (batch, length, channels)}, counted over the batch: {@code count} neighbouring ones of
     * each sequence.
     *
     * @return int32 {@code (1, batch * count)}, for the span of a step
     */
    public Tensor rows(Tape tape, int length, int first, int count) {
        int[] rows = new int[Math.multiplyExact(shared.batch, count)];
        for (int i = 0; i < rows.length; i++) {
            int sequence = i / count;
            rows[i] = Math.addExact(Math.multiplyExact(sequence, length), first + i % count);
        }
        Tensor result = tape.allocateConstant(DataType.I32, 1, rows.length);
        shared.stream.copyToDevice(result.values(), rows);
        return result;
    }

    /** The state of a mixer within this one's mixer. */
    public DecodeState part(String name) {
        return parts.computeIfAbsent(name, absent -> new DecodeState(shared));
    }

    /** Bytes of all tensors of the state, parts included. */
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
        derived.values().forEach(tensor -> tensor.values().close());
        derived.clear();
        parts.values().forEach(DecodeState::close);
        parts.clear();
    }
}
