package dev.panthera.mixer;

import dev.panthera.kernels.ConvMethod;
import dev.panthera.nn.Init;
import dev.panthera.tensor.Columns;
import dev.panthera.tensor.FilterLayout;
import dev.panthera.tensor.LongConvOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * A causal depthwise convolution as long as the sequence, whose filter is a parameter: {@code y = h * x + x}, or
 * {@code h * x} without skip.
 *
 * @param filter {@code (channels, taps)}
 */
public record LongConvolution(Tensor filter, boolean skip, ConvMethod method) implements Mixer {

    /**
     * @param maxLength taps of the filter; 0: as many as the longest sequence has positions
     * @param skip whether the input is added
     * @param method how it is computed
     */
    public record Config(int maxLength, boolean skip, ConvMethod method) implements MixerConfig {
        public Config(int maxLength, ConvMethod method) {
            this(maxLength, true, method);
        }

        @Override
        public LongConvolution build(Layer layer, Init init) {
            int taps = Filters.taps(maxLength, layer);
            return new LongConvolution(init.normal(1, true, layer.width(), taps), skip, method);
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Filters.checkLength("long-conv", x, filter.size(1));
        return LongConvOperation.apply(
                tape,
                Columns.of(x),
                null,
                null,
                filter,
                FilterLayout.CHANNELS_FIRST,
                skip ? tape.constant(1, x.size(-1)) : null,
                method);
    }

    /** Every input. */
    @Override
    public long stateSize(int length) {
        return (long) length * filter.size(0);
    }
}
