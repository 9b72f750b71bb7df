package dev.panthera.kernels;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Unpacks the native libraries from a jar to a folder of the user's own, once per content: the folder's name is the
 * digest of the jar's {@code SHA256SUMS}, which lists the SHA-256 of every library as {@code sha256sum} writes it.
 *
 * <p>All files go to a temporary folder first, each is checked against its digest while it is written, and the whole
 * folder appears under its name by one atomic move. Later starts trust it if it is still the user's, closed to others,
 * and its files have the recorded sizes: reading 90 MB again to digest them would cost more than loading them does.
 */
final class NativeCache {

    private static final String DIGESTS = "SHA256SUMS";
    private static final String SIZES = "SIZES";

    private NativeCache() {}

    /** The folder with the libraries of that resource folder. */
    static Path unpack(String resources) throws IOException {
        byte[] list;
        try (InputStream in = open(resources + DIGESTS)) {
            list = in.readAllBytes();
        }
        Path folder = root().resolve(HexFormat.of().formatHex(sha256().digest(list)));
        if (!isIntact(folder)) {
            createPrivate(folder.getParent());
            Path unpacked = Files.createTempDirectory(folder.getParent(), "unpacking",
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
            try {
                extract(resources, digests(new String(list, StandardCharsets.UTF_8)), unpacked);
                publish(unpacked, folder);
            } finally {
                delete(unpacked);
            }
        }
        return folder;
    }

    private static Path root() {
        String cache = System.getenv("XDG_CACHE_HOME");
        Path base = cache == null || !Path.of(cache).isAbsolute()
            ? Path.of(System.getProperty("user.home"), ".cache")
            : Path.of(cache);
        return base.resolve("panthera").resolve("native");
    }

    private static void createPrivate(Path folder) throws IOException {
        Files.createDirectories(folder,
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    }

    private static boolean isIntact(Path folder) throws IOException {
        if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
            return false;
        }
        String mode = PosixFilePermissions.toString(Files.getPosixFilePermissions(folder));
        if (!mode.equals("rwx------") || !Files.getOwner(folder).equals(Files.getOwner(folder.getParent()))) {
            throw new FileSystemException(folder.toString(), null,
                "it is not a folder of this user's alone; delete it");
        }
        Path sizes = folder.resolve(SIZES);
        if (!Files.isRegularFile(sizes)) {
            return false;
        }
        for (String line : Files.readAllLines(sizes)) {
            String[] sizeAndName = line.split(" ", 2);
            Path file = folder.resolve(sizeAndName[1]);
            if (!Files.isRegularFile(file) || Files.size(file) != Long.parseLong(sizeAndName[0])) {
                return false;
            }
        }
        return true;
    }

    private static Map<String, String> digests(String list) throws IOException {
        var digests = new LinkedHashMap<String, String>();
        for (String line : list.lines().toList()) {
            String[] digestAndName = line.split("[ *]+", 2);
            if (digestAndName.length != 2 || digestAndName[1].isEmpty() || digestAndName[1].contains("/")) {
                throw new IOException(DIGESTS + " has the line \"" + line + "\"; expected a digest and a file name");
            }
            digests.put(digestAndName[1], digestAndName[0]);
        }
        return digests;
    }

    private static void extract(String resources, Map<String, String> digests, Path target) throws IOException {
        var sizes = new StringBuilder();
        for (var entry : digests.entrySet()) {
            String name = entry.getKey();
            MessageDigest digest = sha256();
            try (var in = new DigestInputStream(open(resources + name), digest)) {
                sizes.append(Files.copy(in, target.resolve(name))).append(' ').append(name).append('\n');
            }
            String found = HexFormat.of().formatHex(digest.digest());
            if (!found.equals(entry.getValue())) {
                throw new IOException("%s in the jar has SHA-256 %s; expected %s: the jar is damaged".formatted(name,
                    found, entry.getValue()));
            }
        }
        Files.writeString(target.resolve(SIZES), sizes);
    }

    /** Another process may publish the same at the same time: then its folder is as good as ours. */
    private static void publish(Path unpacked, Path folder) throws IOException {
        if (Files.exists(folder, LinkOption.NOFOLLOW_LINKS)) {
            delete(folder);
        }
        try {
            Files.move(unpacked, folder, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException unsupported) {
            throw unsupported;
        } catch (FileSystemException occupied) {
            if (!isIntact(folder)) {
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
            throw new FileNotFoundException(resource + " is missing beside the other libraries in the jar");
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
