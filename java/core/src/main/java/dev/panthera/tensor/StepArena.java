package dev.panthera.tensor;

import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.DeviceStream;
import dev.panthera.kernels.LongConvKernel;
import dev.panthera.kernels.LongConvPlan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Memory for the tensors of one step: a first-fit allocator over a few large blocks of device memory that are kept from
 * step to step, and what operations prepare once and keep (plans, constants). After the first step no block is added, and
 * the same sequence of requests gets the same addresses. Not for use by several threads.
 */
public final class StepArena implements AutoCloseable {
    private static final long ALIGNMENT = 64;

    /** Blocks are multiples of a huge page. */
    private static final long BLOCK_UNIT = 2L << 20;

    private static final long SMALLEST_BLOCK = 4 * BLOCK_UNIT;

    private final Device device;
    private final List<DeviceBuffer> blocks = new ArrayList<>();
    private long[] blockStart = new long[8];

    /** Free ranges in one address space in which the blocks follow each other, a unit apart so that none merge. */
    private long[] freeStart = new long[64];

    private long[] freeBytes = new long[64];
    private int freeCount;
    private long end;
    private long liveBytes;
    private long peakBytes;

    private final Map<LongConvKernel, LongConvPlan> plans = new HashMap<>();
    private final Map<Constant, DeviceBuffer> constants = new HashMap<>();

    private record Constant(DataType type, Record key) {}

    private record Uniform(float value, int size) {}

    public StepArena(Device device) {
        this.device = device;
    }

    /** Bytes handed out and not given back. */
    public long liveBytes() {
        return liveBytes;
    }

    /** The largest {@link #liveBytes()} so far. */
    public long peakBytes() {
        return peakBytes;
    }

    /** Bytes of device memory that the arena holds. */
    public long reservedBytes() {
        long bytes = 0;
        for (DeviceBuffer block : blocks) {
            bytes += block.byteSize();
        }
        return bytes;
    }

    Storage allocate(DataType type, long elements) {
        long bytes = rounded(Math.multiplyExact(elements, type.bytes()));
        int range = firstFit(bytes);
        if (range < 0) {
            addBlock(bytes);
            range = firstFit(bytes);
        }
        long offset = freeStart[range];
        freeStart[range] += bytes;
        freeBytes[range] -= bytes;
        if (freeBytes[range] == 0) {
            removeRange(range);
        }
        liveBytes += bytes;
        peakBytes = Math.max(peakBytes, liveBytes);
        return Storage.counted(view(offset, type, elements), this, offset);
    }

    void free(long offset, long byteSize) {
        long bytes = rounded(byteSize);
        liveBytes -= bytes;
        int next = Arrays.binarySearch(freeStart, 0, freeCount, offset);
        next = -next - 1;
        boolean joinsPrevious = next > 0 && freeStart[next - 1] + freeBytes[next - 1] == offset;
        boolean joinsNext = next < freeCount && offset + bytes == freeStart[next];
        if (joinsPrevious && joinsNext) {
            freeBytes[next - 1] += bytes + freeBytes[next];
            removeRange(next);
        } else if (joinsPrevious) {
            freeBytes[next - 1] += bytes;
        } else if (joinsNext) {
            freeStart[next] = offset;
            freeBytes[next] += bytes;
        } else {
            insertRange(next, offset, bytes);
        }
    }

    /** Takes back whatever is still handed out, such as the memory of an operation that threw. */
    void freeAll() {
        if (liveBytes == 0) {
            return;
        }
        freeCount = 0;
        for (int i = 0; i < blocks.size(); i++) {
            insertRange(i, blockStart[i], blocks.get(i).byteSize());
        }
        liveBytes = 0;
    }

    /** The plan of a convolution, made when it is first asked for, and kept: one for each shape that a run has. */
    LongConvPlan plan(LongConvKernel kernel) {
        return plans.computeIfAbsent(kernel, missing -> missing.plan(device));
    }

    /** An array in which every element has one value, made when it is first asked for. */
    DeviceBuffer constant(DeviceStream stream, DataType type, float value, int size) {
        return constant(
                stream,
                type,
                new Uniform(value, size),
                () -> {
                    float[] values = new float[size];
                    Arrays.fill(values, value);
                    return values;
                });
    }

    /** An array of values that follow from a key, made when it is first asked for. */
    DeviceBuffer constant(
            DeviceStream stream, DataType type, Record key, Supplier<float[]> computed) {
        return constants.computeIfAbsent(
                new Constant(type, key),
                missing -> {
                    float[] values = computed.get();
                    return filled(
                            type, values.length, buffer -> stream.copyToDevice(buffer, values));
                });
    }

    /** As {@link #constant(DeviceStream, DataType, Record, Supplier)} of int32. */
    DeviceBuffer integers(DeviceStream stream, Record key, Supplier<int[]> computed) {
        return constants.computeIfAbsent(
                new Constant(DataType.I32, key),
                missing -> {
                    int[] values = computed.get();
                    return filled(
                            DataType.I32,
                            values.length,
                            buffer -> stream.copyToDevice(buffer, values));
                });
    }

    private DeviceBuffer filled(DataType type, long elements, Consumer<DeviceBuffer> fill) {
        DeviceBuffer buffer = device.allocate(type, elements);
        try {
            fill.accept(buffer);
        } catch (RuntimeException | Error failure) {
            buffer.close();
            throw failure;
        }
        return buffer;
    }

    private static long rounded(long bytes) {
        return Math.max(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    }

    private int firstFit(long bytes) {
        for (int i = 0; i < freeCount; i++) {
            if (freeBytes[i] >= bytes) {
                return i;
            }
        }
        return -1;
    }

    private DeviceBuffer view(long offset, DataType type, long elements) {
        int block = Arrays.binarySearch(blockStart, 0, blocks.size(), offset);
        if (block < 0) {
            block = -block - 2;
        }
        return blocks.get(block).view(offset - blockStart[block], type, elements);
    }

    private void addBlock(long atLeast) {
        long bytes = Math.max(SMALLEST_BLOCK, (atLeast + BLOCK_UNIT - 1) / BLOCK_UNIT * BLOCK_UNIT);
        if (blocks.size() == blockStart.length) {
            blockStart = Arrays.copyOf(blockStart, 2 * blocks.size());
        }
        blockStart[blocks.size()] = end;
        blocks.add(device.allocate(DataType.BYTE, bytes));
        insertRange(freeCount, end, bytes);
        end += bytes + BLOCK_UNIT;
    }

    private void insertRange(int index, long start, long bytes) {
        if (freeCount == freeStart.length) {
            freeStart = Arrays.copyOf(freeStart, 2 * freeCount);
            freeBytes = Arrays.copyOf(freeBytes, 2 * freeCount);
        }
        System.arraycopy(freeStart, index, freeStart, index + 1, freeCount - index);
        System.arraycopy(freeBytes, index, freeBytes, index + 1, freeCount - index);
        freeStart[index] = start;
        freeBytes[index] = bytes;
        freeCount++;
    }

    private void removeRange(int index) {
        freeCount--;
        System.arraycopy(freeStart, index + 1, freeStart, index, freeCount - index);
        System.arraycopy(freeBytes, index + 1, freeBytes, index, freeCount - index);
    }

    /** Gives all memory back to the device. */
    @Override
    public void close() {
        plans.values().forEach(LongConvPlan::close);
        plans.clear();
        constants.values().forEach(DeviceBuffer::close);
        constants.clear();
        blocks.forEach(DeviceBuffer::close);
        blocks.clear();
        freeCount = 0;
        liveBytes = 0;
    }
}
