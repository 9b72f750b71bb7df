import module dev.panthera;

/** Does a gated short convolution recall? A mixer that only this file knows, beside attention. */
void main(String... args) {
    Sweep.named("own-mixer")
        .over(Mqar.of(64, 4).withVocabSize(256)).examples(20_000, 1_000)
        .over(Width.of(64)).over(LearningRate.logspace(-3, -2, 2))
        .over(Layers.of(2, new GatedConvolution.Config(3)), Layers.of(2, new Attention.Config(1)))
        .epochs(16).stopAbove(0.99)
        .run(args);
}

/** {@code y = W_o (SiLU(W_g x) * conv(W_v x))}: a short convolution of values, gated by the present token. */
record GatedConvolution(
        Linear gate, Linear value, ShortConvolution conv, @StateName("out_proj") Linear output) implements Mixer {

    /** @param taps how many positions the convolution sees, its own included */
    record Config(int taps) implements MixerConfig {
        Config {
            UserException.require(taps >= 1, "gated convolution of %d taps: at least one is needed; try 3", taps);
        }

        @Override
        public GatedConvolution build(Layer layer, Init init) {
            int width = layer.width();
            return new GatedConvolution(
                    Linear.of(width, width, init),
                    Linear.of(width, width, init),
                    new ShortConvolution.Config(taps).build(layer, init),
                    Linear.residual(width, width, init));
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return gated(tape, x, conv.forward(tape, value.apply(tape, x)));
    }

    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        return gated(tape, x, conv.extend(tape, value.apply(tape, x), state));
    }

    private Tensor gated(Tape tape, Tensor x, Tensor convolved) {
        return output.apply(
                tape, GateOperation.apply(tape, Activation.SILU, gate.apply(tape, x), convolved, null));
    }

    @Override
    public long stateSize(int length) {
        return conv.stateSize(length);
    }
}
