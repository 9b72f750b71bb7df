package dev.panthera.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class AtomicFileTest {

    @TempDir Path folder;

    @Test
    void theOldContentStaysUntilTheNewIsComplete() throws IOException {
        Path target = Files.writeString(folder.resolve("checkpoint"), "old");
        AtomicFile.write(
                target,
                channel -> {
                    channel.write(ByteBuffer.wrap("new content".getBytes()));
                    assertThat(target).hasContent("old");
                });
        assertThat(target).hasContent("new content");
        assertThat(folder)
                .isDirectoryContaining(target::equals)
                .isDirectoryNotContaining("glob:**.tmp");
    }

    /** Writing to /dev/full fails as on a full disk. */
    @Test
    @EnabledOnOs(OS.LINUX)
    void aFullDiskLeavesTheOldFileAndNoTemporaryOne() throws IOException {
        Path target = Files.writeString(folder.resolve("checkpoint"), "old");
        assertThatThrownBy(() ->
                        AtomicFile.write(
                                target,
                                channel -> {
                                    channel.write(ByteBuffer.wrap("ne".getBytes()));
                                    try (var full =
                                            FileChannel.open(
                                                    Path.of("/dev/full"),
                                                    StandardOpenOption.WRITE)) {
                                        full.write(ByteBuffer.wrap("w".getBytes()));
                                    }
                                }))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("cannot write " + target)
                .hasMessageContaining("No space left on device")
                .hasMessageContaining("intact");
        assertThat(target).hasContent("old");
        assertThat(folder.toFile().list()).containsExactly("checkpoint");
    }

    @Test
    void anExceptionOfTheContentPassesAndLeavesNothing() {
        assertThatThrownBy(() ->
                        AtomicFile.write(
                                folder.resolve("x"),
                                _ -> {
                                    throw new IllegalStateException("stopped");
                                }))
                .isInstanceOf(IllegalStateException.class);
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void aMissingFolderAndAFolderAsTargetAreNamed() {
        assertThatThrownBy(() -> AtomicFile.write(folder.resolve("no/x"), _ -> {}))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("no/x: its folder does not exist");
        assertThatThrownBy(() -> AtomicFile.write(folder, _ -> {}))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("it is a folder");
    }
}
