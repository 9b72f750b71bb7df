package dev.panthera.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.kernels.Activation;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.testing.Gradients;
import dev.panthera.testing.Rig;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Operations that move elements: their values by index arithmetic, their gradients by differences. */
class ArrayOperationsTest {
    private static final int[] SHAPE = {2, 3, 4, 5};

    private static Tensor input(Rig rig, int... shape) {
        int size = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
        return rig.leaf(Rig.gaussian(size, size), shape);
    }

    private static double[] forward(Rig rig, Function<Tape, Tensor> function) {
        rig.tape().begin(Tape.Mode.EVALUATION);
        return rig.values(function.apply(rig.tape()));
    }

    /** Both operands batched, either shared, and no batch at all. */
    @ParameterizedTest
    @CsvSource({"true, true", "true, false", "false, true", "false, false"})
    void productsHaveTheGradientsOfTheirOperands(boolean aTransposed, boolean bTransposed) {
        int[] a = aTransposed ? new int[] {4, 3} : new int[] {3, 4};
        int[] b = bTransposed ? new int[] {5, 4} : new int[] {4, 5};
        try (var rig = Rig.exact()) {
            for (int shared = 0; shared < 4; shared++) {
                Tensor left = (shared & 1) == 0 ? input(rig, 2, 3, a[0], a[1]) : input(rig, a);
                Tensor right = (shared & 2) == 0 ? input(rig, 2, 3, b[0], b[1]) : input(rig, b);
                Function<Tape, Tensor> product =
                        tape ->
                                MatmulOperation.apply(
                                        tape, left, aTransposed, right, bTransposed, 0.75f);
                assertThat(forward(rig, product))
                        .usingComparatorWithPrecision(1e-12)
                        .containsExactly(product(rig, left, aTransposed, right, bTransposed));
                Gradients.check(rig, List.of(left, right), product);
            }
            Tensor left = input(rig, 2, 3, 4);
            for (int[] bad : new int[][] {{2, 3, 5}, {3, 4, 5}, {4}, {1, 2, 4, 5}}) {
                Tensor right = input(rig, bad);
                assertThatThrownBy(() -> MatmulOperation.apply(rig.tape(), left, right))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("expected (..., m, k)");
            }
        }
    }

    private static double[] product(
            Rig rig, Tensor a, boolean aTransposed, Tensor b, boolean bTransposed) {
        double[] left = rig.values(a);
        double[] right = rig.values(b);
        int batch = Math.max(left.length / 12, right.length / 20);
        double[] result = new double[batch * 15];
        for (int i = 0; i < result.length; i++) {
            int leftAt = left.length == 12 ? 0 : i / 15 * 12;
            int rightAt = right.length == 20 ? 0 : i / 15 * 20;
            int row = i / 5 % 3;
            int column = i % 5;
            for (int k = 0; k < 4; k++) {
                double x = left[leftAt + (aTransposed ? k * 3 + row : row * 4 + k)];
                double y = right[rightAt + (bTransposed ? column * 4 + k : k * 5 + column)];
                result[i] += 0.75 * x * y;
            }
        }
        return result;
    }

    @Test
    void permuteReordersDimensions() {
        try (var rig = Rig.exact()) {
            Tensor x = input(rig, SHAPE);
            double[] from = rig.values(x);
            double[] y = forward(rig, tape -> PermuteOperation.apply(tape, x, 3, 1, 0, 2));
            int at = 0;
            for (int l = 0; l < 5; l++) {
                for (int j = 0; j < 3; j++) {
                    for (int i = 0; i < 2; i++) {
                        for (int k = 0; k < 4; k++) {
                            assertThat(y[at++]).isEqualTo(from[((i * 3 + j) * 4 + k) * 5 + l]);
                        }
                    }
                }
            }
            Gradients.check(rig, List.of(x), tape -> PermuteOperation.apply(tape, x, 3, 1, 0, 2));
            for (int[] bad : new int[][] {{0, 1, 2}, {0, 1, 2, 2}, {0, 1, 2, 4}, {0, 1, 2, 3, 4}}) {
                assertThatThrownBy(() -> PermuteOperation.apply(rig.tape(), x, bad))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("each of 0 to 3 once");
            }
        }
    }

    @Test
    void slicesOfOneTensorAddTheirGradients() {
        try (var rig = Rig.exact()) {
            Tensor x = input(rig, SHAPE);
            double[] from = rig.values(x);
            double[] y = forward(rig, tape -> SliceOperation.apply(tape, x, 2, 1, 2));
            for (int i = 0; i < y.length; i++) {
                assertThat(y[i]).isEqualTo(from[i / 10 * 20 + 5 + i % 10]);
            }
            for (int dimension = -4; dimension < 4; dimension++) {
                int along = dimension;
                int size = x.size(dimension < 0 ? 4 + dimension : dimension);
                Gradients.check(
                        rig,
                        List.of(x),
                        tape -> {
                            Tensor all = ActivationOperation.apply(tape, Activation.SILU, x);
                            Tensor head = SliceOperation.apply(tape, all, along, 0, size - 1);
                            Tensor tail = SliceOperation.apply(tape, all, along, 1, size - 1);
                            return head.times(tail);
                        });
            }
            for (int[] bad :
                    new int[][] {{1, -1, 2}, {1, 0, 0}, {1, 2, 2}, {4, 0, 1}, {-5, 0, 1}}) {
                assertThatThrownBy(
                                () -> SliceOperation.apply(rig.tape(), x, bad[0], bad[1], bad[2]))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("entries from");
            }
        }
    }

    @Test
    void concatenationIsUndoneBySlices() {
        try (var rig = Rig.exact()) {
            for (int dimension = -2; dimension < 3; dimension++) {
                int along = dimension;
                int[] narrow = {2, 3, 4};
                int[] wide = {2, 3, 4};
                wide[Math.floorMod(dimension, 3)] += 2;
                Tensor a = input(rig, narrow);
                Tensor b = input(rig, wide);
                double[] tail =
                        forward(
                                rig,
                                tape -> {
                                    Tensor joined =
                                            ConcatenateOperation.apply(tape, along, a, b, a);
                                    return SliceOperation.apply(
                                            tape, joined, along, a.size(along), b.size(along));
                                });
                assertThat(tail).isEqualTo(rig.values(b));
                Gradients.check(
                        rig,
                        List.of(a, b),
                        tape -> ConcatenateOperation.apply(tape, along, a, b, a));
            }
            Tensor a = input(rig, 2, 3);
            for (int dimension : new int[] {2, -3}) {
                assertThatThrownBy(() -> ConcatenateOperation.apply(rig.tape(), dimension, a, a))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("one shape but for that dimension");
            }
            for (Tensor other : List.of(input(rig, 2, 4), input(rig, 2, 3, 1), input(rig, 3))) {
                assertThatThrownBy(() -> ConcatenateOperation.apply(rig.tape(), 0, a, other))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("one shape but for that dimension");
            }
        }
    }

    @Test
    void broadcastsRepeatAndSum() {
        try (var rig = Rig.exact()) {
            int[] shape = {3, 2, 4, 5};
            for (int[] small :
                    new int[][] {{5}, {1}, {4, 1}, {2, 1, 5}, {3, 2, 4, 5}, {3, 1, 1, 1}}) {
                Tensor x = input(rig, small);
                double[] y = forward(rig, tape -> BroadcastOperation.apply(tape, x, shape));
                double[] zero = new double[3 * 2 * 4 * 5];
                Tensor zeros = rig.leaf(zero, shape);
                double[] sum =
                        forward(
                                rig,
                                tape ->
                                        ArithmeticOperation.apply(
                                                tape, ArithmeticKind.ADD, zeros, x));
                assertThat(y).isEqualTo(sum);
                Gradients.check(rig, List.of(x), tape -> BroadcastOperation.apply(tape, x, shape));
            }
            Tensor x = input(rig, 2, 3);
            for (int[] bad : new int[][] {{3}, {2, 4}, {4, 3}, {2, 3, 1}}) {
                assertThatThrownBy(() -> BroadcastOperation.apply(rig.tape(), x, bad))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("equal or 1");
            }
        }
    }

    @Test
    void cumulativeSumsAddEarlierEntries() {
        try (var rig = Rig.exact()) {
            Tensor x = input(rig, SHAPE);
            double[] from = rig.values(x);
            double[] y = forward(rig, tape -> CumulativeSumOperation.apply(tape, x, -2));
            for (int i = 0; i < y.length; i++) {
                double before = i / 5 % 4 == 0 ? 0 : y[i - 5];
                assertThat(y[i]).isEqualTo(before + from[i]);
            }
            for (int dimension = 0; dimension < 4; dimension++) {
                int along = dimension;
                Gradients.check(
                        rig, List.of(x), tape -> CumulativeSumOperation.apply(tape, x, along));
            }
            assertThatThrownBy(() -> CumulativeSumOperation.apply(rig.tape(), x, 4))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("dimension 4");
        }
    }

    @Test
    void cumulativeLogSumsPassTheSharesOfTheirEntries() {
        try (var rig = Rig.exact()) {
            Tensor x = input(rig, SHAPE);
            double[] from = rig.values(x);
            double[] y = forward(rig, tape -> CumulativeLogSumExpOperation.apply(tape, x, -2));
            for (int i = 0; i < y.length; i++) {
                double before = i / 5 % 4 == 0 ? 0 : Math.exp(y[i - 5]);
                assertThat(y[i]).isCloseTo(Math.log(before + Math.exp(from[i])), within(1e-12));
            }
            for (int dimension = 0; dimension < 4; dimension++) {
                int along = dimension;
                Gradients.check(
                        rig,
                        List.of(x),
                        tape -> CumulativeLogSumExpOperation.apply(tape, x, along));
            }
            assertThatThrownBy(() -> CumulativeLogSumExpOperation.apply(rig.tape(), x, -5))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("dimension -5");
        }
    }

    @Test
    void solutionsOfTriangularSystemsPassGradients() {
        try (var rig = Rig.exact()) {
            double[] entries = Rig.gaussian(5, 2 * 3 * 4 * 4);
            for (int i = 0; i < entries.length; i++) {
                entries[i] = i / 4 % 4 == i % 4 ? 1.5 + entries[i] * entries[i] : entries[i];
            }
            Tensor a = rig.leaf(entries, 2, 3, 4, 4);
            Tensor b = input(rig, 2, 3, 4, 5);
            double[] x = forward(rig, tape -> TriangularSolveOperation.apply(tape, a, b));
            double[] right = rig.values(b);
            for (int i = 0; i < right.length; i++) {
                int system = i / 20;
                int row = i / 5 % 4;
                double sum = 0;
                for (int j = 0; j <= row; j++) {
                    sum += entries[(system * 4 + row) * 4 + j] * x[(system * 4 + j) * 5 + i % 5];
                }
                assertThat(sum).isCloseTo(right[i], within(1e-12));
            }
            Gradients.check(rig, List.of(a, b), tape -> TriangularSolveOperation.apply(tape, a, b));
            for (int[] bad : new int[][] {{2, 3, 5, 5}, {3, 2, 4, 5}, {3, 4, 5}, {5}}) {
                Tensor other = input(rig, bad);
                assertThatThrownBy(() -> TriangularSolveOperation.apply(rig.tape(), a, other))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("expected (..., size, size)");
            }
        }
    }

    @Test
    void whatIsLargestPassesNoGradientByItself() {
        try (var rig = Rig.exact()) {
            Tensor x = input(rig, 2, 3, 5);
            double[] from = rig.values(x);
            double[] largest = forward(rig, tape -> TopKMaskOperation.apply(tape, x, 2));
            for (int row = 0; row < largest.length; row += 5) {
                double[] sorted = Arrays.copyOfRange(from, row, row + 5);
                Arrays.sort(sorted);
                for (int i = row; i < row + 5; i++) {
                    assertThat(largest[i]).isEqualTo(from[i] >= sorted[3] ? 1 : 0);
                }
            }
            Gradients.check(
                    rig,
                    List.of(x),
                    tape ->
                            ArithmeticOperation.apply(
                                    tape,
                                    ArithmeticKind.MULTIPLY,
                                    x,
                                    TopKMaskOperation.apply(tape, x, 2)));
        }
    }

    /** Queries and keys of a packed projection; positions from an offset on are those of a longer sequence. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void rotationsOfPackedHeadsPassGradients(boolean interleaved) {
        try (var rig = Rig.exact()) {
            int heads = 2;
            Tensor packed = input(rig, 2, 3, 3 * 8);
            Columns queries = Columns.part(packed, 0, 3);
            Columns keys = Columns.part(packed, 1, 3);
            Gradients.check(
                    rig,
                    List.of(packed),
                    tape ->
                            RotaryOperation.apply(tape, queries, heads, interleaved, 100, 0)
                                    .times(
                                            RotaryOperation.apply(
                                                    tape, keys, heads, interleaved, 100, 7)));
            double[] later =
                    forward(
                            rig,
                            tape -> {
                                Tensor all =
                                        RotaryOperation.apply(
                                                tape, keys, heads, interleaved, 100, 0);
                                return SliceOperation.apply(tape, all, 1, 2, 1);
                            });
            double[] offset =
                    forward(
                            rig,
                            tape -> {
                                Tensor last = SliceOperation.apply(tape, packed, 1, 2, 1);
                                return RotaryOperation.apply(
                                        tape, Columns.part(last, 1, 3), heads, interleaved, 100, 2);
                            });
            assertThat(offset).isEqualTo(later);
            for (int bad : new int[] {3, 8}) {
                assertThatThrownBy(() ->
                                RotaryOperation.apply(
                                        rig.tape(), queries, bad, interleaved, 100, 0))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("even headDim");
            }
        }
    }

    @Test
    void tokenShiftsPassGradientsAndGoOn() {
        try (var rig = Rig.exact()) {
            Tensor x = input(rig, 2, 4, 3);
            Tensor mix = input(rig, 3);
            Gradients.check(
                    rig, List.of(x, mix), tape -> TokenShiftOperation.apply(tape, x, mix, null));
            double[] later =
                    forward(
                            rig,
                            tape ->
                                    SliceOperation.apply(
                                            tape,
                                            TokenShiftOperation.apply(tape, x, mix, null),
                                            1,
                                            2,
                                            2));
            double[] continued =
                    forward(
                            rig,
                            tape -> {
                                Tensor before = SliceOperation.apply(tape, x, 1, 1, 1);
                                Tensor next = SliceOperation.apply(tape, x, 1, 2, 2);
                                return TokenShiftOperation.apply(tape, next, mix, before);
                            });
            assertThat(continued).isEqualTo(later);
            rig.tape().begin(Tape.Mode.TRAINING);
            Tensor previous = input(rig, 2, 3);
            assertThatThrownBy(() -> TokenShiftOperation.apply(rig.tape(), x, mix, previous))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("no gradient passes through a state");
            assertThatThrownBy(() -> TokenShiftOperation.apply(rig.tape(), x, previous, null))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("expected (batch, length, channels)");
        }
    }

    @Test
    void reshapingSharesValuesAndGradients() {
        try (var rig = Rig.exact()) {
            Tensor x = input(rig, SHAPE);
            double[] y = forward(rig, tape -> ReshapeOperation.apply(tape, x, 6, -1));
            assertThat(y).isEqualTo(rig.values(x));
            Gradients.check(
                    rig,
                    List.of(x),
                    tape -> {
                        Tensor all = ActivationOperation.apply(tape, Activation.SILU, x);
                        Tensor flat = ReshapeOperation.apply(tape, all, 120);
                        Tensor rows = ReshapeOperation.apply(tape, flat, -1, 20);
                        return rows.times(ReshapeOperation.apply(tape, all, 6, 20)).plus(rows);
                    });
            rig.tape().end();
            assertThat(rig.arena().liveBytes()).isZero();
            for (int[] bad : new int[][] {{119}, {7, -1}, {-1, -1}, {0, -1}, {-120}}) {
                assertThatThrownBy(() -> ReshapeOperation.apply(rig.tape(), x, bad))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("does not hold");
            }
        }
    }

    /** What decoding does: positions are written into a tensor that outlives the steps, and all so far are read. */
    @Test
    void aTensorIsFilledPositionByPosition() {
        try (var rig = Rig.cpu(2)) {
            int batch = 2;
            int capacity = 7;
            int channels = 3;
            double[] tokens = Rig.gaussian(1, batch * capacity * channels);
            Tensor stored =
                    Tensor.wrap(rig.upload(new double[tokens.length]), batch, capacity, channels);
            Tensor all = Tensor.wrap(rig.upload(tokens), batch, capacity, channels);
            int seen = 0;
            for (int count : new int[] {2, 1, 3, 1}) {
                rig.tape().begin(Tape.Mode.EVALUATION);
                Tensor next = SliceOperation.apply(rig.tape(), all, 1, seen, count);
                SliceOperation.write(rig.tape(), next, stored, 1, seen);
                seen += count;
                Tensor read = SliceOperation.apply(rig.tape(), stored, 1, 0, seen);
                Tensor expected = SliceOperation.apply(rig.tape(), all, 1, 0, seen);
                assertThat(rig.values(read)).isEqualTo(rig.values(expected));
            }
            assertThat(rig.values(stored)).isEqualTo(tokens);
            Tensor wide = input(rig, batch, 1, channels + 1);
            assertThatThrownBy(() -> SliceOperation.write(rig.tape(), wide, stored, 1, 0))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("does not fit");
            assertThatThrownBy(() -> SliceOperation.write(rig.tape(), all, stored, 1, 1))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("entries from");
        }
    }
}
