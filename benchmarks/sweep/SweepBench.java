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

/**
 * Trials of about a second on two slots: the share of the slots' time that goes into taking trials, noting steps and epochs, and storing
 * results. Apart from that, how much time passes outside epochs: rows and models are made, checkpoints written, test rows evaluated.
 */
void overhead(Path folder) {
    int rows = 2000;
    double seconds = run(trial(rows).over(Seeds.of(1, 2, 3, 4)), folder.resolve("calibrate"), slots, 1).inEpochs / 4;
    int trials = 32;
    var sweep = trial((int) Math.max(500, rows / seconds)).over(Seeds.of(LongStream.range(0, trials).toArray()));
    Times times = run(sweep, folder.resolve("overhead"), slots, 1);
    double slotSeconds = slots * times.wall;
    IO.println(
            "{\"measured\":\"scheduling overhead\",\"trials\":%d,\"slots\":%d,\"wall_seconds_per_trial\":%s,\"share_scheduling\":%s,\"share_outside_epochs\":%s}"
                    .formatted(
                            trials,
                            slots,
                            round(slotSeconds / trials),
                            round(times.scheduling / slotSeconds),
                            round(1 - times.inEpochs / slotSeconds)));
}

/** The same 32 trials on two slots of one thread, one after the other with two threads, and one after the other with one. */
void throughput(Path folder) {
    Sweep sweep = trial(4000).over(Seeds.of(LongStream.range(0, 32).toArray()));
    run(trial(2000).over(Seeds.of(1, 2)), folder.resolve("warm"), 1, slots);
    double together = run(sweep, folder.resolve("together"), slots, 1).wall;
    double alone = run(sweep, folder.resolve("alone"), 1, slots).wall;
    double single = run(sweep, folder.resolve("single"), 1, 1).wall;
    IO.println(
            "{\"measured\":\"throughput\",\"trials\":32,\"d_model\":64,\"length\":64,\"batch\":64,\"seconds_2_slots_1_thread\":%s,\"seconds_1_slot_2_threads\":%s,\"seconds_1_slot_1_thread\":%s,\"gain_over_all_cores_each\":%s,\"gain_over_one_thread\":%s}"
                    .formatted(round(together), round(alone), round(single), round(alone / together), round(single / together)));
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

/** Seconds inside epochs and of scheduling, all together, and of the whole. */
record Times(double inEpochs, double scheduling, double wall) {}

Times run(Sweep sweep, Path folder, int slots, int threads) {
    return run(sweep, folder, new LocalEngine(Collections.nCopies(slots, new Slot("cpu", threads))));
}

/** A queue that adds up the time its engine spends in it. */
record Timed(TrialQueue queue, LongAdder nanos) implements TrialQueue {
    private <T> T timed(Supplier<T> call) {
        long start = System.nanoTime();
        try {
            return call.get();
        } finally {
            nanos.add(System.nanoTime() - start);
        }
    }

    private void timed(Runnable call) {
        timed(() -> {
            call.run();
            return true;
        });
    }

    public Optional<TrialOrder> take() { return timed(queue::take); }
    public int waiting() { return timed(queue::waiting); }
    public void started(String id, RunInfo info) { timed(() -> queue.started(id, info)); }
    public void stepped(String id, StepReport report) { timed(() -> queue.stepped(id, report)); }
    public void epochEnded(String id, EpochReport report) { timed(() -> queue.epochEnded(id, report)); }
    public void finished(TrialOutcome outcome) { timed(() -> queue.finished(outcome)); }
}

record TimedEngine(Engine engine, LongAdder nanos) implements Engine {
    public void run(TrialQueue queue, BooleanSupplier stopRequested) {
        engine.run(new Timed(queue, nanos), stopRequested);
    }

    public String description() {
        return engine.description();
    }
}

Times run(Sweep sweep, Path folder, Engine engine) {
    var inEpochs = new DoubleAdder();
    var scheduling = new LongAdder();
    var listener =
            new SweepListener() {
                @Override
                public void finished(Trial trial, TrialOutcome outcome, boolean ours) {
                    inEpochs.add(outcome.seconds());
                }
            };
    var trials = sweep.grid().trials();
    long start = System.nanoTime();
    try (var store = SweepStore.open(folder)) {
        var plan = new SweepRun.Plan(trials, trials, folder, false, false);
        SweepRun.run(plan, store, new TimedEngine(engine, scheduling), () -> false, listener);
    }
    return new Times(inEpochs.sum(), scheduling.sum() / 1e9, since(start));
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
