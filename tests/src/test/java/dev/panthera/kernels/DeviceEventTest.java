package dev.panthera.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.testing.EveryBackend;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import org.junit.jupiter.params.ParameterizedTest;

/** Marks in the work of a stream: order, time, ownership and mistakes. */
class DeviceEventTest {

    @ParameterizedTest
    @EveryBackend
    void timeIsMeasuredFromMarkToMark(Backend backend) {
        try (var f = new KernelFixture(backend);
                var start = f.device.newEvent();
                var end = f.device.newEvent()) {
            start.record(f.stream);
            new SoftmaxKernel(64, 64).forward(f.stream, f.zeros(64 * 64), f.empty(64 * 64));
            end.record(f.stream);
            double forwards = end.millisecondsSince(start);
            assertThat(forwards).isPositive().isLessThan(60_000);
            assertThat(start.millisecondsSince(end)).isEqualTo(-forwards);
            assertThat(start.millisecondsSince(start)).isZero();
        }
    }

    @ParameterizedTest
    @EveryBackend
    void aStreamWaitsForTheMarkOfAnother(Backend backend) {
        try (var f = new KernelFixture(backend);
                var other = f.device.newStream();
                var ready = f.device.newEvent()) {
            var x = f.of(1.0, 2, 3);
            var y = f.empty(3);
            f.stream.copy(y, x);
            ready.record(f.stream);
            other.waitFor(ready);
            assertThat(other.toDoubleArray(y)).containsExactly(1, 2, 3);
            ready.synchronize();
        }
    }

    @ParameterizedTest
    @EveryBackend
    void withoutAMarkThereIsNothingToWaitForAndNoTime(Backend backend) {
        try (var f = new KernelFixture(backend);
                var unmarked = f.device.newEvent();
                var marked = f.device.newEvent()) {
            f.stream.waitFor(unmarked);
            unmarked.synchronize();
            marked.record(f.stream);
            assertRefused(() -> marked.millisecondsSince(unmarked), "start was not recorded");
            assertRefused(() -> unmarked.millisecondsSince(marked), "end was not recorded");
        }
    }

    @ParameterizedTest
    @EveryBackend
    void aClosedEventIsRefused(Backend backend) {
        try (var f = new KernelFixture(backend);
                var open = f.device.newEvent()) {
            open.record(f.stream);
            var event = f.device.newEvent();
            event.record(f.stream);
            event.close();
            event.close();
            String closed = "the event was closed";
            assertRefused(() -> event.record(f.stream), closed);
            assertRefused(() -> f.stream.waitFor(event), closed);
            assertRefused(event::synchronize, closed);
            assertRefused(() -> event.millisecondsSince(open), closed);
            assertRefused(() -> open.millisecondsSince(event), closed);
        }
    }

    @ParameterizedTest
    @EveryBackend
    void anEventBelongsToItsDevice(Backend backend) {
        try (var f = new KernelFixture(backend);
                var g = new KernelFixture(backend);
                var event = f.device.newEvent();
                var foreign = g.device.newEvent()) {
            event.record(f.stream);
            foreign.record(g.stream);
            assertRefused(() -> event.record(g.stream), "the event belongs to");
            assertRefused(() -> g.stream.waitFor(event), "the event belongs to");
            assertRefused(() -> event.millisecondsSince(foreign), "the start was marked on");
        }
    }

    @ParameterizedTest
    @EveryBackend
    void aDeviceOutlivesItsEvents(Backend backend) {
        var device = Device.open(DeviceOptions.of(backend));
        var event = device.newEvent();
        assertRefused(device::close, "1 events");
        event.close();
        device.close();
        assertRefused(device::newEvent, "the device was closed");
    }

    @ParameterizedTest
    @EveryBackend
    void threadsMayShareEvents(Backend backend) throws Exception {
        try (var f = new KernelFixture(backend);
                var a = f.device.newEvent();
                var b = f.device.newEvent();
                var executor = Executors.newFixedThreadPool(4)) {
            a.record(f.stream);
            b.record(f.stream);
            List<Callable<Double>> tasks = new ArrayList<>();
            for (int i = 0; i < 200; i++) {
                tasks.add(() -> a.millisecondsSince(b));
                tasks.add(() -> b.millisecondsSince(a));
                tasks.add(() -> {
                    (Thread.currentThread().threadId() % 2 == 0 ? a : b).record(f.stream);
                    return 0.0;
                });
            }
            for (var result : executor.invokeAll(tasks)) {
                assertThat(result.get()).isFinite();
            }
        }
    }

    private static void assertRefused(Runnable call, String part) {
        assertThatThrownBy(call::run)
                .isInstanceOf(KernelException.InvalidArgument.class)
                .hasMessageContaining(part);
    }
}
