import module dev.panthera;

/**
 * Functions of bits that are known to be easy or hard for small circuits (after the appendix of Arora et al. 2024, arXiv 2402.18668):
 * parity and majority, of the whole row or of every prefix. A recurrence that can turn a state around solves parity with one bit of
 * state, and a sum solves majority; attention averages, which is majority, and has no depth for parity.
 *
 * <p>Here all models train on rows of several lengths at once, at one width and with a GLU as state mixer. The paper's code trains on
 * one length at a time for parity and cumulative majority, takes width 512 for cumulative parity, and has no state mixer for majority.
 *
 *     --only task=cumulative-parity    one of the functions
 *     --scale small                    fewer rows, short ones, narrower models
 */
void main(String... args) {
    Sweep.named("circuits")
        .description("Parity and majority: which mixers compute them")
        .set("model.state_mixer", new Glu.Config(4))
        .set("data.batch", 256).set("data.test_batch", 32)
        .over(new Factor("task", List.of(
            task("cumulative-parity", 128, 100_000, 1_000, CumulativeParity::new, 16, 32, 64, 128),
            task("cumulative-majority", 16, 100_000, 1_000, CumulativeMajority::new, 4, 16, 32, 64, 128),
            task("parity", 16, 100_000, 1_000, dev.panthera.task.Parity::new, 4, 8, 16, 32, 64, 128),
            task("majority", 64, 100_000, 1_000, Majority::new, 2, 4, 8, 16, 24, 32, 64))))
        .over(Width.of(128))
        .over(LearningRate.logspace(-3.5, -2, 4))
        .over(models())
        .stopAbove(0.999)
        .scale("small", sweep -> sweep
            .set("data.batch", 64)
            .over(new Factor("task", List.of(
                task("cumulative-parity", 16, 4_000, 500, CumulativeParity::new, 8, 16),
                task("cumulative-majority", 8, 4_000, 500, CumulativeMajority::new, 8, 16),
                task("parity", 16, 4_000, 500, dev.panthera.task.Parity::new, 4, 8, 16),
                task("majority", 8, 4_000, 500, Majority::new, 4, 8, 16))))
            .over(Width.of(32))
            .over(LearningRate.of(1e-3, 1e-2)))
        .run(args);
}

/** Rows of several lengths, as many of each. */
Level task(String label, int epochs, int train, int test, IntFunction<TaskConfig> task, int... lengths) {
    List<TaskConfig> tasks = IntStream.of(lengths).mapToObj(task).toList();
    List<DataSegment> held = tasks.stream().map(of -> new DataSegment(of, test)).toList();
    return new Level(label, Map.of(
        "data.train", tasks.stream().map(of -> new DataSegment(of, train)).toList(),
        "data.validation", held, "data.test", held, "epochs", epochs), true);
}

/** Two layers, the first a short convolution. */
Layers[] models() {
    return new Layers[] {
        hybrid("attention", new Attention.Config(1)),
        hybrid("h3", new H3.Config(ConvMethod.AUTO)),
        hybrid("based", new Based.Config(16, 1, new TaylorExp.Config())),
        hybrid("rwkv-4", new Rwkv4.Config()), hybrid("mamba", new Mamba.Config(16)), hybrid("cum-sum", new CumSum.Config())
    };
}

Layers hybrid(String label, MixerConfig mixer) {
    return Layers.of(2, Hybrid.Config.of(new BaseConv.Config(List.of(3), ConvMethod.AUTO), mixer)).named(label).positions(false);
}
