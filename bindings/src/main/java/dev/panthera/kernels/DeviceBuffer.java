package dev.panthera.kernels;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A typed, one-dimensional range of device or host memory. {@link Device#allocate} returns a buffer that owns its
 * memory and must be closed; {@link #slice}, {@link #view} and {@link #of} return buffers that own nothing, for which
 * {@link #close} does nothing. Using a buffer whose owner was closed throws.
 *
 * <p>The methods that copy from and to Java arrays are for memory that Java reaches; {@link DeviceStream} has the same
 * for every device.
 */
public final class DeviceBuffer implements AutoCloseable {

    private final @Nullable Device device;

    /** All bytes, with the lifetime of the owner; on CUDA Java must not reach into it, so it never leaves this class. */
    private final MemorySegment memory;

    private final MemorySegment segment;
    private final DataType type;
    private final long elements;
    private final @Nullable Arena owned;
    private final boolean host;

    private DeviceBuffer(
            @Nullable Device device,
            MemorySegment memory,
            DataType type,
            long elements,
            @Nullable Arena owned) {
        this.device = device;
        this.memory = memory;
        this.type = type;
        this.elements = elements;
        this.owned = owned;
        this.host = device == null || device.backend().isHost();
        // A slice without bytes keeps address and lifetime, and Java reads of it throw.
        this.segment = host ? memory : memory.asSlice(0, 0);
    }

    /** Takes over a block from the device. */
    static DeviceBuffer ofOwned(
            Device device, MemorySegment address, DataType type, long elements) {
        Arena arena = Arena.ofShared();
        return new DeviceBuffer(
                device,
                address.reinterpret(elements * type.bytes(), arena, null),
                type,
                elements,
                arena);
    }

    /**
     * Wraps off-heap host memory without a copy, for use on the CPU backends. It lives as long as the segment does.
     *
     * @param segment aligned to the type's size, and a multiple of it long
     * @throws KernelException.InvalidArgument if the segment is on the Java heap, misaligned or of another length
     */
    public static DeviceBuffer of(MemorySegment segment, DataType type) {
        if (!segment.isNative()) {
            throw invalid(
                    "the segment lies on the Java heap; expected off-heap memory, as from an Arena");
        }
        if (segment.byteSize() % type.bytes() != 0 || segment.address() % type.bytes() != 0) {
            throw invalid(
                    "the segment has %d bytes at address 0x%x; expected multiples of %d, the size of %s"
                            .formatted(segment.byteSize(), segment.address(), type.bytes(), type));
        }
        return new DeviceBuffer(null, segment, type, segment.byteSize() / type.bytes(), null);
    }

    /** Element type. */
    public DataType type() {
        return type;
    }

    /** Number of elements. */
    public long elements() {
        return elements;
    }

    /** Number of bytes. */
    public long byteSize() {
        return elements * type.bytes();
    }

    /** The device whose memory this is; null for wrapped host memory. */
    public @Nullable Device device() {
        return device;
    }

    /** Whether Java can read and write the memory. */
    public boolean isHost() {
        return host;
    }

    /** The memory: of {@link #byteSize} bytes, or, on CUDA, the device address as a segment without bytes. */
    public MemorySegment segment() {
        return segment;
    }

    /**
     * A range of this buffer, of the same type.
     *
     * @throws KernelException.InvalidArgument if the range is not inside
     */
    public DeviceBuffer slice(long firstElement, long count) {
        checkRange(firstElement, count, elements, type);
        return range(firstElement * type.bytes(), type, count);
    }

    /**
     * A range of this buffer, seen as elements of another type.
     *
     * @param byteOffset a multiple of the type's size
     * @throws KernelException.InvalidArgument if the range is not inside or misaligned
     */
    public DeviceBuffer view(long byteOffset, DataType newType, long count) {
        if (byteOffset % newType.bytes() != 0) {
            throw invalid(
                    "byte offset %d; expected a multiple of %d, the size of %s"
                            .formatted(byteOffset, newType.bytes(), newType));
        }
        checkRange(byteOffset / newType.bytes(), count, byteSize() / newType.bytes(), newType);
        return range(byteOffset, newType, count);
    }

    /** Copies values in, rounding them to this buffer's floating-point type. The lengths must be equal. */
    public void copyFrom(float[] values) {
        HostValues.write(hostSegment("copyFrom"), type, elements, values);
    }

    /** Copies values in, rounding them to this buffer's floating-point type. The lengths must be equal. */
    public void copyFrom(double[] values) {
        HostValues.write(hostSegment("copyFrom"), type, elements, values);
    }

    /** Copies values into a buffer of I32. The lengths must be equal. */
    public void copyFrom(int[] values) {
        HostValues.write(hostSegment("copyFrom"), type, elements, values);
    }

    /** The values of a floating-point buffer, rounded to F32. */
    public float[] toFloatArray() {
        return HostValues.floats(hostSegment("toFloatArray"), type, elements);
    }

    /** The values of a floating-point buffer. */
    public double[] toDoubleArray() {
        return HostValues.doubles(hostSegment("toDoubleArray"), type, elements);
    }

    /** The values of a buffer of I32. */
    public int[] toIntArray() {
        return HostValues.ints(hostSegment("toIntArray"), type, elements);
    }

    /**
     * Frees the memory if this buffer owns it; all views of it become unusable. A second call does nothing. Work that a
     * CUDA stream was given before may still use the memory, which is not reused until then.
     *
     * @throws IllegalStateException if a call of another thread is using the memory
     */
    @Override
    public synchronized void close() {
        if (owned != null && device != null && owned.scope().isAlive()) {
            owned.close();
            device.free(MemorySegment.ofAddress(segment.address()), byteSize());
        }
    }

    @Override
    public String toString() {
        return "%s[%d] on %s".formatted(type, elements, place());
    }

    /** Where the memory lies, for messages. */
    String place() {
        return device == null ? "the host" : device.name();
    }

    private DeviceBuffer range(long byteOffset, DataType newType, long count) {
        return new DeviceBuffer(
                device, memory.asSlice(byteOffset, count * newType.bytes()), newType, count, null);
    }

    private MemorySegment hostSegment(String method) {
        if (!host) {
            throw new KernelException.Unsupported(
                    method,
                    "%s: Java cannot reach the memory; use the method of DeviceStream"
                            .formatted(method),
                    toString(),
                    place());
        }
        if (!segment.scope().isAlive()) {
            throw invalid("%s was closed".formatted(this));
        }
        return segment;
    }

    private static void checkRange(long first, long count, long available, DataType type) {
        if (first < 0 || count < 0 || count > available - first) {
            throw invalid(
                    "%d elements of %s from %d on; expected a range inside the %d that there are"
                            .formatted(count, type, first, available));
        }
    }

    private static KernelException invalid(String text) {
        return new KernelException.InvalidArgument("buffer", "buffer: " + text, "", "");
    }
}
