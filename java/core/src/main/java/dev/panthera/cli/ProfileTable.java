package dev.panthera.cli;

import dev.panthera.tensor.StepProfile;
import java.io.PrintStream;

/** Where the time of training steps went, for a person. */
final class ProfileTable {
    private ProfileTable() {}

    static void print(PrintStream out, StepProfile profile) {
        Streams.line(out, "");
        Streams.line(
                out,
                "%-34s%8s%8s%11s%9s%10s",
                "operation",
                "share",
                "calls",
                "ms a call",
                "GB/s",
                "GFLOP/s");
        for (var entry : profile.entries()) {
            Streams.line(
                    out,
                    "%-34s%6.1f %%%8d%11.3f%9.1f%10s",
                    entry.name(),
                    100 * entry.seconds() / profile.seconds(),
                    entry.calls(),
                    1e3 * entry.seconds() / entry.calls(),
                    entry.bytes() / entry.seconds() / 1e9,
                    entry.flops() == 0
                            ? "-"
                            : Text.format("%.1f", entry.flops() / entry.seconds() / 1e9));
        }
    }
}
