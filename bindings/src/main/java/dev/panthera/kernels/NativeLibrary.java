package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Loads libpanthera and what it needs, once. The set of libraries is looked for in
 * <ol>
 * <li>the folder that the system property {@value #PATH_PROPERTY} names;
 * <li>the class or module path, under {@code META-INF/native/<os>-<arch>/}. In a folder on disk they are loaded where
 *     they lie; in a jar they are unpacked first, see {@link NativeCache}.
 * </ol>
 */
final class NativeLibrary {

    static final String PATH_PROPERTY = "panthera.library.path";

    private static final String PANTHERA = "libpanthera.so";

    /** In the order of loading: what a library needs comes before it. libpanthera opens its CUDA part by itself. */
    private static final List<String> LOADED = List.of("libgomp.so.1", "libdnnl.so.3", PANTHERA);

    private NativeLibrary() {}

    /** The outcome of the first use, which later uses repeat. */
    private record Outcome(
            Path library, KernelException.@Nullable NativeLibraryUnavailable problem) {

        private static final Outcome ONCE = attempt();

        private static Outcome attempt() {
            try {
                return new Outcome(loadFrom(folder()), null);
            } catch (KernelException.NativeLibraryUnavailable problem) {
                return new Outcome(Path.of(PANTHERA), problem);
            }
        }
    }

    /**
     * Loads the library unless it is.
     *
     * @return the file it was loaded from
     * @throws KernelException.NativeLibraryUnavailable if it cannot be loaded; says why and what to do
     */
    static Path load() {
        KernelException.NativeLibraryUnavailable problem = Outcome.ONCE.problem();
        if (problem != null) {
            throw new KernelException.NativeLibraryUnavailable(problem.getMessage(), problem);
        }
        return Outcome.ONCE.library();
    }

    private static Path loadFrom(Path folder) {
        Path library = folder.resolve(PANTHERA).toAbsolutePath();
        if (!Files.isRegularFile(library)) {
            throw unavailable(
                    "%s has no %s; point -D%s at a folder that has"
                            .formatted(folder, PANTHERA, PATH_PROPERTY));
        }
        try {
            for (String name : LOADED) {
                Path file = folder.resolve(name).toAbsolutePath();
                if (Files.isRegularFile(file)) {
                    System.load(file.toString());
                }
            }
        } catch (UnsatisfiedLinkError failure) {
            throw new KernelException.NativeLibraryUnavailable(
                    "cannot load Panthera's natives from %s: %s"
                            .formatted(folder, failure.getMessage()),
                    failure);
        }
        int version = PantheraAbi.pan_abi_version();
        if (version != PantheraAbi.PAN_ABI_VERSION()) {
            throw unavailable(
                    "%s has interface version %d, these Java classes need %d; use natives of the same release"
                            .formatted(library, version, PantheraAbi.PAN_ABI_VERSION()));
        }
        return library;
    }

    private static Path folder() {
        String override = System.getProperty(PATH_PROPERTY);
        if (override != null) {
            return Path.of(override);
        }
        String platform = platform();
        String resources = "META-INF/native/" + platform + "/";
        URL library = NativeLibrary.class.getClassLoader().getResource(resources + PANTHERA);
        if (library == null) {
            throw unavailable(missing(platform));
        }
        try {
            return library.getProtocol().equals("file")
                    ? Path.of(new URI(library.toString())).getParent()
                    : NativeCache.unpack(resources);
        } catch (IOException | URISyntaxException failure) {
            throw new KernelException.NativeLibraryUnavailable(
                    "cannot unpack Panthera's natives: %s; or point -D%s at a folder that has them"
                            .formatted(failure, PATH_PROPERTY),
                    failure);
        }
    }

    private static String missing(String platform) {
        if (platform.equals("linux-x86_64")) {
            return ("Panthera's natives are not on the class or module path; add the panthera-native jar for %s, "
                            + "or point -D%s at a folder that has %s")
                    .formatted(platform, PATH_PROPERTY, PANTHERA);
        }
        return ("Panthera's natives exist for linux-x86_64; this is %s; build them from source "
                        + "and point -D%s at the folder that has %s")
                .formatted(platform, PATH_PROPERTY, PANTHERA);
    }

    private static String platform() {
        String os = System.getProperty("os.name").toLowerCase(Locale.ROOT).replace(' ', '-');
        String architecture = System.getProperty("os.arch");
        return os + "-" + (architecture.equals("amd64") ? "x86_64" : architecture);
    }

    private static KernelException.NativeLibraryUnavailable unavailable(String text) {
        return new KernelException.NativeLibraryUnavailable(text);
    }
}
