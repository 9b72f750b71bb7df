package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.Activation;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.tensor.ActivationOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** {@code y = GELU(x W1 + b1) W2 + b2}, with the exact GELU. */
public record Mlp(Linear fc1, Linear fc2) implements StateMixer {

    /** @param multiple hidden channels per channel of the model */
    public record Config(int multiple) implements StateMixerConfig {
        public Config {
            UserException.require(
                    multiple >= 1, "MLP multiple %d: at least 1 is needed; try 4", multiple);
        }

        @Override
        public Mlp build(Layer layer, Init init) {
            int width = layer.width();
            int hidden = layer.hidden(multiple);
            return new Mlp(Linear.of(width, hidden, init), Linear.residual(hidden, width, init));
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return fc2.apply(
                tape, ActivationOperation.apply(tape, Activation.GELU, fc1.apply(tape, x)));
    }
}
