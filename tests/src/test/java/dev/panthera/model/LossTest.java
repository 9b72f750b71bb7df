package dev.panthera.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.mixer.Attention;
import dev.panthera.mixer.BlockKind;
import dev.panthera.mixer.Passthrough;
import dev.panthera.nn.EmbeddingInit;
import dev.panthera.task.TaskConfig;
import dev.panthera.tensor.ParameterStore;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.Gradients;
import dev.panthera.testing.Rig;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Each loss against its formula, with and without a head of its own, and with room for more labels than there are. */
class LossTest {

    private static final int WIDTH = 4;
    private static final int VOCAB = 6;
    private static final int LENGTH = 5;
    private static final int[] IDS = {3, 1, 4, 1, 5, 2, 0, 5, 3, 4};
    private static final int[] ROWS = {2, 4, 8};
    private static final int[] LABELS = {5, 1, 5};

    @ParameterizedTest
    @CsvSource({
        "CROSS_ENTROPY, true",
        "CROSS_ENTROPY, false",
        "CROSS_ENTROPY_EMBEDDINGS, true",
        "CROSS_ENTROPY_EMBEDDINGS, false",
        "MSE, true",
        "MSE, false"
    })
    void lossesAndAnswersAreThoseOfTheFormula(Loss loss, boolean learned) {
        try (var rig = Rig.exact()) {
            var model = model(learned);
            rig.parameters(model);
            rig.tape().begin(Tape.Mode.EVALUATION);
            var batch = batch(rig, ROWS.length);
            double[] hidden = rig.values(model.hidden(rig.tape(), batch.inputs(), batch.rows()));
            double[] head = rig.values(model.head().weight());
            double[] words = rig.values(model.answerEmbeddings());
            double[] weights = loss == Loss.CROSS_ENTROPY ? head : words;
            assertThat(Arrays.equals(head, words)).isEqualTo(learned);

            var evaluated = loss.evaluate(rig.tape(), model, batch);
            double[] rowLoss = rig.values(evaluated.rowLoss());
            int[] answers = rig.stream().toIntArray(evaluated.answers().values());
            double sum = 0;
            for (int row = 0; row < ROWS.length; row++) {
                double[] h = Arrays.copyOfRange(hidden, row * WIDTH, (row + 1) * WIDTH);
                double[] logits = products(h, weights);
                double expected =
                        loss == Loss.MSE
                                ? squaredError(h, words, LABELS[row])
                                : logSumExp(logits) - logits[LABELS[row]];
                assertThat(rowLoss[row]).isCloseTo(expected, within(1e-12));
                assertThat(answers[row]).isEqualTo(largest(logits));
                sum += expected;
            }
            double mean = rig.values(loss.mean(rig.tape(), model, batch))[0];
            assertThat(mean).isCloseTo(sum / ROWS.length, within(1e-7));
        }
    }

    @ParameterizedTest
    @EnumSource
    void gradientsAreThoseOfFiniteDifferences(Loss loss) {
        for (boolean learned : new boolean[] {true, false}) {
            try (var rig = Rig.exact()) {
                var model = model(learned);
                var trained = trained(rig.parameters(model));
                var batch = batch(rig, ROWS.length + 2);
                Gradients.check(rig, trained, tape -> loss.mean(tape, model, batch));
            }
        }
    }

    /** Positions without a label fill a list up, for a captured step; they must not count. */
    @ParameterizedTest
    @EnumSource
    void roomThatIsLeftChangesNothing(Loss loss) {
        try (var rig = Rig.cpu(1)) {
            var model = model(true);
            var trained = trained(rig.parameters(model));
            double[] exactly = gradients(rig, loss, model, trained, batch(rig, ROWS.length));
            double[] roomy = gradients(rig, loss, model, trained, batch(rig, ROWS.length + 4));
            assertThat(roomy).containsExactly(exactly, within(1e-6));
        }
    }

    @Test
    void aBatchWithoutLabelsHasLossZeroAndNoGradient() {
        try (var rig = Rig.cpu(1)) {
            var model = model(true);
            var trained = trained(rig.parameters(model));
            var batch = batch(rig, new int[0], new int[0], 1);
            for (Loss loss : Loss.values()) {
                assertThat(gradients(rig, loss, model, trained, batch)).containsOnly(0);
            }
        }
    }

    private static LanguageModel model(boolean learned) {
        return LanguageModel.of(
                new ModelConfig(
                        new Attention.Config(2, 0, true),
                        BlockKind.AUTO,
                        new Passthrough.Config(),
                        WIDTH,
                        1,
                        VOCAB,
                        LENGTH,
                        LENGTH,
                        false,
                        learned,
                        EmbeddingInit.NORMAL,
                        0,
                        0,
                        0,
                        1e-5),
                5);
    }

    private static LabelledBatch batch(Rig rig, int capacity) {
        return batch(rig, ROWS, LABELS, capacity);
    }

    private static LabelledBatch batch(Rig rig, int[] rows, int[] labels, int capacity) {
        int[] filledRows = new int[capacity];
        int[] filledLabels = new int[capacity];
        int[] targets = new int[capacity];
        double[] shares = new double[capacity];
        for (int i = 0; i < capacity; i++) {
            boolean labelled = i < rows.length;
            filledRows[i] = labelled ? rows[i] : IDS.length - 1;
            filledLabels[i] = labelled ? labels[i] : TaskConfig.IGNORE;
            targets[i] = labelled ? labels[i] : 0;
            shares[i] = labelled ? 1.0 / rows.length : 0;
        }
        return new LabelledBatch(
                rig.integers(IDS, IDS.length / LENGTH, LENGTH),
                rig.integers(filledRows, 1, capacity),
                rig.integers(filledLabels, 1, capacity),
                rig.integers(targets, 1, capacity),
                Tensor.wrap(rig.upload(shares), 1, capacity, 1));
    }

    private static List<Tensor> trained(ParameterStore store) {
        return store.named().values().stream().distinct().filter(Tensor::requiresGradient).toList();
    }

    /** The loss, followed by all gradients. */
    private static double[] gradients(
            Rig rig, Loss loss, SequenceModel model, List<Tensor> trained, LabelledBatch batch) {
        trained.forEach(rig::clearGradient);
        rig.tape().begin(Tape.Mode.TRAINING);
        Tensor mean = loss.mean(rig.tape(), model, batch);
        double[] value = rig.values(mean);
        rig.tape().backward(mean);
        return Stream.concat(Stream.of(value), trained.stream().map(rig::gradient))
                .flatMapToDouble(Arrays::stream)
                .toArray();
    }

    private static double[] products(double[] h, double[] weights) {
        double[] products = new double[VOCAB];
        for (int i = 0; i < weights.length; i++) {
            products[i / WIDTH] += h[i % WIDTH] * weights[i];
        }
        return products;
    }

    private static double squaredError(double[] h, double[] words, int label) {
        double sum = 0;
        for (int i = 0; i < WIDTH; i++) {
            sum += Math.pow(h[i] - words[label * WIDTH + i], 2);
        }
        return sum / WIDTH;
    }

    private static double logSumExp(double[] logits) {
        return Math.log(Arrays.stream(logits).map(Math::exp).sum());
    }

    private static int largest(double[] values) {
        int best = 0;
        for (int i = 1; i < values.length; i++) {
            best = values[i] > values[best] ? i : best;
        }
        return best;
    }
}
