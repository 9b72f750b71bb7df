package dev.panthera.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.train.ConfigDraft;
import dev.panthera.train.DeviceChoice;
import dev.panthera.train.EpochReport;
import dev.panthera.train.Evaluator;
import dev.panthera.train.Presets;
import dev.panthera.train.RunOptions;
import dev.panthera.train.TrainConfig;
import dev.panthera.train.TrainListener;
import dev.panthera.train.TrainResult;
import dev.panthera.train.Trainer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Two-layer attention learns to recall, from the first random number to the checkpoint on disk. */
class LearningTest {

    @TempDir private Path folder;

    @Test
    void attentionLearnsToRecall() {
        var config = config();
        List<Double> accuracies = new ArrayList<>();
        var listener =
                new TrainListener() {
                    @Override
                    public void epochEnded(EpochReport report) {
                        accuracies.add(report.deciding().accuracy());
                    }
                };
        var device = new DeviceChoice("cpu", 2);
        var result =
                Trainer.run(config, new RunOptions(device, folder, false, () -> false), listener);
        assertThat(accuracies.getFirst()).isLessThan(0.6);
        assertThat(result.ending()).isEqualTo(TrainResult.Ending.STOPPED_EARLY);
        assertThat(result.test().accuracy()).isGreaterThan(0.99);

        var otherRows = ConfigDraft.of(config).set("data.seed", 999).toConfig().data();
        assertThat(Evaluator.evaluate(folder, device, otherRows).accuracy()).isGreaterThan(0.99);
    }

    /** Two million tokens suffice. An accuracy of one in two, where it stays for a while, needs no recall. */
    private static TrainConfig config() {
        var task = Map.of("vocab_size", 64, "length", 16, "pairs", 2);
        return ConfigDraft.of(Presets.named(Presets.DEFAULT))
                .set("model.d_model", 64)
                .set("model.mixer.heads", 2)
                .set("model.dropout", 0)
                .set("model.mixer.dropout", 0)
                .set("data.train.*.task", task)
                .set("data.train.*.examples", 6400)
                .set("data.validation.*.task", task)
                .set("data.test.*.task", task)
                .set("data.batch", 64)
                .set("data.seed", 1)
                .set("epochs", 40)
                .set("learning_rate", 0.005)
                .set("stop_above", 0.995)
                .set("seed", 3)
                .toConfig();
    }
}
