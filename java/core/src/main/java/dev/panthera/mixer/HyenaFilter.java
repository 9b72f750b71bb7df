package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.Reduction;
import dev.panthera.nn.FeatureLayer;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.Parameterized;
import dev.panthera.nn.PositionalFeatures;
import dev.panthera.nn.Sine;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.ExponentialModulationOperation;
import dev.panthera.tensor.ReduceOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * The implicit filter of {@link Hyena}: {@code h[t] = network(z[t]) * (exp(-t' |delta|) + shift)} with features z, learned
 * unless fixed, and t' = t / (length - 1); the skip is its {@code bias}.
 */
public record HyenaFilter(
        Tensor bias,
        @StateName("pos_emb") Positions positions,
        @StateName("implicit_filter") List<FeatureLayer> network,
        Decay modulation,
        Options options)
        implements Parameterized {
    /**
     * @param z features, {@code (1, taps, features)}
     * @param t time from 0 to 1, {@code (1, taps, 1)}, not trained; a part of the original's state
     */
    public record Positions(Tensor z, Tensor t) implements Parameterized {}

    /** @param deltas {@code (1, 1, channels)}, not trained */
    public record Decay(Tensor deltas) implements Parameterized {}

    /**
     * @param order hidden channels of the network
     * @param features of a position, odd, at least 3
     * @param frequency from which the sines' learned frequencies start
     * @param innerLayers hidden layers after the first
     * @param fixed whether the features of positions stay as they are, instead of being trained
     * @param modulated whether the filter decays
     * @param window how it decays
     * @param normalized whether each tap is divided by its L1 norm over the channels
     * @param linear whether the network is a single linear layer without bias
     * @param skip whether the convolution adds {@code bias * v}
     */
    public record Options(
            int order,
            int features,
            double frequency,
            int innerLayers,
            boolean fixed,
            boolean modulated,
            Window window,
            boolean normalized,
            boolean linear,
            boolean skip) {
        /** Those of the original. */
        public static final Options DEFAULT =
                new Options(64, 3, 1, 2, false, true, Window.DEFAULT, false, false, true);

        public Options {
            Filters.checkFeatures(features);
            UserException.require(
                    order >= 1,
                    "filter order %d: the network of a filter needs at least one hidden channel; try 64",
                    order);
            UserException.require(
                    innerLayers >= 0,
                    "%d inner layers: a network cannot have less than none; try 2",
                    innerLayers);
        }
    }

    /**
     * The decaying window {@code exp(-t' |delta|) + shift}. Rates delta are spaced evenly over the channels.
     *
     * @param fast part of the positions after which the fastest channel has decayed to {@code target}
     * @param slow likewise the slowest
     * @param target a number in (0, 1)
     * @param shift added everywhere
     */
    public record Window(double fast, double slow, double target, double shift) {
        /** That of the original. */
        public static final Window DEFAULT = new Window(0.3, 1.5, 0.01, 0);

        public Window {
            UserException.require(
                    fast > 0 && slow > 0,
                    "filter that decays within %s to %s of the positions: parts above 0 are needed; try 0.3 to 1.5",
                    fast,
                    slow);
            UserException.require(
                    target > 0 && target < 1,
                    "filter that decays to %s: a number between 0 and 1 is needed; try 0.01",
                    target);
            UserException.require(
                    Double.isFinite(shift), "filter window shifted by %s: try 0", shift);
        }

        /** Rates of all channels. */
        float[] deltas(int width) {
            double slowest = Math.log(target) / slow;
            double fastest = Math.log(target) / fast;
            float[] deltas = new float[width];
            for (int c = 0; c < width; c++) {
                double part = width == 1 ? 0 : (double) c / (width - 1);
                deltas[c] = (float) (slowest + part * (fastest - slowest));
            }
            return deltas;
        }
    }

    static HyenaFilter of(Options options, int taps, int width, Init init) {
        return new HyenaFilter(
                init.normal(1, true, width),
                new Positions(
                        PositionalFeatures.of(taps, options.features, !options.fixed, init).z(),
                        init.values(times(taps), false, 1, taps, 1)),
                network(options, width, init),
                new Decay(init.values(options.window.deltas(width), false, 1, 1, width)),
                options);
    }

    private static List<FeatureLayer> network(Options options, int width, Init init) {
        if (options.linear) {
            return List.of(Linear.of(options.features, width, false, init));
        }
        var sine = new Sine(init.constant((float) options.frequency, 1, options.order));
        List<FeatureLayer> layers = new ArrayList<>();
        layers.add(Linear.of(options.features, options.order, init));
        layers.add(sine);
        for (int i = 0; i < options.innerLayers; i++) {
            layers.add(Linear.of(options.order, options.order, init));
            layers.add(sine);
        }
        layers.add(Linear.of(options.order, width, false, init));
        return List.copyOf(layers);
    }

    private static float[] times(int taps) {
        float[] times = new float[taps];
        for (int t = 1; t < taps; t++) {
            times[t] = (float) ((double) t / (taps - 1));
        }
        return times;
    }

    /** The filter of all positions, {@code (1, taps, channels)}. */
    Tensor compute(Tape tape) {
        Tensor h = FeatureLayer.applyAll(tape, network, positions.z());
        if (options.modulated) {
            double timeStep = taps() == 1 ? 0 : 1.0 / (taps() - 1);
            h =
                    ExponentialModulationOperation.apply(
                            tape, h, modulation.deltas(), timeStep, options.window.shift);
        }
        if (options.normalized) {
            h = h.dividedBy(ReduceOperation.apply(tape, Reduction.SUM_OF_MAGNITUDES, h, 2));
        }
        return h;
    }

    int taps() {
        return positions.t().size(1);
    }
}
