package dev.panthera.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import dev.panthera.model.Loss;
import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Each loss on tokens and on vectors goes the whole way: training, stopping and resuming, evaluation. */
class LossTrainingTest {

    private static final String TOKENS = "{name: mqar, length: 16, pairs: 2, vocab_size: 32}";
    private static final String VECTORS =
            "{name: continuous-mqar, pairs: 3, passes: 2, vocab_size: 32}";

    @TempDir private Path whole;
    @TempDir private Path folder;

    static Stream<Arguments> losses() {
        return Stream.of(TOKENS, VECTORS)
                .flatMap(task -> Stream.of(Loss.values()).map(loss -> Arguments.of(task, loss)));
    }

    @ParameterizedTest
    @MethodSource("losses")
    void aRunLearnsAndGoesOnAsIfItHadNotStopped(String task, Loss loss) throws IOException {
        TrainConfig config = config(task, loss);
        assertThat(ConfigFile.fromJson(ConfigFile.toJson(config))).isEqualTo(config);
        var expected = TinyRuns.run(config, whole);
        assertThat(expected.history().getLast().trainLoss())
                .isLessThan(expected.history().getFirst().trainLoss());
        TinyRuns.runUntil(3, config, folder);
        var resumed = TinyRuns.resume(folder);
        assertThat(TinyRuns.history(resumed)).isEqualTo(TinyRuns.history(expected));
        assertThat(TinyRuns.tensors(folder)).isEqualTo(TinyRuns.tensors(whole));
        assertThat(TinyRuns.metrics(folder)).isEqualTo(TinyRuns.metrics(whole));
        Evaluation evaluation =
                Evaluator.evaluate(folder, new DeviceChoice("cpu", 1), config.data());
        assertThat(evaluation).isEqualTo(expected.test());
        assertThat(evaluation.slices())
                .containsKeys("num_kv_pairs", "num_passes", Evaluation.KEY_QUERY_DISTANCE);
    }

    private static TrainConfig config(String task, Loss loss) {
        String segments = "[{task: %s, examples: 40}]".formatted(task);
        return TinyRuns.config(
                "data.train=" + segments,
                "data.validation=" + segments,
                "data.test=" + segments,
                "model.embedding_init=spherical",
                "loss=" + loss);
    }

    @Test
    void whatAModelOfVectorsCannotReadIsRefused() {
        TrainConfig config = config(VECTORS, Loss.CROSS_ENTROPY);
        TinyRuns.run(config, folder);
        assertRefused(TinyRuns.config(), "mqar: the model was trained on continuous-mqar");
        assertRefused(
                config("{name: continuous-mqar, pairs: 3, vocab_size: 16}", Loss.CROSS_ENTROPY),
                "--vocab 16: half of the model's 32 tokens");
        var longer = config("{name: continuous-mqar, pairs: 8, vocab_size: 32}", Loss.MSE);
        assertThat(evaluate(longer).slices().get("num_kv_pairs")).containsOnlyKeys(8);
    }

    private void assertRefused(TrainConfig other, String message) {
        assertThatThrownBy(() -> evaluate(other))
                .isInstanceOf(UserException.class)
                .hasMessageStartingWith(message);
    }

    private Evaluation evaluate(TrainConfig other) {
        return Evaluator.evaluate(folder, new DeviceChoice("cpu", 1), other.data());
    }
}
