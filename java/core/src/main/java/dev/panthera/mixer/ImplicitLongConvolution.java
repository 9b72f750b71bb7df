package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.ConvMethod;
import dev.panthera.nn.FeatureLayer;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.PositionalFeatures;
import dev.panthera.nn.Relu;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.FilterLayout;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.List;

/**
 * A causal depthwise convolution as long as the sequence, whose filter a small network computes from the position:
 * {@code y = h * x + x}, or {@code h * x} without skip, where {@code h[t] = mlp(z[t])} with fixed features z.
 */
public record ImplicitLongConvolution(
        @StateName("pos_emb") PositionalFeatures positions,
        List<FeatureLayer> mlp,
        int width,
        boolean skip,
        ConvMethod method)
        implements Mixer {

    /**
     * @param maxLength positions of the filter; 0: as many as the longest sequence has
     * @param features of a position, odd, at least 3
     * @param hidden channels of the network's hidden layer
     * @param skip whether the input is added
     * @param method how the convolution is computed
     */
    public record Config(int maxLength, int features, int hidden, boolean skip, ConvMethod method)
            implements MixerConfig {
        public Config {
            Filters.checkFeatures(features);
            UserException.require(
                    hidden >= 1,
                    "%d hidden channels: the network of an implicit filter needs at least one; try 16",
                    hidden);
        }

        public Config(int maxLength, ConvMethod method) {
            this(maxLength, 3, 16, true, method);
        }

        @Override
        public ImplicitLongConvolution build(Layer layer, Init init) {
            int taps = Filters.taps(maxLength, layer);
            return new ImplicitLongConvolution(
                    PositionalFeatures.of(taps, features, false, init),
                    List.of(
                            Linear.of(features, hidden, init),
                            new Relu(),
                            Linear.of(hidden, layer.width(), init)),
                    layer.width(),
                    skip,
                    method);
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return filter(tape, x.size(1)).convolve(tape, x);
    }

    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        return filter(tape, state.position() + x.size(1)).extend(tape, x, state);
    }

    private LongFilter filter(Tape tape, int length) {
        Filters.checkLength("implicit-conv", length, positions.length());
        return new LongFilter(
                () -> FeatureLayer.applyAll(tape, mlp, positions.z()),
                FilterLayout.TAPS_FIRST,
                skip ? tape.constant(1, width) : null,
                method);
    }

    /** Every input. */
    @Override
    public long stateSize(int length) {
        return (long) length * width;
    }
}
