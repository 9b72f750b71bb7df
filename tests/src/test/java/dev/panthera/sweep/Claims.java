package dev.panthera.sweep;

import java.io.IOException;
import java.nio.file.Path;

/** A process that lists many trials in a store, and takes them one after the other: all of them, or one that it keeps. */
public final class Claims {
    static final int TRIALS = 60;

    private Claims() {}

    static Sweep sweep() {
        var seeds = new long[TRIALS];
        for (int i = 0; i < TRIALS; i++) {
            seeds[i] = i;
        }
        return TinySweep.one().over(Seeds.of(seeds));
    }

    /** @param arguments the sweep's folder, and whether the first trial is kept until the process is killed */
    public static void main(String[] arguments) throws IOException {
        var trials = sweep().grid().trials();
        IO.println("ready");
        IO.readln();
        try (var store = SweepStore.open(Path.of(arguments[0]))) {
            store.list(trials);
            store.select(trials.stream().map(Trial::id).toList());
            for (var id = store.take(); id.isPresent(); id = store.take()) {
                IO.println("took " + id.get());
                if (Boolean.parseBoolean(arguments[1])) {
                    IO.readln();
                }
                store.epochEnded(id.get(), TinySweep.epoch(1, 0.5));
                if (!store.finished(TinySweep.done(id.get(), 0.5))) {
                    IO.println("lost " + id.get());
                }
            }
        }
        IO.println("end");
    }
}
