package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.Activation;
import dev.panthera.nn.DepthwiseConv;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.ActivationOperation;
import dev.panthera.tensor.Columns;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.LinearOperation;
import dev.panthera.tensor.SelectiveScanOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * The Mamba layer with its selective state space S6 (Gu and Dao 2023, arXiv 2312.00752, algorithm 2 and section 3.4):
 *
 * <pre>
 *     x, z = W_in u                    x = SiLU(conv(x))                  E = expansion * channels each
 *     r, B, C = W_x x                  D = softplus(W_dt r + b_dt)        rank, N and N numbers; E step sizes
 *     h_t = exp(D_t A) h_{t-1} + D_t B_t x_t                              A = -exp(A_log), E x N
 *     y_t = (C_t h_t + skip x_t) * SiLU(z_t)                              output = W_out y
 * </pre>
 *
 * How much of a token enters the state, how fast the state fades and what is read from it depend on the token.
 *
 * @param stepProjection from rank to step sizes; its bias is added inside the scan
 * @param rates A_log, {@code (E, N)}
 * @param skip {@code (E)}
 */
public record Mamba(
        @StateName("in_proj") Linear input,
        @StateName("conv1d") DepthwiseConv conv,
        @StateName("x_proj") Linear selection,
        @StateName("dt_proj") Linear stepProjection,
        @StateName("A_log") Tensor rates,
        @StateName("D") Tensor skip,
        @StateName("out_proj") Linear output)
        implements Mixer {

    /**
     * @param stateSize numbers that each inner channel remembers, N
     * @param convTaps taps of the short convolution
     * @param expansion inner channels for each channel of the model
     * @param rank of the step sizes' projection; 0: a sixteenth of the width, rounded up
     * @param convBias whether the short convolution has a bias
     * @param bias whether the input and output projections have one
     * @param stepMin the initial step sizes lie between this, log-uniformly,
     * @param stepMax and this,
     * @param stepFloor but none below this
     */
    public record Config(
            int stateSize,
            int convTaps,
            int expansion,
            int rank,
            boolean convBias,
            boolean bias,
            double stepMin,
            double stepMax,
            double stepFloor)
            implements MixerConfig {
        private static final int CHANNELS_PER_RANK = 16;

        public Config {
            requirePositive("state size", stateSize, 16);
            requirePositive("convolution taps", convTaps, 4);
            requirePositive("expansion", expansion, 2);
            UserException.require(
                    rank >= 0,
                    "rank %d of mamba's step sizes: at least 1 is needed; 0 means a sixteenth of the width",
                    rank);
            UserException.require(
                    0 < stepMin && stepMin <= stepMax && 0 < stepFloor && Double.isFinite(stepMax),
                    "mamba's first step sizes between %s and %s, not below %s: they must be positive, the second not less than the first; try 0.001, 0.1 and 1e-4",
                    stepMin,
                    stepMax,
                    stepFloor);
        }

        /** The usual options but for the state. */
        public Config(int stateSize) {
            this(stateSize, 4, 2, 0, true, false, 0.001, 0.1, 1e-4);
        }

        private static void requirePositive(String what, int value, int usual) {
            UserException.require(
                    value >= 1, "%s %d of mamba: at least 1 is needed; try %d", what, value, usual);
        }

        @Override
        public BlockKind usualBlock() {
            return BlockKind.MAMBA;
        }

        @Override
        public void check(int width) {
            double largest = Math.max(2.0 * expansion * width, 2.0 * stateSize + rank + width);
            UserException.require(
                    largest <= Integer.MAX_VALUE,
                    "mamba of width %d with expansion %d, state size %d and rank %d: these are too many channels; try 2, 16 and 0",
                    width,
                    expansion,
                    stateSize,
                    rank);
        }

        @Override
        public Mamba build(Layer layer, Init init) {
            int width = layer.width();
            check(width);
            int inner = expansion * width;
            int steps = rank == 0 ? Math.ceilDiv(width, CHANNELS_PER_RANK) : rank;
            return new Mamba(
                    Linear.of(width, 2 * inner, bias, init),
                    DepthwiseConv.of(inner, convTaps, convBias, init),
                    Linear.of(inner, steps + 2 * stateSize, false, init),
                    new Linear(
                            init.uniform(1 / Math.sqrt(steps), inner, steps),
                            init.stepBias(stepMin, stepMax, stepFloor, inner)),
                    init.values(rates(inner), true, inner, stateSize),
                    init.constant(1, inner),
                    Linear.residual(inner, width, bias, init));
        }

        /** A_log = log 1, ..., log N in each channel (S4D-Real). */
        private float[] rates(int inner) {
            float[] rates = new float[Math.multiplyExact(inner, stateSize)];
            for (int i = 0; i < rates.length; i++) {
                rates[i] = (float) Math.log(1 + i % stateSize);
            }
            return rates;
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor u) {
        return output.apply(tape, inner(tape, u));
    }

    @Override
    public Tensor forwardRows(Tape tape, Tensor u, Tensor rows) {
        return output.apply(tape, GatherRowsOperation.apply(tape, inner(tape, u), rows));
    }

    private Tensor inner(Tape tape, Tensor u) {
        Tensor x = conv.apply(tape, input.outputs(0, channels()).apply(tape, u));
        return SelectiveScanOperation.apply(tape, scanned(tape, x, gate(tape, u)));
    }

    @Override
    public Tensor extend(Tape tape, Tensor u, DecodeState state) {
        Tensor x = input.outputs(0, channels()).apply(tape, u);
        Tensor convolved = new ShortConvolution(conv).extend(tape, x, state.part("conv"));
        Tensor scanState = state.tensor("scan", state.batch(), stateNumbers(), channels());
        return output.apply(
                tape,
                SelectiveScanOperation.extend(
                        tape, scanned(tape, convolved, gate(tape, u)), scanState));
    }

    /** The second half of the input projection. */
    private Tensor gate(Tape tape, Tensor u) {
        return input.outputs(channels(), channels()).apply(tape, u);
    }

    private SelectiveScanOperation.Inputs scanned(Tape tape, Tensor convolved, Tensor gate) {
        Tensor x = ActivationOperation.apply(tape, Activation.SILU, convolved);
        Tensor selected = selection.apply(tape, x);
        int rank = stepProjection.weight().size(1);
        int states = stateNumbers();
        Tensor steps =
                LinearOperation.apply(
                        tape, new Columns(selected, 0, rank), stepProjection.weight(), null);
        return new SelectiveScanOperation.Inputs(
                Columns.of(x),
                Columns.of(steps),
                rates,
                new Columns(selected, rank, states),
                new Columns(selected, rank + states, states),
                skip,
                stepProjection.bias(),
                Columns.of(gate));
    }

    private int channels() {
        return rates.size(0);
    }

    private int stateNumbers() {
        return rates.size(1);
    }

    /** The state of the scan, and the inputs that the taps of the convolution will meet again. */
    @Override
    public long stateSize(int length) {
        return rates.size() + (long) Math.min(length, conv.taps() - 1) * channels();
    }

    /** The state of the scan alone, as if the expansion were 2. */
    @Override
    public long publishedStateSize(int length) {
        return 2L * output.weight().size(0) * stateNumbers();
    }
}
