package dev.panthera.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.model.LanguageModel;
import dev.panthera.task.Batch;
import dev.panthera.task.Dataset;
import dev.panthera.task.RowStorage;
import dev.panthera.task.Split;
import dev.panthera.task.TaskConfig;
import dev.panthera.tensor.Tape;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class EvaluatorTest {
    private static final String HEAD = "lm_head.weight";
    private static final int VOCAB = 64;

    /** Against plain loops over all logits. The head is wide enough for some answers to be right by chance. */
    @Test
    void lossAndAccuracyAreThoseOfTheLogits() {
        var config =
                TinyRuns.config("model.learn_word_embeddings=false", "data.test.*.examples=500");
        try (var session = TinyRuns.session(config, 2);
                var test = config.data().testDataset(Split.TEST, RowStorage.STREAMED)) {
            TinyRuns.randomize(session, HEAD, 1);
            var expected = new Expectation();
            for (int i = 0; i < test.batchesPerEpoch(); i++) {
                expected.add(session, test.batch(0, i));
            }
            Evaluation evaluation = new Evaluator(session).evaluate(test, Evaluator.Detail.TAGS);
            assertThat(expected.right).isPositive();
            assertThat(evaluation.examples()).isEqualTo(1000);
            assertThat(evaluation.loss()).isCloseTo(expected.loss / expected.labels, within(1e-5));
            assertThat(evaluation.accuracy()).isCloseTo(expected.right / 1000, within(1e-12));
            assertThat(evaluation.slices())
                    .containsOnlyKeys("num_kv_pairs", "input_seq_len", "num_passes");
            var byPairs = evaluation.slices().get("num_kv_pairs");
            assertThat(byPairs.keySet()).isEqualTo(expected.rightByPairs.keySet());
            expected.rightByPairs.forEach((pairs, right) ->
                    assertThat(byPairs.get(pairs)).isCloseTo(right / 500, within(1e-12)));
            assertThat(evaluation.slices().get("num_passes").get(1))
                    .isCloseTo(evaluation.accuracy(), within(1e-12));
        }
    }

    /** 500 rows with one label and 500 with two. */
    @Test
    void rightAnswersByDistanceAddUpToThoseByPairs() {
        var config =
                TinyRuns.config("model.learn_word_embeddings=false", "data.test.*.examples=500");
        try (var session = TinyRuns.session(config, 2);
                var test = config.data().testDataset(Split.TEST, RowStorage.STREAMED)) {
            TinyRuns.randomize(session, HEAD, 1);
            Evaluation evaluation =
                    new Evaluator(session).evaluate(test, Evaluator.Detail.DISTANCES);
            Map<Integer, Integer> labels = labelsByBucket(test);
            var byDistance = evaluation.slices().get(Evaluation.KEY_QUERY_DISTANCE);
            assertThat(byDistance.keySet()).isEqualTo(labels.keySet()).contains(2, 4, 8, 16);
            double right = 0;
            for (var bucket : labels.entrySet()) {
                right += byDistance.get(bucket.getKey()) * bucket.getValue();
            }
            var byPairs = evaluation.slices().get("num_kv_pairs");
            assertThat(right).isPositive();
            assertThat(right).isCloseTo(500 * byPairs.get(1) + 1000 * byPairs.get(2), within(1e-9));
        }
    }

    private static Map<Integer, Integer> labelsByBucket(Dataset test) {
        Map<Integer, Integer> counts = new TreeMap<>();
        for (int i = 0; i < test.batchesPerEpoch(); i++) {
            Batch batch = test.batch(0, i);
            int[] inputs = batch.inputArray();
            int[] labels = batch.labelArray();
            for (int query = 0; query < labels.length; query++) {
                if (labels[query] != TaskConfig.IGNORE) {
                    int key = query - query % batch.length();
                    while (inputs[key] != inputs[query]) {
                        key++;
                    }
                    int bound = 1;
                    while (bound < query - key) {
                        bound *= 2;
                    }
                    counts.merge(bound, 1, Integer::sum);
                }
            }
        }
        return counts;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 1000})
    void theBatchSizeChangesNothingButRounding(int testBatch) {
        var expected = evaluate("data.test_batch=16");
        var evaluation = evaluate("data.test_batch=" + testBatch);
        assertThat(evaluation.examples()).isEqualTo(expected.examples());
        assertThat(evaluation.loss()).isCloseTo(expected.loss(), within(1e-6));
        assertThat(evaluation.accuracy()).isCloseTo(expected.accuracy(), within(1e-12));
        assertThat(evaluation.slices().keySet()).isEqualTo(expected.slices().keySet());
    }

    /** Dropout must be off: otherwise the second evaluation would differ. */
    @Test
    void evaluatingTwiceGivesTheSame() {
        var config = TinyRuns.config();
        try (var session = TinyRuns.session(config, 2);
                var test = config.data().testDataset(Split.TEST, RowStorage.STREAMED)) {
            var evaluator = new Evaluator(session);
            var first = evaluator.evaluate(test, Evaluator.Detail.DISTANCES);
            session.random().write(session.stream(), 1, 99);
            assertThat(evaluator.evaluate(test, Evaluator.Detail.DISTANCES)).isEqualTo(first);
        }
    }

    private static Evaluation evaluate(String setting) {
        var config = TinyRuns.config("model.learn_word_embeddings=false", setting);
        try (var session = TinyRuns.session(config, 2);
                Dataset test = config.data().testDataset(Split.TEST, RowStorage.STREAMED)) {
            TinyRuns.randomize(session, HEAD, 1);
            return new Evaluator(session).evaluate(test, Evaluator.Detail.TAGS);
        }
    }

    /** Sums of what each row is expected to add. */
    private static final class Expectation {
        private double loss;
        private long labels;
        private double right;
        private final Map<Integer, Double> rightByPairs = new TreeMap<>();

        void add(Session session, Batch batch) {
            float[] logits = logits(session, batch);
            int[] targets = batch.labelArray();
            for (int row = 0; row < batch.rows(); row++) {
                int hits = 0;
                for (int i = row * batch.length(); i < (row + 1) * batch.length(); i++) {
                    if (targets[i] != TaskConfig.IGNORE) {
                        labels++;
                        loss += logSumExp(logits, i) - logits[i * VOCAB + targets[i]];
                        hits += argMax(logits, i) == targets[i] ? 1 : 0;
                    }
                }
                int pairs = batch.slices().get("num_kv_pairs");
                right += (double) hits / pairs;
                rightByPairs.merge(pairs, (double) hits / pairs, Double::sum);
            }
        }

        private static float[] logits(Session session, Batch batch) {
            var tape = session.tape();
            var loaded = session.loadLabelled(batch);
            tape.begin(Tape.Mode.EVALUATION);
            var logits = ((LanguageModel) session.model()).logits(tape, loaded.inputs());
            float[] values = session.stream().toFloatArray(logits.values());
            tape.end();
            return values;
        }

        private static double logSumExp(float[] logits, int position) {
            double sum = 0;
            for (int token = 0; token < VOCAB; token++) {
                sum += Math.exp(logits[position * VOCAB + token]);
            }
            return Math.log(sum);
        }

        private static int argMax(float[] logits, int position) {
            int best = 0;
            for (int token = 1; token < VOCAB; token++) {
                best =
                        logits[position * VOCAB + token] > logits[position * VOCAB + best]
                                ? token
                                : best;
            }
            return best;
        }
    }
}
