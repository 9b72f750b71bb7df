import module dev.panthera;

/**
 * How much of attention's advantage over a convolution is left if few positions attend, or if they see few keys (after section 5 of
 * Arora et al. 2023, arXiv 2312.04927): two layers, a short convolution and then a long one (base-conv), attention of all positions to
 * all, attention of at most k positions of each prefix, or attention to a window or to chosen blocks.
 *
 *     --scale small        a vocabulary of 512, a fifth of the rows, six passes, one learning rate: about an hour on two cores
 *
 * benchmarks/gap_report.py makes a table of what `panthera export` writes.
 */
void main(String... args) {
    Sweep.named("sparse-attention")
        .description("Attention of few positions, and to few keys, between a long convolution and attention of all to all")
        .over(Mqar.of(64, 4), Mqar.of(128, 8))
        .examples(100_000, 3_000).fillers(Filler.ZERO).batch(512)
        .over(Width.of(64))
        .over(LearningRate.of(1e-3, 3.16e-3, 1e-2))
        .over(models())
        .over(Seeds.of(1, 2, 3))
        .epochs(64).stopAbove(0.99)
        .scale("small", sweep -> sweep
            .over(Mqar.of(64, 4).withVocabSize(512), Mqar.of(128, 8).withVocabSize(512))
            .examples(20_000, 1_000).batch(64)
            .over(LearningRate.of(3.16e-3))
            .epochs(6))
        .run(args);
}

Layers[] models() {
    List<Layers> models = new ArrayList<>();
    models.add(second("base-conv", new BaseConv.Config(List.of(BaseConv.Config.LONG), ConvMethod.AUTO)));
    models.add(second("attention", new Attention.Config(1)));
    for (int k : List.of(4, 8, 16, 32)) {
        models.add(selected("programmatic", k, new ProgrammaticSelection.Config(true)));
        models.add(selected("learned", k, new LearnedSelection.Config()));
        models.add(selected("learned-mildly", k, new LearnedSelection.Config(false, 1e-3, 0, true)));
        models.add(selected("random", k, new RandomSelection.Config()));
    }
    for (int window : List.of(4, 8, 16, 32)) {
        models.add(second("window-" + window, new SlidingAttention.Config(1, window, false, 0.1, true)));
    }
    for (int block : List.of(1, 2, 4)) {
        models.add(second("bigbird-" + block, new BigBird.Config(1, block)));
    }
    for (int blocks : List.of(1, 2, 4)) {
        models.add(second("mra-" + blocks, new MultiResolutionAttention.Config(1, blocks, 8, false, true, 0, 0, 0)));
        models.add(second("nsa-" + blocks, new NativeSparseAttention.Config(1, 8, 8, blocks)));
    }
    for (int landmarks : List.of(8, 16)) {
        models.add(second("nystrom-" + landmarks, new Nystrom.Config(1, landmarks)));
    }
    for (int window : List.of(8, 16)) {
        models.add(second("scatterbrain-" + window, new ScatterBrain.Config(1, window, 64)));
    }
    return models.toArray(Layers[]::new);
}

Layers selected(String name, int k, SelectionConfig selection) {
    return second(name + "-" + k, new SelectedAttention.Config(1, selection, k));
}

Layers second(String label, MixerConfig mixer) {
    var first = new BaseConv.Config(List.of(3), ConvMethod.AUTO);
    return Layers.of(2, Hybrid.Config.of(first, mixer)).named(label).positions(false);
}
