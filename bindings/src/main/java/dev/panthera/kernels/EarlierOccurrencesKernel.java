package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_earlier_occurrences_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * How often a position's token has occurred before it, for the last positions of each sequence:
 * {@code y[b,i] = #{ s < t : ids[b,s] = ids[b,t] }} with {@code t = length - count + i}. Exact up to 2^24. It is the programmatic
 * selection of Arora et al. 2023 (arXiv 2312.04927), section 5.
 *
 * @param batch     sequences
 * @param length    positions of a sequence
 * @param idsStride from one sequence's ids to those of the next, at least {@code length}
 * @param count     how many of the last positions are asked for, at most {@code length}
 */
public record EarlierOccurrencesKernel(long batch, long length, long idsStride, long count) {

    /** Of all positions of sequences that follow each other. */
    public EarlierOccurrencesKernel(long batch, long length) {
        this(batch, length, length, length);
    }

    /** Bytes of scratch that {@link #count} needs. */
    public long workspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("earlier_occurrences_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_earlier_occurrences_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes y.
     *
     * @param ids       (batch, length) of I32, sequences {@code idsStride} apart; any values
     * @param y         (batch, count), output
     * @param workspace {@link #workspaceBytes}; may be null if 0
     */
    public void count(
            DeviceStream stream,
            DeviceBuffer ids,
            DeviceBuffer y,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("earlier_occurrences", this);
            DataType type = call.activationType(y);
            call.finish(
                    PantheraAbi.pan_earlier_occurrences(
                            call.stream(),
                            describe(call, type),
                            call.input(
                                    "ids",
                                    ids,
                                    DataType.I32,
                                    Sizes.extent(batch, idsStride, length)),
                            call.output("y", y, type, Sizes.product(batch, count)),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_earlier_occurrences_desc.struct_size(desc, (int) pan_earlier_occurrences_desc.sizeof());
        pan_earlier_occurrences_desc.dtype(desc, type.code());
        pan_earlier_occurrences_desc.batch(desc, batch);
        pan_earlier_occurrences_desc.length(desc, length);
        pan_earlier_occurrences_desc.ids_stride(desc, idsStride);
        pan_earlier_occurrences_desc.count(desc, count);
        return desc;
    }
}
