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

    /** The peer; where there is none, a line on standard error says so. */
    Optional<PeerPython> peer(Streams streams) {
        if (python == null) {
            Streams.line(
                    streams.err(),
                    "PyTorch is not measured: --peer-python names a Python that has it");
            return Optional.empty();
        }
        return Optional.of(PeerPython.of(python));
    }
}
