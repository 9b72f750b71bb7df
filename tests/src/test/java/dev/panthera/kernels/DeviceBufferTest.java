package dev.panthera.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class DeviceBufferTest {

    private final Device device = Device.cpu(1);
    private final DeviceStream stream = device.newStream();

    @AfterEach
    void close() {
        stream.close();
        device.close();
    }

    @Test
    void bytesAndAllocationsAreCounted() {
        assertThat(device.liveBytes()).isZero();
        try (var buffer = device.allocate(DataType.F32, 10)) {
            assertThat(buffer.byteSize()).isEqualTo(40);
            assertThat(device.liveBytes()).isEqualTo(40);
            assertThat(device.info().liveAllocations()).isOne();
            assertThat(buffer.segment().address() % 64).isZero();
            buffer.slice(0, 5).close();
            assertThat(device.liveBytes()).isEqualTo(40);
        }
        assertThat(device.liveBytes()).isZero();
        assertThat(device.info().liveAllocations()).isZero();
        assertThat(device.allocations()).isOne();
    }

    @Test
    void closingTwiceFreesOnce() {
        var buffer = device.allocate(DataType.BYTE, 3);
        buffer.close();
        buffer.close();
        assertThat(device.liveBytes()).isZero();
    }

    @Test
    void valuesComeBackInEachFloatingPointType() {
        float[] values = {1.5f, -0.0f, Float.NaN, Float.POSITIVE_INFINITY, 3e38f};
        for (DataType type : new DataType[] {DataType.F32, DataType.F64}) {
            try (var buffer = device.allocate(type, values.length)) {
                stream.copyToDevice(buffer, values);
                assertThat(stream.toFloatArray(buffer)).as(type.name()).containsExactly(values);
            }
        }
    }

    @Test
    void bfloat16RoundsToTheNearestAndTiesToEven() {
        float tieToLower = Float.intBitsToFloat(0x3f808000);
        float tieToUpper = Float.intBitsToFloat(0x3f818000);
        float above = Float.intBitsToFloat(0x3f808001);
        try (var buffer = device.allocate(DataType.BF16, 5)) {
            buffer.copyFrom(
                    new float[] {tieToLower, tieToUpper, above, Float.NaN, Float.MAX_VALUE});
            assertThat(buffer.toFloatArray())
                    .containsExactly(
                            1f,
                            Float.intBitsToFloat(0x3f820000),
                            Float.intBitsToFloat(0x3f810000),
                            Float.NaN,
                            Float.POSITIVE_INFINITY);
        }
    }

    @Test
    void viewsShareMemory() {
        try (var buffer = device.allocate(DataType.F32, 4)) {
            buffer.copyFrom(new float[] {0, 1, 2, 3});
            buffer.slice(1, 2).copyFrom(new float[] {10, 20});
            assertThat(buffer.toFloatArray()).containsExactly(0, 10, 20, 3);
            assertThat(buffer.view(8, DataType.I32, 1).toIntArray())
                    .containsExactly(Float.floatToIntBits(20));
        }
    }

    @Test
    void viewsOutsideOrMisalignedAreRefused() {
        try (var buffer = device.allocate(DataType.F32, 4)) {
            assertRefused(
                    () -> buffer.slice(3, 2),
                    "2 elements of F32 from 3 on",
                    "the 4 that there are");
            assertRefused(() -> buffer.slice(-1, 2), "from -1 on");
            assertRefused(() -> buffer.slice(1, Long.MAX_VALUE), "expected a range inside");
            assertRefused(() -> buffer.view(2, DataType.F32, 1), "expected a multiple of 4");
            assertRefused(() -> buffer.view(8, DataType.F64, 2), "expected a range inside");
            assertThat(buffer.slice(4, 0).elements()).isZero();
        }
    }

    @Test
    void aViewOfClosedMemoryIsRefused() {
        var buffer = device.allocate(DataType.F32, 4);
        var view = buffer.slice(1, 2);
        buffer.close();
        assertRefused(view::toFloatArray, "closed");
        assertRefused(() -> stream.zero(view), "target was closed", "device cpu:");
        assertThatThrownBy(() -> view.segment().get(ValueLayout.JAVA_FLOAT, 0))
                .isInstanceOf(IllegalStateException.class);
    }

    @Test
    void offHeapMemoryIsWrappedWithoutACopy() {
        try (var arena = Arena.ofConfined()) {
            MemorySegment segment = arena.allocate(8, 4);
            DeviceBuffer.of(segment, DataType.I32).copyFrom(new int[] {3, 4});
            assertThat(segment.get(ValueLayout.JAVA_INT, 4)).isEqualTo(4);
            assertRefused(
                    () -> DeviceBuffer.of(segment.asSlice(2, 4), DataType.I32),
                    "expected multiples of 4");
            assertRefused(
                    () -> DeviceBuffer.of(segment.asSlice(0, 6), DataType.I32),
                    "expected multiples of 4");
        }
        assertRefused(
                () -> DeviceBuffer.of(MemorySegment.ofArray(new int[2]), DataType.I32),
                "Java heap");
    }

    @Test
    void readOnlyMemoryMayBeReadButNotWritten() {
        try (var arena = Arena.ofConfined();
                var y = device.allocate(DataType.F32, 2)) {
            var constant =
                    DeviceBuffer.of(
                            arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1, -2).asReadOnly(),
                            DataType.F32);
            stream.copy(y, constant);
            assertThat(y.toFloatArray()).containsExactly(1, -2);
            assertRefused(() -> stream.copy(constant, y), "target is read-only");
        }
    }

    @Test
    void memoryOfAnotherThreadIsRefused() throws InterruptedException {
        try (var arena = Arena.ofConfined();
                var y = device.allocate(DataType.F32, 2)) {
            var confined = DeviceBuffer.of(arena.allocate(8, 4), DataType.F32);
            var thrown = new Throwable[1];
            var thread = new Thread(() -> stream.copy(y, confined));
            thread.setUncaughtExceptionHandler((_, failure) -> thrown[0] = failure);
            thread.start();
            thread.join();
            assertThat(thrown[0])
                    .isInstanceOf(KernelException.InvalidArgument.class)
                    .hasMessageContaining("belongs to another thread");
        }
    }

    @Test
    void copiesNeedEqualSizes() {
        try (var a = device.allocate(DataType.F32, 2);
                var b = device.allocate(DataType.F32, 3)) {
            assertRefused(() -> stream.copy(a, b), "target has 8 bytes, source has 12");
            assertRefused(
                    () -> stream.copyToDevice(a, MemorySegment.ofArray(new float[2])), "Java heap");
            assertRefused(() -> a.copyFrom(new float[3]), "3 values for F32[2]");
            assertRefused(() -> a.copyFrom(new int[2]), "holds F32; expected I32");
        }
    }

    @Test
    void aDeviceWithOpenBuffersOrStreamsDoesNotClose() {
        var other = Device.cpu(1);
        var buffer = other.allocate(DataType.F32, 1);
        var otherStream = other.newStream();
        assertRefused(other::close, "1 streams, 1 allocations, 0 plans");
        buffer.close();
        otherStream.close();
        other.close();
        other.close();
        assertRefused(other::newStream, "the device was closed");
        assertRefused(() -> other.allocate(DataType.F32, 1), "the device was closed");
        assertRefused(otherStream::synchronize, "the stream was closed");
    }

    private static void assertRefused(Runnable call, String... parts) {
        assertThatThrownBy(call::run)
                .isInstanceOf(KernelException.InvalidArgument.class)
                .hasMessageContainingAll(parts);
    }
}
