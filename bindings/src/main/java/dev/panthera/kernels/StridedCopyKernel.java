package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_strided_copy_desc;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * A copy between arrays of any strides, which permutes, slices, concatenates or broadcasts:
 * {@code target[sum_d i[d] targetStride[d]] = source[sum_d i[d] sourceStride[d]]} for all {@code i < shape}.
 * What lies between the entries of the target is left as it is.
 */
public final class StridedCopyKernel {

    private final long[] shape;
    private final long[] sourceStride;
    private final long[] targetStride;

    /**
     * A copy of 1 to {@link ArithmeticKernel#MAX_RANK} dimensions.
     *
     * @param shape        of what is copied
     * @param sourceStride elements between consecutive entries of the source, per dimension; 0 where it is broadcast
     * @param targetStride likewise of the target, where no two entries may share an element
     * @throws KernelException.InvalidArgument if the arrays have different lengths
     */
    public StridedCopyKernel(long[] shape, long[] sourceStride, long[] targetStride) {
        this.shape = shape.clone();
        this.sourceStride = sourceStride.clone();
        this.targetStride = targetStride.clone();
        if (shape.length == 0
                || shape.length > ArithmeticKernel.MAX_RANK
                || sourceStride.length != shape.length
                || targetStride.length != shape.length) {
            throw new KernelException.InvalidArgument(
                    "strided_copy",
                    "strided_copy: shape, sourceStride and targetStride have %d, %d and %d entries; expected the same, from 1 to %d"
                            .formatted(
                                    shape.length,
                                    sourceStride.length,
                                    targetStride.length,
                                    ArithmeticKernel.MAX_RANK),
                    toString(),
                    "");
        }
    }

    /** As {@link #StridedCopyKernel(long[], long[], long[])}. */
    public StridedCopyKernel(int[] shape, long[] sourceStride, long[] targetStride) {
        this(Arrays.stream(shape).asLongStream().toArray(), sourceStride, targetStride);
    }

    /** The copy back. */
    public StridedCopyKernel reversed() {
        return new StridedCopyKernel(shape, targetStride, sourceStride);
    }

    /** Overwrites the entries of the target. */
    public void copy(DeviceStream stream, DeviceBuffer source, DeviceBuffer target) {
        run(stream, source, target, false);
    }

    /** Adds to the entries of the target. */
    public void add(DeviceStream stream, DeviceBuffer source, DeviceBuffer target) {
        run(stream, source, target, true);
    }

    private void run(
            DeviceStream stream, DeviceBuffer source, DeviceBuffer target, boolean accumulate) {
        synchronized (stream) {
            KernelCall call = stream.call("strided_copy", this);
            DataType type = call.activationType(source);
            call.finish(
                    PantheraAbi.pan_strided_copy(
                            call.stream(),
                            describe(call, type, accumulate),
                            call.input("source", source, type, extent(sourceStride)),
                            call.output("target", target, type, extent(targetStride))));
        }
    }

    @Override
    public String toString() {
        return "StridedCopyKernel[shape=%s, sourceStride=%s, targetStride=%s]"
                .formatted(
                        Arrays.toString(shape),
                        Arrays.toString(sourceStride),
                        Arrays.toString(targetStride));
    }

    private long extent(long[] stride) {
        long elements = 1;
        for (int i = 0; i < shape.length; i++) {
            elements = Sizes.sum(elements, Sizes.product(shape[i] - 1, stride[i]));
        }
        return elements;
    }

    private MemorySegment describe(KernelCall call, DataType type, boolean accumulate) {
        MemorySegment desc = call.descriptor();
        pan_strided_copy_desc.struct_size(desc, (int) pan_strided_copy_desc.sizeof());
        pan_strided_copy_desc.dtype(desc, type.code());
        pan_strided_copy_desc.rank(desc, shape.length);
        pan_strided_copy_desc.accumulate(desc, accumulate ? 1 : 0);
        for (int i = 0; i < shape.length; i++) {
            pan_strided_copy_desc.shape(desc, i, shape[i]);
            pan_strided_copy_desc.source_stride(desc, i, sourceStride[i]);
            pan_strided_copy_desc.target_stride(desc, i, targetStride[i]);
        }
        return desc;
    }
}
