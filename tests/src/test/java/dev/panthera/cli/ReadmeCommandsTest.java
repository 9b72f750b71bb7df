package dev.panthera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every command line that the README shows can be run, in the order in which it shows them. */
class ReadmeCommandsTest {

    /** Makes a training short. */
    private static final String SMALL =
            " --train-examples 16 --validation-examples 8 --test-examples 8 --epochs 1 --threads 1";

    /** Makes a comparison short. */
    private static final String BRIEF = SMALL + " --lr 1e-3 --max-length 0 --no-images";

    /** Leaves one short trial of a sweep. */
    private static final String ONE_TRIAL =
            " --only task=mqar-64-4 --only d_model=16 --only lr=0.01 --only mixer=attention"
                    + " --set data.train.*.examples=64 --set epochs=1";

    @TempDir Path folder;

    @Test
    void everyCommandRuns() throws IOException {
        List<String> readme = Files.readAllLines(Path.of("../README.md"));
        List<String> file = readme.subList(readme.indexOf("```yaml") + 1, readme.size());
        Files.write(folder.resolve("run.yaml"), file.subList(0, file.indexOf("```")));
        List<String> commands =
                readme.stream()
                        .filter(line -> line.startsWith("    ./panthera "))
                        .map(line -> line.strip().split(" {2,}")[0])
                        .filter(command -> !command.contains("|"))
                        .toList();
        assertThat(commands)
                .hasSizeGreaterThan(7)
                .anyMatch(command -> command.contains("--taps"))
                .anyMatch(command -> command.contains(" compare "))
                .anyMatch(command -> command.contains(" run "))
                .anyMatch(command -> command.contains(" report "));
        for (String command : commands) {
            Cli result = Cli.run(arguments(command));
            assertThat(result.err()).as(command).isEmpty();
            assertThat(result.code()).as(command).isZero();
        }
    }

    private String[] arguments(String command) {
        if (command.contains(" run ")) {
            return Stream.of((command + ONE_TRIAL + " --out " + folder.resolve("sweep")).split(" "))
                    .skip(1)
                    .map(word -> word.startsWith("experiments/") ? "../" + word : word)
                    .toArray(String[]::new);
        }
        if (command.endsWith(" figure-2")) {
            return Stream.of(command.split(" "))
                    .skip(1)
                    .map(word ->
                            word.equals("figure-2") ? folder.resolve("sweep").toString() : word)
                    .toArray(String[]::new);
        }
        boolean comparison = command.contains(" compare");
        boolean newRun = comparison || command.contains(" train") && !command.contains("--resume");
        String small = comparison ? BRIEF : newRun ? SMALL : "";
        var arguments =
                Stream.of((command + small).split(" "))
                        .skip(1)
                        .map(word ->
                                word.startsWith("run") ? folder.resolve(word).toString() : word);
        var out =
                newRun && !command.contains("--out")
                        ? Stream.of(
                                "--out",
                                folder.resolve(Integer.toString(command.hashCode())).toString())
                        : Stream.<String>empty();
        return Stream.concat(arguments, out).toArray(String[]::new);
    }
}
