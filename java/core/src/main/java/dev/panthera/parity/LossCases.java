package dev.panthera.parity;

import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.kernels.Reduction;
import dev.panthera.tensor.ArithmeticOperation;
import dev.panthera.tensor.LinearOperation;
import dev.panthera.tensor.ReduceOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.tensor.VocabularyLossOperation;

/** Losses by themselves. */
final class LossCases {

    private LossCases() {}

    /** Cross entropy of hidden vectors against a table of embeddings. */
    static void crossEntropyWithEmbeddings(Golden golden, Workbench bench, Comparison comparison) {
        Tensor outputs = bench.leaf(golden, "outputs");
        Tensor embeddings = bench.leaf(golden, "embeddings");
        Tensor targets = bench.integers(golden, "true_indices");
        Tape tape = bench.tape();
        tape.begin(Tape.Mode.EVALUATION);
        comparison.output(
                "logits", bench.values(LinearOperation.apply(tape, outputs, embeddings, null)));
        tape.begin(Tape.Mode.TRAINING);
        Tensor loss = VocabularyLossOperation.apply(tape, outputs, embeddings, targets).loss();
        comparison.output("loss", bench.values(loss));
        tape.backward(loss);
        comparison.gradient("grad_outputs", bench.gradient(outputs));
        comparison.gradient("grad_embeddings", bench.gradient(embeddings));
    }

    /** Mean squared error over all elements. */
    static void meanSquaredError(Golden golden, Workbench bench, Comparison comparison) {
        Tensor outputs = bench.leaf(golden, "outputs");
        Tensor targets = bench.constant(golden, "targets");
        Tape tape = bench.tape();
        tape.begin(Tape.Mode.TRAINING);
        Tensor difference =
                ArithmeticOperation.apply(tape, ArithmeticKind.SUBTRACT, outputs, targets);
        Tensor loss =
                ReduceOperation.applyToAll(tape, Reduction.MEAN, difference.times(difference));
        comparison.output("loss", bench.values(loss));
        tape.backward(loss);
        comparison.gradient("grad_outputs", bench.gradient(outputs));
    }
}
