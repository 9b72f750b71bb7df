import module dev.panthera;

/** The paper code's basic sweep: two layers of attention with an MLP, ten learning rates. */
void main(String... args) {
    Sweep.named("basic-sweep")
        .description("Attention on multi-query associative recall, ten learning rates")
        .from(Presets.named("zoology-basic"))
        .over(LearningRate.logspace(-4, -2, 10))
        .scale("small", sweep -> sweep.over(LearningRate.logspace(-4, -2, 4)).epochs(20))
        .run(args);
}
