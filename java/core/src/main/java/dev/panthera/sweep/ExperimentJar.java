package dev.panthera.sweep;

import dev.panthera.UserException;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.module.FindException;
import java.lang.module.ModuleFinder;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.jar.Attributes;
import java.util.jar.JarFile;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaFileObject;
import javax.tools.ToolProvider;

/** An experiment's classes as a jar: made of one Java source file, loaded beside the program's own classes, and started. */
public final class ExperimentJar {
    /** Name of the jar in a sweep's folder. */
    public static final String NAME = "experiment.jar";

    private static final LocalDateTime ALWAYS_THE_SAME = LocalDateTime.of(1980, 1, 1, 0, 0);

    private ExperimentJar() {}

    /**
     * Compiles a source file, which may {@code import module dev.panthera} and need not declare a class. The same source gives the
     * same bytes.
     *
     * @throws UserException if it cannot be read or compiled; names the first error with its line
     */
    public static void compile(Path source, Path jar) {
        UserException.require(
                Files.isRegularFile(source),
                "%s: there is no such file; name an experiment's .java or .yaml file",
                source);
        UserException.require(
                source.getFileName().toString().endsWith(".java"),
                "%s: an experiment is a .java or .yaml file; rename it, or name another",
                source);
        try {
            Path classes = Files.createTempDirectory("panthera-experiment");
            try {
                javac(source, classes);
                pack(classes, mainClass(source, classes), jar);
            } finally {
                delete(classes);
            }
        } catch (IOException failure) {
            throw new UserException(
                    "%s: its classes cannot be written (%s); check permissions and free space"
                            .formatted(source, failure.getMessage()),
                    failure);
        }
    }

    /** The class that has the file's name, in whatever package. */
    private static String mainClass(Path source, Path classes) throws IOException {
        String name = source.getFileName().toString().replaceFirst("\\.java$", "");
        try (var files = Files.walk(classes)) {
            return files.filter(file -> file.endsWith(name + ".class"))
                    .findFirst()
                    .map(file -> classes.relativize(file).toString())
                    .map(file ->
                            file.replaceFirst("\\.class$", "").replace(File.separatorChar, '.'))
                    .orElseThrow(() ->
                            new UserException(
                                    "%s: it declares no class %s; name the file after the class with the main method"
                                            .formatted(source, name)));
        }
    }

    private static void javac(Path source, Path classes) throws IOException {
        var compiler = ToolProvider.getSystemJavaCompiler();
        UserException.require(
                compiler != null,
                "%s: this Java cannot compile; run panthera with a JDK instead of a runtime",
                source);
        var problems = new DiagnosticCollector<JavaFileObject>();
        try (var files = compiler.getStandardFileManager(problems, Locale.ROOT, null)) {
            List<String> options =
                    List.of(
                            "-d",
                            classes.toString(),
                            "-proc:none",
                            "--class-path",
                            System.getProperty("java.class.path", ""),
                            "--module-path",
                            String.join(File.pathSeparator, modules()),
                            "--add-modules",
                            "dev.panthera");
            boolean compiled =
                    compiler.getTask(
                                    null,
                                    files,
                                    problems,
                                    options,
                                    null,
                                    files.getJavaFileObjects(source))
                            .call();
            if (!compiled) {
                throw new UserException(firstError(source, problems.getDiagnostics()));
            }
        }
    }

    private static String firstError(
            Path source, List<Diagnostic<? extends JavaFileObject>> problems) {
        return problems.stream()
                .filter(problem -> problem.getKind() == Diagnostic.Kind.ERROR)
                .findFirst()
                .map(problem ->
                        source
                                + ":"
                                + problem.getLineNumber()
                                + ": "
                                + problem.getMessage(Locale.ROOT).replaceAll("\\s*\\R\\s*", "; "))
                .orElse("%s: it cannot be compiled".formatted(source));
    }

    /** Everything that the program runs with and that can be a module. */
    private static List<String> modules() {
        return Stream.of("java.class.path", "jdk.module.path")
                .flatMap(
                        key -> Arrays.stream(System.getProperty(key, "").split(File.pathSeparator)))
                .filter(entry -> !entry.isEmpty() && isModule(Path.of(entry)))
                .toList();
    }

    private static boolean isModule(Path entry) {
        try {
            return !ModuleFinder.of(entry).findAll().isEmpty();
        } catch (FindException noModule) {
            return false;
        }
    }

    private static void pack(Path classes, String mainClass, Path jar) throws IOException {
        var manifest = new Manifest();
        manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
        manifest.getMainAttributes().put(Attributes.Name.MAIN_CLASS, mainClass);
        try (var out = new ZipOutputStream(Files.newOutputStream(jar));
                var files = Files.walk(classes)) {
            entry(out, JarFile.MANIFEST_NAME, bytes -> manifest.write(bytes));
            for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
                String name = classes.relativize(file).toString().replace(File.separatorChar, '/');
                entry(out, name, bytes -> Files.copy(file, bytes));
            }
        }
    }

    @FunctionalInterface
    private interface Content {
        void write(OutputStream out) throws IOException;
    }

    private static void entry(ZipOutputStream out, String name, Content content)
            throws IOException {
        var entry = new ZipEntry(name);
        entry.setTimeLocal(ALWAYS_THE_SAME);
        out.putNextEntry(entry);
        content.write(out);
        out.closeEntry();
    }

    private static void delete(Path folder) throws IOException {
        try (var files = Files.walk(folder)) {
            for (Path file : files.sorted((a, b) -> b.compareTo(a)).toList()) {
                Files.delete(file);
            }
        }
    }

    /** A loader of the jar's classes beside the program's own; it stays open as long as they are used. */
    public static URLClassLoader loader(Path jar) {
        try {
            return new URLClassLoader(
                    new URL[] {jar.toUri().toURL()}, ExperimentJar.class.getClassLoader());
        } catch (MalformedURLException impossible) {
            throw new IllegalArgumentException(impossible);
        }
    }

    /**
     * Runs the main method of the jar's main class, which may be any that Java 25 would start.
     *
     * @throws Exception what the main method throws
     */
    public static void main(Path jar, ClassLoader loader, List<String> arguments) throws Exception {
        Class<?> type = loader.loadClass(mainClassOf(jar));
        Method main = mainMethod(type);
        main.setAccessible(true);
        try {
            Object instance = Modifier.isStatic(main.getModifiers()) ? null : instance(type);
            if (main.getParameterCount() == 0) {
                main.invoke(instance);
            } else {
                main.invoke(instance, (Object) arguments.toArray(String[]::new));
            }
        } catch (InvocationTargetException thrown) {
            switch (thrown.getCause()) {
                case Exception exception -> throw exception;
                case Error error -> throw error;
                default -> throw thrown;
            }
        }
    }

    private static Object instance(Class<?> type) throws ReflectiveOperationException {
        try {
            var constructor = type.getDeclaredConstructor();
            constructor.setAccessible(true);
            return constructor.newInstance();
        } catch (NoSuchMethodException | InstantiationException impossible) {
            throw new UserException(
                    "%s.java: its main method is not static, and the class has no constructor without parameters; make main static"
                            .formatted(type.getName()),
                    impossible);
        }
    }

    private static String mainClassOf(Path jar) throws IOException {
        try (var file = new JarFile(jar.toFile())) {
            return file.getManifest().getMainAttributes().getValue(Attributes.Name.MAIN_CLASS);
        }
    }

    private static Method mainMethod(Class<?> type) {
        Optional<Method> found = method(type, String[].class).or(() -> method(type));
        return found.orElseThrow(() ->
                new UserException(
                        "%s.java: it has no main method; write void main(String... args) { Sweep.named(\"...\")...run(args); }"
                                .formatted(type.getName())));
    }

    private static Optional<Method> method(Class<?> type, Class<?>... parameters) {
        try {
            return Optional.of(type.getDeclaredMethod("main", parameters));
        } catch (NoSuchMethodException absent) {
            return Optional.empty();
        }
    }
}
