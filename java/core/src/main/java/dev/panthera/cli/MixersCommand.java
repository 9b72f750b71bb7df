package dev.panthera.cli;

import dev.panthera.mixer.Mixers;
import picocli.CommandLine.Command;

/** {@code panthera mixers}: what models are made of. */
@Command(name = "mixers", description = "Lists the sequence mixers and state mixers.")
final class MixersCommand implements Runnable {
    private final Streams streams;

    MixersCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public void run() {
        streams.line("--mixer        %s", String.join(" ", Mixers.SEQUENCE.names()));
        streams.line("--state-mixer  %s", String.join(" ", Mixers.STATE.names()));
    }
}
