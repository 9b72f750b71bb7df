package dev.panthera.parity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.DynamicContainer.dynamicContainer;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.testing.CudaTest;
import dev.panthera.testing.Goldens;
import dev.panthera.testing.Rig;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.TestFactory;

/** Every case recorded from the original that exists here must pass, whatever the processor can do. */
class GoldenParityTest {

    private static final List<String> COMPUTED =
            List.of("kernels", "featuremaps", "losses", "mixers", "models", "train");

    @TestFactory
    Stream<DynamicNode> casesPassOnEveryTier() {
        return Rig.tiers().stream()
                .map(tier -> onDevice("cpu " + tier, () -> Rig.cpu(tier), COMPUTED));
    }

    @TestFactory
    Stream<DynamicNode> casesPassOnTheReferenceDevices() {
        return Stream.of(DataType.F32, DataType.F64)
                .map(type -> onDevice("reference " + type, () -> Device.reference(type), COMPUTED));
    }

    /** The recorded trajectories take the emulator half a minute; CudaTrainingTest has shorter ones. */
    @TestFactory
    @CudaTest
    DynamicNode casesPassOnCuda() {
        return onDevice(
                "cuda",
                () -> Device.cuda(0),
                List.of("kernels", "featuremaps", "losses", "mixers", "models"));
    }

    @TestFactory
    DynamicNode dataCasesPass() {
        return onDevice("cpu", Device::cpu, List.of("data"));
    }

    private static DynamicContainer onDevice(
            String name, Supplier<Device> device, List<String> groups) {
        return dynamicContainer(
                name,
                groups.stream()
                        .map(group ->
                                dynamicContainer(
                                        group,
                                        goldens(group)
                                                .map(file ->
                                                        dynamicTest(
                                                                file.getFileName().toString(),
                                                                () ->
                                                                        assertPasses(
                                                                                file, device))))));
    }

    private static void assertPasses(Path file, Supplier<Device> opener) {
        var out = new ByteArrayOutputStream();
        try (var device = opener.get()) {
            int exitCode =
                    Parity.run(file, device, new PrintStream(out, true, StandardCharsets.UTF_8));
            String report = out.toString(StandardCharsets.UTF_8);
            assertThat(report).endsWith("1 passed, 0 failed, 0 unknown\n");
            assertThat(exitCode).isEqualTo(Parity.PASSED);
            assertThat(device.liveBytes()).as("memory left behind").isZero();
        }
    }

    private static Stream<Path> goldens(String group) {
        try (var files = Files.list(Goldens.folder(group))) {
            List<Path> sorted = files.sorted().toList();
            assertThat(sorted).as(group).isNotEmpty();
            return sorted.stream();
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }
}
