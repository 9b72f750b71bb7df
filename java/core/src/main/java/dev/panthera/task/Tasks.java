package dev.panthera.task;

import dev.panthera.NamedConfigs;

/** The tasks that can be asked for by name, with their usual options. */
public final class Tasks {
    /** All of them. */
    public static final NamedConfigs<TaskConfig> ALL =
            new NamedConfigs<TaskConfig>("task", TaskConfig.class)
                    .with(
                            "mqar",
                            "pairs of key and value, then each key asks for its value",
                            Mqar.of(64, 4))
                    .with(
                            "zipf-mqar",
                            "MQAR with frequent and rare tokens, and other distances",
                            ZipfMqar.of(64, 4))
                    .with(
                            "forgetting-mqar",
                            "MQAR in which some keys get a new value before the queries",
                            ForgettingMqar.of(64, 4, 2))
                    .with(
                            "compositional-mqar",
                            "MQAR with keys of two tokens, both of which must match",
                            CompositionalMqar.of(64, 4))
                    .with(
                            "continuous-mqar",
                            "MQAR on vectors: a position shows a key and its value together",
                            ContinuousMqar.of(8))
                    .with(
                            "induction-heads",
                            "at the end: what followed the special token before?",
                            new InductionHeads(16, 64))
                    .with(
                            "selective-copying",
                            "data tokens scattered in noise, then to be said in order",
                            new SelectiveCopying(16, 256, 16))
                    .with("parity", "at the end: is the number of set bits odd?", new Parity(16))
                    .with(
                            "majority",
                            "at the end: are more than half of the bits set?",
                            new Majority(16))
                    .with(
                            "vocab-majority",
                            "at the end: which token occurs most often?",
                            new VocabMajority(8, 16))
                    .with(
                            "cumulative-parity",
                            "at each position: is the number of set bits so far odd?",
                            new CumulativeParity(16))
                    .with(
                            "cumulative-majority",
                            "at each position: are half of the bits so far set, or more?",
                            new CumulativeMajority(16));

    private Tasks() {}
}
