package dev.panthera.parity;

import dev.panthera.model.LanguageModel;
import dev.panthera.tensor.ParameterStore;
import dev.panthera.tensor.Tape;
import dev.panthera.train.AdamW;
import java.util.Arrays;

/**
 * Training with AdamW from recorded parameters on recorded batches: the loss before every step, and the parameters at
 * the end.
 *
 * <p>AdamW divides a gradient by its own size, so a gradient that is zero but for rounding (that of the attention keys'
 * bias, which softmax cancels) still moves its parameter by up to the learning rate, in a direction that rounding
 * decides. Such parameters are allowed more.
 */
final class TrajectoryCase implements ParityCase {

    private static final double LOSS_TOLERANCE = 1e-5;
    private static final double PARAMETER_TOLERANCE = 2e-5;
    private static final double UNDETERMINED_TOLERANCE = 2e-4;
    private static final double USUAL_LEARNING_RATE = 1e-3;

    /** Allowance of the key biases at large learning rates, times the learning rate: 5e-3 at 1e-2. */
    private static final double UNDETERMINED_PER_LEARNING_RATE = 0.5;

    private static final String PROJECTION_BIAS = "Wqkv.bias";
    private static final String LONG_CONVOLUTION_TAPS = ".filter";

    @Override
    public void run(Golden golden, Workbench bench, Comparison comparison) {
        int[] shape = golden.shape("batch_inputs");
        var model = OriginalModel.build(golden.options("model_config"), shape[2]);
        ParameterStore store = bench.load(model, golden, "init.");
        Options options = golden.options("optimizer").ignoring("applies_to");
        if (!options.text("name").equals("AdamW")) {
            throw new UnknownCaseException("optimizer " + options.text("name"));
        }
        double learningRate = options.number("lr");
        double[] betas = options.numbers("betas");
        var adamW =
                new AdamW.Options(
                        betas[0], betas[1], options.number("eps"), options.number("weight_decay"));
        options.finish();
        double[] losses = train(golden, bench, model, store, adamW, learningRate);
        comparison.absolute(
                "losses", Comparison.Kind.OUTPUT, losses, golden.doubles("losses"), LOSS_TOLERANCE);
        for (String name : golden.namesAfter("final.")) {
            compareParameter(
                    golden, comparison, name, bench.values(store.named().get(name)), learningRate);
        }
    }

    private static double[] train(
            Golden golden,
            Workbench bench,
            LanguageModel model,
            ParameterStore store,
            AdamW.Options options,
            double learningRate) {
        int[] shape = golden.shape("batch_inputs");
        int steps = shape[0];
        int batch = shape[1];
        int length = shape[2];
        int[] inputs = golden.ints("batch_inputs");
        int[] labels = golden.ints("batch_labels");
        double[] losses = new double[steps];
        Tape tape = bench.tape();
        try (var optimizer = new AdamW(bench.device(), bench.stream(), store, options)) {
            for (int step = 0; step < steps; step++) {
                int begin = step * batch * length;
                int end = begin + batch * length;
                store.zeroGradients(bench.stream());
                tape.begin(Tape.Mode.TRAINING);
                var result =
                        model.loss(
                                tape,
                                bench.integers(
                                        Arrays.copyOfRange(inputs, begin, end), batch, length),
                                bench.integers(
                                        Arrays.copyOfRange(labels, begin, end), batch, length));
                losses[step] = bench.values(result.loss())[0];
                tape.backward(result.loss());
                optimizer.step(bench.stream(), learningRate);
            }
        }
        return losses;
    }

    private static void compareParameter(
            Golden golden, Comparison comparison, String name, double[] ours, double learningRate) {
        String tensor = "final." + name;
        double[] recorded = golden.doubles(tensor);
        if (!name.endsWith(PROJECTION_BIAS)) {
            double allowed =
                    name.endsWith(LONG_CONVOLUTION_TAPS)
                            ? UNDETERMINED_TOLERANCE
                            : PARAMETER_TOLERANCE;
            comparison.absolute(tensor, Comparison.Kind.GRADIENT, ours, recorded, allowed);
            return;
        }
        boolean large = learningRate > USUAL_LEARNING_RATE;
        double keys =
                large ? UNDETERMINED_PER_LEARNING_RATE * learningRate : UNDETERMINED_TOLERANCE;
        double others = large ? keys : PARAMETER_TOLERANCE;
        String[] parts = {" (queries)", " (keys)", " (values)"};
        int width = ours.length / parts.length;
        for (int part = 0; part < parts.length; part++) {
            int begin = part * width;
            comparison.absolute(
                    tensor + parts[part],
                    Comparison.Kind.GRADIENT,
                    Arrays.copyOfRange(ours, begin, begin + width),
                    Arrays.copyOfRange(recorded, begin, begin + width),
                    part == 1 ? keys : others);
        }
    }
}
