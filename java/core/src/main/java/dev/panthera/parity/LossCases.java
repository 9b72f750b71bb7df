package dev.panthera.parity;

import dev.panthera.model.SquaredError;
import dev.panthera.tensor.LinearOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.tensor.VocabularyLossOperation;
import java.util.Arrays;
import java.util.stream.IntStream;

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

    /** Mean squared error over all elements: the recorded targets are the rows of a table. */
    static void meanSquaredError(Golden golden, Workbench bench, Comparison comparison) {
        Tensor outputs = bench.leaf(golden, "outputs");
        Tensor table = bench.constant(golden, "targets");
        int count = table.size(0);
        Tensor targets = bench.integers(IntStream.range(0, count).toArray(), 1, count);
        double[] shares = new double[count];
        Arrays.fill(shares, 1.0 / count);
        Tape tape = bench.tape();
        tape.begin(Tape.Mode.TRAINING);
        Tensor loss =
                SquaredError.mean(
                        tape,
                        outputs,
                        table,
                        targets,
                        Tensor.wrap(bench.upload(shares), 1, count, 1));
        comparison.output("loss", bench.values(loss));
        tape.backward(loss);
        comparison.gradient("grad_outputs", bench.gradient(outputs));
    }
}
