package dev.panthera.spark;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.Deflater;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** Packs folders into jars. */
final class FolderJar {
    private static final String DIGESTS = "SHA256SUMS";

    private FolderJar() {}

    /** Packs all files of a folder below {@code prefix}; returns the jar. */
    static Path write(Path jar, String prefix, Path folder) throws IOException {
        List<Path> files;
        try (Stream<Path> walk = Files.walk(folder)) {
            files = walk.filter(Files::isRegularFile).sorted().toList();
        }
        return write(jar, prefix, folder, files, "");
    }

    /** Packs the libraries of a folder with the list of their digests, as the loader expects it; returns the jar. */
    static Path writeNatives(Path jar, String prefix, Path folder) throws IOException {
        List<Path> libraries;
        try (Stream<Path> all = Files.list(folder)) {
            libraries =
                    all.filter(file -> file.getFileName().toString().matches("lib.*\\.so(\\..*)?"))
                            .sorted()
                            .toList();
        }
        if (isUpToDate(jar, libraries)) {
            return jar;
        }
        var digests = new StringBuilder();
        for (Path library : libraries) {
            digests.append(digest(library)).append("  ").append(library.getFileName()).append('\n');
        }
        return write(jar, prefix + "/", folder, libraries, digests.toString());
    }

    private static boolean isUpToDate(Path jar, List<Path> files) throws IOException {
        if (!Files.isRegularFile(jar)) {
            return false;
        }
        for (Path file : files) {
            if (Files.getLastModifiedTime(file).compareTo(Files.getLastModifiedTime(jar)) >= 0) {
                return false;
            }
        }
        return true;
    }

    private static Path write(
            Path jar, String prefix, Path folder, List<Path> files, String digests)
            throws IOException {
        Path temporary = Files.createTempFile(jar.getParent(), jar.getFileName().toString(), "");
        try {
            try (var out = new ZipOutputStream(Files.newOutputStream(temporary))) {
                out.setLevel(Deflater.BEST_SPEED);
                for (Path file : files) {
                    out.putNextEntry(
                            new ZipEntry(
                                    prefix
                                            + folder.relativize(file)
                                                    .toString()
                                                    .replace('\\', '/')));
                    Files.copy(file, out);
                    out.closeEntry();
                }
                if (!digests.isEmpty()) {
                    out.putNextEntry(new ZipEntry(prefix + DIGESTS));
                    out.write(digests.getBytes(StandardCharsets.UTF_8));
                    out.closeEntry();
                }
            }
            return Files.move(temporary, jar, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    private static String digest(Path file) throws IOException {
        try (InputStream in = new DigestInputStream(Files.newInputStream(file), sha256())) {
            in.transferTo(OutputStream.nullOutputStream());
            return HexFormat.of().formatHex(((DigestInputStream) in).getMessageDigest().digest());
        }
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException impossible) {
            throw new AssertionError("every Java platform has SHA-256", impossible);
        }
    }
}
