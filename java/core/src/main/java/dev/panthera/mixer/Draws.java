package dev.panthera.mixer;

import dev.panthera.tensor.DropoutOperation;
import dev.panthera.tensor.LinearOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** Random numbers of a training step, drawn on the device by dropout: a pure function of seed, step, key and place. */
final class Draws {
    private static final int COINS = 24;
    private static final float FAIR = 0.5f;

    private Draws() {}

    /** The worth of each coin: a number is written in as many binary places as a float has. */
    private record Places() {
        static float[] values() {
            float[] values = new float[COINS];
            for (int i = 0; i < COINS; i++) {
                values[i] = FAIR * (float) Math.scalb(1.0, -1 - i);
            }
            return values;
        }
    }

    /**
     * Uniform in [0, 1), for training.
     *
     * @param key tells them apart from all that is dropped in the same step
     * @return {@code (batch, length, 1)}
     */
    static Tensor uniform(Tape tape, long key, int batch, int length) {
        int coins = Math.multiplyExact(Math.multiplyExact(batch, length), COINS);
        Tensor ones = ReshapeOperation.apply(tape, tape.constant(1, coins), batch, length, COINS);
        Tensor tossed = DropoutOperation.apply(tape, FAIR, 0, key, ones);
        Tensor places = tape.constant(new Places(), Places::values, 1, COINS);
        return LinearOperation.apply(tape, tossed, places, null).detached();
    }
}
