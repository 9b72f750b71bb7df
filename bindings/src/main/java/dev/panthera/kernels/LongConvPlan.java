package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/**
 * Tables of one {@link LongConvKernel} on one device. Read-only: threads may share it, each with a stream of its own.
 * Close it after the last call that uses it, on CUDA after that call's stream was synchronized, and before the device. A
 * {@link DeviceGraph} that has recorded such a call cannot be launched from then on.
 */
public final class LongConvPlan implements AutoCloseable {

    private final LongConvKernel kernel;
    private final Device device;
    private final Arena life = Arena.ofShared();

    /** The pan_long_conv_plan, with the lifetime of this object. */
    private final MemorySegment handle;

    /** Calls hold the read lock, so that the plan is not freed under them; it is taken after the stream's monitor. */
    private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();

    /** What a spectrum must have at least; -1 before the first call that needs to know. */
    private volatile long neededBytes = -1;

    LongConvPlan(LongConvKernel kernel, Device device, MemorySegment handle) {
        this.kernel = kernel;
        this.device = device;
        this.handle = handle.reinterpret(life, null);
    }

    /** What is computed. */
    public LongConvKernel kernel() {
        return kernel;
    }

    /** How it is computed: {@link ConvMethod#DIRECT} or {@link ConvMethod#FFT}. */
    public ConvMethod method() {
        lock.readLock().lock();
        try (var arena = Arena.ofConfined()) {
            requireOpen();
            MemorySegment method = arena.allocate(ValueLayout.JAVA_INT);
            int status = PantheraAbi.pan_long_conv_plan_method(handle, method);
            if (status != PantheraAbi.PAN_OK()) {
                throw KernelException.ofStatus(
                        status, "long_conv_plan_method", kernel.toString(), device.name());
            }
            return ConvMethod.of(method.get(ValueLayout.JAVA_INT, 0));
        } finally {
            lock.readLock().unlock();
        }
    }

    /** Bytes of the prepared spectrum of one filter. */
    public long spectrumBytes(DeviceStream stream) {
        return size(
                "long_conv_spectrum_size",
                stream,
                call ->
                        PantheraAbi.pan_long_conv_spectrum_size(
                                call.stream(), handle, call.size()));
    }

    /** Bytes of scratch that {@link #prepare} needs. */
    public long prepareWorkspaceBytes(DeviceStream stream) {
        return size(
                "long_conv_prepare_workspace_size",
                stream,
                call ->
                        PantheraAbi.pan_long_conv_prepare_workspace_size(
                                call.stream(), handle, call.size()));
    }

    /**
     * Brings a filter into the form that the convolution uses.
     *
     * @param h         (channels, taps) or (taps, channels) as the kernel's strides say, a parameter
     * @param spectrum  {@link #spectrumBytes}, of any type, output; valid for this plan until h changes
     * @param workspace {@link #prepareWorkspaceBytes}; may be null if 0
     */
    public void prepare(
            DeviceStream stream,
            DeviceBuffer h,
            DeviceBuffer spectrum,
            @Nullable DeviceBuffer workspace) {
        run(
                "long_conv_prepare",
                stream,
                call -> {
                    MemorySegment prepared = spectrum(call, spectrum);
                    call.writable("spectrum", prepared);
                    return PantheraAbi.pan_long_conv_prepare(
                            call.stream(),
                            handle,
                            call.input("h", h, call.parameterType(), kernel.filterExtent()),
                            prepared,
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace));
                });
    }

    /** Bytes of scratch that {@link #forward} needs. */
    public long forwardWorkspaceBytes(DeviceStream stream) {
        return size(
                "long_conv_forward_workspace_size",
                stream,
                call ->
                        PantheraAbi.pan_long_conv_forward_workspace_size(
                                call.stream(), handle, call.size()));
    }

    /**
     * Computes y.
     *
     * @param spectrum  of h, from {@link #prepare}
     * @param u         (batch, length, channels)
     * @param pre       (batch, length, channels); null: 1
     * @param post      (batch, length, channels); null: 1
     * @param skip      (channels), a parameter; null: 0
     * @param y         (batch, length, channels), output; may be u
     * @param workspace {@link #forwardWorkspaceBytes}; may be null if 0
     */
    public void forward(
            DeviceStream stream,
            DeviceBuffer spectrum,
            DeviceBuffer u,
            @Nullable DeviceBuffer pre,
            @Nullable DeviceBuffer post,
            @Nullable DeviceBuffer skip,
            DeviceBuffer y,
            @Nullable DeviceBuffer workspace) {
        run(
                "long_conv_forward",
                stream,
                call -> {
                    DataType type = call.activationType(u);
                    return PantheraAbi.pan_long_conv_forward(
                            call.stream(),
                            handle,
                            spectrum(call, spectrum),
                            call.input("u", u, type, kernel.extent(kernel.uStride())),
                            call.optionalInput("pre", pre, type, kernel.extent(kernel.preStride())),
                            call.optionalInput(
                                    "post", post, type, kernel.extent(kernel.postStride())),
                            call.optionalInput(
                                    "skip", skip, call.parameterType(), kernel.channels()),
                            call.output("y", y, type, kernel.extent(kernel.yStride())),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace));
                });
    }

    /** Bytes of scratch that {@link #backward} needs. */
    public long backwardWorkspaceBytes(DeviceStream stream) {
        return size(
                "long_conv_backward_workspace_size",
                stream,
                call ->
                        PantheraAbi.pan_long_conv_backward_workspace_size(
                                call.stream(), handle, call.size()));
    }

    /**
     * Computes gradients. With {@code g = post dy}, {@code v = conv(h, x) + skip x} and
     * {@code dx[b,s,c] = sum_{t>=s} h[c,t-s] g[b,t,c] + skip[c] g[b,s,c]}:
     * <pre>
     * du = pre dx      dpre = u dx      dpost = v dy
     * dh[c,j] += sum_{b,t} g[b,t,c] x[b,t-j,c]      dskip[c] += sum_{b,t} g[b,t,c] x[b,t,c]
     * </pre>
     *
     * @param spectrum  of forward, as u, pre, post and skip
     * @param dy        gradient of y
     * @param du        written; may be dy; null: not computed
     * @param dpre      written; needs pre; null: not computed
     * @param dpost     written; needs post; null: not computed
     * @param dh        added to, in the layout of h; null: not computed
     * @param dskip     added to; null: not computed
     * @param workspace {@link #backwardWorkspaceBytes}; may be null if 0
     */
    public void backward(
            DeviceStream stream,
            DeviceBuffer spectrum,
            DeviceBuffer u,
            @Nullable DeviceBuffer pre,
            @Nullable DeviceBuffer post,
            @Nullable DeviceBuffer skip,
            DeviceBuffer dy,
            @Nullable DeviceBuffer du,
            @Nullable DeviceBuffer dpre,
            @Nullable DeviceBuffer dpost,
            @Nullable DeviceBuffer dh,
            @Nullable DeviceBuffer dskip,
            @Nullable DeviceBuffer workspace) {
        run(
                "long_conv_backward",
                stream,
                call -> {
                    DataType type = call.activationType(u);
                    DataType real = call.parameterType();
                    long uExtent = kernel.extent(kernel.uStride());
                    long preExtent = kernel.extent(kernel.preStride());
                    long postExtent = kernel.extent(kernel.postStride());
                    return PantheraAbi.pan_long_conv_backward(
                            call.stream(),
                            handle,
                            spectrum(call, spectrum),
                            call.input("u", u, type, uExtent),
                            call.optionalInput("pre", pre, type, preExtent),
                            call.optionalInput("post", post, type, postExtent),
                            call.optionalInput("skip", skip, real, kernel.channels()),
                            call.input("dy", dy, type, kernel.extent(kernel.yStride())),
                            call.optionalOutput("du", du, type, uExtent),
                            call.optionalOutput("dpre", dpre, type, preExtent),
                            call.optionalOutput("dpost", dpost, type, postExtent),
                            call.optionalOutput("dh", dh, real, kernel.filterExtent()),
                            call.optionalOutput("dskip", dskip, real, kernel.channels()),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace));
                });
    }

    /** Waits for calls of other threads and frees the plan. A second call does nothing. */
    @Override
    public void close() {
        lock.writeLock().lock();
        try {
            if (handle.scope().isAlive()) {
                MemorySegment plan = MemorySegment.ofAddress(handle.address());
                life.close();
                PantheraAbi.pan_long_conv_plan_destroy(plan);
            }
        } finally {
            lock.writeLock().unlock();
        }
    }

    private MemorySegment spectrum(KernelCall call, @Nullable DeviceBuffer spectrum) {
        if (spectrum == null) {
            throw call.invalid("spectrum is null");
        }
        long needed = neededBytes;
        if (spectrum.byteSize() < needed) {
            throw call.invalid(
                    "spectrum has %d bytes; expected at least %d"
                            .formatted(spectrum.byteSize(), needed));
        }
        return call.input("spectrum", spectrum, spectrum.type(), 0);
    }

    private void run(String op, DeviceStream stream, ToIntFunction<KernelCall> body) {
        if (neededBytes < 0) {
            neededBytes = spectrumBytes(stream);
        }
        synchronized (stream) {
            lock.readLock().lock();
            try {
                requireOpen();
                KernelCall call = stream.call(op, kernel);
                call.used(handle);
                call.finish(body.applyAsInt(call));
            } finally {
                lock.readLock().unlock();
            }
        }
    }

    private long size(String op, DeviceStream stream, ToIntFunction<KernelCall> body) {
        synchronized (stream) {
            lock.readLock().lock();
            try {
                requireOpen();
                KernelCall call = stream.call(op, kernel);
                return call.finishSize(body.applyAsInt(call));
            } finally {
                lock.readLock().unlock();
            }
        }
    }

    private void requireOpen() {
        if (!handle.scope().isAlive()) {
            throw new KernelException.InvalidArgument(
                    "long_conv",
                    "long_conv: the plan was closed",
                    kernel.toString(),
                    device.name());
        }
    }
}
