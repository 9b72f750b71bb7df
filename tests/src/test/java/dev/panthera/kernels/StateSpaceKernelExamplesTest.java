package dev.panthera.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.testing.EveryBackend;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/** Filters of state spaces, on numbers that can be checked by hand. */
class StateSpaceKernelExamplesTest {

    /** dt = 1 and A = -1: (1/2) / (3/2) = 1/3; with Cbar = 1 twice its powers. */
    private static final double[] DECAYING = {2, 2 / 3.0, 2 / 9.0, 2 / 27.0};

    /** A = -1 + i: (1/2 + i/2) / (3/2 - i/2) = (1 + 2i) / 5; with Cbar = 1 twice the real parts of its powers. */
    private static final double[] TURNING = {2, 2 / 5.0, -6 / 25.0, -22 / 125.0};

    /** Two heads, one mode each: a decaying one and a turning one, with b c chosen so that Cbar is 1. */
    private static DiagonalSsmKernel.Parameters parameters(KernelFixture f) {
        return new DiagonalSsmKernel.Parameters(
                f.of(0.0, 0),
                f.of(0.0, 0),
                f.of(0.0, 1),
                f.of(0, 1.5, 1.5, -0.5),
                f.of(0.0, -1, 1, 0));
    }

    @ParameterizedTest
    @EveryBackend
    void modesDecayAndTurn(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = new DiagonalSsmKernel(2, 1, 4);
            var filter = f.zeros(8);
            kernel.forward(
                    f.stream,
                    parameters(f),
                    filter,
                    f.workspace(kernel.forwardWorkspaceBytes(f.stream)));
            assertClose(f.read(filter), interleaved(DECAYING, TURNING));
        }
    }

    /** A change of c by e changes taps l of a head by 2 e Re(b dt / (1 - dt A / 2) Abar^l). */
    @ParameterizedTest
    @EveryBackend
    void gradientsAreAdded(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = new DiagonalSsmKernel(2, 1, 2);
            var dc = f.of(10.0, 0, 0, 0);
            var daImag = f.zeros(2);
            kernel.backward(
                    f.stream,
                    parameters(f),
                    f.of(0.0, 0, 1, 0),
                    new DiagonalSsmKernel.Parameters(null, null, daImag, null, dc),
                    f.workspace(kernel.backwardWorkspaceBytes(f.stream)));
            assertClose(f.read(dc), 10, -2 / 3.0, 0, 0);
            assertClose(f.read(daImag), 0, 0);
        }
    }

    /** An impulse brings out the filter, and the state goes on where a call has ended. */
    @ParameterizedTest
    @EveryBackend
    void theRecurrenceIsTheFilter(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var state = f.zeros(2 * 2 * 2);
            double[] impulse = {1, 0, 0, 3, 0, 0, 0, 0}; // channels: heads 0, 1, 0, 1
            var first = new DiagonalSsmScanKernel(1, 2, 2, 2, 1);
            var y = f.of(impulse);
            first.apply(
                    f.stream,
                    y,
                    parameters(f),
                    state,
                    y,
                    f.workspace(first.workspaceBytes(f.stream)));
            assertClose(
                    f.read(y),
                    DECAYING[0],
                    0,
                    0,
                    3 * TURNING[0],
                    DECAYING[1],
                    0,
                    0,
                    3 * TURNING[1]);
            var next = new DiagonalSsmScanKernel(1, 1, 2, 2, 1);
            var zeros = f.zeros(4);
            next.apply(
                    f.stream,
                    zeros,
                    parameters(f),
                    state,
                    zeros,
                    f.workspace(next.workspaceBytes(f.stream)));
            assertClose(f.read(zeros), DECAYING[2], 0, 0, 3 * TURNING[2]);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void shiftsCorrelate(Backend backend) {
        try (var f = new KernelFixture(backend)) {
            var kernel = new ShiftSsmKernel(2, 2, 3);
            var b = f.of(1.0, 0, 1, 2);
            var c = f.of(5.0, 6, 3, 4);
            var filter = f.of(-1.0, -1, -1, -1, -1, -1);
            kernel.forward(f.stream, b, c, filter);
            assertThat(f.read(filter)).containsExactly(5, 11, 6, 4, 0, 0);
            var db = f.of(0.0, 0, 100, 0);
            var dc = f.zeros(4);
            kernel.backward(f.stream, b, c, f.of(0.0, 1, 1, 1, 9, 9), db, dc);
            assertThat(f.read(db)).containsExactly(6, 0, 107, 4);
            assertThat(f.read(dc)).containsExactly(0, 1, 1, 3);
        }
    }

    @Test
    void arraysThatAreTooSmallAreNamed() {
        try (var f = new KernelFixture(Backend.CPU)) {
            assertThatThrownBy(() ->
                            new DiagonalSsmKernel(2, 2, 4)
                                    .forward(f.stream, parameters(f), f.zeros(8), null))
                    .isInstanceOf(KernelException.InvalidArgument.class)
                    .hasMessageContaining("a_real_log has 2 elements; expected at least 4");
            assertThatThrownBy(() ->
                            new ShiftSsmKernel(2, 2, 3)
                                    .forward(f.stream, f.zeros(4), f.zeros(3), f.zeros(6)))
                    .isInstanceOf(KernelException.InvalidArgument.class)
                    .hasMessageContaining("c has 3 elements; expected at least 4");
        }
    }

    private static double[] interleaved(double[] first, double[] second) {
        double[] both = new double[2 * first.length];
        for (int i = 0; i < first.length; i++) {
            both[2 * i] = first[i];
            both[2 * i + 1] = second[i];
        }
        return both;
    }

    private static void assertClose(double[] actual, double... expected) {
        assertThat(actual).hasSameSizeAs(expected);
        double largest = Arrays.stream(expected).map(Math::abs).max().orElseThrow();
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[i])
                    .as("element %d", i)
                    .isCloseTo(expected[i], within(1e-6 * largest));
        }
    }
}
