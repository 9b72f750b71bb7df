package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Set;

/**
 * An ordered queue of work on one device. On the CPU a call is done when it returns; on CUDA it is asynchronous: a failure
 * may show in a later call, in {@link #synchronize} at the latest. A stream is meant for one thread at a time: calls from
 * several threads are safe, but wait for each other. A call allocates no native memory.
 */
public final class DeviceStream implements AutoCloseable {

    /** Room for the largest descriptor or state block, and for what a size query writes. */
    private static final long SCRATCH_BYTES = 512;

    private final Device device;
    private final MemorySegment handle;
    private final Arena arena = Arena.ofShared();
    private final KernelCall call;
    private boolean closed;

    DeviceStream(Device device, MemorySegment handle) {
        this.device = device;
        this.handle = handle;
        this.call =
                new KernelCall(
                        device, handle, arena.allocate(SCRATCH_BYTES, PantheraAbi.PAN_ALIGNMENT()));
    }

    /** The device whose work this is. */
    public Device device() {
        return device;
    }

    /**
     * Waits until all work of this stream is done.
     *
     * @throws KernelException.DeviceFailure if the device has failed, now or before
     * @throws KernelException.InvalidArgument on CUDA, if a call since the last synchronization met an id or label out of
     *     range, which it ignored, or a bad list of queries
     */
    public synchronized void synchronize() {
        call("stream_synchronize", "").finish(PantheraAbi.pan_stream_synchronize(handle));
    }

    /**
     * Lets the work that this stream is given from now on wait until the work before an event's mark is done, without
     * waiting here. Without a mark nothing happens.
     *
     * @throws KernelException.InvalidArgument if the event was closed or belongs to another device
     */
    public synchronized void waitFor(DeviceEvent event) {
        KernelCall wait = call("stream_wait", "");
        event.runOn(wait, mark -> PantheraAbi.pan_stream_wait(handle, mark));
    }

    /**
     * Records work instead of doing it: whatever {@code work} gives to this stream becomes part of the graph, and is done
     * each time the graph is launched. Recorded calls must neither wait for the stream nor copy from or to the host, and must
     * allocate no device memory: what changes from launch to launch is written to buffers and {@link StepState}s in between.
     *
     * <p>The recording ends with this call, however it ends. While it lasts, calls of other threads wait for it.
     *
     * @return the graph, to be closed before the device
     * @throws KernelException.Unsupported on a backend other than CUDA
     * @throws KernelException if a call of this stream failed meanwhile, even if {@code work} has caught that; the stream can
     *     be used as before
     */
    public synchronized DeviceGraph capture(Runnable work) {
        call("capture_begin", "").finish(PantheraAbi.pan_capture_begin(handle));
        call.beginRecording();
        boolean recorded = false;
        try {
            work.run();
            KernelException hidden = call.recordingFailure();
            if (hidden != null) {
                throw hidden;
            }
            recorded = true;
        } finally {
            if (!recorded) {
                abandonCapture();
            }
        }
        return endCapture();
    }

    private DeviceGraph endCapture() {
        Set<MemorySegment.Scope> used = call.endRecording();
        try (var graphArena = Arena.ofConfined()) {
            MemorySegment graph = graphArena.allocate(ValueLayout.ADDRESS);
            call("capture_end", "").finish(PantheraAbi.pan_capture_end(handle, graph));
            return new DeviceGraph(device, graph.get(ValueLayout.ADDRESS, 0), used);
        }
    }

    /** Ends the recording after a failure, which the caller is about to throw: what else goes wrong here follows from it. */
    private void abandonCapture() {
        call.endRecording();
        try (var graphArena = Arena.ofConfined()) {
            MemorySegment graph = graphArena.allocate(ValueLayout.ADDRESS);
            if (PantheraAbi.pan_capture_end(handle, graph) == PantheraAbi.PAN_OK()) {
                PantheraAbi.pan_graph_destroy(graph.get(ValueLayout.ADDRESS, 0));
            }
        }
    }

    /**
     * Copies off-heap host memory to a buffer of the same number of bytes. The source may be reused on return.
     *
     * @throws KernelException.InvalidArgument if the sizes differ or the source is on the Java heap
     */
    public synchronized void copyToDevice(DeviceBuffer target, MemorySegment source) {
        KernelCall copy = call("copy_to_device", "");
        copy.sameBytes("target", target.byteSize(), "source", source.byteSize());
        copy.finish(
                PantheraAbi.pan_copy_to_device(
                        handle,
                        copy.output("target", target, target.type(), 0),
                        copy.hostMemory("source", source),
                        target.byteSize()));
    }

    /**
     * Copies a buffer to off-heap host memory of the same number of bytes; complete on return.
     *
     * @throws KernelException.InvalidArgument if the sizes differ or the target is read-only or on the Java heap
     */
    public synchronized void copyToHost(MemorySegment target, DeviceBuffer source) {
        KernelCall copy = call("copy_to_host", "");
        copy.sameBytes("target", target.byteSize(), "source", source.byteSize());
        copy.writable("target", target);
        copy.finish(
                PantheraAbi.pan_copy_to_host(
                        handle,
                        copy.hostMemory("target", target),
                        copy.input("source", source, source.type(), 0),
                        source.byteSize()));
    }

    /** Copies between buffers of this device with the same number of bytes. */
    public synchronized void copy(DeviceBuffer target, DeviceBuffer source) {
        KernelCall copy = call("copy", "");
        copy.sameBytes("target", target.byteSize(), "source", source.byteSize());
        copy.finish(
                PantheraAbi.pan_copy(
                        handle,
                        copy.output("target", target, target.type(), 0),
                        copy.input("source", source, source.type(), 0),
                        target.byteSize()));
    }

    /** Sets every byte of a buffer to zero. */
    public synchronized void zero(DeviceBuffer target) {
        KernelCall zero = call("zero", "");
        zero.finish(
                PantheraAbi.pan_zero(
                        handle,
                        zero.output("target", target, target.type(), 0),
                        target.byteSize()));
    }

    /** Copies values to a buffer, rounding them to its floating-point type. The lengths must be equal. */
    public void copyToDevice(DeviceBuffer target, float[] values) {
        if (isReachable(target)) {
            target.copyFrom(values);
        } else {
            try (var arena = Arena.ofConfined()) {
                DeviceBuffer staged = staging(arena, target);
                staged.copyFrom(values);
                copyToDevice(target, staged.segment());
            }
        }
    }

    /** Copies values to a buffer, rounding them to its floating-point type. The lengths must be equal. */
    public void copyToDevice(DeviceBuffer target, double[] values) {
        if (isReachable(target)) {
            target.copyFrom(values);
        } else {
            try (var arena = Arena.ofConfined()) {
                DeviceBuffer staged = staging(arena, target);
                staged.copyFrom(values);
                copyToDevice(target, staged.segment());
            }
        }
    }

    /** Copies values to a buffer of I32. The lengths must be equal. */
    public void copyToDevice(DeviceBuffer target, int[] values) {
        if (isReachable(target)) {
            target.copyFrom(values);
        } else {
            try (var arena = Arena.ofConfined()) {
                DeviceBuffer staged = staging(arena, target);
                staged.copyFrom(values);
                copyToDevice(target, staged.segment());
            }
        }
    }

    /** The values of a floating-point buffer after all earlier work, rounded to F32. */
    public float[] toFloatArray(DeviceBuffer source) {
        if (isReachable(source)) {
            return source.toFloatArray();
        }
        try (var arena = Arena.ofConfined()) {
            return staged(arena, source).toFloatArray();
        }
    }

    /** The values of a floating-point buffer after all earlier work. */
    public double[] toDoubleArray(DeviceBuffer source) {
        if (isReachable(source)) {
            return source.toDoubleArray();
        }
        try (var arena = Arena.ofConfined()) {
            return staged(arena, source).toDoubleArray();
        }
    }

    /** The values of a buffer of I32 after all earlier work. */
    public int[] toIntArray(DeviceBuffer source) {
        if (isReachable(source)) {
            return source.toIntArray();
        }
        try (var arena = Arena.ofConfined()) {
            return staged(arena, source).toIntArray();
        }
    }

    /**
     * Waits for the work and frees the stream. A second call does nothing.
     *
     * @throws KernelException of the work that was waited for; the stream is closed all the same
     * @throws KernelException.InvalidArgument in the midst of {@link #capture}; the stream stays open
     */
    @Override
    public synchronized void close() {
        if (!closed) {
            call("stream_destroy", "");
            if (call.isRecording()) {
                throw call.invalid("the stream is recording; close it after capture has returned");
            }
            closed = true;
            int status = PantheraAbi.pan_stream_destroy(handle);
            arena.close();
            call.finish(status);
        }
    }

    /** Whether the CPU, on whose streams no work is ever pending, can copy by itself. */
    private boolean isReachable(DeviceBuffer buffer) {
        return buffer.isHost() && device.backend().isHost();
    }

    private static DeviceBuffer staging(Arena arena, DeviceBuffer like) {
        return DeviceBuffer.of(
                arena.allocate(like.byteSize(), PantheraAbi.PAN_ALIGNMENT()), like.type());
    }

    private DeviceBuffer staged(Arena arena, DeviceBuffer source) {
        DeviceBuffer values = staging(arena, source);
        copyToHost(values.segment(), source);
        return values;
    }

    /**
     * Starts a call; the caller holds this stream's monitor until it has finished.
     *
     * @param shape what messages show as the shapes of the call
     */
    KernelCall call(String op, Object shape) {
        call.begin(op, shape);
        if (closed) {
            throw call.invalid("the stream was closed");
        }
        return call;
    }
}
