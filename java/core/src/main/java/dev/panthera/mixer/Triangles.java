package dev.panthera.mixer;

import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** Constants that make matrices triangular, and those that are added to their diagonals. */
final class Triangles {
    /** So low that nothing remains of its exponential, and yet a number. */
    private static final float HIDDEN = -1e30f;

    private Triangles() {}

    private record Mask(int rows, int columns, int seen) {
        float[] values() {
            float[] values = new float[Math.multiplyExact(rows, columns)];
            for (int i = 0; i < rows; i++) {
                for (int j = seen + i; j < columns; j++) {
                    values[i * columns + j] = HIDDEN;
                }
            }
            return values;
        }
    }

    private record Diagonal(int size, float value) {
        float[] values() {
            float[] values = new float[Math.multiplyExact(size, size)];
            for (int i = 0; i < size; i++) {
                values[i * size + i] = value;
            }
            return values;
        }
    }

    /**
     * What is added to scores, so that row i of their softmax has only the first {@code seen + i} columns.
     *
     * @return {@code (rows, columns)}
     */
    static Tensor mask(Tape tape, int rows, int columns, int seen) {
        var mask = new Mask(rows, columns, seen);
        return tape.constant(mask, mask::values, rows, columns);
    }

    /** The unit matrix, times a number. */
    static Tensor diagonal(Tape tape, int size, float value) {
        var diagonal = new Diagonal(size, value);
        return tape.constant(diagonal, diagonal::values, size, size);
    }
}
