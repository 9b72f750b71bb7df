package dev.panthera.kernels;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_adamw_state;
import dev.panthera.kernels.abi.pan_arithmetic_desc;
import dev.panthera.kernels.abi.pan_attention_desc;
import dev.panthera.kernels.abi.pan_device_info;
import dev.panthera.kernels.abi.pan_gate_desc;
import dev.panthera.kernels.abi.pan_linear_desc;
import dev.panthera.kernels.abi.pan_long_conv_desc;
import dev.panthera.kernels.abi.pan_random_state;
import dev.panthera.kernels.abi.pan_short_conv_desc;
import java.io.IOException;
import java.io.StringReader;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Properties;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class BindingsTest {

    private static final Path ROOT = Path.of(System.getProperty("panthera.root", ".."));
    private static final Path HEADER = ROOT.resolve("native/include/panthera.h");

    @Test
    void everyFunctionOfTheHeaderIsInTheLibrary() throws ReflectiveOperationException, IOException {
        NativeInfo.version();
        List<Method> addresses =
                Arrays.stream(PantheraAbi.class.getMethods())
                        .filter(method -> method.getName().endsWith("$address"))
                        .toList();
        for (Method address : addresses) {
            assertThat((MemorySegment) address.invoke(null))
                    .as(address.getName())
                    .isNotEqualTo(MemorySegment.NULL);
        }
        long prototypes =
                Pattern.compile("(?m)^PAN_API ")
                        .matcher(Files.readString(HEADER))
                        .results()
                        .count();
        assertThat(addresses).hasSize((int) prototypes).isNotEmpty();
    }

    @Test
    void theBindingsWereGeneratedFromThisHeader() throws IOException, NoSuchAlgorithmException {
        var recorded = new Properties();
        recorded.load(
                new StringReader(
                        Files.readString(
                                ROOT.resolve("bindings/src/generated/generated.properties"))));
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(HEADER));
        assertThat(recorded.getProperty("header.sha256"))
                .as("run bindings/jextract/regenerate.sh after a change of the header")
                .isEqualTo(HexFormat.of().formatHex(digest));
    }

    @Test
    void theLibraryHasTheInterfaceVersionOfTheBindings() {
        assertThat(NativeInfo.abiVersion()).isEqualTo(PantheraAbi.PAN_ABI_VERSION());
    }

    @Test
    void structsHaveTheSizesOfTheirFieldsWithoutPadding() {
        assertThat(pan_linear_desc.sizeof()).isEqualTo(2 * 4 + 5 * 8);
        assertThat(pan_gate_desc.sizeof()).isEqualTo(4 * 4 + 6 * 8);
        assertThat(pan_arithmetic_desc.sizeof()).isEqualTo(4 * 4 + 3 * 6 * 8);
        assertThat(pan_attention_desc.sizeof()).isEqualTo(4 * 4 + 7 * 8 + 4 * 3 * 8);
        assertThat(pan_short_conv_desc.sizeof()).isEqualTo(2 * 4 + 6 * 8);
        assertThat(pan_long_conv_desc.sizeof()).isEqualTo(4 * 4 + 10 * 8);
        assertThat(pan_device_info.sizeof()).isEqualTo(6 * 4 + 2 * 8 + 128);
        assertThat(pan_random_state.sizeof()).isEqualTo(2 * 8);
        assertThat(pan_adamw_state.sizeof()).isEqualTo(8 * 8);
    }

    @Test
    void constantsOfTheHeaderHaveOneEnumEach() {
        assertThat(Backend.values()).hasSize(PantheraAbi.PAN_BACKEND_COUNT());
        assertThat(Activation.values()).hasSize(PantheraAbi.PAN_ACTIVATION_COUNT());
        for (Isa isa : Isa.values()) {
            assertThat(Isa.of(isa.code())).isEqualTo(isa);
        }
        for (Backend backend : Backend.values()) {
            assertThat(Backend.of(backend.code())).isEqualTo(backend);
        }
    }

    @Test
    void everyOpRunsOnTheReferenceBackends() {
        assertThat(NativeInfo.ops())
                .isNotEmpty()
                .allSatisfy(op ->
                        assertThat(op.backends())
                                .as(op.name())
                                .contains(Backend.REFERENCE, Backend.REFERENCE_F64));
    }

    @Test
    void aBackendThatCannotBeOpenedSaysWhy() {
        assertThat(NativeInfo.backendProblem(Backend.CPU)).isEmpty();
        NativeInfo.backendProblem(Backend.CUDA)
                .ifPresent(reason -> assertThat(reason).isNotBlank());
    }

    @Test
    void noExportedTypeSharesItsNameWithOneOfJavaBase() throws IOException {
        Path sources = ROOT.resolve("bindings/src/main/java/dev/panthera/kernels");
        List<String> packages =
                ModuleLayer.boot()
                        .findModule("java.base")
                        .orElseThrow()
                        .getDescriptor()
                        .exports()
                        .stream()
                        .filter(exports -> !exports.isQualified())
                        .map(exports -> exports.source())
                        .toList();
        try (var files = Files.list(sources)) {
            List<String> names =
                    files.map(file -> file.getFileName().toString().replace(".java", ""))
                            .filter(name -> !name.contains("-"))
                            .toList();
            assertThat(names)
                    .isNotEmpty()
                    .noneMatch(name ->
                            packages.stream().anyMatch(exported -> exists(exported + "." + name)));
        }
    }

    private static boolean exists(String className) {
        try {
            Class.forName(className);
            return true;
        } catch (ClassNotFoundException absent) {
            return false;
        }
    }
}
