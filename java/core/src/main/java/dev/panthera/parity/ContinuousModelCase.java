package dev.panthera.parity;

import dev.panthera.model.Backbone;
import dev.panthera.model.ContinuousModel;
import dev.panthera.model.LabelledBatch;
import dev.panthera.model.Loss;
import dev.panthera.nn.Linear;
import dev.panthera.nn.Parameterized;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.Arrays;

/**
 * A model of vectors: its output, the losses at the last positions, and the gradients of the input and of all parameters. The
 * vectors are recorded, so the table that they come from plays no part.
 */
final class ContinuousModelCase implements ParityCase {

    /** What the original's class has parameters for. */
    private record Recorded(
            Backbone backbone,
            @StateName("input_proj") Linear inputProjection,
            @StateName("output_proj") Linear outputProjection)
            implements Parameterized {}

    @Override
    public void run(Golden golden, Workbench bench, Comparison comparison) {
        var model =
                OriginalModel.buildContinuous(
                        golden.options("model_config"), golden.shape("input")[1]);
        var store =
                bench.load(
                        new Recorded(
                                model.backbone(),
                                model.inputProjection(),
                                model.outputProjection()),
                        golden,
                        "param.");
        Tensor input = bench.leaf(golden, "input");
        var batch = lastPositions(golden, bench, input);
        Tape tape = bench.tape();
        tape.begin(Tape.Mode.EVALUATION);
        comparison.output("output", bench.values(model.forward(tape, input, null)));
        comparison.output("loss_mse", bench.values(loss(Loss.MSE, tape, model, batch)));
        tape.begin(Tape.Mode.TRAINING);
        Tensor loss = loss(Loss.CROSS_ENTROPY, tape, model, batch);
        comparison.output("loss", bench.values(loss));
        tape.backward(loss);
        comparison.gradient("grad_input", bench.gradient(input));
        ParameterGradients.compare(golden, bench, store, comparison);
    }

    private static Tensor loss(Loss loss, Tape tape, ContinuousModel model, LabelledBatch batch) {
        Tensor hidden = model.forward(tape, batch.inputs(), batch.rows());
        return loss.mean(tape, model, hidden, batch);
    }

    /** Recorded are labels of as many positions at the end of each sequence. */
    private static LabelledBatch lastPositions(Golden golden, Workbench bench, Tensor input) {
        int length = input.size(1);
        int asked = golden.shape("targets")[1];
        int[] labels = golden.ints("targets");
        int[] rows = new int[labels.length];
        Arrays.setAll(rows, i -> (i / asked + 1) * length - asked + i % asked);
        double[] shares = new double[labels.length];
        Arrays.fill(shares, 1.0 / labels.length);
        return new LabelledBatch(
                input,
                bench.integers(rows, 1, rows.length),
                bench.integers(labels, 1, labels.length),
                bench.integers(labels, 1, labels.length),
                Tensor.wrap(bench.upload(shares), 1, labels.length, 1));
    }
}
