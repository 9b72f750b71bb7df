package dev.panthera.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** What the README shows of embedding the kernels is what the project under tests/embedding compiles and runs. */
class EmbeddingExampleTest {
    private static final String BEGIN = "// README: begin\n";
    private static final String END = "// README: end";
    private static final int INDENTATION = 8;

    @Test
    void theReadmeShowsTheCodeThatRuns() throws IOException {
        String main =
                Files.readString(
                        Path.of("embedding/src/main/java/com/example/embedding/Main.java"));
        String example =
                main.substring(main.indexOf(BEGIN) + BEGIN.length(), main.indexOf(END))
                        .lines()
                        .filter(line -> !line.isBlank())
                        .map(line -> line.substring(INDENTATION))
                        .collect(Collectors.joining("\n"));
        assertThat(Files.readString(Path.of("../README.md"))).contains("```java\n" + example);
    }
}
