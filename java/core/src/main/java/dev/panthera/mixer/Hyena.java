package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.Activation;
import dev.panthera.kernels.ConvMethod;
import dev.panthera.nn.DepthwiseConv;
import dev.panthera.nn.Dropout;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.Columns;
import dev.panthera.tensor.FilterLayout;
import dev.panthera.tensor.GateOperation;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.LongConvOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The Hyena operator of order 2 (Poli et al. 2023, arXiv 2302.10866): a short convolution of three projections x1, x2 and
 * v, then {@code y = W_out (x2 * (h * (x1 v) + beta x1 v)) + b} with an implicit long filter h.
 */
public record Hyena(
        @StateName("in_proj") Linear input,
        @StateName("out_proj") Linear output,
        @StateName("short_filter") DepthwiseConv shortFilter,
        @StateName("filter_fn") HyenaFilter filter,
        Dropout dropout,
        ConvMethod method)
        implements Mixer {
    private static final int DROPOUT_SITE = 8;
    private static final int PARTS = 3;

    /**
     * @param maxLength positions of the filter; 0: as many as the longest sequence has
     * @param shortTaps taps of the short convolution
     * @param dropout of the gated input of the long convolution, when training
     * @param filter options of the implicit filter
     * @param method how the long convolution is computed
     */
    public record Config(
            int maxLength,
            int shortTaps,
            double dropout,
            HyenaFilter.Options filter,
            ConvMethod method)
            implements MixerConfig {
        public Config {
            UserException.require(
                    shortTaps >= 1,
                    "short filter of %d taps: at least one is needed; try 3",
                    shortTaps);
            UserException.require(
                    dropout >= 0 && dropout < 1,
                    "hyena dropout %s: a probability in [0, 1) is needed; try 0",
                    dropout);
        }

        public Config(ConvMethod method) {
            this(0, 3, 0, HyenaFilter.Options.DEFAULT, method);
        }

        @Override
        public Hyena build(Layer layer, Init init) {
            int width = layer.width();
            int taps = Filters.taps(maxLength, layer);
            return new Hyena(
                    Linear.of(width, layer.hidden(PARTS), init),
                    Linear.residual(width, width, init),
                    DepthwiseConv.of(layer.hidden(PARTS), shortTaps, init),
                    HyenaFilter.of(filter, taps, width, init),
                    new Dropout((float) dropout, 0, layer.dropoutKey(DROPOUT_SITE)),
                    method);
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return output.apply(tape, mix(tape, x));
    }

    @Override
    public Tensor forwardRows(Tape tape, Tensor x, Tensor rows) {
        return output.apply(tape, GatherRowsOperation.apply(tape, mix(tape, x), rows));
    }

    /** All but the output projection, which needs no other row than its own. */
    private Tensor mix(Tape tape, Tensor x) {
        Filters.checkLength("hyena", x.size(1), filter.taps());
        Tensor packed = shortFilter.apply(tape, input.apply(tape, x));
        Columns x1 = Columns.part(packed, 0, PARTS);
        Columns x2 = Columns.part(packed, 1, PARTS);
        Columns v = Columns.part(packed, 2, PARTS);
        if (tape.training() && dropout.probability() > 0) {
            Tensor gated = GateOperation.apply(tape, Activation.IDENTITY, v, x1, null);
            return convolve(tape, Columns.of(dropout.apply(tape, gated)), null, x2);
        }
        return convolve(tape, v, x1, x2);
    }

    /** Keeps the inputs of the short filter's taps and, of all positions, those of the long convolution. */
    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        Filters.checkLength("hyena", state.position() + x.size(1), filter.taps());
        Tensor packed =
                shortConvolution().extend(tape, input.apply(tape, x), state.part("short_filter"));
        Tensor gated =
                GateOperation.apply(
                        tape,
                        Activation.IDENTITY,
                        Columns.part(packed, 2, PARTS),
                        Columns.part(packed, 0, PARTS),
                        null);
        var longFilter =
                new LongFilter(
                        () -> filter.compute(tape),
                        FilterLayout.TAPS_FIRST,
                        filter.options().skip() ? filter.bias() : null,
                        method);
        Tensor convolved = longFilter.extend(tape, gated, state);
        Tensor y =
                GateOperation.apply(
                        tape,
                        Activation.IDENTITY,
                        Columns.of(convolved),
                        Columns.part(packed, 1, PARTS),
                        null);
        return output.apply(tape, y);
    }

    private ShortConvolution shortConvolution() {
        return new ShortConvolution(shortFilter);
    }

    private Tensor convolve(Tape tape, Columns u, @Nullable Columns pre, Columns post) {
        return LongConvOperation.apply(
                tape,
                u,
                pre,
                post,
                filter.compute(tape),
                FilterLayout.TAPS_FIRST,
                filter.options().skip() ? filter.bias() : null,
                method);
    }

    /** Every input of the long convolution, and those that the short filter's taps will meet again. */
    @Override
    public long stateSize(int length) {
        return publishedStateSize(length) + shortConvolution().stateSize(length);
    }

    /** Without the inputs of the short filter. */
    @Override
    public long publishedStateSize(int length) {
        return (long) length * filter.bias().size(0);
    }
}
