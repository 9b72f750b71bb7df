package dev.panthera.mixer;

import dev.panthera.nn.Init;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import dev.panthera.tensor.BroadcastOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * Any positions: the control of Arora et al. 2023 (arXiv 2312.04927, section 5), which shows whether it matters which are chosen. In
 * training the scores are drawn anew for every position of every step; in evaluation they are a function of layer and position
 * alone.
 *
 * @param layer number of the layer
 * @param length of the longest sequences
 */
public record RandomSelection(int layer, int length, long drawKey) implements Selection {
    private static final int DRAW_SITE = 9;

    public record Config() implements SelectionConfig {
        @Override
        public RandomSelection build(Layer layer, Init init) {
            return new RandomSelection(layer.index(), layer.length(), layer.dropoutKey(DRAW_SITE));
        }
    }

    /** What the constant scores of a layer are kept by. */
    private record Scores(int layer, int length) {
        float[] values() {
            var random = CounterRandom.of(0, Purpose.SELECTION, layer);
            float[] values = new float[length];
            for (int i = 0; i < length; i++) {
                values[i] = (float) random.nextDouble();
            }
            return values;
        }
    }

    @Override
    public Tensor scores(Tape tape, Tensor x) {
        return tape.training()
                ? Draws.uniform(tape, drawKey, x.size(0), x.size(1))
                : fixed(tape, x, 0, x.size(1));
    }

    @Override
    public Tensor extendScores(Tape tape, Tensor x, DecodeState state) {
        return fixed(tape, x, state.position(), state.capacity());
    }

    /** @param longest the most positions that the same tape will ask for, so that it keeps one constant for all its steps */
    private Tensor fixed(Tape tape, Tensor x, int first, int longest) {
        int count = x.size(1);
        var key = new Scores(layer, Math.max(length, longest));
        Tensor all = tape.constant(key, key::values, key.length());
        Tensor some = Tensor.wrap(all.values().slice(first, count), 1, count, 1);
        return BroadcastOperation.apply(tape, some, x.size(0), count, 1);
    }
}
