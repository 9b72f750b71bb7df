package dev.panthera.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.mixer.Attention;
import dev.panthera.mixer.BlockKind;
import dev.panthera.mixer.Passthrough;
import dev.panthera.model.LanguageModel;
import dev.panthera.model.ModelConfig;
import dev.panthera.testing.Rig;
import java.util.Arrays;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What word embeddings start as; all else starts as without the option. */
class EmbeddingInitTest {

    private static final int VOCAB = 2000;
    private static final int WIDTH = 16;

    /** Directions that are uniform on the sphere have components of variance 1 / width. */
    @ParameterizedTest
    @CsvSource({"DEFAULT, 0.02", "SPHERICAL, 0.25", "NORMAL, 1"})
    void wordsHaveTheMomentsOfTheirDistribution(EmbeddingInit start, double standardDeviation) {
        double[] words = values(start, true).words;
        double mean = Arrays.stream(words).average().orElseThrow();
        double squares = Arrays.stream(words).map(v -> v * v).average().orElseThrow();
        assertThat(mean / standardDeviation).isCloseTo(0, within(0.03));
        assertThat(Math.sqrt(squares) / standardDeviation).isCloseTo(1, within(0.02));
        for (int channel = 0; channel < WIDTH; channel++) {
            double sum = 0;
            for (int word = 0; word < VOCAB; word++) {
                sum += words[word * WIDTH + channel] * words[word * WIDTH + (channel + 1) % WIDTH];
            }
            assertThat(sum / VOCAB / standardDeviation / standardDeviation)
                    .isCloseTo(0, within(0.1));
        }
    }

    @Test
    void sphericalWordsHaveLengthOne() {
        double[] words = values(EmbeddingInit.SPHERICAL, true).words;
        for (int word = 0; word < VOCAB; word++) {
            double squares = 0;
            for (int channel = 0; channel < WIDTH; channel++) {
                squares += Math.pow(words[word * WIDTH + channel], 2);
            }
            assertThat(squares).isCloseTo(1, within(1e-6));
        }
    }

    @Test
    void positionsAndAHeadOfItsOwnStartAsUsual() {
        Values usual = values(EmbeddingInit.DEFAULT, false);
        for (EmbeddingInit start : EmbeddingInit.values()) {
            Values other = values(start, false);
            assertThat(other.positions).isEqualTo(usual.positions);
            assertThat(other.head).isEqualTo(usual.head).isNotEqualTo(usual.words);
        }
    }

    private record Values(double[] words, double[] positions, double[] head) {}

    private static Values values(EmbeddingInit start, boolean learned) {
        var config =
                new ModelConfig(
                        new Attention.Config(1),
                        BlockKind.AUTO,
                        new Passthrough.Config(),
                        WIDTH,
                        1,
                        VOCAB,
                        8,
                        8,
                        false,
                        learned,
                        start,
                        0,
                        0,
                        0,
                        1e-5);
        try (var rig = Rig.cpu(1)) {
            var model = LanguageModel.of(config, 3);
            rig.parameters(model);
            var embeddings = model.backbone().embeddings();
            assertThat(embeddings.wordEmbeddings().weight().requiresGradient()).isEqualTo(learned);
            return new Values(
                    rig.values(embeddings.wordEmbeddings().weight()),
                    rig.values(Objects.requireNonNull(embeddings.positionEmbeddings()).weight()),
                    rig.values(model.head().weight()));
        }
    }
}
