package dev.panthera.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.List;

/** What a command line did. */
record Cli(int code, String out, String err) {

    static Cli run(String... args) {
        var out = new ByteArrayOutputStream();
        var err = new ByteArrayOutputStream();
        int code =
                Panthera.run(
                        args, new PrintStream(out, true, UTF_8), new PrintStream(err, true, UTF_8));
        return new Cli(code, out.toString(UTF_8), err.toString(UTF_8));
    }

    /** Requires success without a word on standard error. */
    Cli succeeded() {
        assertThat(err).isEmpty();
        assertThat(code).isZero();
        return this;
    }

    /** Requires one line of error with these parts, nothing else, and exit code 2. */
    void refused(String... parts) {
        assertThat(err).startsWith("panthera: ").contains(parts);
        assertThat(err.lines()).hasSize(1);
        assertThat(out).isEmpty();
        assertThat(code).isEqualTo(2);
    }

    List<String> outLines() {
        return out.lines().toList();
    }
}
