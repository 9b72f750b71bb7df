package dev.panthera.io;

import dev.panthera.UserException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/**
 * Replaces files as a whole: a reader sees the old content or the new, never a mixture, whenever the machine stops.
 * The content goes to a temporary file in the same folder, is forced to disk and then renamed over the target. The
 * temporary file's name depends on the target's alone, so that one left by a killed process is used up by the next
 * write; only one process at a time may write a target.
 */
public final class AtomicFile {

    private AtomicFile() {}

    /** Writes a file's content. */
    @FunctionalInterface
    public interface Content {
        void writeTo(FileChannel channel) throws IOException;
    }

    /**
     * Writes {@code content} to {@code target}. On any failure the temporary file is removed and a file that was
     * already at {@code target} is left as it was.
     *
     * @throws UserException if writing fails (no such folder, no permission, disk full, ...); names file and cause
     */
    public static void write(Path target, Content content) {
        Path absolute = target.toAbsolutePath();
        Path folder = absolute.getParent();
        if (folder == null || Files.isDirectory(absolute)) {
            throw new UserException(
                    "cannot write %s: it is a folder; name a file in it".formatted(target));
        }
        Path temporary = folder.resolve("." + absolute.getFileName() + ".tmp");
        try {
            writeAndForce(temporary, content);
            Files.move(temporary, absolute, StandardCopyOption.ATOMIC_MOVE);
            forceFolder(folder);
        } catch (IOException failure) {
            throw cannotWrite(target, failure);
        } finally {
            removeLeftover(temporary);
        }
    }

    /** Replaces a file's content by a text, in UTF-8; see {@link #write(Path, Content)}. */
    public static void write(Path target, String text) {
        var bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
        write(
                target,
                channel -> {
                    while (bytes.hasRemaining()) {
                        channel.write(bytes);
                    }
                });
    }

    private static void writeAndForce(Path file, Content content) throws IOException {
        try (var channel =
                FileChannel.open(
                        file,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.TRUNCATE_EXISTING,
                        StandardOpenOption.WRITE)) {
            content.writeTo(channel);
            channel.force(true);
        }
    }

    /** Makes the rename itself durable. Systems that cannot open folders have no such notion, so that is no failure. */
    private static void forceFolder(Path folder) throws IOException {
        FileChannel opened;
        try {
            opened = FileChannel.open(folder, StandardOpenOption.READ);
        } catch (IOException notSupported) {
            return;
        }
        try (opened) {
            opened.force(true);
        }
    }

    /** Removes what a failed write left; after a rename there is nothing. */
    private static void removeLeftover(Path temporary) {
        try {
            Files.deleteIfExists(temporary);
        } catch (IOException ignored) {
            // The failure that led here is the one worth reporting.
        }
    }

    private static UserException cannotWrite(Path target, IOException failure) {
        String cause =
                switch (failure) {
                    case NoSuchFileException _ ->
                            "its folder does not exist; create it or choose another place";
                    case AccessDeniedException _ ->
                            "permission denied; choose a place that you may write to";
                    default ->
                            "%s; any earlier file of that name is intact; free space or choose another place"
                                    .formatted(failure.getMessage());
                };
        return new UserException("cannot write %s: %s".formatted(target, cause), failure);
    }
}
