package dev.panthera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What docs/adding-a-mixer.md shows is an experiment that runs; {@code dev.panthera.mixer.MixerContracts} holds its mixer to the
 * contract of all.
 */
class MixerExampleTest {

    @Test
    void theDocumentShowsTheExperimentThatRuns() throws IOException {
        String experiment = Files.readString(Path.of("../experiments/OwnMixer.java"));
        assertThat(Files.readString(Path.of("../docs/adding-a-mixer.md")))
                .contains("```java\n" + experiment + "```\n");
    }

    @Test
    void theSweepOfTheExperimentRuns(@TempDir Path folder) {
        var result =
                Cli.run(
                        "run",
                        "../experiments/OwnMixer.java",
                        "--only",
                        "mixer=gated-convolution",
                        "--only",
                        "lr=0.01",
                        "--set",
                        "data.train.*.examples=64",
                        "--set",
                        "epochs=1",
                        "--out",
                        folder.resolve("sweep").toString());
        assertThat(result.succeeded().out()).contains("1 done, 0 failed");
    }
}
