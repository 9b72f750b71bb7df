package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_adamw_state;
import dev.panthera.kernels.abi.pan_random_state;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One native call of a stream: its descriptor, the checks that only Java can make because the native library does not
 * know the lengths of arrays, and the translation of its status. A stream has one, which it reuses for every call.
 */
final class KernelCall {

    private static final long SIZE_OFFSET = 448;

    private final Device device;
    private final MemorySegment stream;
    private final MemorySegment scratch;
    private final MemorySegment size;
    private final boolean host;
    private final DataType parameterType;
    private String op = "";
    private Object shape = "";

    /** Lifetimes of what the calls use while the stream records them; null while it does not. */
    private @Nullable Set<MemorySegment.Scope> recorded;

    /** The first call that failed while the stream records, whatever became of its exception. */
    private @Nullable KernelException recordingFailure;

    KernelCall(Device device, MemorySegment stream, MemorySegment scratch) {
        this.device = device;
        this.stream = stream;
        this.scratch = scratch;
        this.size = scratch.asSlice(SIZE_OFFSET, Long.BYTES);
        this.host = device.backend().isHost();
        this.parameterType = device.parameterType();
    }

    void begin(String newOp, Object newShape) {
        op = newOp;
        shape = newShape;
    }

    /** From here on {@link #endRecording} knows what the calls use. */
    void beginRecording() {
        recorded = new HashSet<>();
        recordingFailure = null;
    }

    boolean isRecording() {
        return recorded != null;
    }

    /** A failure without which something else would have been recorded; null if every call so far was recorded. */
    @Nullable KernelException recordingFailure() {
        return recordingFailure;
    }

    /** What must be open whenever the recorded calls are repeated. */
    Set<MemorySegment.Scope> endRecording() {
        Set<MemorySegment.Scope> used = recorded == null ? Set.of() : recorded;
        recorded = null;
        return used;
    }

    /** The pan_stream. */
    MemorySegment stream() {
        return stream;
    }

    Device device() {
        return device;
    }

    /** Where the descriptor is written; what it holds is left over from the call before. */
    MemorySegment descriptor() {
        return scratch;
    }

    /** Where a size query writes its result. */
    MemorySegment size() {
        return size;
    }

    /** Type of parameters and statistics on this device. */
    DataType parameterType() {
        return parameterType;
    }

    /** Address of an array that is read. */
    MemorySegment input(String name, @Nullable DeviceBuffer buffer, DataType type, long elements) {
        if (buffer == null) {
            throw invalid("%s is null; expected %s[%d]".formatted(name, type, elements));
        }
        if (buffer.type() != type) {
            throw invalid("%s holds %s; expected %s".formatted(name, buffer.type(), type));
        }
        if (buffer.elements() < elements) {
            throw invalid(
                    "%s has %d elements; expected at least %d"
                            .formatted(name, buffer.elements(), elements));
        }
        return usable(name, buffer);
    }

    /** Address of an array that is read, NULL for null. */
    MemorySegment optionalInput(
            String name, @Nullable DeviceBuffer buffer, DataType type, long elements) {
        return buffer == null ? MemorySegment.NULL : input(name, buffer, type, elements);
    }

    /** Address of an array that is written. */
    MemorySegment output(String name, @Nullable DeviceBuffer buffer, DataType type, long elements) {
        MemorySegment address = input(name, buffer, type, elements);
        writable(name, address);
        return address;
    }

    /** Address of an array that is written, NULL for null. */
    MemorySegment optionalOutput(
            String name, @Nullable DeviceBuffer buffer, DataType type, long elements) {
        return buffer == null ? MemorySegment.NULL : output(name, buffer, type, elements);
    }

    /** The dtype of a call, which is that of its first array; a type that the check of a null names otherwise. */
    DataType activationType(@Nullable DeviceBuffer buffer) {
        return buffer == null ? parameterType : buffer.type();
    }

    /** Address of a state block. */
    MemorySegment block(String name, @Nullable StepState state) {
        long bytes =
                state instanceof AdamWState ? pan_adamw_state.sizeof() : pan_random_state.sizeof();
        return input(name, state == null ? null : state.block(), DataType.BYTE, bytes);
    }

    /** Address of a state block, NULL for null. */
    MemorySegment optionalBlock(String name, @Nullable StepState state) {
        return state == null ? MemorySegment.NULL : block(name, state);
    }

    /** Address of scratch memory of any type, NULL for null; the native library checks its size. */
    MemorySegment workspace(@Nullable DeviceBuffer buffer) {
        return buffer == null ? MemorySegment.NULL : output("workspace", buffer, buffer.type(), 0);
    }

    static long workspaceBytes(@Nullable DeviceBuffer buffer) {
        return buffer == null ? 0 : buffer.byteSize();
    }

    /** Checks that native code may read this memory of the caller's. */
    MemorySegment hostMemory(String name, MemorySegment memory) {
        if (!memory.isNative()) {
            throw invalid(
                    "%s lies on the Java heap; expected off-heap memory, as from an Arena"
                            .formatted(name));
        }
        return alive(name, memory);
    }

    void writable(String name, MemorySegment memory) {
        if (memory.isReadOnly()) {
            throw invalid("%s is read-only; it would be written".formatted(name));
        }
    }

    void sameBytes(String first, long firstBytes, String second, long secondBytes) {
        if (firstBytes != secondBytes) {
            throw invalid(
                    "%s has %d bytes, %s has %d; expected the same"
                            .formatted(first, firstBytes, second, secondBytes));
        }
    }

    /** Ends the call. */
    void finish(int status) {
        if (status != PantheraAbi.PAN_OK()) {
            throw failed(KernelException.ofStatus(status, op, shape.toString(), device.name()));
        }
    }

    /** Ends a size query. */
    long finishSize(int status) {
        finish(status);
        return size.get(ValueLayout.JAVA_LONG, 0);
    }

    KernelException invalid(String what) {
        return failed(
                new KernelException.InvalidArgument(
                        op, op + ": " + what, shape.toString(), device.name()));
    }

    private KernelException failed(KernelException failure) {
        if (recorded != null && recordingFailure == null) {
            recordingFailure = failure;
        }
        return failure;
    }

    /** A native object that the call uses, which must outlive what is recorded. */
    MemorySegment used(MemorySegment object) {
        if (recorded != null) {
            recorded.add(object.scope());
        }
        return object;
    }

    private MemorySegment usable(String name, DeviceBuffer buffer) {
        if (host != buffer.isHost() || !host && buffer.device() != device) {
            throw invalid(
                    "%s lies in memory of %s, which this device does not reach"
                            .formatted(name, buffer.place()));
        }
        return alive(name, buffer.segment());
    }

    private MemorySegment alive(String name, MemorySegment memory) {
        if (!memory.scope().isAlive()) {
            throw invalid("%s was closed".formatted(name));
        }
        if (!memory.isAccessibleBy(Thread.currentThread())) {
            throw invalid(
                    "%s belongs to another thread, as memory of a confined Arena does"
                            .formatted(name));
        }
        return used(memory);
    }
}
