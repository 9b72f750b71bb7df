package dev.panthera.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.train.EpochReport;
import dev.panthera.train.Evaluation;
import dev.panthera.train.Presets;
import dev.panthera.train.RunInfo;
import dev.panthera.train.StepReport;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ProgressTest {

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private long now;

    private Progress progress(boolean live) {
        var progress =
                new Progress(
                        Presets.named("figure-2"),
                        new PrintStream(bytes, true, UTF_8),
                        live,
                        () -> now);
        progress.started(
                new RunInfo("cpu:avx2, threads: 2", 1_234_567, 4096, 100, null, List.of()));
        return progress;
    }

    private void step(Progress progress, int batch, double second) {
        now = (long) (second * 1e9);
        progress.stepped(new StepReport(1, batch, 100, 2.5, 41_200, 100 - second));
    }

    private static EpochReport epoch() {
        return new EpochReport(
                1, 3.25, 1e-3, new Evaluation(0.5, 0.875, 3000, Map.of()), 1_300_000, 60);
    }

    @Test
    void elsewhereALineComesEveryTenSeconds() {
        var progress = progress(false);
        for (int batch = 1; batch <= 25; batch++) {
            step(progress, batch, batch);
        }
        progress.epochEnded(epoch());
        progress.clear();
        assertThat(bytes.toString(UTF_8).lines())
                .containsExactly(
                        "1 234 567 parameters, 100 steps an epoch, on cpu:avx2, threads: 2",
                        "epoch 1/64  batch 10/100  loss 2.5000  41k tokens/s  ETA 1:46:30 h",
                        "epoch 1/64  batch 20/100  loss 2.5000  41k tokens/s  ETA 1:46:20 h",
                        "epoch 1/64  loss 3.2500  validation loss 0.5000  accuracy 87.50 %  1.3M tokens/s"
                                + "  1:00 min  ETA 1:03:00 h");
    }

    @Test
    void onATerminalOneLineIsRewritten() {
        var progress = progress(true);
        step(progress, 1, 0.1);
        step(progress, 2, 0.3);
        step(progress, 3, 0.4);
        progress.epochEnded(epoch());
        step(progress, 4, 100);
        progress.clear();
        String[] pieces = bytes.toString(UTF_8).split("\r\033\\[K", -1);
        assertThat(pieces).hasSize(5);
        assertThat(pieces[1]).startsWith("epoch 1/64  batch 2/100").endsWith("\r");
        assertThat(pieces[2]).startsWith("epoch 1/64  loss 3.2500").endsWith("\n");
        assertThat(pieces[3]).contains("batch 4/100", "accuracy 87.50 %").endsWith("\r");
        assertThat(pieces[4]).isEmpty();
    }
}
