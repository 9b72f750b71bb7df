import module dev.panthera;

/**
 * What a sweep costs beside its trials, and what running several at once gains: JSON lines on standard output. Run by
 * benchmarks/sweep.sh. The environment's SWEEP_BENCH_FOLDER is where sweeps go; that of ten thousand trials stays there.
 */
final int slots = 2;

void main() throws Exception {
    Path folder = Path.of(System.getenv("SWEEP_BENCH_FOLDER"));
    overhead(folder);
    throughput(folder);
    fill(folder.resolve("many"));
}

/** Trials of about a second on two slots: the share of the slots' time in which no trial trains or is evaluated. */
void overhead(Path folder) {
    int rows = 2000;
    double seconds = run(trial(rows).over(Seeds.of(1, 2, 3, 4)), folder.resolve("calibrate"), slots, 1).inTrials / 4;
    int trials = 32;
    var sweep = trial((int) Math.max(500, rows / seconds)).over(Seeds.of(LongStream.range(0, trials).toArray()));
    Times times = run(sweep, folder.resolve("overhead"), slots, 1);
    double share = 1 - times.inTrials / (slots * times.wall);
    IO.println(
            "{\"measured\":\"scheduling overhead\",\"trials\":%d,\"slots\":%d,\"seconds_per_trial\":%s,\"wall_seconds\":%s,\"share_not_in_trials\":%s}"
                    .formatted(trials, slots, round(times.inTrials / trials), round(times.wall), round(share)));
}

/** The same 32 trials on two slots of one thread, and one after the other with two threads; the second sweep starts as warm as the first. */
void throughput(Path folder) {
    Sweep sweep = trial(4000).over(Seeds.of(LongStream.range(0, 32).toArray()));
    run(trial(2000).over(Seeds.of(1, 2)), folder.resolve("warm"), 1, slots);
    double together = run(sweep, folder.resolve("together"), slots, 1).wall;
    double alone = run(sweep, folder.resolve("alone"), 1, slots).wall;
    IO.println(
            "{\"measured\":\"throughput\",\"trials\":32,\"d_model\":64,\"length\":64,\"seconds_2_slots_1_thread\":%s,\"seconds_1_slot_2_threads\":%s,\"ratio\":%s}"
                    .formatted(round(together), round(alone), round(alone / together)));
}

/** A store of ten thousand finished trials with made-up results. */
void fill(Path folder) {
    var sweep = trial(1000).over(Seeds.of(LongStream.range(0, 10_000).toArray()));
    long start = System.nanoTime();
    run(sweep, folder, new MadeUp());
    IO.println("{\"measured\":\"store of 10000 trials with 4 epochs each\",\"seconds_to_fill\":%s}".formatted(round(since(start))));
}

Sweep trial(int examples) {
    return Sweep.named("bench")
            .from(Presets.named("figure-2"))
            .over(Mqar.of(64, 4))
            .over(Width.of(64))
            .examples(examples, 500)
            .batch(64)
            .epochs(1)
            .stopAbove(1);
}

/** Seconds inside trials, all together, and of the whole. */
record Times(double inTrials, double wall) {}

Times run(Sweep sweep, Path folder, int slots, int threads) {
    return run(sweep, folder, new LocalEngine(Collections.nCopies(slots, new Slot("cpu", threads))));
}

Times run(Sweep sweep, Path folder, Engine engine) {
    var inTrials = new DoubleAdder();
    var listener =
            new SweepListener() {
                @Override
                public void finished(Trial trial, TrialOutcome outcome, boolean ours) {
                    inTrials.add(outcome.seconds());
                }
            };
    var trials = sweep.grid().trials();
    long start = System.nanoTime();
    try (var store = SweepStore.open(folder)) {
        var plan = new SweepRun.Plan(trials, trials, folder, false, false);
        SweepRun.run(plan, store, engine, () -> false, listener);
    }
    return new Times(inTrials.sum(), since(start));
}

/** An engine that has the results at once. */
record MadeUp() implements Engine {
    @Override
    public void run(TrialQueue queue, BooleanSupplier stopRequested) {
        var evaluation = new Evaluation(1.5, 0.5, 500, Map.of("num_kv_pairs", Map.of(4, 0.5)));
        List<EpochReport> epochs =
                IntStream.rangeClosed(1, 4).mapToObj(i -> new EpochReport(i, 2.5, 1e-3, evaluation, 1e5, 1)).toList();
        for (var order = queue.take(); order.isPresent(); order = queue.take()) {
            String id = order.get().id();
            epochs.forEach(epoch -> queue.epochEnded(id, epoch));
            queue.finished(
                    new TrialOutcome(
                            id, TrialStatus.DONE, "cpu", TrainResult.Ending.ALL_EPOCHS, evaluation, epochs, 1, 1, 4, null, null));
        }
    }

    @Override
    public String description() {
        return "made-up results";
    }
}

static double since(long nanoTime) {
    return (System.nanoTime() - nanoTime) / 1e9;
}

static double round(double value) {
    return Math.round(1e4 * value) / 1e4;
}
