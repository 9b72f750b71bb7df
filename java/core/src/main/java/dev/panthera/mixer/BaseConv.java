package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.Activation;
import dev.panthera.kernels.ConvMethod;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.tensor.ActivationOperation;
import dev.panthera.tensor.GateOperation;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.List;

/**
 * A convolution gated by a projection: {@code y = conv(u) * (W u + b) + u}, or with activation
 * {@code y = SiLU(conv(u)) * SiLU(W u + b) + u} (Arora et al. 2023, arXiv 2312.04927, eq. 1, with the skips of its
 * code). A long convolution adds its input once more; see {@link LongConvolution}.
 */
public record BaseConv(Mixer conv, Linear projection, boolean activation) implements Mixer {

    /**
     * @param taps of the layers' filters: layer l has entry l modulo their number; {@link #LONG}: as long as the sequence
     * @param implicit whether a network computes the long filters, or they are parameters
     * @param activation whether both factors pass through SiLU
     * @param skip whether long convolutions add their input, which is in the original's code and not in the paper's equation
     * @param maxLength positions of long filters; 0: as many as the longest sequence has
     * @param method how long convolutions are computed
     */
    public record Config(
            List<Integer> taps,
            boolean implicit,
            boolean activation,
            boolean skip,
            int maxLength,
            ConvMethod method)
            implements MixerConfig {
        /** The entry of {@link #taps} for a filter as long as the sequence. */
        public static final int LONG = -1;

        public Config {
            taps = List.copyOf(taps);
            UserException.require(
                    !taps.isEmpty(), "--taps: base-conv needs at least one number; try 3,-1");
            for (int count : taps) {
                UserException.require(
                        count >= 1 || count == LONG,
                        "--taps %d: a filter has at least one tap, or is as long as the sequence (-1); try 3,-1",
                        count);
            }
        }

        public Config(List<Integer> taps, ConvMethod method) {
            this(taps, true, false, true, 0, method);
        }

        @Override
        public BaseConv build(Layer layer, Init init) {
            int width = layer.width();
            var projection = Linear.of(width, width, init);
            return new BaseConv(conv(layer).build(layer, init), projection, activation);
        }

        private MixerConfig conv(Layer layer) {
            int count = taps.get(layer.index() % taps.size());
            if (count != LONG) {
                return new ShortConvolution.Config(count);
            }
            return implicit
                    ? new ImplicitLongConvolution.Config(maxLength, 3, 16, skip, method)
                    : new LongConvolution.Config(maxLength, skip, method);
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor u) {
        return gate(tape, conv.forward(tape, u), u);
    }

    @Override
    public Tensor forwardRows(Tape tape, Tensor u, Tensor rows) {
        Tensor convolved = conv.forwardRows(tape, u, rows);
        return gate(tape, convolved, GatherRowsOperation.apply(tape, u, rows));
    }

    @Override
    public Tensor extend(Tape tape, Tensor u, DecodeState state) {
        return gate(tape, conv.extend(tape, u, state), u);
    }

    private Tensor gate(Tape tape, Tensor convolved, Tensor u) {
        Tensor gate = projection.apply(tape, u);
        if (!activation) {
            return GateOperation.apply(tape, Activation.IDENTITY, convolved, gate, u);
        }
        Tensor activated = ActivationOperation.apply(tape, Activation.SILU, gate);
        return GateOperation.apply(tape, Activation.SILU, convolved, activated, u);
    }

    @Override
    public long stateSize(int length) {
        return conv.stateSize(length);
    }

    @Override
    public long publishedStateSize(int length) {
        return conv.publishedStateSize(length);
    }
}
