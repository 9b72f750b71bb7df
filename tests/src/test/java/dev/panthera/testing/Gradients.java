package dev.panthera.testing;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.List;
import java.util.function.Function;

/** Checks gradients by central differences, on {@link Rig#exact()}. */
public final class Gradients {

    private static final double STEP = 1e-5;
    private static final double TOLERANCE = 1e-7;

    private Gradients() {}

    /**
     * Asserts that back-propagation through {@code function} gives the derivative of {@code sum(output * weights)} with
     * fixed weights by every element of the inputs.
     *
     * @param inputs leaves or parameters
     */
    public static void check(Rig rig, List<Tensor> inputs, Function<Tape, Tensor> function) {
        inputs.forEach(rig::clearGradient);
        rig.tape().begin(Tape.Mode.TRAINING);
        Tensor output = function.apply(rig.tape());
        double[] weights = Rig.gaussian(99, Math.toIntExact(output.size()));
        rig.tape().backward(output, rig.upload(weights));
        for (int i = 0; i < inputs.size(); i++) {
            Tensor input = inputs.get(i);
            double[] gradient = rig.gradient(input);
            double[] expected = differences(rig, input, function, weights);
            for (int j = 0; j < gradient.length; j++) {
                assertThat(Math.abs(gradient[j] - expected[j]))
                        .as(
                                "input %d, element %d: %s by back-propagation, %s by differences",
                                i, j, gradient[j], expected[j])
                        .isLessThanOrEqualTo(TOLERANCE * (1 + largest(expected)));
            }
        }
    }

    private static double[] differences(
            Rig rig, Tensor input, Function<Tape, Tensor> function, double[] weights) {
        double[] values = rig.values(input);
        double[] result = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            double original = values[i];
            values[i] = original + STEP;
            double above = weighted(rig, input, values, function, weights);
            values[i] = original - STEP;
            double below = weighted(rig, input, values, function, weights);
            values[i] = original;
            result[i] = (above - below) / (2 * STEP);
        }
        rig.stream().copyToDevice(input.values(), values);
        return result;
    }

    private static double weighted(
            Rig rig,
            Tensor input,
            double[] values,
            Function<Tape, Tensor> function,
            double[] weights) {
        rig.stream().copyToDevice(input.values(), values);
        rig.tape().begin(Tape.Mode.TRAINING);
        double[] output = rig.values(function.apply(rig.tape()));
        double sum = 0;
        for (int i = 0; i < output.length; i++) {
            sum += output[i] * weights[i];
        }
        return sum;
    }

    private static double largest(double[] values) {
        double largest = 0;
        for (double value : values) {
            largest = Math.max(largest, Math.abs(value));
        }
        return largest;
    }
}
