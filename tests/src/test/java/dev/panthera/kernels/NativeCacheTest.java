package dev.panthera.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NativeCacheTest {

    @TempDir Path root;

    private final Map<String, byte[]> jar = new TreeMap<>();
    private int opened;

    @Test
    void librariesAreUnpackedOnceIntoAFolderOfTheUsersOwn() throws Exception {
        put("libone.so", "one");
        put("libtwo.so.3", "two");
        Path folder = unpack();
        assertThat(folder.resolve("libone.so")).hasContent("one");
        assertThat(folder.resolve("libtwo.so.3")).hasContent("two");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(folder)))
                .isEqualTo("rwx------");
        int before = opened;
        assertThat(unpack()).isEqualTo(folder);
        assertThat(opened - before).as("only the list of digests is read again").isOne();
    }

    @Test
    void otherContentGetsAnotherFolder() throws Exception {
        put("libone.so", "one");
        Path first = unpack();
        put("libone.so", "another");
        assertThat(unpack()).isNotEqualTo(first);
        assertThat(first.resolve("libone.so")).hasContent("one");
    }

    @Test
    void aTruncatedFileIsUnpackedAgain() throws Exception {
        put("libone.so", "one");
        Path library = Files.writeString(unpack().resolve("libone.so"), "");
        unpack();
        assertThat(library).hasContent("one");
    }

    @Test
    void aFileWhoseContentChangedIsUnpackedAgain() throws Exception {
        put("libone.so", "one");
        Path library = Files.writeString(unpack().resolve("libone.so"), "eno");
        unpack();
        assertThat(library).hasContent("one");
    }

    @Test
    void theLibraryOfTheCudaJarJoinsTheOthers() throws Exception {
        put("libone.so", "one");
        Path without = unpack();
        jar.put("libcuda.so", "cuda".getBytes());
        byte[] digest = MessageDigest.getInstance("SHA-256").digest("cuda".getBytes());
        jar.put(
                "SHA256SUMS.cuda",
                (HexFormat.of().formatHex(digest) + "  libcuda.so\n").getBytes());
        Path with = unpack();
        assertThat(with).isNotEqualTo(without);
        assertThat(with.resolve("libone.so")).hasContent("one");
        assertThat(with.resolve("libcuda.so")).hasContent("cuda");
    }

    @Test
    void aDamagedJarLeavesNothingBehind() throws Exception {
        put("libone.so", "one");
        jar.put("libone.so", "eno".getBytes());
        assertThatThrownBy(this::unpack)
                .isInstanceOf(IOException.class)
                .hasMessageContaining("the jar is damaged");
        assertThat(root).isEmptyDirectory();
    }

    @Test
    void aFolderThatOthersCanWriteToIsRefused() throws Exception {
        put("libone.so", "one");
        Files.setPosixFilePermissions(unpack(), PosixFilePermissions.fromString("rwxrwxrwx"));
        assertThatThrownBy(this::unpack)
                .isInstanceOf(IOException.class)
                .hasMessageContaining("delete it");
    }

    @Test
    void namesThatLeadOutOfTheFolderAreRefused() throws Exception {
        put("../libone.so", "one");
        assertThatThrownBy(this::unpack)
                .isInstanceOf(IOException.class)
                .hasMessageContaining("SHA256SUMS has the line");
        assertThat(root).isEmptyDirectory();
    }

    private Path unpack() throws IOException {
        return NativeCache.unpack(this::open, root);
    }

    private InputStream open(String name) throws FileNotFoundException {
        byte[] content = jar.get(name);
        if (content == null) {
            throw new FileNotFoundException(name);
        }
        opened++;
        return new ByteArrayInputStream(content);
    }

    private void put(String name, String content) throws NoSuchAlgorithmException {
        jar.remove("SHA256SUMS");
        jar.put(name, content.getBytes());
        var list = new StringBuilder();
        for (var entry : jar.entrySet()) {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(entry.getValue());
            list.append(HexFormat.of().formatHex(digest))
                    .append("  ")
                    .append(entry.getKey())
                    .append('\n');
        }
        jar.put("SHA256SUMS", list.toString().getBytes());
    }
}
