package dev.panthera.task;

import java.util.List;

/** Every listed task, some of them with several options. */
public final class TaskContracts {
    public static final List<TaskConfig> ALL =
            List.of(
                    Mqar.of(64, 4),
                    new Mqar(17, 16, 2, 0.5, Filler.ZERO, 2),
                    ZipfMqar.of(64, 4),
                    zipf(new GapLaw.Uniform(), Filler.RANDOM),
                    zipf(new GapLaw.Geometric(0.7), Filler.ZERO),
                    zipf(new GapLaw.Fixed(12), Filler.ZERO),
                    ForgettingMqar.of(64, 4, 2),
                    new ForgettingMqar(33, 32, 4, 4, 0.5, Filler.ZERO, false),
                    new ForgettingMqar(33, 32, 4, 4, 0.5, Filler.RANDOM, true),
                    new ForgettingMqar(33, 32, 4, 0, 0.5, Filler.ZERO, false),
                    CompositionalMqar.of(64, 4),
                    new CompositionalMqar(64, 63, 9, 0.5, Filler.ZERO),
                    ContinuousMqar.of(8),
                    new ContinuousMqar(17, 5, 2, true),
                    new InductionHeads(16, 64),
                    new InductionHeads(3, 3),
                    new SelectiveCopying(16, 256, 16),
                    new SelectiveCopying(4, 6, 3),
                    new Parity(16),
                    new Parity(2),
                    new Majority(16),
                    new Majority(8),
                    new VocabMajority(8, 16),
                    new VocabMajority(3, 2),
                    new CumulativeParity(16),
                    new CumulativeParity(1),
                    new CumulativeMajority(15));

    private TaskContracts() {}

    private static ZipfMqar zipf(GapLaw law, Filler filler) {
        return new ZipfMqar(40, 32, 5, 1.5, 0, law, filler, 2);
    }
}
