package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.Activation;
import dev.panthera.kernels.WkvKernel;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.tensor.GateOperation;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.tensor.TokenShiftOperation;
import dev.panthera.tensor.WkvOperation;
import java.util.function.IntToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * The time mixing of RWKV-4 (Peng et al. 2023, arXiv 2305.13048, eq. 11 to 17): a weighted average of all values so far, in
 * which keys give the weights and each channel has a rate at which they decay.
 * <pre>
 * r, k, v = (mix x[t] + (1 - mix) x[t-1]) W^T           each with a mix and a W of its own
 * wkv[t] = ( sum_{s&lt;t} exp(-(t-1-s) exp(time_decay) + k[s]) v[s] + exp(time_first + k[t]) v[t] ) / ( the same without v )
 * y = W_out (sigmoid(r) * wkv)
 * </pre>
 *
 * @param timeDecay {@code (width)}, as the mixes and timeFirst: the logarithm of the rate
 * @param timeFirst what the current key has in addition
 * @param timeMixK {@code (1, 1, width)}: the share of the current input in what keys are made of
 * @param timeMixV likewise of values
 * @param timeMixR likewise of receptances, which gate the average
 */
public record Rwkv4(
        Tensor timeDecay,
        Tensor timeFirst,
        Tensor timeMixK,
        Tensor timeMixV,
        Tensor timeMixR,
        Linear key,
        Linear value,
        Linear receptance,
        Linear output)
        implements Mixer {
    private static final int ORIGINAL_LAYERS = 12;

    /**
     * @param initLayers of how many layers a layer's initial values take the model to be; 0: of as many as it has. The original
     *     always takes it to have 12.
     */
    public record Config(int initLayers) implements MixerConfig {
        public Config {
            checkInitLayers(initLayers);
        }

        /** With the initial values of the original. */
        public Config() {
            this(ORIGINAL_LAYERS);
        }

        @Override
        public Rwkv4 build(Layer layer, Init init) {
            int width = layer.width();
            var depth = Depth.of(layer, initLayers);
            double late = depth.fraction();
            double early = depth.remaining();
            return new Rwkv4(
                    init.values(each(width, c -> decay(c, width, late)), true, width),
                    init.values(
                            each(width, c -> Math.log(0.3) + 0.5 * ((c + 1) % 3 - 1)), true, width),
                    mix(init, width, early, 0),
                    mix(init, width, early, 0.3 * late),
                    mix(init, width, 0.5 * early, 0),
                    linear(width, width, init),
                    linear(width, width, init),
                    linear(width, width, init),
                    linear(width, width, init));
        }

        /** From slow channels to fast ones, of which the later layers have fewer. */
        private static double decay(int channel, int width, double late) {
            return -5 + 8 * Math.pow(channel / Math.max(1.0, width - 1), 0.7 + 1.3 * late);
        }
    }

    /**
     * Where a layer lies, for its initial values.
     *
     * @param fraction from 0 for the first layer to 1 for the last
     * @param remaining from 1 for the first layer to one layer's share for the last
     */
    record Depth(double fraction, double remaining) {

        static Depth of(Layer layer, int initLayers) {
            int layers = initLayers == 0 ? layer.count() : initLayers;
            UserException.require(
                    layer.index() < layers,
                    "rwkv-4: initial values for %d layers in a model of %d; try init_layers 0, for as many as there are",
                    layers,
                    layer.count());
            return new Depth(
                    layer.index() / Math.max(1.0, layers - 1), 1 - (double) layer.index() / layers);
        }
    }

    static void checkInitLayers(int initLayers) {
        UserException.require(
                initLayers >= 0,
                "rwkv-4: initial values for %d layers: a number of layers is needed, or 0 for as many as there are",
                initLayers);
    }

    /** The share {@code (c / width)^exponent + offset} of the current input. */
    static Tensor mix(Init init, int width, double exponent, double offset) {
        return init.values(
                each(width, c -> Math.pow((double) c / width, exponent) + offset),
                true,
                1,
                1,
                width);
    }

    private static float[] each(int width, IntToDoubleFunction value) {
        float[] values = new float[width];
        for (int c = 0; c < width; c++) {
            values[c] = (float) value.applyAsDouble(c);
        }
        return values;
    }

    /** Without bias, U(-1/sqrt(in), 1/sqrt(in)): the original's models leave these layers as their framework makes them. */
    static Linear linear(int in, int out, Init init) {
        return new Linear(init.uniform(1 / Math.sqrt(in), out, in), null);
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return gate(tape, shift(tape, x, timeMixR, null), average(tape, x));
    }

    @Override
    public Tensor forwardRows(Tape tape, Tensor x, Tensor rows) {
        Tensor shifted = shift(tape, x, timeMixR, null);
        return gate(
                tape,
                GatherRowsOperation.apply(tape, shifted, rows),
                GatherRowsOperation.apply(tape, average(tape, x), rows));
    }

    private Tensor average(Tape tape, Tensor x) {
        Tensor k = key.apply(tape, shift(tape, x, timeMixK, null));
        Tensor v = value.apply(tape, shift(tape, x, timeMixV, null));
        return WkvOperation.apply(tape, k, v, timeDecay, timeFirst);
    }

    /** @param x what receptances are made of */
    private Tensor gate(Tape tape, Tensor x, Tensor average) {
        Tensor r = receptance.apply(tape, x);
        return output.apply(tape, GateOperation.apply(tape, Activation.SIGMOID, r, average, null));
    }

    static Tensor shift(Tape tape, Tensor x, Tensor mix, @Nullable Tensor previous) {
        return TokenShiftOperation.apply(tape, x, mix, previous);
    }

    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        int width = x.size(2);
        Tensor previous = state.tensor("previous", x.size(0), 1, width);
        Tensor sums = state.tensor("sums", x.size(0), WkvKernel.STATE_ROWS, width);
        Tensor k = key.apply(tape, shift(tape, x, timeMixK, previous));
        Tensor v = value.apply(tape, shift(tape, x, timeMixV, previous));
        Tensor shifted = shift(tape, x, timeMixR, previous);
        Rows.copy(tape.stream(), x, x.size(1) - 1, previous, 0, 1);
        return gate(tape, shifted, WkvOperation.extend(tape, k, v, timeDecay, timeFirst, sums));
    }

    /** The input before, and a channel's sums of weighted values and of weights with their common exponent. */
    @Override
    public long stateSize(int length) {
        return (1L + WkvKernel.STATE_ROWS) * timeDecay.size();
    }
}
