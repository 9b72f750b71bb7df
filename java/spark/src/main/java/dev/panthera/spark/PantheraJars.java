package dev.panthera.spark;

import dev.panthera.UserException;
import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.spark.SparkContext;

/** The jars that executors need: this program's class path or module path, its natives, and this module's own. */
final class PantheraJars {
    private static final String LIBRARY_PATH = "panthera.library.path";
    private static final String NATIVES = "META-INF/native/linux-x86_64";

    /** Artifacts that only reports and the store need, which is most of the class path's size. */
    private static final Set<String> NOT_FOR_TRIALS =
            Set.of(
                    "collections",
                    "icu4j",
                    "js-language",
                    "jsvg",
                    "nativeimage",
                    "polyglot",
                    "regex",
                    "sqlite-jdbc",
                    "truffle-api",
                    "word",
                    "xz");

    private PantheraJars() {}

    /**
     * All of them; folders of classes or natives are packed first.
     *
     * @param packed folder for what has to be packed
     */
    static List<Path> find(Path packed) {
        Set<Path> jars = new LinkedHashSet<>();
        jars.add(location(PantheraJars.class));
        Path sparkJars = location(SparkContext.class).getParent();
        for (String property : List.of("java.class.path", "jdk.module.path")) {
            entries(System.getProperty(property, ""))
                    .filter(entry -> !sparkJars.equals(entry.getParent()))
                    .filter(entry -> !NOT_FOR_TRIALS.contains(artifact(entry)))
                    .forEach(jars::add);
        }
        List<Path> files = new ArrayList<>();
        try {
            Files.createDirectories(packed);
            for (Path entry : jars) {
                files.add(
                        Files.isDirectory(entry)
                                ? FolderJar.write(
                                        packed.resolve("classes-" + files.size() + ".jar"),
                                        "",
                                        entry)
                                : entry);
            }
            String natives = System.getProperty(LIBRARY_PATH);
            if (natives != null) {
                files.add(
                        FolderJar.writeNatives(
                                packed.resolve("natives.jar"), NATIVES, Path.of(natives)));
            }
        } catch (IOException failure) {
            throw new UserException(
                    "%s: what the executors load cannot be packed there (%s); make the sweep's folder writable"
                            .formatted(packed, failure),
                    failure);
        }
        return files;
    }

    private static Stream<Path> entries(String path) {
        return Stream.of(path.split(Pattern.quote(File.pathSeparator)))
                .filter(entry -> !entry.isEmpty())
                .map(entry -> Path.of(entry).toAbsolutePath().normalize())
                .flatMap(PantheraJars::jarsOfModulePath)
                .filter(Files::exists);
    }

    /** The name of a jar without its version. */
    private static String artifact(Path jar) {
        return jar.getFileName().toString().replaceFirst("-\\d.*|\\.jar$", "");
    }

    /** A folder on a module path may hold jars. */
    private static Stream<Path> jarsOfModulePath(Path entry) {
        if (!Files.isDirectory(entry)) {
            return Stream.of(entry);
        }
        try (Stream<Path> files = Files.list(entry)) {
            List<Path> jars = files.filter(file -> file.toString().endsWith(".jar")).toList();
            return jars.isEmpty() ? Stream.of(entry) : jars.stream();
        } catch (IOException unreadable) {
            return Stream.of(entry);
        }
    }

    private static Path location(Class<?> type) {
        try {
            return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
        } catch (URISyntaxException impossible) {
            throw new IllegalStateException(type + " has no place", impossible);
        }
    }
}
