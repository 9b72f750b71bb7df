package dev.panthera.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.classfile.Attributes;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.module.ModuleDescriptor;
import java.net.URI;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What holds for the modules as a whole. */
class ModuleTest {
    private static final String ROOT = "dev.panthera";

    /** What each package may use, besides itself, the root package and the kernels; from the bottom to the top. */
    private static final Map<String, Set<String>> USES =
            Map.ofEntries(
                    Map.entry("random", Set.of()),
                    Map.entry("io", Set.of()),
                    Map.entry("tensor", Set.of()),
                    Map.entry("nn", Set.of("tensor", "random")),
                    Map.entry("mixer", Set.of("nn", "tensor", "random")),
                    Map.entry("model", Set.of("mixer", "nn", "tensor")),
                    Map.entry("task", Set.of("random")),
                    Map.entry("train", Set.of("task", "model", "mixer", "nn", "tensor", "io")),
                    Map.entry(
                            "parity",
                            Set.of(
                                    "train", "task", "model", "mixer", "nn", "tensor", "io",
                                    "random")),
                    Map.entry("sweep", Set.of("track", "train", "task", "mixer", "tensor", "io")),
                    Map.entry("report", Set.of("sweep", "train", "mixer", "io")),
                    Map.entry(
                            "compare",
                            Set.of("report", "sweep", "track", "train", "task", "mixer", "io")),
                    Map.entry("bench", Set.of("train", "task", "model", "nn", "tensor")),
                    Map.entry("track", Set.of("train")),
                    Map.entry(
                            "cli",
                            Set.of(
                                    "bench", "parity", "compare", "report", "sweep", "track",
                                    "train", "task", "model", "mixer", "nn", "tensor", "io",
                                    "random")));

    @Test
    void packagesDependDownwardsOnly() throws IOException {
        Map<String, Set<String>> used = new TreeMap<>();
        for (ClassModel model : ClassFiles.of(ClassFiles.core())) {
            String name = ClassFiles.packageOf(model);
            if (name.startsWith(ROOT + ".")) {
                used.computeIfAbsent(shortName(name), key -> new TreeSet<>())
                        .addAll(otherPackages(model, name));
            }
        }
        assertThat(used.keySet()).isEqualTo(USES.keySet());
        used.forEach((name, packages) -> assertThat(USES.get(name)).as(name).containsAll(packages));
    }

    private static Set<String> otherPackages(ClassModel model, String own) {
        return ClassFiles.packagesUsedBy(model).stream()
                .filter(name ->
                        name.startsWith(ROOT + ".")
                                && !name.equals(own)
                                && !name.equals(ROOT + ".kernels"))
                .map(ModuleTest::shortName)
                .collect(Collectors.toSet());
    }

    private static String shortName(String packageName) {
        return packageName.substring(ROOT.length() + 1);
    }

    @Test
    void theKernelsKnowNothingOfTheFramework() throws IOException {
        for (ClassModel model : ClassFiles.of(ClassFiles.kernels())) {
            assertThat(ClassFiles.packagesUsedBy(model))
                    .as(model.thisClass().asInternalName())
                    .allMatch(name -> !name.startsWith(ROOT) || name.startsWith(ROOT + ".kernels"));
        }
    }

    /** Only the safe layer may touch the generated binding. */
    @Test
    void theGeneratedBindingIsNeitherExportedNorUsedElsewhere() throws IOException {
        assertThat(exports(ClassFiles.kernels())).containsExactly(ROOT + ".kernels");
        for (ClassModel model : ClassFiles.of(ClassFiles.core())) {
            assertThat(ClassFiles.packagesUsedBy(model))
                    .as(model.thisClass().asInternalName())
                    .doesNotContain(ROOT + ".kernels.abi");
        }
    }

    /** Otherwise a user who imports both would have to qualify one of them. */
    @Test
    void noExportedTypeIsNamedAsOneOfTheJavaBase() throws IOException {
        Set<String> ofJava = exportedNamesOfJavaBase();
        assertThat(ofJava).contains("Buffer", "Random", "Arena", "Record");
        Set<String> ours = new TreeSet<>();
        for (Path module : List.of(ClassFiles.kernels(), ClassFiles.core())) {
            Set<String> exported = exports(module);
            for (ClassModel model : ClassFiles.of(module)) {
                if (exported.contains(ClassFiles.packageOf(model)) && ClassFiles.isPublic(model)) {
                    ours.add(ClassFiles.simpleName(model));
                }
            }
        }
        assertThat(ours).contains("Device", "Tensor", "Trainer", "Protocol");
        ours.retainAll(ofJava);
        assertThat(ours).isEmpty();
    }

    /** Of top-level types, since nested ones are imported with intent. */
    private static Set<String> exportedNamesOfJavaBase() throws IOException {
        Set<String> exported =
                ModuleDescriptor.read(
                                Object.class.getModule().getResourceAsStream("module-info.class"))
                        .exports()
                        .stream()
                        .filter(export -> !export.isQualified())
                        .map(ModuleDescriptor.Exports::source)
                        .collect(Collectors.toSet());
        Set<String> names = new HashSet<>();
        Path root = FileSystems.getFileSystem(URI.create("jrt:/")).getPath("modules", "java.base");
        try (Stream<Path> files = Files.walk(root)) {
            for (Path file : (Iterable<Path>) files.filter(ModuleTest::isTopLevelClass)::iterator) {
                String packageName = root.relativize(file.getParent()).toString().replace('/', '.');
                ClassModel model = ClassFile.of().parse(Files.readAllBytes(file));
                if (exported.contains(packageName) && ClassFiles.isPublic(model)) {
                    names.add(ClassFiles.simpleName(model));
                }
            }
        }
        return names;
    }

    private static boolean isTopLevelClass(Path file) {
        String name = file.getFileName().toString();
        return name.endsWith(".class") && !name.contains("$");
    }

    private static Set<String> exports(Path module) throws IOException {
        return ClassFiles.moduleInfo(module)
                .findAttribute(Attributes.module())
                .orElseThrow()
                .exports()
                .stream()
                .filter(export -> export.exportsTo().isEmpty())
                .map(export -> export.exportedPackage().asSymbol().name())
                .collect(Collectors.toSet());
    }

    /** The generated binding is jextract's text and has none. */
    @Test
    void everyPackageIsNullMarked() throws IOException {
        Set<String> packages = new TreeSet<>();
        Set<String> marked = new TreeSet<>();
        for (ClassModel model : ClassFiles.all()) {
            String name = ClassFiles.packageOf(model);
            if (!name.isEmpty() && !name.equals(ROOT + ".kernels.abi")) {
                packages.add(name);
                if (isNullMarkedPackageInfo(model)) {
                    marked.add(name);
                }
            }
        }
        assertThat(packages).contains(ROOT, ROOT + ".kernels", ROOT + ".train");
        assertThat(marked).isEqualTo(packages);
    }

    private static boolean isNullMarkedPackageInfo(ClassModel model) {
        return ClassFiles.simpleName(model).equals("package-info")
                && model.findAttribute(Attributes.runtimeVisibleAnnotations()).stream()
                        .flatMap(attribute -> attribute.annotations().stream())
                        .anyMatch(annotation ->
                                annotation.classSymbol().displayName().equals("NullMarked"));
    }
}
