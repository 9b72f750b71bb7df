package dev.panthera.cli;

import dev.panthera.mixer.Mixers;
import dev.panthera.train.Evaluation;
import dev.panthera.train.TrainConfig;
import dev.panthera.train.TrainResult;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.OptionalDouble;

/** What a run came to, for a person and for a program. */
record Summary(TrainConfig config, TrainResult result, Path folder) {

    void print(PrintStream out) {
        Evaluation test = result.test();
        if (test == null) {
            Streams.line(
                    out,
                    "interrupted after %d finished epochs; go on with: panthera train --resume %s",
                    result.epochs(),
                    folder);
            return;
        }
        Streams.line(out, "");
        Streams.line(
                out,
                "test accuracy  %s%s  (loss %.4f, %s examples%s)",
                Text.percent(test.accuracy()),
                mark(config),
                test.loss(),
                Text.grouped(test.examples()),
                byChance(config.data().testChance()));
        if (!config.model().mixer().causal()) {
            Streams.line(out, "causal         %s", Text.LOOKS_AHEAD);
        }
        Streams.line(
                out,
                "trained        %d epochs in %s%s",
                result.epochs(),
                Text.duration(result.seconds()),
                ending());
        Streams.line(out, "parameters     %s", Text.grouped(result.parameters()));
        Streams.line(
                out,
                "state          %s bytes after %d tokens, counted as published",
                Text.grouped(result.stateBytes()),
                config.data().maxTestLength());
        Streams.line(out, "run folder     %s  (panthera eval %s)", folder, folder);
    }

    /** What stands behind an accuracy: nothing, or that the mixer looks ahead. */
    static String mark(TrainConfig config) {
        return Mixers.marked("", config.model().mixer());
    }

    /** For example {@code ; 50.00 % by chance}; empty if that is not known. */
    static String byChance(OptionalDouble chance) {
        return chance.isPresent()
                ? Text.format("; %s by chance", Text.percent(chance.getAsDouble()))
                : "";
    }

    private String ending() {
        return result.ending() == TrainResult.Ending.STOPPED_EARLY
                ? Text.format("; stopped above %s", Text.percent(config.stopAbove()))
                : "";
    }

    JsonLine json(Evaluation test) {
        return new JsonLine()
                .with("accuracy", test.accuracy())
                .with("causal", config.model().mixer().causal())
                .with("loss", test.loss())
                .with("epochs", result.epochs())
                .with("seconds", secondsSinceStart())
                .with("parameters", result.parameters())
                .with("state_bytes", result.stateBytes())
                .with("folder", folder.toString());
    }

    /** Of the JVM, not of the process: a launcher that becomes the JVM may have built the program before. */
    private static double secondsSinceStart() {
        return (System.currentTimeMillis() - ManagementFactory.getRuntimeMXBean().getStartTime())
                / 1e3;
    }
}
