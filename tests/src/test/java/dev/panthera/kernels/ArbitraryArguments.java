package dev.panthera.kernels;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.ToLongFunction;

/** Sizes, strides and buffers for a kernel call, sensible or not, in memory whose every other byte is guarded. */
final class ArbitraryArguments {

    private static final long[] ODD_SIZES = {
        -1,
        0,
        Long.MIN_VALUE,
        Long.MAX_VALUE,
        Integer.MAX_VALUE,
        1L << 32,
        1L << 40,
        (1L << 40) + 1,
        (1L << 61) + 1
    };
    private static final int SLOT_BYTES = 4096;
    private static final int SLOTS = 24;
    private static final byte GUARD = 0x5a;

    final DeviceStream stream;
    private final Random random;
    private final MemorySegment memory;
    private final DeviceBuffer slab;
    private final boolean[] guarded = new boolean[SLOTS * SLOT_BYTES];
    private final List<DeviceBuffer> used = new ArrayList<>();

    /** Whether this call shall be wrong in some places; else it mostly is not. */
    private final boolean wild;

    ArbitraryArguments(DeviceStream stream, Arena arena, long seed) {
        this.stream = stream;
        this.random = new Random(seed);
        this.wild = random.nextBoolean();
        this.memory = arena.allocate(SLOTS * SLOT_BYTES, SLOT_BYTES).fill(GUARD);
        this.slab = DeviceBuffer.of(memory, DataType.BYTE);
        Arrays.fill(guarded, true);
    }

    long size() {
        return odd(8) ? ODD_SIZES[random.nextInt(ODD_SIZES.length)] : 1 + random.nextInt(3);
    }

    /** A stride of rows of that extent. */
    long stride(long extent) {
        return odd(6) ? size() : extent + random.nextInt(2);
    }

    float probability() {
        return odd(6)
                ? new float[] {-0.5f, 1, Float.NaN}[random.nextInt(3)]
                : random.nextInt(3) / 4f;
    }

    <T> T one(T[] values) {
        return values[random.nextInt(values.length)];
    }

    long bits() {
        return random.nextLong();
    }

    HeadLayout layout(long length, long heads, long headDim) {
        return odd(8)
                ? new HeadLayout(size(), size(), size())
                : HeadLayout.dense(length, heads, headDim);
    }

    /** Floating-point memory of the device's type; seldom null, short or of another type. */
    DeviceBuffer reals() {
        return buffer(stream.device().parameterType());
    }

    DeviceBuffer ints() {
        return buffer(DataType.I32);
    }

    RandomState randomState() {
        return new RandomState(orNull(buffer(DataType.BYTE)));
    }

    AdamWState adamWState() {
        return new AdamWState(orNull(buffer(DataType.BYTE)));
    }

    /** Null, where the argument is one that a caller may forget or leave out. */
    <T> T orNull(T value) {
        return random.nextInt(wild ? 6 : 20) == 0 ? null : value;
    }

    /** As much as asked for, or a byte less. */
    DeviceBuffer workspace(ToLongFunction<DeviceStream> bytes) {
        long needed = bytes.applyAsLong(stream);
        return needed == 0 || needed > SLOT_BYTES / 2
                ? null
                : take(DataType.BYTE, needed - (odd(6) ? 1 : 0));
    }

    private boolean odd(int oneIn) {
        return wild && random.nextInt(oneIn) == 0;
    }

    private DeviceBuffer buffer(DataType type) {
        DataType chosen = odd(12) ? one(DataType.values()) : type;
        return orNull(take(chosen, odd(8) ? random.nextInt(4) : 200));
    }

    private DeviceBuffer take(DataType type, long elements) {
        int slot = used.size();
        // Half a slot of guard in front of and behind what is handed out; zeros are valid ids,
        // labels and counts.
        int first = slot * SLOT_BYTES + SLOT_BYTES / 4;
        int bytes = (int) (elements * type.bytes());
        memory.asSlice(first, bytes).fill((byte) 0);
        Arrays.fill(guarded, first, first + bytes, false);
        DeviceBuffer buffer = slab.view(first, type, elements);
        used.add(buffer);
        return buffer;
    }

    /** Offset of the first byte that no buffer contains and that was changed; -1 if there is none. */
    long firstStrayWrite() {
        for (int i = 0; i < guarded.length; i++) {
            if (guarded[i] && memory.get(ValueLayout.JAVA_BYTE, i) != GUARD) {
                return i;
            }
        }
        return -1;
    }
}
