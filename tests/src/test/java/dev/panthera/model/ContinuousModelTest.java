package dev.panthera.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.mixer.Attention;
import dev.panthera.mixer.BlockKind;
import dev.panthera.mixer.Mlp;
import dev.panthera.nn.EmbeddingInit;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.Gradients;
import dev.panthera.testing.Rig;
import dev.panthera.train.AdamW;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Outputs and gradients are compared with the original's by {@code dev.panthera.parity}; here is how ids become vectors. */
class ContinuousModelTest {

    private static final int WIDTH = 4;
    private static final int VOCAB = 7;
    private static final int FIRST_VALUE = 3;

    /** Two rows of two pairs and two queries. */
    private static final int[] IDS = {
        0, 4, 2, 6, 2, VOCAB, 0, VOCAB, 1, 3, 0, 5, 0, VOCAB, 1, VOCAB
    };

    private static final int LENGTH = 4;
    private static final int[] ROWS = {2, 3, 6, 7};
    private static final int[] LABELS = {3, 1, 2, 0};

    @Test
    void aPositionsVectorsAreThoseOfItsKeyAndValueOrZeros() {
        try (var rig = Rig.exact()) {
            var model = model(EmbeddingInit.NORMAL);
            rig.parameters(model);
            double[] words = rig.values(words(model));
            rig.tape().begin(Tape.Mode.EVALUATION);
            Tensor vectors = model.vectors(rig.tape(), batch(rig).inputs());
            assertThat(vectors.shape()).containsExactly(2, LENGTH, 2 * WIDTH);
            double[] expected =
                    Arrays.stream(IDS)
                            .boxed()
                            .flatMapToDouble(id ->
                                    IntStream.range(0, WIDTH)
                                            .mapToDouble(channel ->
                                                    id == VOCAB ? 0 : words[id * WIDTH + channel]))
                            .toArray();
            assertThat(rig.values(vectors)).isEqualTo(expected);
        }
    }

    /** The table is trained by the loss alone, and of it only the values; the vectors stay as they are. */
    @ParameterizedTest
    @EnumSource
    void theTableLeavesItsVectorsBehind(Loss loss) {
        try (var rig = Rig.cpu(1)) {
            var model = model(EmbeddingInit.NORMAL);
            var store = rig.parameters(model);
            var batch = batch(rig);
            double[] start = rig.values(words(model));
            double[] vectors = rig.values(model.inputEmbeddings().weight());
            assertThat(Arrays.copyOf(vectors, start.length)).isEqualTo(start);
            try (var optimizer =
                    new AdamW(
                            rig.device(), rig.stream(), store, AdamW.Options.withWeightDecay(0))) {
                for (int step = 0; step < 3; step++) {
                    store.zeroGradients(rig.stream());
                    rig.tape().begin(Tape.Mode.TRAINING);
                    rig.tape().backward(loss.mean(rig.tape(), model, batch));
                    optimizer.step(rig.stream(), 1e-2);
                }
            }
            double[] words = rig.values(words(model));
            int values = FIRST_VALUE * WIDTH;
            assertThat(Arrays.copyOf(words, values)).isEqualTo(Arrays.copyOf(start, values));
            for (int i = values; i < words.length; i++) {
                assertThat(Math.abs(words[i] - start[i])).isGreaterThan(1e-4);
            }
            assertThat(rig.values(model.inputEmbeddings().weight())).isEqualTo(vectors);
        }
    }

    @ParameterizedTest
    @EnumSource
    void gradientsAreThoseOfFiniteDifferences(Loss loss) {
        try (var rig = Rig.exact()) {
            var model = model(EmbeddingInit.NORMAL);
            var trained =
                    rig.parameters(model).named().values().stream()
                            .filter(Tensor::requiresGradient)
                            .toList();
            var batch = batch(rig);
            Gradients.check(rig, trained, tape -> loss.mean(tape, model, batch));
        }
    }

    @Test
    void theProjectionsAroundTheBlocksStartUniform() {
        var config = config(EmbeddingInit.DEFAULT, 64);
        try (var rig = Rig.cpu(1)) {
            var model = ContinuousModel.of(config, 3);
            rig.parameters(model);
            assertUniform(rig.values(model.inputProjection().weight()), 1 / Math.sqrt(128));
            assertUniform(rig.values(model.outputProjection().weight()), 1 / Math.sqrt(64));
            for (Tensor bias :
                    new Tensor[] {
                        model.inputProjection().bias(), model.outputProjection().bias()
                    }) {
                assertThat(rig.values(bias)).doesNotContain(0);
            }
        }
    }

    private static void assertUniform(double[] values, double bound) {
        double squares = Arrays.stream(values).map(v -> v * v).average().orElseThrow();
        assertThat(Math.sqrt(squares)).isCloseTo(bound / Math.sqrt(3), within(0.03 * bound));
        assertThat(Arrays.stream(values).map(Math::abs).max().orElseThrow())
                .isBetween(0.99 * bound, bound);
    }

    private static Tensor words(ContinuousModel model) {
        return model.backbone().embeddings().wordEmbeddings().weight();
    }

    private static ContinuousModel model(EmbeddingInit start) {
        return (ContinuousModel) SequenceModel.of(config(start, WIDTH), 5);
    }

    private static ModelConfig config(EmbeddingInit start, int width) {
        return new ModelConfig(
                new Attention.Config(2, 0, true),
                BlockKind.AUTO,
                new Mlp.Config(2),
                width,
                1,
                VOCAB,
                0,
                LENGTH,
                true,
                true,
                start,
                0,
                0,
                0,
                1e-5);
    }

    private static LabelledBatch batch(Rig rig) {
        double[] shares = new double[ROWS.length];
        Arrays.fill(shares, 1.0 / ROWS.length);
        Tensor labels = rig.integers(LABELS, 1, LABELS.length);
        return new LabelledBatch(
                rig.integers(IDS, 2, 2 * LENGTH),
                rig.integers(ROWS, 1, ROWS.length),
                labels,
                labels,
                Tensor.wrap(rig.upload(shares), 1, ROWS.length, 1));
    }
}
