package dev.panthera.kernels;

import dev.panthera.kernels.abi.pan_long_conv_desc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Causal depthwise long convolution with optional gates and skip.
 * <pre>
 * y[b,t,c] = post[b,t,c] * ( sum_{s=0..t} h[c,t-s] x[b,s,c] + skip[c] x[b,t,c] ),    x = pre * u
 * </pre>
 * This is its description; a {@link #plan} computes it. Source: Poli et al. 2023 (arXiv 2302.10866), eq. 4; fusion of
 * gates after Fu et al. 2023 (arXiv 2311.05908).
 *
 * @param method         how it is computed
 * @param batch          sequences
 * @param length         positions of a sequence; at least 1
 * @param channels       of a position
 * @param taps           of a channel's filter; those beyond {@code length} never reach an output
 * @param hChannelStride h[c,j] lies at {@code c * hChannelStride + j * hTapStride}; one of the two strides
 * @param hTapStride     is 1, the other at least the extent of what it steps over
 * @param uStride        elements between positions of u and du; at least {@code channels}
 * @param preStride      likewise of pre and dpre; ignored where pre is null
 * @param postStride     likewise of post and dpost; ignored where post is null
 * @param yStride        likewise of y and dy
 */
public record LongConvKernel(
        ConvMethod method,
        long batch,
        long length,
        long channels,
        long taps,
        long hChannelStride,
        long hTapStride,
        long uStride,
        long preStride,
        long postStride,
        long yStride) {

    /** Of dense arrays and a filter of shape (channels, taps), by the faster method. */
    public static LongConvKernel dense(long batch, long length, long channels, long taps) {
        return new LongConvKernel(
                ConvMethod.AUTO,
                batch,
                length,
                channels,
                taps,
                taps,
                1,
                channels,
                channels,
                channels,
                channels);
    }

    /** The same convolution computed in another way. */
    public LongConvKernel withMethod(ConvMethod newMethod) {
        return new LongConvKernel(
                newMethod,
                batch,
                length,
                channels,
                taps,
                hChannelStride,
                hTapStride,
                uStride,
                preStride,
                postStride,
                yStride);
    }

    /** The same convolution with a filter of shape (taps, channels). */
    public LongConvKernel withTapsFirst() {
        return new LongConvKernel(
                method,
                batch,
                length,
                channels,
                taps,
                1,
                channels,
                uStride,
                preStride,
                postStride,
                yStride);
    }

    /** The same convolution over column ranges of wider arrays, whose rows are this many elements apart. */
    public LongConvKernel withStrides(long u, long pre, long post, long y) {
        return new LongConvKernel(
                method, batch, length, channels, taps, hChannelStride, hTapStride, u, pre, post, y);
    }

    /**
     * Makes the tables of this convolution for one device. The plan must be closed before the device.
     *
     * @throws KernelException.InvalidArgument if a size or stride is not as described
     * @throws KernelException.Unsupported     if the device has no long convolution
     */
    public LongConvPlan plan(Device device) {
        try (var arena = Arena.ofConfined()) {
            MemorySegment desc = pan_long_conv_desc.allocate(arena);
            describe(desc, device.parameterType());
            return new LongConvPlan(this, device, device.newLongConvPlan(desc, toString()));
        }
    }

    /** Elements that u and the arrays like it span, {@code stride} elements apart. */
    long extent(long stride) {
        return Sizes.extent(Sizes.product(batch, length), stride, channels);
    }

    /** Elements that h spans. */
    long filterExtent() {
        return hTapStride == 1 && hChannelStride >= taps
                ? Sizes.extent(channels, hChannelStride, taps)
                : Sizes.extent(taps, hTapStride, channels);
    }

    private void describe(MemorySegment desc, DataType type) {
        pan_long_conv_desc.struct_size(desc, (int) pan_long_conv_desc.sizeof());
        pan_long_conv_desc.dtype(desc, type.code());
        pan_long_conv_desc.method(desc, method.code());
        pan_long_conv_desc.batch(desc, batch);
        pan_long_conv_desc.length(desc, length);
        pan_long_conv_desc.channels(desc, channels);
        pan_long_conv_desc.taps(desc, taps);
        pan_long_conv_desc.h_channel_stride(desc, hChannelStride);
        pan_long_conv_desc.h_tap_stride(desc, hTapStride);
        pan_long_conv_desc.u_stride(desc, uStride);
        pan_long_conv_desc.pre_stride(desc, preStride);
        pan_long_conv_desc.post_stride(desc, postStride);
        pan_long_conv_desc.y_stride(desc, yStride);
    }
}
