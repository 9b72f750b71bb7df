package dev.panthera.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.testing.CudaTest;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Test;

/** CUDA devices and their memory: what Java cannot reach, what ends too early, what is not there. */
@CudaTest
class CudaDeviceTest {

    @Test
    void javaReachesNoByteOfDeviceMemory() {
        try (var f = new KernelFixture(Backend.CUDA)) {
            var whole = f.of(1.0, 2, 3, 4);
            for (DeviceBuffer buffer :
                    List.of(whole, whole.slice(1, 2), whole.view(8, DataType.I32, 1))) {
                assertThat(buffer.isHost()).isFalse();
                assertThat(buffer.segment().byteSize()).isZero();
                assertThatThrownBy(() -> buffer.segment().get(ValueLayout.JAVA_BYTE, 0))
                        .isInstanceOf(IndexOutOfBoundsException.class);
                assertThatThrownBy(buffer::toDoubleArray)
                        .isInstanceOf(KernelException.Unsupported.class)
                        .hasMessageContaining("use the method of DeviceStream");
            }
            assertThat(whole.slice(1, 2).segment().address())
                    .isEqualTo(whole.segment().address() + 4);
            assertThat(f.read(whole.slice(1, 3).slice(1, 2))).containsExactly(3, 4);
        }
    }

    @Test
    void viewsOfAClosedBufferAreRefused() {
        try (var f = new KernelFixture(Backend.CUDA)) {
            var buffer = f.device.allocate(f.real, 8);
            var slice = buffer.slice(2, 4);
            var view = slice.view(4, DataType.BYTE, 8);
            buffer.close();
            buffer.close();
            for (DeviceBuffer closed :
                    List.of(buffer, slice, view, buffer.slice(0, 1), slice.slice(0, 1))) {
                assertRefused(() -> f.stream.zero(closed), "target was closed");
            }
            assertRefused(() -> f.read(slice), "source was closed");
            assertRefused(
                    () -> new ActivationKernel(Activation.RELU, 4).forward(f.stream, slice, slice),
                    "x was closed");
        }
    }

    /** The copy is still under way when its memory is given back. */
    @Test
    void memoryMayBeClosedUnderWorkThatStillUsesIt() {
        try (var f = new KernelFixture(Backend.CUDA)) {
            var y = f.empty(1000);
            try (var x = f.device.allocate(f.real, 1000)) {
                f.stream.zero(x);
                f.stream.copy(y, x);
            }
            try (var reused = f.device.allocate(f.real, 1000)) {
                double[] sevens = new double[1000];
                Arrays.fill(sevens, 7);
                f.stream.copyToDevice(reused, sevens);
                assertThat(f.read(y)).containsOnly(0);
            }
        }
    }

    @Test
    void aDeviceThatIsNotThereIsNamed() {
        int count = NativeInfo.deviceCount(Backend.CUDA);
        assertThat(count).isPositive();
        assertThatThrownBy(() -> Device.cuda(count))
                .isInstanceOf(KernelException.NoDevice.class)
                .hasMessageContaining("there is no CUDA device " + count);
        assertThatThrownBy(() -> Device.cuda(-1)).isInstanceOf(KernelException.NoDevice.class);
        for (Backend backend : List.of(Backend.CPU, Backend.REFERENCE, Backend.REFERENCE_F64)) {
            assertThat(NativeInfo.deviceCount(backend)).isEqualTo(1);
        }
    }

    @Test
    void everyOpOfTheCpuRunsOnCuda() {
        assertThat(NativeInfo.ops())
                .isNotEmpty()
                .allSatisfy(op ->
                        assertThat(op.backends())
                                .as(op.name())
                                .contains(Backend.CPU, Backend.CUDA));
    }

    @Test
    void aDeviceTellsItsNumberAndItsName() {
        try (var device = Device.cuda(0)) {
            var info = device.info();
            assertThat(device.name()).isEqualTo("cuda:0 (" + info.name() + ")");
            assertThat(info.computeCapability()).isGreaterThanOrEqualTo(80);
            assertThat(info.totalBytes()).isGreaterThan(1L << 30);
            assertThat(device.gemmName()).isNotBlank();
        }
    }

    @Test
    void moreMemoryThanThereIsIsOutOfMemoryAndTheDeviceGoesOn() {
        try (var f = new KernelFixture(Backend.CUDA)) {
            long before = f.device.liveBytes();
            assertThatThrownBy(() -> f.device.allocate(DataType.BYTE, 1L << 40))
                    .isInstanceOf(KernelException.OutOfMemory.class)
                    .hasMessageContainingAll("bytes are free", "BYTE[1099511627776]");
            assertThat(f.device.liveBytes()).isEqualTo(before);
            assertThat(f.read(f.of(3.0, 4))).containsExactly(3, 4);
        }
    }

    @Test
    void idsOutOfRangeAreReportedOnceWhenTheStreamIsWaitedFor() {
        try (var f = new KernelFixture(Backend.CUDA)) {
            var y = f.empty(2);
            new EmbeddingKernel(1, 2, 1, 3, 0)
                    .forward(f.stream, f.of(2, 3), f.of(10.0, 20, 30), null, y);
            assertRefused(f.stream::synchronize, "id number 1 is not in [0, vocab_size)");
            f.stream.synchronize();
            assertThat(f.read(y)).containsExactly(30, 0);
        }
    }

    @Test
    void memoryOfAnotherDeviceIsRefused() {
        try (var f = new KernelFixture(Backend.CUDA);
                var g = new KernelFixture(Backend.CUDA);
                var cpu = new KernelFixture(Backend.CPU)) {
            assertRefused(() -> f.stream.zero(g.zeros(1)), "which this device does not reach");
            assertRefused(() -> f.stream.zero(cpu.zeros(1)), "which this device does not reach");
            assertRefused(() -> cpu.stream.zero(f.zeros(1)), "which this device does not reach");
        }
    }

    @Test
    void useAfterCloseIsRefused() {
        var device = Device.cuda(0);
        var stream = device.newStream();
        var buffer = device.allocate(DataType.F32, 4);
        assertRefused(device::close, "1 streams, 1 allocations");
        buffer.close();
        stream.close();
        device.close();
        device.close();
        assertRefused(device::newStream, "the device was closed");
        assertRefused(device::info, "the device was closed");
        assertRefused(device::gemmName, "the device was closed");
        assertRefused(() -> device.allocate(DataType.F32, 1), "the device was closed");
        assertRefused(stream::synchronize, "the stream was closed");
        assertRefused(() -> stream.zero(buffer), "the stream was closed");
    }

    /** Each has a stream of its own; allocations and frees of both interleave. */
    @Test
    void threadsShareADevice() throws Exception {
        try (var device = Device.cuda(0);
                var executor = Executors.newFixedThreadPool(2)) {
            List<Callable<double[]>> tasks = new ArrayList<>();
            for (int task = 0; task < 2; task++) {
                double scale = task + 1;
                tasks.add(() -> sumsOfProducts(device, scale));
            }
            var results = executor.invokeAll(tasks);
            for (int task = 0; task < 2; task++) {
                double[] expected = new double[20];
                for (int i = 0; i < 20; i++) {
                    expected[i] = 32 * (task + 1) * i;
                }
                assertThat(results.get(task).get()).isEqualTo(expected);
            }
            assertThat(device.liveBytes()).isZero();
        }
    }

    private static double[] sumsOfProducts(Device device, double scale) {
        double[] sums = new double[20];
        var kernel = new LinearKernel(4, 32, 4);
        try (var stream = device.newStream()) {
            for (int i = 0; i < sums.length; i++) {
                try (var x = device.allocate(DataType.F32, 4 * 32);
                        var weight = device.allocate(DataType.F32, 4 * 32);
                        var y = device.allocate(DataType.F32, 4 * 4)) {
                    double[] constant = new double[4 * 32];
                    Arrays.fill(constant, scale);
                    stream.copyToDevice(x, constant);
                    Arrays.fill(constant, i);
                    stream.copyToDevice(weight, constant);
                    kernel.forward(stream, x, weight, null, y);
                    sums[i] = stream.toDoubleArray(y)[15];
                }
            }
        }
        return sums;
    }

    /** Calls of both are in order, so each finds the other's work whole. */
    @Test
    void threadsMayShareAStream() throws Exception {
        try (var f = new KernelFixture(Backend.CUDA);
                var executor = Executors.newFixedThreadPool(2)) {
            var sum = f.of(0.0);
            var one = f.of(1.0);
            var add = ArithmeticKernel.dense(ArithmeticKind.ADD, 1);
            Callable<Void> task =
                    () -> {
                        for (int i = 0; i < 100; i++) {
                            add.forward(f.stream, sum, one, sum);
                        }
                        return null;
                    };
            for (var result : executor.invokeAll(List.of(task, task))) {
                result.get();
            }
            assertThat(f.read(sum)).containsExactly(200);
        }
    }

    private static void assertRefused(Runnable call, String part) {
        assertThatThrownBy(call::run)
                .isInstanceOf(KernelException.InvalidArgument.class)
                .hasMessageContaining(part);
    }
}
