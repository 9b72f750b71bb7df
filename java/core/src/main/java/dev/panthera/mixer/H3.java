package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.ConvMethod;
import dev.panthera.kernels.DiagonalSsmScanKernel;
import dev.panthera.kernels.Reduction;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.Parameterized;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.BroadcastOperation;
import dev.panthera.tensor.Columns;
import dev.panthera.tensor.DiagonalSsmOperation;
import dev.panthera.tensor.FilterLayout;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.LinearOperation;
import dev.panthera.tensor.LongConvOperation;
import dev.panthera.tensor.PermuteOperation;
import dev.panthera.tensor.ReduceOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.ShiftSsmOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Hungry Hungry Hippos (Fu et al. 2022, arXiv 2212.14052, section 3): a shift state space over the keys, the product with the
 * values, a diagonal state space over that, and a gate of the queries. With projections q, k, v of the input, in heads of P
 * channels, for channels i and j of a head,
 *
 * <pre>
 * k' = shift * k + D_k k      s_ij = K * (k'_i v_j) + D (k'_i v_j)      y_j = sum_i q_i s_ij
 * </pre>
 *
 * and a projection of all y. The filter of the shift has as many taps as its state has numbers; the filter K of a head, which
 * is as long as the sequence, that of half as many complex modes, after S4D (Gu et al. 2022, arXiv 2206.11893). The heads' y
 * are interleaved: channel {@code j * heads + h} is y_j of head h.
 */
public record H3(
        @StateName("q_proj") Linear query,
        @StateName("k_proj") Linear key,
        @StateName("v_proj") Linear value,
        @StateName("output_linear") Linear output,
        @StateName("ssm_k_kernel") Shift shift,
        @StateName("ssm_k_D") Tensor shiftSkip,
        @StateName("kernel") Diagonal diagonal,
        @StateName("D") Tensor skip,
        Config config)
        implements Mixer {

    /**
     * @param stateSize numbers of the state of a channel in each state space, at least 2; 0: as many as the longest sequence
     *     has positions
     * @param headDim channels of a head, whose keys and values are all multiplied; divides the width
     * @param maxLength the most taps of a filter, and the longest sequence that can be decoded; 0: any length
     * @param method how the convolutions are computed
     */
    public record Config(int stateSize, int headDim, int maxLength, ConvMethod method)
            implements MixerConfig {
        public Config {
            UserException.require(
                    stateSize == 0 || stateSize >= 2,
                    "h3 state of %d: a complex mode needs 2 numbers; try 64, or 0, the longest length of the data",
                    stateSize);
            UserException.require(
                    headDim >= 1,
                    "h3 heads of %d channels: at least one is needed; try 1",
                    headDim);
            UserException.require(
                    maxLength >= 0,
                    "longest length %d of a filter: try 0, the length of the sequence",
                    maxLength);
        }

        public Config(ConvMethod method) {
            this(64, 1, 0, method);
        }

        @Override
        public void check(int width) {
            UserException.require(
                    width % headDim == 0,
                    "h3 heads of %d channels: they must divide the width --d-model %d; try 1",
                    headDim,
                    width);
        }

        @Override
        public H3 build(Layer layer, Init init) {
            int width = layer.width();
            check(width);
            layer.hidden(headDim); // as many products as an array can have
            int heads = width / headDim;
            int state = stateSize == 0 ? Math.max(2, layer.length()) : stateSize;
            return new H3(
                    Linear.of(width, width, init),
                    Linear.of(width, width, init),
                    Linear.of(width, width, init),
                    Linear.of(width, width, init),
                    Shift.of(width, state, init),
                    init.normal(1, true, width),
                    Diagonal.of(heads, state / 2, init),
                    init.normal(1, true, heads),
                    this);
        }
    }

    /** The state space of the keys, under the original's names. */
    public record Shift(@StateName("kernel") Matrices matrices) implements Parameterized {

        /**
         * @param b {@code (channels, stateSize)}, the first unit vector at first: then the filter is {@code c}
         * @param c {@code (1, channels, stateSize)}
         */
        public record Matrices(@StateName("B") Tensor b, @StateName("C") Tensor c)
                implements Parameterized {}

        static Shift of(int channels, int stateSize, Init init) {
            float[] b = new float[Math.multiplyExact(channels, stateSize)];
            for (int h = 0; h < channels; h++) {
                b[h * stateSize] = 1;
            }
            return new Shift(
                    new Matrices(
                            init.values(b, true, channels, stateSize),
                            init.uniform(1 / Math.sqrt(stateSize), 1, channels, stateSize)));
        }

        int stateSize() {
            return matrices.b.size(-1);
        }

        Tensor filter(Tape tape, int taps) {
            return ShiftSsmOperation.apply(tape, matrices.b, matrices.c, taps);
        }
    }

    /** The state spaces of the heads, under the original's names. */
    public record Diagonal(@StateName("kernel") Matrices matrices) implements Parameterized {
        private static final double SHORTEST_STEP = 0.001;
        private static final double LONGEST_STEP = 0.1;

        /**
         * @param logDt {@code (heads)}, uniform between the logarithms of 0.001 and 0.1 at first
         * @param aRealLog {@code (heads, modes)}: A = -exp(aRealLog) + i aImag, at first -1/2 + i pi n for mode n
         * @param aImag {@code (heads, modes)}
         * @param b {@code (heads, modes, 2)}: real and imaginary parts, 1 at first
         * @param c {@code (1, heads, modes, 2)}, of complex normal distribution at first
         */
        public record Matrices(
                @StateName("log_dt") Tensor logDt,
                @StateName("inv_A_real") Tensor aRealLog,
                @StateName("A_imag") Tensor aImag,
                @StateName("B") Tensor b,
                @StateName("C") Tensor c)
                implements Parameterized {}

        static Diagonal of(int heads, int modes, Init init) {
            float[] imaginary = new float[Math.multiplyExact(heads, modes)];
            float[] ones = new float[Math.multiplyExact(2, imaginary.length)];
            for (int i = 0; i < imaginary.length; i++) {
                imaginary[i] = (float) (Math.PI * (i % modes));
                ones[2 * i] = 1;
            }
            return new Diagonal(
                    new Matrices(
                            init.uniformBetween(
                                    Math.log(SHORTEST_STEP), Math.log(LONGEST_STEP), heads),
                            init.constant((float) Math.log(0.5), heads, modes),
                            init.values(imaginary, true, heads, modes),
                            init.values(ones, true, heads, modes, 2),
                            init.normal(Math.sqrt(0.5), true, 1, heads, modes, 2)));
        }

        DiagonalSsmOperation.Parameters parameters() {
            return new DiagonalSsmOperation.Parameters(
                    matrices.logDt, matrices.aRealLog, matrices.aImag, matrices.b, matrices.c);
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Tensor q = project(tape, query, x);
        Tensor y =
                config.headDim == 1
                        ? remember(tape, x, Columns.of(q))
                        : read(tape, remember(tape, x, null), q);
        return output.apply(tape, y);
    }

    /** Queries are projected for the needed rows only. */
    @Override
    public Tensor forwardRows(Tape tape, Tensor x, Tensor rows) {
        Tensor s = GatherRowsOperation.apply(tape, remember(tape, x, null), rows);
        Tensor q = project(tape, query, GatherRowsOperation.apply(tape, x, rows));
        return output.apply(tape, read(tape, s, q));
    }

    /** A projection whose channels are in the order of {@link #headsLast}. */
    private Tensor project(Tape tape, Linear linear, Tensor x) {
        return LinearOperation.apply(
                tape,
                x,
                headsLast(tape, linear.weight(), 0),
                headsLast(tape, Objects.requireNonNull(linear.bias()), 0));
    }

    /**
     * Parameters of channel {@code h * headDim + i} at place {@code i * heads + h}: so that activations come with neighbouring
     * heads side by side, which is fast, and heads interleaved, as the output has them.
     */
    private Tensor headsLast(Tape tape, Tensor x, int dimension) {
        if (config.headDim == 1) {
            return x;
        }
        int[] shape = x.shape();
        int outer = 1;
        for (int i = 0; i < dimension; i++) {
            outer *= shape[i];
        }
        int inner = Math.toIntExact(x.size() / outer / shape[dimension]);
        Tensor parts = ReshapeOperation.apply(tape, x, outer, -1, config.headDim, inner);
        return ReshapeOperation.apply(tape, PermuteOperation.apply(tape, parts, 0, 2, 1, 3), shape);
    }

    /**
     * All s, {@code (batch, length, headDim * headDim * heads)}.
     *
     * @param gate by which the result is multiplied, or null
     */
    private Tensor remember(Tape tape, Tensor x, @Nullable Columns gate) {
        int length = x.size(1);
        int taps = config.maxLength == 0 ? length : Math.min(length, config.maxLength);
        Tensor keys =
                shiftFilter(tape, Math.min(taps, shift.stateSize()))
                        .convolve(tape, project(tape, key, x));
        Tensor values = project(tape, value, x);
        boolean single = config.headDim == 1;
        return LongConvOperation.apply(
                tape,
                Columns.of(single ? keys : products(tape, keys, values)),
                single ? Columns.of(values) : null,
                gate,
                repeated(tape, DiagonalSsmOperation.apply(tape, diagonal.parameters(), taps)),
                FilterLayout.TAPS_FIRST,
                repeated(tape, skip),
                config.method);
    }

    private LongFilter shiftFilter(Tape tape, int taps) {
        return new LongFilter(
                () -> headsLast(tape, shift.filter(tape, taps), 2),
                FilterLayout.TAPS_FIRST,
                headsLast(tape, shiftSkip, 0),
                config.method);
    }

    /** {@code k'_i v_j} of all channels of each head. */
    private Tensor products(Tape tape, Tensor keys, Tensor values) {
        Tensor k = inHeads(tape, keys, config.headDim, 1);
        Tensor v = inHeads(tape, values, 1, config.headDim);
        return ReshapeOperation.apply(tape, k.times(v), keys.size(0), keys.size(1), -1);
    }

    /** What is the same for all products of a head, {@code (..., heads)}, repeated for each of them. */
    private Tensor repeated(Tape tape, Tensor ofHeads) {
        if (config.headDim == 1) {
            return ofHeads;
        }
        int heads = ofHeads.size(-1);
        int rows = Math.toIntExact(ofHeads.rows());
        int products = config.headDim * config.headDim;
        Tensor once = ReshapeOperation.apply(tape, ofHeads, rows, 1, heads);
        Tensor all = BroadcastOperation.apply(tape, once, rows, products, heads);
        int[] shape = ofHeads.shape();
        shape[shape.length - 1] *= products;
        return ReshapeOperation.apply(tape, all, shape);
    }

    /** {@code y_j = sum_i q_i s_ij}. */
    private Tensor read(Tape tape, Tensor s, Tensor q) {
        if (config.headDim == 1) {
            return s.times(q);
        }
        int dim = config.headDim;
        Tensor weighted = inHeads(tape, s, dim, dim).times(inHeads(tape, q, dim, 1));
        Tensor sums = ReduceOperation.apply(tape, Reduction.SUM, weighted, 2);
        return ReshapeOperation.apply(tape, sums, q.shape());
    }

    private Tensor inHeads(Tape tape, Tensor x, int rows, int columns) {
        return ReshapeOperation.apply(tape, x, x.size(0), x.size(1), rows, columns, -1);
    }

    /** Keeps the keys that the taps of the shift will meet again, and the states of the modes. */
    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        int length = state.position() + x.size(1);
        if (config.maxLength > 0) {
            Filters.checkLength("h3", length, config.maxLength);
        }
        int taps = shift.stateSize();
        Tensor keys =
                shiftFilter(tape, taps)
                        .extendWithin(tape, project(tape, key, x), state.part("shift"), taps);
        Tensor products = products(tape, keys, project(tape, value, x));
        Tensor skips = state.derived("skips", () -> repeated(tape, skip));
        Tensor s = scan(tape, products, state).plus(products.times(skips));
        return output.apply(tape, read(tape, s, project(tape, query, x)));
    }

    /** The convolution with the filter of the diagonal state spaces, as a recurrence. */
    private Tensor scan(Tape tape, Tensor products, DecodeState state) {
        tape.requireEvaluation("diagonal state space");
        var parameters = diagonal.parameters();
        int heads = parameters.heads();
        int channels = products.size(2);
        var kernel =
                new DiagonalSsmScanKernel(
                        products.size(0),
                        products.size(1),
                        heads,
                        channels / heads,
                        parameters.modes());
        Tensor modes = state.tensor("modes", products.size(0), channels, parameters.modes(), 2);
        Tensor y = tape.allocate(products.shape());
        try (var workspace = tape.scratch(kernel.workspaceBytes(tape.stream()))) {
            kernel.apply(
                    tape.stream(),
                    products.values(),
                    parameters.values(),
                    modes.values(),
                    y.values(),
                    Tape.Scratch.of(workspace));
        }
        return y;
    }

    /** Two numbers for each mode of each product, and the keys that the taps of the shift will meet again. */
    @Override
    public long stateSize(int length) {
        long channels = shiftSkip.size();
        long keys = Math.min(length, shift.stateSize() - 1) * channels;
        return keys + channels * config.headDim * 2 * diagonal.parameters().modes();
    }

    /** As many numbers for each channel as one of its state spaces has. */
    @Override
    public long publishedStateSize(int length) {
        return shiftSkip.size() * shift.stateSize();
    }
}
