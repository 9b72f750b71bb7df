package dev.panthera.mixer;

import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.Rig;
import java.util.ArrayList;
import java.util.List;

/** Goes through sequences of {@link MixerContracts#WIDTH} channels in steps. */
final class Decoding {
    private static final int WIDTH = MixerContracts.WIDTH;

    private Decoding() {}

    /** What goes on from a state. */
    interface Step {
        Tensor extend(Tape tape, Tensor x, DecodeState state);
    }

    static DecodeState empty(Rig rig, int batch, int capacity) {
        return DecodeState.empty(rig.device(), rig.stream(), rig.tape().type(), batch, capacity);
    }

    /**
     * Takes the positions in parts of the given lengths, and what is left one by one.
     *
     * @param input {@code (batch, length, WIDTH)}
     * @return the outputs, of the same shape
     */
    static double[] decode(Rig rig, Step step, double[] input, int length, List<Integer> division) {
        int batch = input.length / length / WIDTH;
        double[] decoded = new double[input.length];
        List<Integer> counts = new ArrayList<>(division);
        int left = length - counts.stream().mapToInt(Integer::intValue).sum();
        for (int i = 0; i < left; i++) {
            counts.add(1);
        }
        try (var state = empty(rig, batch, length)) {
            for (int count : counts) {
                int position = state.position();
                double[] part = new double[batch * count * WIDTH];
                copy(input, length, position, part, count, 0, batch, count);
                double[] outputs = step(rig, step, state, part, count);
                copy(outputs, count, 0, decoded, length, position, batch, count);
            }
        }
        return decoded;
    }

    private static void copy(
            double[] source,
            int sourceLength,
            int from,
            double[] target,
            int targetLength,
            int to,
            int batch,
            int count) {
        for (int b = 0; b < batch; b++) {
            System.arraycopy(
                    source,
                    (b * sourceLength + from) * WIDTH,
                    target,
                    (b * targetLength + to) * WIDTH,
                    count * WIDTH);
        }
    }

    /** One step of {@code count} positions, after which the state has seen them. */
    static double[] step(Rig rig, Step step, DecodeState state, double[] part, int count) {
        rig.tape().begin(Tape.Mode.EVALUATION);
        Tensor x = rig.tape().allocate(part.length / count / WIDTH, count, WIDTH);
        rig.stream().copyToDevice(x.values(), part);
        double[] outputs = rig.values(step.extend(rig.tape(), x, state));
        rig.tape().end();
        state.advance(count);
        return outputs;
    }

    /** The largest difference relative to the largest expected magnitude; NaN if anything is. */
    static double error(double[] found, double[] expected) {
        double error = 0;
        double largest = 0;
        for (int i = 0; i < expected.length; i++) {
            double difference = Math.abs(found[i] - expected[i]);
            error = Double.isNaN(difference) ? Double.NaN : Math.max(error, difference);
            largest = Math.max(largest, Math.abs(expected[i]));
        }
        return error / largest;
    }
}
