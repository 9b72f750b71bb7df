package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.Activation;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.tensor.GateOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * {@code y = (GELU(x W2 + b2) * (x W1 + b1)) W3 + b3} (Shazeer 2020, arXiv 2002.05202). As in the original, the small
 * initial weights of a residual projection are those of the gate {@code fc2}, not of the output {@code fc3}.
 */
public record Glu(Linear fc1, Linear fc2, Linear fc3) implements StateMixer {

    /** @param multiple hidden channels per channel of the model */
    public record Config(int multiple) implements StateMixerConfig {
        public Config {
            UserException.require(
                    multiple >= 1, "GLU multiple %d: at least 1 is needed; try 4", multiple);
        }

        @Override
        public Glu build(Layer layer, Init init) {
            int width = layer.width();
            int hidden = layer.hidden(multiple);
            return new Glu(
                    Linear.of(width, hidden, init),
                    Linear.residual(width, hidden, init),
                    Linear.of(hidden, width, init));
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Tensor gated =
                GateOperation.apply(
                        tape, Activation.GELU, fc2.apply(tape, x), fc1.apply(tape, x), null);
        return fc3.apply(tape, gated);
    }
}
