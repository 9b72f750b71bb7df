package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_positional_features_desc;
import java.lang.foreign.MemorySegment;

/**
 * The features of a position from which an implicit filter is computed. With {@code w[t] = 2 pi t / length} and
 * frequencies f[k] spaced evenly from 1e-4 to {@code bands - 1} (1e-4 alone if there is one band):
 * <pre>
 * z[t,0] = t / (length - 1), 0 if length is 1
 * z[t,1+k] = cos(f[k] w[t])      z[t,1+bands+k] = -sin(f[k] w[t])
 * </pre>
 * Source: Poli et al. 2023 (arXiv 2302.10866), appendix D.3.
 *
 * @param length positions
 * @param bands  pairs of features beside the time itself; at least 1
 */
public record PositionalFeaturesKernel(long length, long bands) {

    /** @param z (length, 2 bands + 1), a statistic, output */
    public void compute(DeviceStream stream, DeviceBuffer z) {
        synchronized (stream) {
            KernelCall call = stream.call("positional_features", this);
            MemorySegment desc = call.descriptor();
            pan_positional_features_desc.struct_size(
                    desc, (int) pan_positional_features_desc.sizeof());
            pan_positional_features_desc.reserved(desc, 0);
            pan_positional_features_desc.length(desc, length);
            pan_positional_features_desc.bands(desc, bands);
            long features = Sizes.sum(Sizes.product(2, bands), 1);
            call.finish(
                    PantheraAbi.pan_positional_features(
                            call.stream(),
                            desc,
                            call.output(
                                    "z",
                                    z,
                                    call.parameterType(),
                                    Sizes.product(length, features))));
        }
    }
}
