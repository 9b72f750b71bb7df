package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.Activation;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.tensor.ActivationOperation;
import dev.panthera.tensor.GateOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The channel mixing of RWKV-4 (Peng et al. 2023, arXiv 2305.13048, eq. 18 to 20): a gated layer of squared ReLUs, which sees
 * the position before.
 * <pre>
 * r, k = (mix x[t] + (1 - mix) x[t-1]) W^T               each with a mix and a W of its own
 * y = sigmoid(r) * (W_v max(k, 0)^2)
 * </pre>
 *
 * @param timeMixK {@code (1, 1, width)}: the share of the current input in what the hidden layer is made of
 * @param timeMixR likewise of the gate
 */
public record Rwkv4ChannelMix(
        Tensor timeMixK, Tensor timeMixR, Linear key, Linear receptance, Linear value)
        implements StateMixer {

    /**
     * @param multiple hidden channels per channel of the model
     * @param initLayers see {@link Rwkv4.Config}
     */
    public record Config(int multiple, int initLayers) implements StateMixerConfig {
        public Config {
            UserException.require(
                    multiple >= 1,
                    "rwkv-4 channel mix of multiple %d: at least 1 is needed; try 4",
                    multiple);
            Rwkv4.checkInitLayers(initLayers);
        }

        /** With the initial values of the original. */
        public Config(int multiple) {
            this(multiple, new Rwkv4.Config().initLayers());
        }

        @Override
        public Rwkv4ChannelMix build(Layer layer, Init init) {
            int width = layer.width();
            int hidden = layer.hidden(multiple);
            double exponent = Rwkv4.Depth.of(layer, initLayers).remaining();
            return new Rwkv4ChannelMix(
                    Rwkv4.mix(init, width, exponent, 0),
                    Rwkv4.mix(init, width, exponent, 0),
                    Rwkv4.linear(width, hidden, init),
                    Rwkv4.linear(width, width, init),
                    Rwkv4.linear(hidden, width, init));
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return apply(tape, x, null);
    }

    private Tensor apply(Tape tape, Tensor x, @Nullable Tensor previous) {
        Tensor k = key.apply(tape, Rwkv4.shift(tape, x, timeMixK, previous));
        Tensor r = receptance.apply(tape, Rwkv4.shift(tape, x, timeMixR, previous));
        Tensor hidden = ActivationOperation.apply(tape, Activation.RELU_SQUARED, k);
        return GateOperation.apply(tape, Activation.SIGMOID, r, value.apply(tape, hidden), null);
    }

    @Override
    public boolean isPerPosition() {
        return false;
    }

    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        Tensor previous = state.tensor("previous", x.size(0), 1, x.size(2));
        Tensor y = apply(tape, x, previous);
        Rows.copy(tape.stream(), x, x.size(1) - 1, previous, 0, 1);
        return y;
    }

    /** The input before. */
    @Override
    public long stateSize(int length) {
        return timeMixK.size();
    }
}
