package dev.panthera.architecture;

import dev.panthera.cli.Panthera;
import dev.panthera.kernels.Device;
import java.io.IOException;
import java.lang.classfile.Attributes;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.constantpool.ClassEntry;
import java.lang.classfile.constantpool.NameAndTypeEntry;
import java.lang.classfile.constantpool.Utf8Entry;
import java.lang.constant.ClassDesc;
import java.lang.constant.MethodTypeDesc;
import java.lang.reflect.AccessFlag;
import java.net.URISyntaxException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/** The compiled classes of Panthera's modules, read from where the tests have them: folders or jars. */
final class ClassFiles {

    private ClassFiles() {}

    /** Where the module dev.panthera.kernels is. */
    static Path kernels() {
        return location(Device.class);
    }

    /** Where the module dev.panthera is. */
    static Path core() {
        return location(Panthera.class);
    }

    private static Path location(Class<?> type) {
        try {
            return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
        } catch (URISyntaxException impossible) {
            throw new AssertionError(impossible);
        }
    }

    /** All classes of both modules. */
    static List<ClassModel> all() throws IOException {
        List<ClassModel> models = new ArrayList<>(of(kernels()));
        models.addAll(of(core()));
        return models;
    }

    /** All classes of a module, package-info and module-info included. */
    static List<ClassModel> of(Path location) throws IOException {
        if (Files.isDirectory(location)) {
            return parse(location);
        }
        try (FileSystem jar = FileSystems.newFileSystem(location)) {
            return parse(jar.getPath("/"));
        }
    }

    private static List<ClassModel> parse(Path root) throws IOException {
        List<ClassModel> models = new ArrayList<>();
        try (Stream<Path> files = Files.walk(root)) {
            for (Path file :
                    (Iterable<Path>)
                            files.filter(path -> path.toString().endsWith(".class"))::iterator) {
                models.add(ClassFile.of().parse(Files.readAllBytes(file)));
            }
        }
        return models;
    }

    /** The class whose name is {@code module-info}. */
    static ClassModel moduleInfo(Path location) throws IOException {
        return of(location).stream()
                .filter(model -> model.findAttribute(Attributes.module()).isPresent())
                .findFirst()
                .orElseThrow(() -> new AssertionError(location + " has no module-info.class"));
    }

    static String packageOf(ClassModel model) {
        return model.thisClass().asSymbol().packageName();
    }

    /** The name without package and outer classes. */
    static String simpleName(ClassModel model) {
        String name = model.thisClass().asSymbol().displayName();
        return name.substring(name.lastIndexOf('$') + 1);
    }

    /** Whether other modules can use a class: it and its outer classes are public. */
    static boolean isPublic(ClassModel model) {
        return model.findAttribute(Attributes.innerClasses())
                .flatMap(attribute ->
                        attribute.classes().stream()
                                .filter(inner -> inner.innerClass().equals(model.thisClass()))
                                .findFirst())
                .map(inner -> inner.has(AccessFlag.PUBLIC))
                .orElse(model.flags().has(AccessFlag.PUBLIC));
    }

    /** The packages of all classes that a class names: in code, in signatures and in descriptors. */
    static Set<String> packagesUsedBy(ClassModel model) {
        Set<String> packages = new HashSet<>();
        for (var entry : model.constantPool()) {
            switch (entry) {
                case ClassEntry named -> add(named.asSymbol(), packages);
                case NameAndTypeEntry typed -> addDescriptor(typed.type(), packages);
                default -> {}
            }
        }
        model.methods().forEach(method -> addDescriptor(method.methodType(), packages));
        model.fields().forEach(field -> addDescriptor(field.fieldType(), packages));
        return packages;
    }

    private static void addDescriptor(Utf8Entry descriptor, Set<String> packages) {
        String text = descriptor.stringValue();
        if (text.startsWith("(")) {
            var type = MethodTypeDesc.ofDescriptor(text);
            add(type.returnType(), packages);
            type.parameterList().forEach(parameter -> add(parameter, packages));
        } else {
            add(ClassDesc.ofDescriptor(text), packages);
        }
    }

    private static void add(ClassDesc type, Set<String> packages) {
        ClassDesc element = type;
        while (element.isArray()) {
            element = element.componentType();
        }
        if (element.isClassOrInterface()) {
            packages.add(element.packageName());
        }
    }
}
