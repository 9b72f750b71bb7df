package dev.panthera.spark;

import dev.panthera.sweep.TrialOrder;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.Presets;
import dev.panthera.train.TrainConfig;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import javax.tools.ToolProvider;

/** The experiment of these tests: a compact source file with a mixer of its own, as a user writes it. */
final class TestExperiment {
    private static final String SOURCE = "/experiment/Experiment.java";

    private TestExperiment() {}

    /** Compiles it to a jar in that folder. */
    static Path compile(Path folder) throws IOException, URISyntaxException {
        Path classes = Files.createDirectories(folder.resolve("experiment-classes"));
        Path source = Path.of(TestExperiment.class.getResource(SOURCE).toURI());
        int status =
                ToolProvider.getSystemJavaCompiler()
                        .run(
                                null,
                                OutputStream.nullOutputStream(),
                                null,
                                "-cp",
                                System.getProperty("java.class.path"),
                                "-d",
                                classes.toString(),
                                source.toString());
        if (status != 0) {
            throw new AssertionError("the experiment does not compile");
        }
        Path jar = folder.resolve("experiment.jar");
        try (var out = new JarOutputStream(Files.newOutputStream(jar));
                Stream<Path> files = Files.walk(classes)) {
            for (Path file : (Iterable<Path>) files.filter(Files::isRegularFile)::iterator) {
                out.putNextEntry(new JarEntry(classes.relativize(file).toString()));
                Files.copy(file, out);
            }
        }
        return jar;
    }

    /** A trial of a second or less, with that accident, which writes to a folder below {@code root}. */
    static TrialOrder order(Path root, String id, int seed, int epochs, String accident) {
        TrainConfig config =
                ConfigDraft.of(Presets.named(Presets.DEFAULT))
                        .setYaml(
                                "model.mixer",
                                "{name: Experiment$Staged$Config, accident: %s}"
                                        .formatted(accident))
                        .setYaml("model.d_model", "16")
                        .setYaml("data.train.*.task.length", "16")
                        .setYaml("data.train.*.task.pairs", "2")
                        .setYaml("data.train.*.examples", "160")
                        .setYaml("data.validation.*.task.length", "16")
                        .setYaml("data.validation.*.task.pairs", "2")
                        .setYaml("data.validation.*.examples", "40")
                        .setYaml("data.test.*.task.length", "16")
                        .setYaml("data.test.*.task.pairs", "2")
                        .setYaml("data.test.*.examples", "40")
                        .setYaml("data.batch", "16")
                        .setYaml("epochs", "" + epochs)
                        .setYaml("seed", "" + seed)
                        .toConfig();
        return new TrialOrder(id, "seed=" + seed, config, "cpu", 1, root.resolve(id).toString());
    }

    /** Trials {@code trial-0}, {@code trial-1}, ... with seeds of their own. */
    static List<TrialOrder> orders(Path root, int count, int epochs) {
        return Stream.iterate(0, i -> i + 1)
                .limit(count)
                .map(i -> order(root, "trial-" + i, 100 + i, epochs, "none"))
                .toList();
    }
}
