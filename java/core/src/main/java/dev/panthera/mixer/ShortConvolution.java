package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.nn.DepthwiseConv;
import dev.panthera.nn.Init;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** A causal depthwise convolution with a few taps. */
public record ShortConvolution(DepthwiseConv conv) implements Mixer {

    /** @param taps of each channel's filter */
    public record Config(int taps) implements MixerConfig {
        public Config {
            UserException.require(
                    taps >= 1, "--taps %d: a filter needs at least one tap; try 3", taps);
        }

        @Override
        public ShortConvolution build(Layer layer, Init init) {
            return new ShortConvolution(DepthwiseConv.of(layer.width(), taps, init));
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return conv.apply(tape, x);
    }

    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        Tensor seen = state.withPast(tape, "inputs", conv.taps() - 1, x);
        return Rows.last(tape, conv.apply(tape, seen), x.size(1));
    }

    /** The inputs that taps will meet again. */
    @Override
    public long stateSize(int length) {
        return (long) Math.min(length, conv.taps() - 1) * conv.weight().size(0);
    }

    /** As many inputs as there are taps, that of the last one included. */
    @Override
    public long publishedStateSize(int length) {
        return conv.weight().size();
    }
}
