package dev.panthera.sweep;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassTransform;
import java.lang.classfile.attribute.EnclosingMethodAttribute;
import java.lang.classfile.attribute.InnerClassesAttribute;
import java.lang.classfile.attribute.NestHostAttribute;
import java.lang.classfile.attribute.NestMembersAttribute;
import java.lang.classfile.attribute.SourceFileAttribute;
import java.lang.classfile.constantpool.ClassEntry;
import java.security.CodeSource;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The code of classes that an experiment brings along, as far as it decides about results: a class and those of the same origin that
 * its code names. A class that only encloses it, such as that of a compact source file with the main method, does not belong to it;
 * nor do line numbers and names of local variables. So a grid may grow, and comments change, without new trials for old ones.
 */
final class ForeignCode {
    private static final ClassFile PLAIN =
            ClassFile.of(
                    ClassFile.DebugElementsOption.DROP_DEBUG,
                    ClassFile.LineNumbersOption.DROP_LINE_NUMBERS,
                    ClassFile.ConstantPoolSharingOption.NEW_POOL);

    /** Says where a class was written, and among which others. */
    private static final ClassTransform WITHOUT_SURROUNDINGS =
            ClassTransform.dropping(element ->
                    element instanceof SourceFileAttribute
                            || element instanceof InnerClassesAttribute
                            || element instanceof NestHostAttribute
                            || element instanceof NestMembersAttribute
                            || element instanceof EnclosingMethodAttribute);

    private ForeignCode() {}

    /** Adds the code of a class and of all that it needs to what is there, by name. */
    static void collect(Class<?> type, Map<String, byte[]> code) {
        if (code.containsKey(type.getName())) {
            return;
        }
        byte[] plain = plain(bytes(type));
        code.put(type.getName(), plain);
        if (plain.length == 0) {
            return;
        }
        for (var entry : ClassFile.of().parse(plain).constantPool()) {
            if (entry instanceof ClassEntry named && !named.asInternalName().startsWith("[")) {
                sibling(type, named.asInternalName().replace('/', '.'))
                        .ifPresent(found -> collect(found, code));
            }
        }
    }

    private static byte[] plain(byte[] bytes) {
        return bytes.length == 0
                ? bytes
                : PLAIN.transformClass(PLAIN.parse(bytes), WITHOUT_SURROUNDINGS);
    }

    private static Optional<Class<?>> sibling(Class<?> type, String name) {
        try {
            Class<?> found = Class.forName(name, false, type.getClassLoader());
            boolean sameOrigin =
                    found.getClassLoader() == type.getClassLoader()
                            && Objects.equals(origin(found), origin(type));
            return sameOrigin ? Optional.of(found) : Optional.empty();
        } catch (ClassNotFoundException | LinkageError absent) {
            return Optional.empty();
        }
    }

    private static @Nullable CodeSource origin(Class<?> type) {
        return type.getProtectionDomain().getCodeSource();
    }

    /** Empty where a class has no file, as some that a program makes while it runs. */
    private static byte[] bytes(Class<?> type) {
        String file = type.getName().replace('.', '/') + ".class";
        var loader = type.getClassLoader();
        try (var stream =
                loader == null
                        ? ClassLoader.getSystemResourceAsStream(file)
                        : loader.getResourceAsStream(file)) {
            return stream == null ? new byte[0] : stream.readAllBytes();
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }
}
