package dev.panthera.e2e;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A JVM of its own, started with the launcher's options, for what a test cannot do to itself. */
public final class ChildJvm {
    /** Only against a test that would hang for ever. */
    private static final long LIMIT_MINUTES = 5;

    private static final String LIBRARY_PATH = "panthera.library.path";

    private final ProcessBuilder builder;
    private final Path out;
    private final Path err;

    /** How a program ended. */
    public record Outcome(int exitCode, String out, String err) {}

    private ChildJvm(List<String> command, Path scratch) throws IOException {
        out = Files.createTempFile(scratch, "out", ".txt");
        err = Files.createTempFile(scratch, "err", ".txt");
        builder =
                new ProcessBuilder(command)
                        .redirectOutput(out.toFile())
                        .redirectError(err.toFile());
        builder.environment()
                .keySet()
                .removeAll(List.of("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"));
    }

    /**
     * A program on the class path of the tests.
     *
     * @param scratch folder for what the program prints
     */
    public static ChildJvm of(Path scratch, String mainClass, String... arguments)
            throws IOException {
        return new ChildJvm(command(mainClass, arguments), scratch);
    }

    /** The same with a variable in its environment. */
    ChildJvm withEnvironment(String name, String value) {
        builder.environment().put(name, value);
        return this;
    }

    /** As {@link #of}, unable to write files larger than so many KiB. */
    static ChildJvm withFileLimit(
            int kibibytes, Path scratch, String mainClass, String... arguments) throws IOException {
        String limited = "ulimit -f " + kibibytes + "; exec \"$@\"";
        List<String> command = new ArrayList<>(List.of("bash", "-c", limited, "bash"));
        command.addAll(command(mainClass, arguments));
        return new ChildJvm(command, scratch);
    }

    /** A program on the module path; the options are those of {@code java} without the native library's place. */
    public static ChildJvm withOptions(Path scratch, List<String> options) throws IOException {
        List<String> command = new ArrayList<>(List.of(java(), libraryPath()));
        command.addAll(options);
        return new ChildJvm(command, scratch);
    }

    private static List<String> command(String mainClass, String... arguments) {
        List<String> command =
                new ArrayList<>(
                        List.of(
                                java(),
                                "-Xms32m",
                                "-XX:+UseSerialGC",
                                "--enable-native-access=ALL-UNNAMED",
                                "--illegal-native-access=deny",
                                libraryPath(),
                                "-cp",
                                System.getProperty("java.class.path"),
                                mainClass));
        command.addAll(List.of(arguments));
        return command;
    }

    private static String java() {
        return System.getProperty("java.home") + File.separator + "bin" + File.separator + "java";
    }

    private static String libraryPath() {
        return "-D" + LIBRARY_PATH + "=" + System.getProperty(LIBRARY_PATH);
    }

    /** Runs the program to its end. */
    public Outcome run() throws IOException, InterruptedException {
        return await(start());
    }

    public Process start() throws IOException {
        return builder.start();
    }

    /** Waits for the end of what {@link #start} started. */
    public Outcome await(Process process) throws IOException, InterruptedException {
        if (!process.waitFor(LIMIT_MINUTES, TimeUnit.MINUTES)) {
            process.destroyForcibly();
            throw new AssertionError(
                    builder.command() + " hangs; it printed " + printed() + Files.readString(err));
        }
        return new Outcome(process.exitValue(), printed(), Files.readString(err));
    }

    /** What the program has printed so far. */
    public String printed() throws IOException {
        return Files.readString(out);
    }

    /** Waits until the program has printed a text, which it must do before it ends. */
    public void awaitText(Process process, String text) throws IOException, InterruptedException {
        while (!printed().contains(text)) {
            if (!process.isAlive() && !printed().contains(text)) {
                throw new AssertionError(
                        "\""
                                + text
                                + "\" was not printed, but "
                                + printed()
                                + Files.readString(err));
            }
            Thread.sleep(5);
        }
    }
}
