package dev.panthera.parity;

import dev.panthera.model.Backbone;
import dev.panthera.model.Block;
import dev.panthera.model.LanguageModel;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.tensor.VocabularyLossOperation;
import java.util.Objects;

/**
 * A whole language model: what each block passes on, the hidden vectors, the logits and predictions, both losses, and
 * the gradients of all parameters.
 */
final class ModelCase implements ParityCase {

    @Override
    public void run(Golden golden, Workbench bench, Comparison comparison) {
        var model =
                OriginalModel.build(golden.options("model_config"), golden.shape("input_ids")[1]);
        var store = bench.load(model, golden, "param.");
        Tensor ids = bench.integers(golden, "input_ids");
        Tensor labels = bench.integers(golden, "labels");
        compareBlocks(golden, bench, comparison, model.backbone(), ids);
        compareHeads(golden, bench, comparison, model, ids, labels);

        bench.tape().begin(Tape.Mode.TRAINING);
        var result = model.loss(bench.tape(), ids, labels);
        comparison.output("loss", bench.values(result.loss()));
        comparePredictions(golden, bench, comparison, result);
        bench.tape().backward(result.loss());
        ParameterGradients.compare(golden, bench, store, comparison);
    }

    private static void compareBlocks(
            Golden golden, Workbench bench, Comparison comparison, Backbone backbone, Tensor ids) {
        Tape tape = bench.tape();
        tape.begin(Tape.Mode.EVALUATION);
        var state = new Block.State(backbone.embeddings().forward(tape, ids), null, ids);
        comparison.output("embeddings", bench.values(state.hidden()));
        for (int i = 0; i < backbone.layers().size(); i++) {
            state = backbone.layers().get(i).forward(tape, state);
            comparison.output("layer" + i + ".hidden", bench.values(state.hidden()));
            comparison.output(
                    "layer" + i + ".residual",
                    bench.values(Objects.requireNonNull(state.residual())));
        }
    }

    private static void compareHeads(
            Golden golden,
            Workbench bench,
            Comparison comparison,
            LanguageModel model,
            Tensor ids,
            Tensor labels) {
        Tape tape = bench.tape();
        tape.begin(Tape.Mode.EVALUATION);
        Tensor hidden = model.backbone().forward(tape, ids);
        comparison.output("hidden", bench.values(hidden));
        double[] logits = bench.values(model.logits(tape, ids));
        comparison.output("logits", logits);
        int vocabSize = model.head().weight().size(0);
        int[] best = new int[logits.length / vocabSize];
        for (int row = 0; row < best.length; row++) {
            best[row] = argMax(logits, row * vocabSize, vocabSize);
        }
        comparePredictions(golden, comparison, "preds", best);
        if (golden.has("loss_ce_embed")) {
            Tensor table = model.backbone().embeddings().wordEmbeddings().weight();
            var embedded = VocabularyLossOperation.apply(tape, hidden, table, labels);
            comparison.output("loss_ce_embed", bench.values(embedded.loss()));
        }
    }

    private static void comparePredictions(
            Golden golden,
            Workbench bench,
            Comparison comparison,
            VocabularyLossOperation.Result result) {
        int[] atLabels = bench.stream().toIntArray(result.argMax().values());
        comparePredictions(golden, comparison, "preds at labels", atLabels);
    }

    /**
     * A prediction may differ where two logits tie but for rounding. Its error is how far the recorded logit of our
     * prediction lies below the highest one, relative to the largest logit; negative predictions are those not made.
     */
    private static void comparePredictions(
            Golden golden, Comparison comparison, String name, int[] predictions) {
        double[] logits = golden.doubles("logits");
        int[] recorded = golden.ints("preds");
        int vocabSize = logits.length / recorded.length;
        double scale = 0;
        for (double logit : logits) {
            scale = Math.max(scale, Math.abs(logit));
        }
        double worst = 0;
        for (int row = 0; row < recorded.length; row++) {
            if (predictions[row] >= 0 && predictions[row] != recorded[row]) {
                double missed =
                        logits[row * vocabSize + recorded[row]]
                                - logits[row * vocabSize + predictions[row]];
                worst = Math.max(worst, missed / scale);
            }
        }
        comparison.record(name, Comparison.Kind.OUTPUT, worst, comparison.tolerance());
    }

    private static int argMax(double[] values, int begin, int count) {
        int best = begin;
        for (int i = begin + 1; i < begin + count; i++) {
            if (values[i] > values[best]) {
                best = i;
            }
        }
        return best - begin;
    }
}
