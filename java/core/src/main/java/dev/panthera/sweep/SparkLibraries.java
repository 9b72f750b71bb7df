package dev.panthera.sweep;

import dev.panthera.UserException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.MalformedURLException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Where the Spark engine's classes are: {@code panthera-spark.jar}, named by the system property {@value #ENGINE_JAR} or
 * beside this library's jar, and Spark's jars, in {@code SPARK_HOME/jars} or in the folder that the property {@value
 * #SPARK_JARS} names.
 *
 * <p>They get a class loader of their own that prefers them over this program's class path, so that each side has its own
 * Jackson annotations and logging; only Panthera's classes are shared.
 */
final class SparkLibraries {
    static final String ENGINE_JAR = "panthera.spark.jar";
    static final String SPARK_JARS = "panthera.spark.libraries";
    private static final String SPARK_HOME = "SPARK_HOME";
    private static final String JAR_NAME = "panthera-spark.jar";

    private SparkLibraries() {}

    /**
     * A class loader that has the engine.
     *
     * @throws UserException if a part is missing; says what to set
     */
    static ClassLoader loader() {
        return loader(System.getProperty(ENGINE_JAR), sparkJars(System.getenv()));
    }

    private static ClassLoader loader(@Nullable String engineJar, Path sparkJars) {
        List<Path> jars = new ArrayList<>();
        jars.add(engineJar == null ? besideThisLibrary() : Path.of(engineJar));
        UserException.require(
                Files.isRegularFile(jars.getFirst()),
                "--engine spark: %s is missing; build it (./mvnw -DskipTests package) or name it by -D%s=FILE",
                jars.getFirst(),
                ENGINE_JAR);
        jars.addAll(jarsIn(sparkJars));
        return new PreferringLoader(jars.stream().map(SparkLibraries::url).toArray(URL[]::new));
    }

    /** Spark's folder of jars: as the property says, else as the environment does. */
    private static Path sparkJars(Map<String, String> environment) {
        String named = System.getProperty(SPARK_JARS);
        String home = environment.get(SPARK_HOME);
        UserException.require(
                named != null || (home != null && !home.isEmpty()),
                "--engine spark: Apache Spark is not found; set SPARK_HOME to the folder of an installation of Spark 4.2 (it has a folder jars)");
        Path folder = named != null ? Path.of(named) : Path.of(home).resolve("jars");
        boolean hasSpark =
                jarsIn(folder).stream()
                        .anyMatch(jar -> jar.getFileName().toString().startsWith("spark-core_"));
        UserException.require(
                hasSpark,
                "--engine spark: %s has no spark-core jar; set SPARK_HOME to the folder of an installation of Spark 4.2",
                folder);
        return folder;
    }

    private static List<Path> jarsIn(Path folder) {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.toString().endsWith(".jar")).sorted().toList();
        } catch (IOException failure) {
            throw new UserException(
                    "--engine spark: %s cannot be read (%s); set SPARK_HOME to a folder that can"
                            .formatted(folder, failure.getMessage()),
                    failure);
        }
    }

    /** Beside this library's jar, or where a build of the sources puts it: {@code java/spark} is beside {@code java/core}. */
    private static Path besideThisLibrary() {
        Path here = ownFolder();
        return Stream.of(here, here.resolve(Path.of("..", "..", "spark", "target")))
                .map(folder -> folder.resolve(JAR_NAME).normalize())
                .filter(Files::isRegularFile)
                .findFirst()
                .orElse(here.resolve(JAR_NAME));
    }

    private static Path ownFolder() {
        return Optional.ofNullable(SparkLibraries.class.getProtectionDomain().getCodeSource())
                .map(source -> Path.of(uri(source.getLocation())).getParent())
                .orElse(Path.of(""));
    }

    private static URI uri(URL location) {
        try {
            return location.toURI();
        } catch (URISyntaxException impossible) {
            throw new IllegalStateException(location + " is no address of a file", impossible);
        }
    }

    private static URL url(Path file) {
        try {
            return file.toUri().toURL();
        } catch (MalformedURLException impossible) {
            throw new UncheckedIOException(impossible);
        }
    }

    /** Looks into Java, its own jars, and then for Panthera's classes among those of this program. */
    private static final class PreferringLoader extends URLClassLoader {
        private static final String SHARED = "dev.panthera.";

        static {
            registerAsParallelCapable();
        }

        PreferringLoader(URL[] jars) {
            super("spark", jars, ClassLoader.getPlatformClassLoader());
        }

        @Override
        protected Class<?> findClass(String name) throws ClassNotFoundException {
            try {
                return super.findClass(name);
            } catch (ClassNotFoundException absent) {
                if (name.startsWith(SHARED)) {
                    return SparkLibraries.class.getClassLoader().loadClass(name);
                }
                throw absent;
            }
        }
    }
}
