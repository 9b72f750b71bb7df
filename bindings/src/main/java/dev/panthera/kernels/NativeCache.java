package dev.panthera.kernels;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Unpacks the native libraries from their jars to a folder of the user's own, once per content: the folder's name is the
 * digest of the jars' lists, {@code SHA256SUMS} and, where the CUDA jar is present, {@code SHA256SUMS.cuda}, which give the
 * SHA-256 of every library as {@code sha256sum} writes it.
 *
 * <p>All files go to a temporary folder first, and the whole folder appears under its name by one atomic move. Before each
 * load the folder must still be the user's, closed to others, and every file must have its digest.
 */
final class NativeCache {

    private static final String DIGESTS = "SHA256SUMS";
    private static final String CUDA_DIGESTS = "SHA256SUMS.cuda";

    private static final int CHUNK_BYTES = 1 << 20;

    /** The files of the jar, by name; {@link FileNotFoundException} where there is none. */
    @FunctionalInterface
    interface Source {
        InputStream open(String name) throws IOException;
    }

    private NativeCache() {}

    /** The folder with the libraries of that resource folder. */
    static Path unpack(String resources) throws IOException {
        return unpack(name -> open(resources + name), root());
    }

    /** The folder below {@code root} with the libraries of that source. */
    static Path unpack(Source source, Path root) throws IOException {
        String list = read(source, DIGESTS) + readIfPresent(source, CUDA_DIGESTS);
        Map<String, String> digests = digests(list);
        Path folder =
                root.resolve(
                        HexFormat.of()
                                .formatHex(sha256().digest(list.getBytes(StandardCharsets.UTF_8))));
        if (!isIntact(folder, digests)) {
            createPrivate(folder.getParent());
            Path unpacked =
                    Files.createTempDirectory(
                            folder.getParent(),
                            "unpacking",
                            PosixFilePermissions.asFileAttribute(
                                    PosixFilePermissions.fromString("rwx------")));
            try {
                extract(source, digests, unpacked);
                publish(unpacked, folder, digests);
            } finally {
                delete(unpacked);
            }
        }
        return folder;
    }

    private static String read(Source source, String name) throws IOException {
        try (InputStream in = source.open(name)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static String readIfPresent(Source source, String name) throws IOException {
        try {
            return read(source, name);
        } catch (FileNotFoundException absent) {
            return "";
        }
    }

    private static Path root() {
        String cache = System.getenv("XDG_CACHE_HOME");
        Path base =
                cache == null || !Path.of(cache).isAbsolute()
                        ? Path.of(System.getProperty("user.home"), ".cache")
                        : Path.of(cache);
        return base.resolve("panthera").resolve("native");
    }

    private static void createPrivate(Path folder) throws IOException {
        Files.createDirectories(
                folder,
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    }

    private static boolean isIntact(Path folder, Map<String, String> digests) throws IOException {
        if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
            return false;
        }
        String mode = PosixFilePermissions.toString(Files.getPosixFilePermissions(folder));
        if (!mode.equals("rwx------")
                || !Files.getOwner(folder).equals(Files.getOwner(folder.getParent()))) {
            throw new FileSystemException(
                    folder.toString(), null, "it is not a folder of this user's alone; delete it");
        }
        for (var entry : digests.entrySet()) {
            Path file = folder.resolve(entry.getKey());
            if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)
                    || !digestOf(file).equals(entry.getValue())) {
                return false;
            }
        }
        return true;
    }

    private static String digestOf(Path file) throws IOException {
        MessageDigest digest = sha256();
        try (var channel = FileChannel.open(file)) {
            ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK_BYTES);
            while (channel.read(chunk) >= 0) {
                digest.update(chunk.flip());
                chunk.clear();
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private static Map<String, String> digests(String list) throws IOException {
        var digests = new LinkedHashMap<String, String>();
        for (String line : list.lines().toList()) {
            String[] digestAndName = line.split("[ *]+", 2);
            if (digestAndName.length != 2
                    || digestAndName[1].isEmpty()
                    || digestAndName[1].contains("/")) {
                throw new IOException(
                        DIGESTS
                                + " has the line \""
                                + line
                                + "\"; expected a digest and a file name");
            }
            digests.put(digestAndName[1], digestAndName[0]);
        }
        return digests;
    }

    private static void extract(Source source, Map<String, String> digests, Path target)
            throws IOException {
        for (var entry : digests.entrySet()) {
            Path file = target.resolve(entry.getKey());
            try (InputStream in = source.open(entry.getKey())) {
                Files.copy(in, file);
            }
            String found = digestOf(file);
            if (!found.equals(entry.getValue())) {
                throw new IOException(
                        "%s in the jar has SHA-256 %s; expected %s: the jar is damaged"
                                .formatted(entry.getKey(), found, entry.getValue()));
            }
        }
    }

    /** Another process may publish the same at the same time: then its folder is as good as ours. */
    private static void publish(Path unpacked, Path folder, Map<String, String> digests)
            throws IOException {
        if (Files.exists(folder, LinkOption.NOFOLLOW_LINKS)) {
            delete(folder);
        }
        try {
            Files.move(unpacked, folder, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException unsupported) {
            throw unsupported;
        } catch (FileSystemException occupied) {
            if (!isIntact(folder, digests)) {
                throw occupied;
            }
        }
    }

    private static void delete(Path folder) throws IOException {
        if (!Files.exists(folder, LinkOption.NOFOLLOW_LINKS)) {
            return;
        }
        try (Stream<Path> files = Files.list(folder)) {
            files.forEach(NativeCache::deleteFile);
        } catch (UncheckedIOException failure) {
            throw failure.getCause();
        }
        Files.deleteIfExists(folder);
    }

    private static void deleteFile(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }

    private static InputStream open(String resource) throws IOException {
        InputStream in = NativeCache.class.getClassLoader().getResourceAsStream(resource);
        if (in == null) {
            throw new FileNotFoundException(
                    resource + " is missing beside the other libraries in the jar");
        }
        return in;
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException impossible) {
            throw new AssertionError("every Java platform has SHA-256", impossible);
        }
    }
}
