package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import java.lang.foreign.MemorySegment;
import java.util.Set;

/**
 * Work that {@link DeviceStream#capture} recorded once and that can be repeated at the cost of one call. It reads what its
 * buffers and {@link StepState}s hold at the time of each repetition:
 * {@snippet :
 * try (var graph = stream.capture(() -> kernel.apply(stream, random, x, y))) {
 *     for (long step = 0; step < steps; step++) {
 *         random.write(stream, seed, step);
 *         graph.launch(stream);
 *     }
 * }
 * }
 * The buffers and plans of the recorded calls must be open at each launch; the stream that recorded them need not. Any thread may use a graph; launches of
 * several threads wait for each other. Close it before its device.
 */
public final class DeviceGraph implements AutoCloseable {

    private final Device device;
    private final MemorySegment handle;

    /** The lifetimes of what the recorded calls use; the native library does not know them. */
    private final Set<MemorySegment.Scope> used;

    private boolean closed;

    DeviceGraph(Device device, MemorySegment handle, Set<MemorySegment.Scope> used) {
        this.device = device;
        this.handle = handle;
        this.used = used;
    }

    /** The device on whose streams it can be launched. */
    public Device device() {
        return device;
    }

    /**
     * Repeats the recorded work as part of a stream.
     *
     * @throws KernelException.InvalidArgument if this graph, the stream, or a buffer or plan of the recorded calls was
     *     closed, or the stream belongs to another device
     */
    public void launch(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("graph_launch", "");
            synchronized (this) {
                if (closed) {
                    throw call.invalid("the graph was closed");
                }
                if (call.device() != device) {
                    throw call.invalid("the graph was recorded on " + device);
                }
                for (MemorySegment.Scope lifetime : used) {
                    if (!lifetime.isAlive()) {
                        throw call.invalid(
                                "a buffer or plan of the recorded calls was closed; record them again");
                    }
                }
                call.finish(PantheraAbi.pan_graph_launch(handle, call.stream()));
            }
        }
    }

    /** Frees the graph; launches before are still done. A second call does nothing. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            int status = PantheraAbi.pan_graph_destroy(handle);
            if (status != PantheraAbi.PAN_OK()) {
                throw KernelException.ofStatus(status, "graph_destroy", "", device.name());
            }
        }
    }
}
