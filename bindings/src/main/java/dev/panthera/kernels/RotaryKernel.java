package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_rotary_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Rotary position embedding (Su et al. 2021, arXiv 2104.09864, eq. 34): turns pair i of the vector at position p by the
 * angle {@code p * base^(-2 i / headDim)}, computed in F64.
 *
 * @param interleaved false: pairs are elements (i, i + headDim / 2); true: (2 i, 2 i + 1)
 * @param inverse     whether it rotates back, which is the adjoint
 * @param base        above 0, usually 10000
 * @param headDim     even
 * @param x           where the input lies
 * @param y           where the output lies
 */
public record RotaryKernel(
        boolean interleaved,
        boolean inverse,
        double base,
        long batch,
        long heads,
        long length,
        long headDim,
        HeadLayout x,
        HeadLayout y) {

    /** Of dense arrays (batch, length, heads, headDim). */
    public RotaryKernel(
            boolean interleaved, double base, long batch, long heads, long length, long headDim) {
        this(
                interleaved,
                false,
                base,
                batch,
                heads,
                length,
                headDim,
                HeadLayout.dense(length, heads, headDim),
                HeadLayout.dense(length, heads, headDim));
    }

    /** The rotation back, from where y lies to where x lies. */
    public RotaryKernel adjoint() {
        return new RotaryKernel(interleaved, !inverse, base, batch, heads, length, headDim, y, x);
    }

    /**
     * Rotates.
     *
     * @param firstPosition (1) I32, the position of entry 0 of the sequences; null: 0
     * @param from          in the layout of x
     * @param to            in the layout of y; may be {@code from} if the layouts are the same
     */
    public void apply(
            DeviceStream stream,
            @Nullable DeviceBuffer firstPosition,
            DeviceBuffer from,
            DeviceBuffer to) {
        synchronized (stream) {
            KernelCall call = stream.call("rotary", this);
            DataType type = call.activationType(from);
            call.finish(
                    PantheraAbi.pan_rotary(
                            call.stream(),
                            describe(call, type),
                            call.optionalInput("first_position", firstPosition, DataType.I32, 1),
                            call.input("x", from, type, x.extent(batch, length, heads, headDim)),
                            call.output("y", to, type, y.extent(batch, length, heads, headDim))));
        }
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_rotary_desc.struct_size(desc, (int) pan_rotary_desc.sizeof());
        pan_rotary_desc.dtype(desc, type.code());
        pan_rotary_desc.interleaved(desc, interleaved ? 1 : 0);
        pan_rotary_desc.inverse(desc, inverse ? 1 : 0);
        pan_rotary_desc.base(desc, base);
        pan_rotary_desc.batch(desc, batch);
        pan_rotary_desc.heads(desc, heads);
        pan_rotary_desc.length(desc, length);
        pan_rotary_desc.head_dim(desc, headDim);
        x.write(pan_rotary_desc.x(desc));
        y.write(pan_rotary_desc.y(desc));
        return desc;
    }
}
