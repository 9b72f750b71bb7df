package dev.panthera.cli;

import dev.panthera.bench.PeerPython;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The option that names what to compare with. */
final class PeerMixin {
    @Option(
            names = "--peer-python",
            paramLabel = "FILE",
            description =
                    "A Python that has PyTorch: the same work is measured there. Default: none")
    private @Nullable Path python;

    /** The peer, if one was named. */
    Optional<PeerPython> peer() {
        return Optional.ofNullable(python).map(PeerPython::of);
    }

    /** Says so if nothing was compared with, on standard error if standard output is for a program. */
    void noteAbsence(Streams streams, boolean json) {
        if (python == null) {
            Streams.line(
                    json ? streams.err() : streams.out(),
                    "PyTorch is not measured: --peer-python names a Python that has it");
        }
    }
}
