package dev.panthera.mixer;

import dev.panthera.nn.Init;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * The identity as a state mixer, which the paper's experiments use. In a block it is not "no state mixer": the block's
 * second half then adds its normalised input to the residual stream.
 */
public record Passthrough() implements StateMixer {

    /** Without options. */
    public record Config() implements StateMixerConfig {
        @Override
        public Passthrough build(Layer layer, Init init) {
            return new Passthrough();
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return x;
    }
}
