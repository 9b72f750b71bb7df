package dev.panthera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.kernels.Backend;
import dev.panthera.kernels.NativeInfo;
import dev.panthera.testing.CudaTest;
import dev.panthera.testing.Goldens;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;

/** Commands that compute on CUDA, and what they say about it. */
@CudaTest
class CudaCommandTest {

    private static final String TRAIN =
            "train --length 16 --pairs 2 --vocab 64 --train-examples 8 --validation-examples 4"
                    + " --test-examples 4 --d-model 16 --batch 4 --epochs 1 --device ";

    @TempDir private Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"cuda:0", "auto"})
    void trainingAndTestingSayWhichDeviceTheyUse(String device) {
        Path run = folder.resolve("run");
        var trained = Cli.run((TRAIN + device + " --out " + run).split(" ")).succeeded();
        assertThat(trained.outLines().getFirst()).contains(", on cuda:0 (");
        assertThat(Cli.run("eval", run.toString(), "--device", device).succeeded().outLines())
                .first()
                .asString()
                .startsWith("accuracy")
                .contains("on cuda:0 (");
        String onCpu = Cli.run("eval", run.toString(), "--json").succeeded().out();
        assertThat(JsonMapper.shared().readTree(onCpu).get("device").asString()).startsWith("cpu:");
    }

    @Test
    void theLastDeviceWorksAndTheOneBehindItIsNamed() {
        int count = NativeInfo.deviceCount(Backend.CUDA);
        Path run = folder.resolve("run");
        String last = "cuda:" + (count - 1);
        var trained = Cli.run((TRAIN + last + " --out " + run).split(" ")).succeeded();
        assertThat(trained.out()).contains("on " + last);
        for (String command : new String[] {TRAIN, "eval " + run + " --device ", parity()}) {
            Cli.run((command + "cuda:" + count).split(" "))
                    .refused("--device cuda:" + count, count + " CUDA devices", "cuda:0");
        }
    }

    @Test
    void parityRunsOnCuda() {
        var parity = Cli.run((parity() + "cuda:0").split(" ")).succeeded();
        assertThat(parity.outLines().getFirst()).startsWith("on cuda:0 (");
        assertThat(parity.outLines().getLast()).isEqualTo("2 passed, 0 failed, 0 unknown");
    }

    @Test
    void theDoctorListsEveryDeviceAndEveryOperation() {
        var doctor = Cli.run("doctor", "--ops").succeeded();
        int count = NativeInfo.deviceCount(Backend.CUDA);
        for (int i = 0; i < count; i++) {
            assertThat(doctor.out()).containsPattern("cuda:" + i + " .*, compute capability \\d");
        }
        assertThat(doctor.out()).doesNotContain("cuda:" + count);
        int operations = NativeInfo.ops().size();
        assertThat(doctor.out())
                .contains("cpu %d, cuda %1$d, reference %1$d of %1$d".formatted(operations));
        assertThat(doctor.outLines())
                .anySatisfy(line -> assertThat(line).matches("linear_forward +yes +yes +yes"));
    }

    private static String parity() {
        return "parity " + Goldens.folder("losses") + " --device ";
    }
}
