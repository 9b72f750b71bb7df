package dev.panthera.io;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import dev.panthera.UserException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * A named tensor of a safetensors file.
 *
 * @param name  key in the file, such as {@code layers.0.mixer.Wqkv.weight}
 * @param type  element type
 * @param shape sizes, outermost first; empty for a scalar
 * @param data  the elements, row-major, little-endian, not necessarily aligned; lives as long as the arena of its file
 */
public record StoredTensor(String name, StoredType type, long[] shape, MemorySegment data) {

    private static final ValueLayout.OfDouble F64 =
            ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat F32 =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(LITTLE_ENDIAN);
    private static final ValueLayout.OfLong I64 =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(LITTLE_ENDIAN);
    private static final ValueLayout.OfInt I32 =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(LITTLE_ENDIAN);
    private static final ValueLayout.OfShort I16 =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(LITTLE_ENDIAN);
    private static final ValueLayout.OfByte I8 = ValueLayout.JAVA_BYTE;
    private static final int MAX_ARRAY = Integer.MAX_VALUE - 8;

    /** @throws UserException if the data's size is not that of the shape, or a size is negative or overflows */
    public StoredTensor {
        shape = shape.clone();
        long bytes = byteSize(name, type, shape);
        UserException.require(
                data.byteSize() == bytes,
                "tensor %s: shape %s of %s needs %d bytes, but its data has %d",
                name,
                Arrays.toString(shape),
                type,
                bytes,
                data.byteSize());
    }

    @Override
    public long[] shape() {
        return shape.clone();
    }

    /** Number of elements. */
    public long size() {
        return data.byteSize() / type.byteSize();
    }

    /** Bytes of a tensor of this type and shape. */
    static long byteSize(String name, StoredType type, long[] shape) {
        try {
            long bytes = type.byteSize();
            for (long extent : shape) {
                UserException.require(
                        extent >= 0,
                        "tensor %s: shape %s has a negative size",
                        name,
                        Arrays.toString(shape));
                bytes = Math.multiplyExact(bytes, extent);
            }
            return bytes;
        } catch (ArithmeticException overflow) {
            throw new UserException(
                    "tensor %s: shape %s of %s has more than 2^63 bytes"
                            .formatted(name, Arrays.toString(shape), type),
                    overflow);
        }
    }

    /**
     * The elements of a floating-point tensor; those of F64 are rounded to nearest.
     *
     * @throws UserException if the type is not floating-point or a Java array cannot hold the elements
     */
    public float[] toFloats() {
        float[] values = new float[arraySize()];
        if (type == StoredType.F32) {
            MemorySegment.copy(data, F32, 0, values, 0, values.length);
            return values;
        }
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) floatingAt(i);
        }
        return values;
    }

    /**
     * The elements of a floating-point tensor.
     *
     * @throws UserException if the type is not floating-point or a Java array cannot hold the elements
     */
    public double[] toDoubles() {
        double[] values = new double[arraySize()];
        for (int i = 0; i < values.length; i++) {
            values[i] = floatingAt(i);
        }
        return values;
    }

    /**
     * The elements of an integer tensor, false and true as 0 and 1.
     *
     * @throws UserException if the type is not an integer type, an element has more than 32 bits, or a Java array
     *     cannot hold the elements
     */
    public int[] toInts() {
        int[] values = new int[arraySize()];
        if (type == StoredType.I32) {
            MemorySegment.copy(data, I32, 0, values, 0, values.length);
            return values;
        }
        for (int i = 0; i < values.length; i++) {
            long value = integerAt(i);
            UserException.require(
                    value == (int) value,
                    "tensor %s: element %d is %d, beyond 32 bits; read it as 64-bit",
                    name,
                    i,
                    value);
            values[i] = (int) value;
        }
        return values;
    }

    /**
     * The elements of an integer tensor, false and true as 0 and 1.
     *
     * @throws UserException if the type is not an integer type or a Java array cannot hold the elements
     */
    public long[] toLongs() {
        long[] values = new long[arraySize()];
        for (int i = 0; i < values.length; i++) {
            values[i] = integerAt(i);
        }
        return values;
    }

    private double floatingAt(long index) {
        return switch (type) {
            case F64 -> data.get(F64, index * Double.BYTES);
            case F32 -> data.get(F32, index * Float.BYTES);
            case F16 -> Float.float16ToFloat(data.get(I16, index * Short.BYTES));
            case BF16 -> Float.intBitsToFloat(data.get(I16, index * Short.BYTES) << Short.SIZE);
            case I64, I32, I16, I8, U8, BOOL -> throw wrongType("floating-point numbers");
        };
    }

    private long integerAt(long index) {
        return switch (type) {
            case I64 -> data.get(I64, index * Long.BYTES);
            case I32 -> data.get(I32, index * Integer.BYTES);
            case I16 -> data.get(I16, index * Short.BYTES);
            case I8 -> data.get(I8, index);
            case U8, BOOL -> Byte.toUnsignedInt(data.get(I8, index));
            case F64, F32, F16, BF16 -> throw wrongType("integers");
        };
    }

    private int arraySize() {
        UserException.require(
                size() <= MAX_ARRAY,
                "tensor %s: %d elements do not fit a Java array; use its data in place",
                name,
                size());
        return (int) size();
    }

    private UserException wrongType(String wanted) {
        return new UserException(
                "tensor %s: expected %s, but the file has %s".formatted(name, wanted, type));
    }
}
