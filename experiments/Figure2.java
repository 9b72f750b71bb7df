import module dev.panthera;

/**
 * Zoology, figure 2 (Arora et al. 2023, arXiv 2312.04927): best accuracy on multi-query associative recall against model width, for
 * four lengths, over four learning rates. Attention has two layers, the others four.
 *
 *     --scale two-layers   two layers for all, as the paper's code has it since May 2024
 *     --scale small        a smaller vocabulary and narrower models, for two cores
 *     --scale sparse       attention and the mixers whose queries see few keys, two layers of each
 */
void main(String... args) {
    Sweep.named("figure-2")
        .description("Zoology, figure 2: best accuracy on multi-query associative recall against model width")
        .over(Mqar.of(64, 4), Mqar.of(128, 8), Mqar.of(256, 16), Mqar.of(512, 64))
        .examples(100_000, 3_000).fillers(Filler.ZERO)
        .batch(task -> task.length() <= 128 ? 512 : task.length() <= 256 ? 256 : 128)
        .over(Width.of(64, 128, 256, 512))
        .over(LearningRate.logspace(-4, -2, 4))
        .over(models(4))
        .epochs(64).stopAbove(0.99)
        .scale("two-layers", sweep -> sweep.over(models(2)))
        .scale("small", sweep -> sweep
            .over(Mqar.of(64, 4).withVocabSize(256), Mqar.of(64, 8).withVocabSize(256))
            .examples(20_000, 1_000).batch(64)
            .over(Width.of(16, 32, 64))
            .over(LearningRate.of(2e-3, 1e-2))
            .epochs(16))
        .scale("sparse", sweep -> sweep.over(sparse()))
        .run(args);
}

Layers[] models(int layers) {
    return new Layers[] {
        Layers.of(2, new Attention.Config(1)),
        Layers.of(layers, new BaseConv.Config(List.of(3, -1), ConvMethod.AUTO)),
        Layers.of(layers, new Hyena.Config(ConvMethod.AUTO)),
        Layers.of(layers, new H3.Config(0, 2, 0, ConvMethod.AUTO)),
        Layers.of(layers, Hybrid.Config.of(new BaseConv.Config(List.of(3), ConvMethod.AUTO), new Based.Config(8, 1, new TaylorExp.Config())))
            .named("based").positions(false),
        Layers.of(layers, new Rwkv4.Config()).named("rwkv"),
        Layers.of(layers, new Mamba.Config(16))
    };
}

Layers[] sparse() {
    return new Layers[] {
        Layers.of(2, new Attention.Config(1)),
        Layers.of(2, new SlidingAttention.Config(1, 32, false, 0.1, true)),
        Layers.of(2, new BigBird.Config(1, 8)),
        Layers.of(2, new ScatterBrain.Config(1, 32, 24)),
        Layers.of(2, new Nystrom.Config(1, 16)),
        Layers.of(2, new MultiResolutionAttention.Config(1, 1)),
        Layers.of(2, new NativeSparseAttention.Config(2, 16, 8, 4)),
        Layers.of(2, new SelectedAttention.Config(1, new LearnedSelection.Config(), 16))
    };
}
