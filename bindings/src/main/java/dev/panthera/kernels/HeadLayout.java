package dev.panthera.kernels;

import dev.panthera.kernels.abi.pan_head_layout;
import java.lang.foreign.MemorySegment;

/**
 * Where element (b, t, h, c) of an array of attention heads lies:
 * {@code b * batchStride + t * lengthStride + h * headStride + c}, in elements. An array of listed queries
 * is one sequence.
 *
 * @param batchStride  between sequences
 * @param lengthStride between positions
 * @param headStride   between heads
 */
public record HeadLayout(long batchStride, long lengthStride, long headStride) {

    /** Of a dense array (batch, length, heads, headDim). */
    public static HeadLayout dense(long length, long heads, long headDim) {
        return rows(length, heads * headDim, headDim);
    }

    /**
     * Of heads that lie side by side in rows of {@code rowStride} elements, as q, k and v do in a packed projection
     * (batch, length, 3, heads, headDim): there {@code rowStride} is {@code 3 * heads * headDim}.
     */
    public static HeadLayout rows(long length, long rowStride, long headDim) {
        return new HeadLayout(length * rowStride, rowStride, headDim);
    }

    /** Elements that the array spans. */
    long extent(long batch, long length, long heads, long headDim) {
        long batches = Sizes.product(batch - 1, batchStride);
        long positions = Sizes.product(length - 1, lengthStride);
        long inPosition = Sizes.sum(Sizes.product(heads - 1, headStride), headDim);
        return Sizes.sum(Sizes.sum(batches, positions), inPosition);
    }

    /** Fills a {@code pan_head_layout}. */
    void write(MemorySegment struct) {
        pan_head_layout.batch_stride(struct, batchStride);
        pan_head_layout.length_stride(struct, lengthStride);
        pan_head_layout.head_stride(struct, headStride);
    }
}
