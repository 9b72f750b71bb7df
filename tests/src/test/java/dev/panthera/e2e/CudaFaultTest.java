package dev.panthera.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.testing.CudaTest;
import dev.panthera.testing.Goldens;
import dev.panthera.train.Checkpoint;
import dev.panthera.train.DeviceChoice;
import dev.panthera.train.Evaluator;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Devices that are full, get lost or do not exist, as the emulated driver can make them. */
@CudaTest
class CudaFaultTest {
    private static final String PROGRAM = "dev.panthera.cli.Panthera";

    private static final String EMULATED = "emulated device 0";

    private static final List<String> TINY =
            List.of(
                    "train",
                    "--length=16",
                    "--pairs=2",
                    "--vocab=64",
                    "--d-model=16",
                    "--train-examples=16",
                    "--validation-examples=4",
                    "--test-examples=4",
                    "--batch=4",
                    "--device=cuda:0");

    @TempDir private Path folder;

    @TempDir private Path scratch;

    private Path run;

    @BeforeEach
    void nameTheRun() {
        run = folder.resolve("run");
    }

    @BeforeEach
    void requireTheEmulator() {
        try (var chosen = new DeviceChoice("cuda:0", 0).open()) {
            Assumptions.assumeTrue(
                    chosen.device().info().name().equals(EMULATED),
                    "a real device cannot be made to fail; run these tests without -Dcuda.natives");
        }
    }

    @Test
    void aRunOnALostDeviceGoesOnFromItsCheckpointOnTheCpu()
            throws IOException, InterruptedException {
        var lost =
                train("--epochs=40").withEnvironment("PANTHERA_EMULATOR_FAIL_AFTER", "900").run();
        assertThat(lost.out()).contains("epoch 1/40");
        assertOneLine(
                lost,
                "the device has failed",
                "last checkpoint is intact",
                "panthera train --resume " + run + " --device cpu",
                "device cuda:0 (" + EMULATED + ")");
        var evaluated = Evaluator.evaluate(run, new DeviceChoice("cpu", 1), null);
        assertThat(evaluated.examples()).isEqualTo(4);
        var resumed =
                ChildJvm.of(scratch, PROGRAM, "train", "--resume", run.toString(), "--device=cpu")
                        .run();
        assertThat(resumed.err()).isEmpty();
        assertThat(resumed.exitCode()).isZero();
        assertThat(resumed.out()).contains("resumed after ", "epoch 40/40", "test accuracy");
    }

    @Test
    void aDeviceThatIsLostBeforeTheFirstCheckpointIsNamed()
            throws IOException, InterruptedException {
        for (String launches : List.of("1", "60")) {
            run = folder.resolve("run" + launches);
            var lost =
                    train("--epochs=3")
                            .withEnvironment("PANTHERA_EMULATOR_FAIL_AFTER", launches)
                            .run();
            assertOneLine(lost, "try again, or use another --device");
            assertThat(run.resolve(Checkpoint.FILE)).doesNotExist();
        }
    }

    @Test
    void evaluationAndParityOnALostDeviceEndInOneLine() throws IOException, InterruptedException {
        assertThat(train("--epochs=1").run().exitCode()).isZero();
        for (String command :
                List.of(
                        "eval " + run + " --device=cuda:0",
                        "parity " + Goldens.folder("losses") + " --device=cuda:0")) {
            var lost =
                    ChildJvm.of(scratch, PROGRAM, command.split(" "))
                            .withEnvironment("PANTHERA_EMULATOR_FAIL_AFTER", "3")
                            .run();
            assertOneLine(lost, "try again, or use another --device");
        }
    }

    @Test
    void aFullDeviceIsNamedBeforeAndDuringTraining() throws IOException, InterruptedException {
        for (String mebibytes : List.of("1", "6")) {
            run = folder.resolve("run" + mebibytes);
            var full =
                    train("--epochs=1")
                            .withEnvironment(
                                    "PANTHERA_EMULATOR_MEMORY",
                                    Long.toString(Long.parseLong(mebibytes) << 20))
                            .withEnvironment("PANTHERA_CUBLAS", "off")
                            .run();
            assertOneLine(full, "bytes are free", "use a smaller model or batch");
        }
    }

    /** Nothing of a run that found no memory keeps the device from serving the next. */
    @Test
    void aFullDeviceServesASmallerRunOfTheSameProcess() throws IOException, InterruptedException {
        var outcome =
                ChildJvm.of(scratch, "dev.panthera.train.FullDevice")
                        .withEnvironment("PANTHERA_EMULATOR_MEMORY", Long.toString(40L << 20))
                        .withEnvironment("PANTHERA_CUBLAS", "off")
                        .run();
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.exitCode()).isZero();
        assertThat(outcome.out().lines())
                .containsExactly("full", "full", "full", "full", "trained");
    }

    @Test
    void withoutAnyDeviceAutoTakesTheCpuAndSaysWhy() throws IOException, InterruptedException {
        List<String> arguments = new ArrayList<>(TINY);
        arguments.addAll(List.of("--epochs=1", "--out=" + run, "--device=auto"));
        var outcome =
                ChildJvm.of(scratch, PROGRAM, arguments.toArray(String[]::new))
                        .withEnvironment("PANTHERA_EMULATOR_DEVICES", "0")
                        .run();
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.exitCode()).isZero();
        assertThat(outcome.out().lines().findFirst().orElseThrow())
                .contains("on cpu:", "; no CUDA: ", "the driver lists none");
        var refused =
                ChildJvm.of(scratch, PROGRAM, "eval", run.toString(), "--device=cuda:0")
                        .withEnvironment("PANTHERA_EMULATOR_DEVICES", "0")
                        .run();
        assertOneLine(refused, "--device cuda:0: ", "the driver lists none", "use --device cpu");
    }

    private ChildJvm train(String... options) throws IOException {
        List<String> arguments = new ArrayList<>(TINY);
        arguments.add("--out=" + run);
        arguments.addAll(List.of(options));
        return ChildJvm.of(scratch, PROGRAM, arguments.toArray(String[]::new));
    }

    private static void assertOneLine(ChildJvm.Outcome outcome, String... parts) {
        assertThat(outcome.exitCode()).as(outcome.err()).isEqualTo(2);
        assertThat(outcome.err().lines())
                .singleElement()
                .asString()
                .startsWith("panthera: ")
                .contains(parts);
    }
}
