package dev.panthera.nn;

import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.PositionalFeaturesKernel;
import dev.panthera.tensor.Tensor;

/**
 * Features of positions, from which implicit filters are computed; see {@link PositionalFeaturesKernel}.
 *
 * @param z {@code (1, length, features)}
 */
public record PositionalFeatures(Tensor z) implements Parameterized {

    /**
     * @param features odd, at least 3: the time and pairs of a cosine and a sine
     * @param trainable whether the features are trained from there on
     */
    public static PositionalFeatures of(int length, int features, boolean trainable, Init init) {
        try (var device = Device.reference(DataType.F32);
                var stream = device.newStream();
                var values = device.allocate(DataType.F32, (long) length * features)) {
            new PositionalFeaturesKernel(length, features / 2).compute(stream, values);
            return new PositionalFeatures(
                    init.values(stream.toFloatArray(values), trainable, 1, length, features));
        }
    }

    public int length() {
        return z.size(1);
    }
}
