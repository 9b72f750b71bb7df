package dev.panthera.tensor;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.kernels.Activation;
import dev.panthera.testing.Gradients;
import dev.panthera.testing.Rig;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Operations over ranges of a tensor's columns. */
class ColumnsTest {
    private static final int ROWS = 3;
    private static final int WIDTH = 12;

    private static Tensor input(Rig rig, int rows) {
        return rig.leaf(Rig.gaussian(rows, rows * WIDTH), rows, WIDTH);
    }

    /** Ranges beside each other, apart, over each other and the same; columns in none of them get gradient 0. */
    @ParameterizedTest
    @CsvSource({"0, 6, 6", "6, 0, 6", "0, 7, 4", "2, 4, 5", "3, 3, 4", "0, 0, 12", "11, 0, 1"})
    void aTensorMayBeItsOwnGate(int first, int second, int count) {
        try (var rig = Rig.exact()) {
            Tensor x = input(rig, ROWS);
            Gradients.check(
                    rig,
                    List.of(x),
                    tape ->
                            GateOperation.apply(
                                    tape,
                                    Activation.SILU,
                                    new Columns(x, first, count),
                                    new Columns(x, second, count),
                                    null));
        }
    }

    @Test
    void rangesThatDoNotFitAreRefused() {
        try (var rig = Rig.cpu(1)) {
            Tensor x = input(rig, ROWS);
            int[][] bad = {{-1, 2}, {0, 0}, {0, 13}, {12, 1}, {Integer.MAX_VALUE, 1}};
            for (int[] range : bad) {
                assertThatThrownBy(() -> new Columns(x, range[0], range[1]))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("columns from");
            }
            rig.tape().begin(Tape.Mode.TRAINING);
            Columns wide = new Columns(x, 0, 8);
            for (Columns other : List.of(new Columns(x, 0, 4), new Columns(input(rig, 4), 0, 8))) {
                assertThatThrownBy(() ->
                                GateOperation.apply(rig.tape(), Activation.SILU, wide, other, null))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("one shape");
            }
        }
    }
}
