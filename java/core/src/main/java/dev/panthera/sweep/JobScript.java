package dev.panthera.sweep;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The shell script that a job runs: this program, in a JVM with the options of this one, for one trial. */
final class JobScript {
    private static final String MODULE = "dev.panthera";
    private static final String OWN_PROPERTIES = "panthera.";
    private static final String MAIN = "dev.panthera.cli.Panthera";

    private JobScript() {}

    /**
     * The script's text.
     *
     * @param command that runs {@code panthera}, as shell words; null: the Java of this process with its options and path
     * @param index how the shell says the job's index
     */
    static String text(@Nullable String command, Path folder, String index) {
        return """
        #!/bin/sh
        exec %s run-trial %s --index "%s"
        """
                .formatted(
                        command == null ? ownCommand() : command, quote(folder.toString()), index);
    }

    private static String ownCommand() {
        List<String> words = new ArrayList<>();
        words.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .filter(JobScript::isWorthPassing)
                .forEach(words::add);
        System.getProperties().stringPropertyNames().stream()
                .filter(name -> name.startsWith(OWN_PROPERTIES))
                .sorted()
                .forEach(name -> words.add("-D" + name + "=" + System.getProperty(name)));
        String classPath = System.getProperty("java.class.path", "");
        String modulePath = System.getProperty("jdk.module.path", "");
        boolean asModule = JobScript.class.getModule().isNamed();
        if (!modulePath.isEmpty()) {
            words.addAll(List.of("-p", modulePath));
        }
        if (!classPath.isEmpty()) {
            words.addAll(List.of("-cp", classPath));
        }
        words.addAll(asModule ? List.of("-m", MODULE + "/" + MAIN) : List.of(MAIN));
        return words.stream().map(JobScript::quote).collect(Collectors.joining(" "));
    }

    /** Debuggers, agents and open ports are this process's own; the module path is given from its property. */
    private static boolean isWorthPassing(String option) {
        return List.of(
                        "-agentlib:",
                        "-agentpath:",
                        "-javaagent:",
                        "-Xrunjdwp:",
                        "-D" + OWN_PROPERTIES,
                        "-Dcom.sun.management.",
                        "--module-path",
                        "-XX:AOTCacheOutput",
                        "-XX:AOTConfiguration")
                .stream()
                .noneMatch(option::startsWith);
    }

    /** One word of the shell. */
    static String quote(String word) {
        return word.matches("[\\w./:=,@%+-]+") ? word : "'" + word.replace("'", "'\\''") + "'";
    }
}
