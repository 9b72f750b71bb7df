package dev.panthera.io;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.panthera.UserException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.AlphaChars;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.constraints.StringLength;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class SafetensorsTest {

    @TempDir Path folder;

    @Test
    void whatWasWrittenIsReadBack() {
        Path file = folder.resolve("a.safetensors");
        float[] weights = {1.5f, -0f, Float.NaN, Float.MIN_VALUE, Float.NEGATIVE_INFINITY, 3e38f};
        new SafetensorsWriter()
                .metadata("note", "Zoë \"quoted\"\n")
                .tensor("weights", new long[] {2, 3}, weights)
                .tensor("ids", new long[] {2}, new int[] {-100, Integer.MAX_VALUE})
                .tensor("step", new long[] {}, new long[] {1L << 40})
                .tensor("none", new long[] {0, 7}, new float[0])
                .write(file);
        var read = SafetensorsFile.read(file);
        assertThat(read.metadata()).isEqualTo(Map.of("note", "Zoë \"quoted\"\n"));
        assertThat(read.tensors()).containsOnlyKeys("weights", "ids", "step", "none");
        assertThat(read.tensor("weights").shape()).containsExactly(2, 3);
        assertThat(read.tensor("weights").toFloats()).containsExactly(weights);
        assertThat(read.tensor("ids").toInts()).containsExactly(-100, Integer.MAX_VALUE);
        assertThat(read.tensor("step").shape()).isEmpty();
        assertThat(read.tensor("step").toLongs()).containsExactly(1L << 40);
        assertThat(read.tensor("none").toFloats()).isEmpty();
    }

    @Test
    void theSameContentGivesTheSameBytesInAnyOrderAndEachTensorIsAligned() throws IOException {
        Path one = folder.resolve("one");
        Path two = folder.resolve("two");
        var flag = MemorySegment.ofArray(new byte[] {1});
        new SafetensorsWriter()
                .metadata("a", "1")
                .metadata("b", "2")
                .tensor("f", new long[] {1}, new float[] {1})
                .tensor("flag", StoredType.BOOL, new long[] {1}, flag)
                .tensor("l", new long[] {1}, new long[] {1})
                .write(one);
        new SafetensorsWriter()
                .metadata("b", "2")
                .metadata("a", "1")
                .tensor("l", new long[] {1}, new long[] {1})
                .tensor("flag", StoredType.BOOL, new long[] {1}, flag)
                .tensor("f", new long[] {1}, new float[] {1})
                .write(two);
        assertThat(one).hasSameBinaryContentAs(two);
        assertThat(
                        ByteBuffer.wrap(Files.readAllBytes(one))
                                        .order(ByteOrder.LITTLE_ENDIAN)
                                        .getLong()
                                % 8)
                .isZero();
        SafetensorsFile.read(one)
                .tensors()
                .values()
                .forEach(tensor ->
                        assertThat(tensor.data().address() % tensor.type().byteSize())
                                .as(tensor.name())
                                .isZero());
    }

    @Property(tries = 50)
    void namesAndValuesOfAnyKindSurvive(
            @ForAll @Size(max = 20) List<@StringLength(max = 12) String> names,
            @ForAll @AlphaChars String value)
            throws IOException {
        Path file = Files.createTempFile("panthera", ".safetensors");
        try {
            var writer = new SafetensorsWriter().metadata(value, value);
            List<String> encodable =
                    names.stream()
                            .distinct()
                            .filter(name -> StandardCharsets.UTF_8.newEncoder().canEncode(name))
                            .toList();
            for (int i = 0; i < encodable.size(); i++) {
                writer.tensor(encodable.get(i), new long[] {1}, new int[] {i});
            }
            writer.write(file);
            var read = SafetensorsFile.read(file);
            assertThat(read.tensors()).hasSize(encodable.size());
            for (int i = 0; i < encodable.size(); i++) {
                assertThat(read.tensor(encodable.get(i)).toInts()).containsExactly(i);
            }
        } finally {
            Files.delete(file);
        }
    }

    @Test
    void everyElementTypeIsConverted() {
        var bytes = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putDouble(0.1)
                .putFloat(0.25f)
                .putShort((short) 0xC000)
                .putShort((short) 0x3FC0)
                .putLong(-5)
                .putInt(-6)
                .putShort((short) -7)
                .put((byte) -8)
                .put((byte) 200)
                .put((byte) 1);
        String header =
                """
                {
                "f64":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},
                "f32":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},
                "f16":{"dtype":"F16","shape":[1],"data_offsets":[12,14]},
                "bf16":{"dtype":"BF16","shape":[1],"data_offsets":[14,16]},
                "i64":{"dtype":"I64","shape":[1],"data_offsets":[16,24]},
                "i32":{"dtype":"I32","shape":[1],"data_offsets":[24,28]},
                "i16":{"dtype":"I16","shape":[1],"data_offsets":[28,30]},
                "i8":{"dtype":"I8","shape":[1],"data_offsets":[30,31]},
                "u8":{"dtype":"U8","shape":[1],"data_offsets":[31,32]},
                "bool":{"dtype":"BOOL","shape":[1],"data_offsets":[32,33]}}\
                """;
        for (String padding : List.of("", " ", "   ")) {
            var read = SafetensorsFile.read(file(header + padding, bytes.array(), 33));
            assertThat(read.tensor("f64").toDoubles()).containsExactly(0.1);
            assertThat(read.tensor("f64").toFloats()).containsExactly(0.1f);
            assertThat(read.tensor("f32").toFloats()).containsExactly(0.25f);
            assertThat(read.tensor("f32").toDoubles()).containsExactly(0.25);
            assertThat(read.tensor("f16").toFloats()).containsExactly(-2f);
            assertThat(read.tensor("bf16").toFloats()).containsExactly(1.5f);
            assertThat(read.tensor("i64").toInts()).containsExactly(-5);
            assertThat(read.tensor("i32").toLongs()).containsExactly(-6);
            assertThat(read.tensor("i16").toInts()).containsExactly(-7);
            assertThat(read.tensor("i8").toInts()).containsExactly(-8);
            assertThat(read.tensor("u8").toInts()).containsExactly(200);
            assertThat(read.tensor("bool").toInts()).containsExactly(1);
        }
    }

    @Test
    void numbersAreNeverReinterpretedOrCutOff() {
        Path file = folder.resolve("kinds");
        new SafetensorsWriter()
                .tensor("f", new long[] {1}, new float[1])
                .tensor("i", new long[] {1}, new int[1])
                .tensor("l", new long[] {2}, new long[] {1, 1L << 31})
                .write(file);
        var read = SafetensorsFile.read(file);
        assertThatThrownBy(() -> read.tensor("f").toInts())
                .isInstanceOf(UserException.class)
                .hasMessage("tensor f: expected integers, but the file has F32");
        assertThatThrownBy(() -> read.tensor("i").toFloats())
                .isInstanceOf(UserException.class)
                .hasMessage("tensor i: expected floating-point numbers, but the file has I32");
        assertThatThrownBy(() -> read.tensor("l").toInts())
                .isInstanceOf(UserException.class)
                .hasMessageContaining("element 1 is 2147483648");
        assertThatThrownBy(() -> read.tensor("x"))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("no tensor x; it has [l, f, i]");
    }

    static Stream<Arguments> damagedHeaders() {
        String good = "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}";
        return Stream.of(
                Arguments.of("{" + good + "}", 7, "tensor a ends at 8, but only 7 bytes"),
                Arguments.of("{" + good + "}", 9, "1 bytes follow the last tensor"),
                Arguments.of("{" + good + "," + good + "}", 8, "not valid JSON"),
                Arguments.of("{" + good + "} {", 8, "not valid JSON"),
                Arguments.of("{" + good, 8, "not valid JSON"),
                Arguments.of("[" + good + "]", 8, "does not start with '{'"),
                Arguments.of(
                        "{" + good.replace("F32", "F8_E4M3") + "}",
                        8,
                        "dtype \"F8_E4M3\" is not supported; expected one of"),
                Arguments.of(
                        "{" + good.replace("\"F32\"", "32") + "}", 8, "dtype 32 is not supported"),
                Arguments.of(
                        "{" + good.replace("[2]", "[3]") + "}",
                        8,
                        "shape [3] of F32 needs 12 bytes, but data_offsets [0, 8]"),
                Arguments.of("{" + good.replace("[2]", "[-2]") + "}", 8, "shape has -2"),
                Arguments.of("{" + good.replace("[2]", "[2.0]") + "}", 8, "shape has 2.0"),
                Arguments.of("{" + good.replace("[2]", "2") + "}", 8, "shape must be a list"),
                Arguments.of(
                        "{"
                                + good.replace("[2]", "[4611686018427387904,4611686018427387904]")
                                + "}",
                        8,
                        "more than 2^63"),
                Arguments.of(
                        "{" + good.replace("[2]", "[18446744073709551616]") + "}",
                        8,
                        "shape has 18446744073709551616"),
                Arguments.of("{" + good.replace("[0,8]", "[8,0]") + "}", 8, "begin <= end"),
                Arguments.of("{" + good.replace("[0,8]", "[0,8,8]") + "}", 8, "begin <= end"),
                Arguments.of("{" + good.replace("[0,8]", "[4,12]") + "}", 12, "there is a gap"),
                Arguments.of(
                        "{"
                                + good
                                + ","
                                + good.replace("\"a\"", "\"b\"").replace("[0,8]", "[4,12]")
                                + "}",
                        12,
                        "they overlap"),
                Arguments.of(
                        "{" + good.replace("\"shape\":[2],", "") + "}",
                        8,
                        "exactly dtype, shape and data_offsets"),
                Arguments.of(
                        "{" + good.replace("\"shape\"", "\"x\":1,\"shape\"") + "}",
                        8,
                        "exactly dtype"),
                Arguments.of("{\"a\":3}", 0, "exactly dtype"),
                Arguments.of("{\"__metadata__\":{\"a\":3}}", 0, "the value of a must be a string"),
                Arguments.of("{\"__metadata__\":3}", 0, "must map names to strings"));
    }

    @ParameterizedTest
    @MethodSource("damagedHeaders")
    void aDamagedHeaderIsRefusedWithTheFileAndTheReason(
            String header, int dataBytes, String reason) {
        Path file = file(header, new byte[64], dataBytes);
        assertThatThrownBy(() -> SafetensorsFile.read(file))
                .isInstanceOf(UserException.class)
                .hasMessageStartingWith(file.toString())
                .hasMessageContaining(reason);
    }

    static Stream<Arguments> damagedStarts() {
        return Stream.of(
                Arguments.of(new byte[0], "0 bytes are too few"),
                Arguments.of(new byte[7], "7 bytes are too few"),
                Arguments.of(new byte[8], "its header would have 0 bytes"),
                Arguments.of(
                        new byte[] {100, 0, 0, 0, 0, 0, 0, 0, '{', '}'},
                        "header of 100 bytes, but only 2 follow"),
                Arguments.of(
                        new byte[] {1, (byte) 0xE1, (byte) 0xF5, 5, 0, 0, 0, 0, '{', '}'},
                        "would have 100000001 bytes"),
                Arguments.of(
                        new byte[] {-1, -1, -1, -1, -1, -1, -1, -1, '{', '}'},
                        "would have 18446744073709551615 bytes"));
    }

    @ParameterizedTest
    @MethodSource("damagedStarts")
    void aFileThatIsNoneOfOursIsRefused(byte[] content, String reason) throws IOException {
        Path file = Files.write(folder.resolve("start"), content);
        assertThatThrownBy(() -> SafetensorsFile.read(file))
                .isInstanceOf(UserException.class)
                .hasMessageContaining(reason);
    }

    /** A header that ends at once is one of a file without tensors. */
    @Property(tries = 500)
    void randomBytesNeverCrashTheReader(@ForAll @Size(max = 80) byte[] noise) throws IOException {
        Path file = Files.createTempFile("panthera", ".safetensors");
        try {
            byte[] content =
                    ByteBuffer.allocate(9 + noise.length)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putLong(1 + noise.length)
                            .put((byte) '{')
                            .put(noise)
                            .array();
            Files.write(file, content);
            Throwable refused = catchThrowable(() -> SafetensorsFile.read(file));
            if (new String(content, 8, content.length - 8, UTF_8)
                    .replaceAll("\\s", "")
                    .equals("{}")) {
                assertThat(refused).isNull();
            } else {
                assertThat(refused).isInstanceOf(UserException.class);
            }
        } finally {
            Files.delete(file);
        }
    }

    @Test
    void aMissingFileAndAFolderAreNamed() {
        assertThatThrownBy(() -> SafetensorsFile.read(folder.resolve("gone")))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("gone: no such file");
        assertThatThrownBy(() -> SafetensorsFile.read(folder))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("it is a folder");
    }

    @Test
    void theWriterRefusesWrongSizesAndRepeatedNames() {
        var writer = new SafetensorsWriter().tensor("a", new long[] {1}, new float[1]);
        assertThatThrownBy(() -> writer.tensor("a", new long[] {1}, new float[1]))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> writer.tensor("__metadata__", new long[] {1}, new float[1]))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> writer.tensor("b", new long[] {2, 2}, new float[3]))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("needs 16 bytes, but its data has 12");
        assertThatThrownBy(() -> writer.tensor("b", new long[] {-1}, new float[1]))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("negative size");
    }

    private Path file(String header, byte[] data, int dataBytes) {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        byte[] content =
                ByteBuffer.allocate(8 + json.length + dataBytes)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putLong(json.length)
                        .put(json)
                        .put(data, 0, dataBytes)
                        .array();
        try {
            return Files.write(folder.resolve("made.safetensors"), content);
        } catch (IOException failure) {
            throw new AssertionError(failure);
        }
    }
}
