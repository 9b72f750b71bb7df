import module dev.panthera;

/**
 * Whether every mixer learns to recall: two layers, a short convolution and the mixer, at one small width, on the two easiest settings of
 * figure 2 of Zoology (Arora et al. 2023, arXiv 2312.04927), the best of four learning rates.
 *
 *     --scale short        a fifth of the rows, up to an eighth of the passes, three learning rates: about an hour on two cores
 *     --scale small        that with a smaller vocabulary and two learning rates
 */
void main(String... args) {
    Sweep.named("zoo-learning")
        .description("Each mixer behind a short convolution: best accuracy on multi-query associative recall")
        .over(Mqar.of(64, 4), Mqar.of(128, 8))
        .examples(100_000, 3_000).fillers(Filler.ZERO).batch(512)
        .over(Width.of(64))
        .over(LearningRate.of(1e-3, 3.16e-3, 1e-2, 3.16e-2))
        .over(models())
        .epochs(64).stopAbove(0.99)
        .scale("short", sweep -> sweep
            .examples(20_000, 1_000).batch(64)
            .over(LearningRate.of(1e-3, 3.16e-3, 1e-2))
            .epochs(8))
        .scale("small", sweep -> sweep
            .over(Mqar.of(64, 4).withVocabSize(512), Mqar.of(128, 8).withVocabSize(512))
            .examples(20_000, 1_000).batch(64)
            .over(LearningRate.of(2e-3, 1e-2))
            .epochs(16))
        .run(args);
}

Layers[] models() {
    return new Layers[] {
        hybrid("attention", new Attention.Config(1)),
        hybrid("hyena", new Hyena.Config(ConvMethod.AUTO)),
        hybrid("h3", new H3.Config(ConvMethod.AUTO)),
        hybrid("based", new Based.Config(16, 1, new TaylorExp.Config())),
        hybrid("performer", new Performer.Config(1, 256)),
        hybrid("rwkv-4", new Rwkv4.Config()), hybrid("mamba", new Mamba.Config(16)), hybrid("cum-sum", new CumSum.Config())
    };
}

Layers hybrid(String label, MixerConfig mixer) {
    return Layers.of(2, Hybrid.Config.of(new BaseConv.Config(List.of(3), ConvMethod.AUTO), mixer)).named(label).positions(false);
}
