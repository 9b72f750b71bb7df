package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_top_k_mask_desc;

/**
 * Which elements of a dense row are its k largest: 1 for these, 0 for the others. Of equal ones an earlier one comes first; NaN
 * and -infinity are never chosen.
 *
 * @param rows    rows of x and y
 * @param columns columns of x and y
 * @param k       how many are chosen of a row, or all if it has fewer
 */
public record TopKMaskKernel(long rows, long columns, long k) {

    /** Computes y (rows, columns) from x of the same size. */
    public void mask(DeviceStream stream, DeviceBuffer x, DeviceBuffer y) {
        synchronized (stream) {
            KernelCall call = stream.call("top_k_mask", this);
            DataType type = call.activationType(x);
            long elements = Sizes.product(rows, columns);
            var desc = call.descriptor();
            pan_top_k_mask_desc.struct_size(desc, (int) pan_top_k_mask_desc.sizeof());
            pan_top_k_mask_desc.dtype(desc, type.code());
            pan_top_k_mask_desc.rows(desc, rows);
            pan_top_k_mask_desc.columns(desc, columns);
            pan_top_k_mask_desc.k(desc, k);
            call.finish(
                    PantheraAbi.pan_top_k_mask(
                            call.stream(),
                            desc,
                            call.input("x", x, type, elements),
                            call.output("y", y, type, elements)));
        }
    }
}
