package dev.panthera.mixer;

import dev.panthera.kernels.ConvMethod;
import dev.panthera.nn.Init;
import dev.panthera.tensor.FilterLayout;
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
        return filter(tape, x.size(1)).convolve(tape, x);
    }

    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        return filter(tape, state.position() + x.size(1)).extend(tape, x, state);
    }

    private LongFilter filter(Tape tape, int length) {
        Filters.checkLength("long-conv", length, filter.size(1));
        return new LongFilter(
                () -> filter,
                FilterLayout.CHANNELS_FIRST,
                skip ? tape.constant(1, filter.size(0)) : null,
                method);
    }

    /** Every input. */
    @Override
    public long stateSize(int length) {
        return (long) length * filter.size(0);
    }
}
