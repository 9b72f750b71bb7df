package dev.panthera.kernels;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.testing.EveryBackend;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;

/** Earlier occurrences of tokens, on numbers that can be counted by hand, and on many. */
class EarlierOccurrencesKernelTest {

    @ParameterizedTest
    @EveryBackend
    void everyPositionCountsWhatCameBefore(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var y = f.empty(10);
            count(
                    f,
                    new EarlierOccurrencesKernel(2, 5),
                    new int[] {7, 7, -1, 7, -1, 7, 0, 0, 0, 0},
                    y);
            assertThat(f.read(y)).containsExactly(0, 1, 0, 2, 1, 0, 0, 1, 2, 3);
        }
    }

    /** Sequences of 4 positions in rows of 5, whose last entries are not there yet. */
    @ParameterizedTest
    @EveryBackend
    void theLastPositionsCanBeAskedForAlone(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var y = f.empty(4);
            count(
                    f,
                    new EarlierOccurrencesKernel(2, 4, 5, 2),
                    new int[] {1, 2, 1, 1, 1, 1, 2, 3, 2, 2},
                    y);
            assertThat(f.read(y)).containsExactly(1, 2, 0, 1);
        }
    }

    /** Long enough to be sorted. */
    @ParameterizedTest
    @EveryBackend
    void longSequencesAreCountedAlike(Backend backend) {
        int length = 3000;
        var random = new Random(5);
        int[] ids =
                random.ints(length, Integer.MIN_VALUE, Integer.MAX_VALUE)
                        .map(id -> id | ~3)
                        .toArray();
        double[] expected = new double[length];
        for (int t = 0; t < length; t++) {
            for (int s = 0; s < t; s++) {
                expected[t] += ids[s] == ids[t] ? 1 : 0;
            }
        }
        try (var f = new KernelFixture(backend)) {
            var y = f.empty(length);
            count(f, new EarlierOccurrencesKernel(1, length), ids, y);
            assertThat(f.read(y)).containsExactly(expected);
        }
    }

    private static void count(
            KernelFixture f, EarlierOccurrencesKernel kernel, int[] ids, DeviceBuffer y) {
        kernel.count(f.stream, f.of(ids), y, f.workspace(kernel.workspaceBytes(f.stream)));
    }
}
