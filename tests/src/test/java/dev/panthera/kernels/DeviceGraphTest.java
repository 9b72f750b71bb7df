package dev.panthera.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.testing.CudaTest;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Recorded work: what a repetition reads, how a recording ends, ownership and mistakes. */
@CudaTest
class DeviceGraphTest {

    private KernelFixture f;
    private DeviceBuffer x;
    private DeviceBuffer y;

    @BeforeEach
    void open() {
        f = new KernelFixture(Backend.CUDA);
        x = f.of(1.0, -2, 3);
        y = f.zeros(3);
    }

    @AfterEach
    void close() {
        f.close();
    }

    @Test
    void recordedWorkIsDoneWhenItIsLaunchedAndOnlyThen() {
        try (var graph = f.stream.capture(this::copyToY)) {
            assertThat(f.read(y)).containsOnly(0);
            graph.launch(f.stream);
            assertThat(f.read(y)).containsExactly(1, -2, 3);
        }
    }

    @Test
    void everyLaunchReadsWhatTheArraysHoldThen() {
        try (var graph =
                f.stream.capture(
                        () -> new ActivationKernel(Activation.RELU, 3).forward(f.stream, x, y))) {
            for (double value : new double[] {5, -5, 7}) {
                f.stream.copyToDevice(x, new double[] {value, 2 * value, -value});
                graph.launch(f.stream);
                assertThat(f.read(y))
                        .containsExactly(
                                Math.max(0, value), Math.max(0, 2 * value), Math.max(0, -value));
            }
        }
    }

    @Test
    void everyLaunchReadsTheStepStateOfThen() {
        double[] ones = new double[64];
        java.util.Arrays.fill(ones, 1);
        var dropped = f.empty(64);
        var kernel = new DropoutKernel(0.5f, 0, 8, 8, 8, 1);
        var random = f.randomState(3, 0);
        var input = f.of(ones);
        try (var graph = f.stream.capture(() -> kernel.apply(f.stream, random, input, dropped))) {
            for (long step = 1; step < 4; step++) {
                random.write(f.stream, 3, step);
                graph.launch(f.stream);
                double[] replayed = f.read(dropped);
                kernel.apply(f.stream, random, input, dropped);
                assertThat(replayed).isEqualTo(f.read(dropped));
            }
        }
    }

    @Test
    void anotherStreamOfTheDeviceMayLaunch() {
        try (var other = f.device.newStream();
                var graph = f.stream.capture(this::copyToY)) {
            f.stream.synchronize();
            graph.launch(other);
            assertThat(other.toDoubleArray(y)).containsExactly(1, -2, 3);
        }
    }

    @Test
    void aRecordingThatThrowsEndsAllTheSame() {
        var cause = new IllegalStateException("mine");
        assertThatThrownBy(() ->
                        f.stream.capture(() -> {
                            copyToY();
                            throw cause;
                        }))
                .isSameAs(cause);
        assertUsable();
    }

    @Test
    void whatCannotBeRecordedIsNamedAndLeavesAUsableStream() {
        assertRefused(() -> f.stream.capture(f.stream::synchronize), "the stream is recording");
        assertRefused(() -> f.stream.capture(() -> f.read(x)), "the stream is recording");
        assertRefused(
                () -> f.stream.capture(() -> f.stream.copyToDevice(x, new double[3])),
                "the stream is recording");
        assertRefused(() -> f.stream.capture(() -> f.stream.capture(this::copyToY)), "recording");
        assertRefused(() -> f.stream.capture(f.stream::close), "the stream is recording");
        assertRefused(
                () -> f.stream.capture(() -> f.stream.copy(y, x.slice(0, 1))),
                "target has 12 bytes, source has 4");
        assertUsable();
    }

    /** A body that swallows the failure of a call has recorded something else than it was meant to. */
    @Test
    void aFailureThatTheBodyHidesIsFoundAtTheEnd() {
        assertThatThrownBy(() ->
                        f.stream.capture(() -> {
                            copyToY();
                            try {
                                f.stream.synchronize();
                            } catch (KernelException hidden) {
                                copyToY();
                            }
                        }))
                .isInstanceOf(KernelException.class);
        assertUsable();
    }

    @Test
    void nothingRecordedIsNothingDone() {
        try (var graph = f.stream.capture(() -> {})) {
            graph.launch(f.stream);
            assertUsable();
        }
    }

    @Test
    void aClosedGraphStreamBufferOrPlanIsRefused() {
        var temporary = f.device.allocate(f.real, 3);
        var graph = f.stream.capture(() -> f.stream.copy(y, temporary));
        graph.launch(f.stream);
        temporary.close();
        assertRefused(
                () -> graph.launch(f.stream), "a buffer or plan of the recorded calls was closed");
        graph.close();
        graph.close();
        assertRefused(() -> graph.launch(f.stream), "the graph was closed");
        var closed = f.device.newStream();
        closed.close();
        try (var copying = f.stream.capture(this::copyToY)) {
            assertRefused(() -> copying.launch(closed), "the stream was closed");
        }
        assertRefused(() -> closed.capture(this::copyToY), "the stream was closed");
    }

    @Test
    void aGraphOutlivesTheStreamThatRecordedIt() {
        var recording = f.device.newStream();
        try (var graph = recording.capture(() -> recording.copy(y, x))) {
            recording.close();
            f.stream.zero(y);
            graph.launch(f.stream);
            assertThat(f.read(y)).containsExactly(1, -2, 3);
        }
    }

    @Test
    void aPlanMustOutliveTheGraphsThatUseIt() {
        var plan = LongConvKernel.dense(1, 3, 1, 2).plan(f.device);
        var spectrum = f.workspace(plan.spectrumBytes(f.stream));
        var workspace = f.workspace(plan.prepareWorkspaceBytes(f.stream));
        try (var graph =
                f.stream.capture(
                        () -> plan.prepare(f.stream, x.slice(0, 2), spectrum, workspace))) {
            graph.launch(f.stream);
            f.stream.synchronize();
            plan.close();
            assertRefused(
                    () -> graph.launch(f.stream),
                    "a buffer or plan of the recorded calls was closed");
        }
    }

    @Test
    void aGraphBelongsToItsDevice() {
        try (var graph = f.stream.capture(this::copyToY);
                var g = new KernelFixture(Backend.CUDA)) {
            assertRefused(() -> graph.launch(g.stream), "the graph was recorded on");
        }
    }

    @Test
    void aDeviceOutlivesItsGraphs() {
        var device = Device.cuda(0);
        var stream = device.newStream();
        var buffer = device.allocate(DataType.F32, 4);
        var graph = stream.capture(() -> stream.zero(buffer));
        buffer.close();
        stream.close();
        assertRefused(device::close, "1 events or graphs");
        graph.close();
        device.close();
    }

    private void copyToY() {
        f.stream.copy(y, x);
    }

    private void assertUsable() {
        f.stream.copyToDevice(x, new double[] {4, 5, 6});
        copyToY();
        assertThat(f.read(y)).containsExactly(4, 5, 6);
        try (var graph = f.stream.capture(() -> f.stream.zero(y))) {
            graph.launch(f.stream);
            assertThat(f.read(y)).containsOnly(0);
        }
    }

    private static void assertRefused(Runnable call, String part) {
        assertThatThrownBy(call::run)
                .isInstanceOf(KernelException.InvalidArgument.class)
                .hasMessageContaining(part);
    }
}
