package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_device_info;
import dev.panthera.kernels.abi.pan_device_options;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A place where kernels run, with its own worker threads and memory. Any number of threads may share a device, each
 * with a {@link DeviceStream} of its own. Closing it is an error while a stream, an event, a graph, a plan or an owning
 * buffer of it is open.
 *
 * <p>A CUDA device that has failed ({@link KernelException.DeviceFailure}) stays so: calls that use it throw the same again.
 * What is open on it can still be closed, and then the device.
 */
public final class Device implements AutoCloseable {

    private final MemorySegment handle;
    private final DeviceInfo opened;
    private final AtomicLong liveBytes = new AtomicLong();
    private final AtomicLong allocations = new AtomicLong();
    private boolean closed;

    private Device(MemorySegment handle) {
        this.handle = handle;
        this.opened = query(handle);
    }

    /** The CPU with one thread per available core. */
    public static Device cpu() {
        return cpu(0);
    }

    /** The CPU with that many threads, the caller's included; 0: one per available core. */
    public static Device cpu(int threads) {
        return open(DeviceOptions.of(Backend.CPU).withThreads(threads));
    }

    /** An NVIDIA device, counted from 0. */
    public static Device cuda(int index) {
        return open(DeviceOptions.of(Backend.CUDA).withIndex(index));
    }

    /** The slow and simple kernels that check all others, with F32 or F64 storage. */
    public static Device reference(DataType type) {
        return switch (type) {
            case F32 -> open(DeviceOptions.of(Backend.REFERENCE));
            case F64 -> open(DeviceOptions.of(Backend.REFERENCE_F64));
            case BF16, I32, BYTE ->
                    throw new KernelException.Unsupported(
                            "device_open",
                            "device_open: no reference backend stores "
                                    + type
                                    + "; expected F32 or F64",
                            "",
                            "");
        };
    }

    /**
     * Opens a device.
     *
     * @throws KernelException.NativeLibraryUnavailable if the native library cannot be loaded
     * @throws KernelException.NoDevice if the backend or the device is not there; says why
     * @throws KernelException if an option is out of range
     */
    public static Device open(DeviceOptions options) {
        NativeLibrary.load();
        try (var arena = Arena.ofConfined()) {
            MemorySegment struct = pan_device_options.allocate(arena);
            pan_device_options.struct_size(struct, (int) pan_device_options.sizeof());
            pan_device_options.backend(struct, options.backend().code());
            pan_device_options.index(struct, options.index());
            pan_device_options.threads(struct, options.threads());
            pan_device_options.isa(struct, options.isa().code());
            MemorySegment device = arena.allocate(ValueLayout.ADDRESS);
            check(
                    "device_open",
                    PantheraAbi.pan_device_open(struct, device),
                    options.toString(),
                    "");
            return new Device(device.get(ValueLayout.ADDRESS, 0));
        }
    }

    /** Name for messages, for example {@code cpu:avx512} or {@code cuda:0 (NVIDIA H100)}. */
    public String name() {
        return opened.backend() == Backend.CUDA
                ? "cuda:" + opened.index() + " (" + opened.name() + ")"
                : opened.name();
    }

    /** Where this device's kernels run. */
    public Backend backend() {
        return opened.backend();
    }

    /** Type of parameters, statistics and parameter gradients: F64 on {@link Backend#REFERENCE_F64}, else F32. */
    public DataType parameterType() {
        return opened.backend() == Backend.REFERENCE_F64 ? DataType.F64 : DataType.F32;
    }

    /** Facts about this device, as of now. */
    public synchronized DeviceInfo info() {
        return query(open("device_query"));
    }

    /** What computes this device's matrix products, for example {@code oneDNN 3.13.0} or {@code cuBLAS 13.0.2}. */
    public synchronized String gemmName() {
        return NativeText.of(PantheraAbi.pan_device_gemm_name(open("device_gemm_name")));
    }

    /** Bytes of this device's owning buffers that are open. */
    public long liveBytes() {
        return liveBytes.get();
    }

    /** How many buffers were ever allocated. A training step that leaves it unchanged allocated nothing. */
    public long allocations() {
        return allocations.get();
    }

    /**
     * Measures a limit of this device with all of its threads: some tens of milliseconds, and up to 256 MB of memory
     * meanwhile.
     *
     * @return operations or bytes a second, as {@code ceiling} says
     * @throws KernelException.Unsupported on other backends than {@link Backend#CPU}
     */
    public synchronized double measure(Ceiling ceiling) {
        MemorySegment device = open("device_measure");
        try (var arena = Arena.ofConfined()) {
            MemorySegment rate = arena.allocate(ValueLayout.JAVA_DOUBLE);
            check(
                    "device_measure",
                    PantheraAbi.pan_device_measure(device, ceiling.code(), rate),
                    "",
                    name());
            return rate.get(ValueLayout.JAVA_DOUBLE, 0);
        }
    }

    /** A new queue of work, to be closed before the device. */
    public synchronized DeviceStream newStream() {
        MemorySegment device = open("stream_create");
        try (var arena = Arena.ofConfined()) {
            MemorySegment stream = arena.allocate(ValueLayout.ADDRESS);
            check("stream_create", PantheraAbi.pan_stream_create(device, stream), "", name());
            return new DeviceStream(this, stream.get(ValueLayout.ADDRESS, 0));
        }
    }

    /** A new event without a mark, to be closed before the device. */
    public synchronized DeviceEvent newEvent() {
        MemorySegment device = open("event_create");
        try (var arena = Arena.ofConfined()) {
            MemorySegment event = arena.allocate(ValueLayout.ADDRESS);
            check("event_create", PantheraAbi.pan_event_create(device, event), "", name());
            return new DeviceEvent(this, event.get(ValueLayout.ADDRESS, 0));
        }
    }

    /**
     * Allocates memory of this device, 64-byte aligned, contents undefined. The buffer owns it and must be closed.
     *
     * @param elements at least 1
     * @throws KernelException.OutOfMemory if there is too little memory
     */
    public synchronized DeviceBuffer allocate(DataType type, long elements) {
        MemorySegment device = open("memory_allocate");
        String shapes = type + "[" + elements + "]";
        try (var arena = Arena.ofConfined()) {
            long bytes = Sizes.product(elements, type.bytes());
            MemorySegment address = arena.allocate(ValueLayout.ADDRESS);
            check(
                    "memory_allocate",
                    PantheraAbi.pan_memory_allocate(device, bytes, address),
                    shapes,
                    name());
            liveBytes.addAndGet(bytes);
            allocations.incrementAndGet();
            return DeviceBuffer.ofOwned(this, address.get(ValueLayout.ADDRESS, 0), type, elements);
        }
    }

    /** The native plan of a long convolution, which its owner destroys. */
    synchronized MemorySegment newLongConvPlan(MemorySegment descriptor, String shapes) {
        MemorySegment device = open("long_conv_plan_create");
        try (var arena = Arena.ofConfined()) {
            MemorySegment plan = arena.allocate(ValueLayout.ADDRESS);
            check(
                    "long_conv_plan_create",
                    PantheraAbi.pan_long_conv_plan_create(device, descriptor, plan),
                    shapes,
                    name());
            return plan.get(ValueLayout.ADDRESS, 0);
        }
    }

    /** Returns memory of {@link #allocate}; called once per block, by its owner. */
    synchronized void free(MemorySegment address, long bytes) {
        check("memory_free", PantheraAbi.pan_memory_free(open("memory_free"), address), "", name());
        liveBytes.addAndGet(-bytes);
    }

    /**
     * Joins the workers and frees the device. A second call does nothing.
     *
     * @throws KernelException.InvalidArgument if a stream, an event, a graph, a plan or an owning buffer is still open; the
     *     device stays open
     */
    @Override
    public synchronized void close() {
        if (!closed) {
            check("device_close", PantheraAbi.pan_device_close(handle), "", name());
            closed = true;
        }
    }

    @Override
    public String toString() {
        return name();
    }

    private MemorySegment open(String op) {
        if (closed) {
            throw new KernelException.InvalidArgument(
                    op, op + ": the device was closed", "", name());
        }
        return handle;
    }

    private static DeviceInfo query(MemorySegment device) {
        try (var arena = Arena.ofConfined()) {
            MemorySegment struct = pan_device_info.allocate(arena);
            pan_device_info.struct_size(struct, (int) pan_device_info.sizeof());
            check("device_query", PantheraAbi.pan_device_query(device, struct), "", "");
            return new DeviceInfo(
                    pan_device_info.name(struct).getString(0),
                    Backend.of(pan_device_info.backend(struct)),
                    pan_device_info.index(struct),
                    pan_device_info.threads(struct),
                    Isa.of(pan_device_info.isa(struct)),
                    pan_device_info.compute_capability(struct),
                    pan_device_info.total_bytes(struct),
                    pan_device_info.live_allocations(struct));
        }
    }

    private static void check(String op, int status, String shapes, String device) {
        if (status != PantheraAbi.PAN_OK()) {
            throw KernelException.ofStatus(status, op, shapes, device);
        }
    }
}
