import module dev.panthera;

/**
 * Based, figure 2 (Arora et al. 2024, arXiv 2402.18668): accuracy on multi-query associative recall against the size of the state. All
 * models train on the same mixture of five tasks, and are tested on seven, up to four times as long and with four times as many pairs.
 * Every model has two layers; where it is not a gated convolution or a Mamba, the first of them is a short convolution. Mixers
 * that were published with a look ahead are in their causal forms.
 *
 *     --only model=based-d64-f16       one of the models
 *     --scale small                    a smaller vocabulary, fewer rows, shorter tests, narrower models
 */
void main(String... args) {
    Sweep.named("based-figure-2")
        .description("Based, figure 2: recall against the size of the state, trained on a mixture of tasks")
        .set("data.train", mixture(20_000, 100_000, Mqar.of(64, 4), Mqar.of(128, 8), Mqar.of(256, 16), Mqar.of(256, 32), Mqar.of(256, 64)))
        .set("data.validation", tests(1_000)).set("data.test", tests(1_000))
        .set("data.batch", 256).set("data.test_batch", 32)
        .over(new Factor("model", models(1)))
        .over(LearningRate.logspace(-3, -1.5, 4))
        .epochs(32).stopAbove(0.99)
        .scale("small", sweep -> sweep
            .set("data.train", mixture(8_000, 16_000, small(64, 4), small(64, 8), small(128, 16)))
            .set("data.validation", mixture(500, 500, small(64, 4), small(64, 8), small(128, 16), small(128, 32)))
            .set("data.test", mixture(500, 500, small(64, 4), small(64, 8), small(128, 16), small(128, 32)))
            .set("data.batch", 64)
            .over(new Factor("model", models(4)))
            .over(LearningRate.of(2e-3, 1e-2))
            .epochs(8))
        .run(args);
}

/** The first task has more rows than the others. */
List<DataSegment> mixture(int rows, int rowsOfFirst, Mqar... tasks) {
    return IntStream.range(0, tasks.length).mapToObj(i -> new DataSegment(tasks[i], i == 0 ? rowsOfFirst : rows)).toList();
}

List<DataSegment> tests(int rows) {
    return mixture(rows, rows, Mqar.of(64, 4), Mqar.of(64, 8), Mqar.of(64, 16), Mqar.of(128, 32), Mqar.of(256, 64), Mqar.of(512, 128),
        Mqar.of(1024, 256));
}

Mqar small(int length, int pairs) {
    return Mqar.of(length, pairs).withVocabSize(512);
}

/** All models, narrower by a factor. */
List<Level> models(int narrower) {
    var models = new ArrayList<Level>();
    for (int width : new int[] {64 / narrower, 128 / narrower}) {
        models.add(hybrid("attention-d" + width, width, new Attention.Config(1)));
    }
    for (int window = 8; window <= 1024 / narrower; window *= 2) {
        int width = 128 / narrower;
        models.add(hybrid("sliding-attention-d%d-w%d".formatted(width, window), width, new SlidingAttention.Config(1, window, false, 0.1, true)));
    }
    for (int width : new int[] {48 / narrower, 64 / narrower, 128 / narrower}) {
        for (int features : new int[] {8, 16, 24}) {
            models.add(hybrid("based-d%d-f%d".formatted(width, features), width, new Based.Config(features, 1, new TaylorExp.Config())));
        }
    }
    for (int block = 4; block <= 128 / narrower; block *= 2) {
        models.add(hybrid("bigbird-d%d-b%d".formatted(64 / narrower, block), 64 / narrower, new BigBird.Config(1, block)));
    }
    for (int landmarks = 16 / narrower; landmarks <= 512 / narrower; landmarks *= 2) {
        models.add(hybrid("nystrom-d%d-m%d".formatted(128 / narrower, landmarks), 128 / narrower, new Nystrom.Config(1, landmarks)));
    }
    for (int blocks = 8; blocks <= 64; blocks *= 2) {
        var mixer = new MultiResolutionAttention.Config(1, blocks, 32 / narrower, false, true, 0, 0, 0);
        models.add(hybrid("mra-d%d-b%d".formatted(128 / narrower, blocks), 128 / narrower, mixer));
    }
    for (int width : new int[] {64 / narrower, 128 / narrower, 256 / narrower}) {
        for (int features = 32 / narrower; features <= Math.min(width, 128 / narrower); features *= 2) {
            for (int window = 4; window <= 1024 / narrower; window *= 4) {
                models.add(hybrid("scatterbrain-d%d-w%d-f%d".formatted(width, window, features), width,
                    new ScatterBrain.Config(1, window, features)));
            }
        }
        models.add(model("hyena-d" + width, width, new Hyena.Config(ConvMethod.AUTO)));
        models.add(model("h3-d" + width, width, new H3.Config(width / 4, 2, 0, ConvMethod.AUTO)));
        for (int state : new int[] {8, 16, 24}) {
            models.add(model("mamba-d%d-n%d".formatted(width, state), width, new Mamba.Config(state)));
        }
    }
    return models;
}

/** A short convolution, then the mixer. */
Level hybrid(String label, int width, MixerConfig mixer) {
    return model(label, width, Hybrid.Config.of(new BaseConv.Config(List.of(3), ConvMethod.AUTO), mixer));
}

Level model(String label, int width, MixerConfig mixer) {
    return new Level(label, Map.of("model.mixer", mixer, "model.d_model", width, "model.layers", 2, "model.positions", false), true);
}
