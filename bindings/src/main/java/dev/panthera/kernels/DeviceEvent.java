package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.ToIntFunction;

/**
 * A place in a stream's work, for other streams and threads to wait for, and to measure time on the device's own clock:
 * {@snippet :
 * try (var start = device.newEvent(); var end = device.newEvent()) {
 *     start.record(stream);
 *     kernel.forward(stream, x, weight, null, y);
 *     end.record(stream);
 *     double milliseconds = end.millisecondsSince(start);
 * }
 * }
 * Any thread may use it; calls of several threads wait for each other. Close it before its device.
 */
public final class DeviceEvent implements AutoCloseable {

    private final Device device;
    private final MemorySegment handle;
    private boolean closed;

    DeviceEvent(Device device, MemorySegment handle) {
        this.device = device;
        this.handle = handle;
    }

    /** The device whose streams can be marked. */
    public Device device() {
        return device;
    }

    /**
     * Marks the place behind the work that a stream was given so far, in place of an earlier mark.
     *
     * @throws KernelException.InvalidArgument if the stream was closed or belongs to another device
     */
    public void record(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("event_record", "");
            runOn(call, event -> PantheraAbi.pan_event_record(event, call.stream()));
        }
    }

    /**
     * Waits until the work before the mark is done; returns at once without a mark.
     *
     * @throws KernelException.DeviceFailure if the device has failed
     */
    public synchronized void synchronize() {
        check("event_synchronize", PantheraAbi.pan_event_synchronize(open("event_synchronize")));
    }

    /**
     * Milliseconds from the mark of {@code start} to this one, on the device's clock; waits for both.
     *
     * @throws KernelException.InvalidArgument if either has no mark or was closed
     */
    public double millisecondsSince(DeviceEvent start) {
        // Every thread locks the two in the same order, whichever of them it asks.
        boolean thisFirst = handle.address() < start.handle.address();
        DeviceEvent first = thisFirst ? this : start;
        DeviceEvent second = thisFirst ? start : this;
        synchronized (first) {
            synchronized (second) {
                return elapsed(start);
            }
        }
    }

    private double elapsed(DeviceEvent start) {
        String op = "event_elapsed";
        MemorySegment end = open(op);
        MemorySegment from = start.open(op);
        if (start.device != device) {
            throw invalid(op, "the start was marked on " + start.device + ", the end on " + device);
        }
        try (var arena = Arena.ofConfined()) {
            MemorySegment milliseconds = arena.allocate(ValueLayout.JAVA_DOUBLE);
            check(op, PantheraAbi.pan_event_elapsed(from, end, milliseconds));
            return milliseconds.get(ValueLayout.JAVA_DOUBLE, 0);
        }
    }

    /** A call that a stream makes with this event; the caller holds the stream's monitor. */
    synchronized void runOn(KernelCall call, ToIntFunction<MemorySegment> body) {
        if (closed) {
            throw call.invalid("the event was closed");
        }
        if (call.device() != device) {
            throw call.invalid("the event belongs to " + device);
        }
        call.finish(body.applyAsInt(handle));
    }

    /** Frees the event; what waits for its mark still does. A second call does nothing. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            check("event_destroy", PantheraAbi.pan_event_destroy(handle));
        }
    }

    private MemorySegment open(String op) {
        if (closed) {
            throw invalid(op, "the event was closed");
        }
        return handle;
    }

    private KernelException invalid(String op, String what) {
        return new KernelException.InvalidArgument(op, op + ": " + what, "", device.name());
    }

    private void check(String op, int status) {
        if (status != PantheraAbi.PAN_OK()) {
            throw KernelException.ofStatus(status, op, "", device.name());
        }
    }
}
