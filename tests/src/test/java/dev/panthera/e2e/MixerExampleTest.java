package dev.panthera.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

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
}
