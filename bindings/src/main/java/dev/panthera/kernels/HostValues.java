package dev.panthera.kernels;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Copies between Java arrays and host memory, with conversion between the floating-point types. */
final class HostValues {

    private HostValues() {}

    static void write(MemorySegment target, DataType type, long elements, float[] values) {
        checkLength(values.length, type, elements);
        if (type == DataType.F32) {
            MemorySegment.copy(values, 0, target, ValueLayout.JAVA_FLOAT, 0, values.length);
            return;
        }
        for (int i = 0; i < values.length; i++) {
            set(target, type, i, values[i]);
        }
    }

    static void write(MemorySegment target, DataType type, long elements, double[] values) {
        checkLength(values.length, type, elements);
        if (type == DataType.F64) {
            MemorySegment.copy(values, 0, target, ValueLayout.JAVA_DOUBLE, 0, values.length);
            return;
        }
        for (int i = 0; i < values.length; i++) {
            set(target, type, i, values[i]);
        }
    }

    static void write(MemorySegment target, DataType type, long elements, int[] values) {
        checkLength(values.length, type, elements);
        checkIntegers(type);
        MemorySegment.copy(values, 0, target, ValueLayout.JAVA_INT, 0, values.length);
    }

    static float[] floats(MemorySegment source, DataType type, long elements) {
        float[] values = new float[arrayLength(type, elements)];
        if (type == DataType.F32) {
            MemorySegment.copy(source, ValueLayout.JAVA_FLOAT, 0, values, 0, values.length);
            return values;
        }
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) get(source, type, i);
        }
        return values;
    }

    static double[] doubles(MemorySegment source, DataType type, long elements) {
        double[] values = new double[arrayLength(type, elements)];
        if (type == DataType.F64) {
            MemorySegment.copy(source, ValueLayout.JAVA_DOUBLE, 0, values, 0, values.length);
            return values;
        }
        for (int i = 0; i < values.length; i++) {
            values[i] = get(source, type, i);
        }
        return values;
    }

    static int[] ints(MemorySegment source, DataType type, long elements) {
        checkIntegers(type);
        int[] values = new int[arrayLength(type, elements)];
        MemorySegment.copy(source, ValueLayout.JAVA_INT, 0, values, 0, values.length);
        return values;
    }

    private static double get(MemorySegment source, DataType type, long index) {
        return switch (type) {
            case F32 -> source.getAtIndex(ValueLayout.JAVA_FLOAT, index);
            case F64 -> source.getAtIndex(ValueLayout.JAVA_DOUBLE, index);
            case BF16 ->
                    Float.intBitsToFloat(source.getAtIndex(ValueLayout.JAVA_SHORT, index) << 16);
            case I32, BYTE -> throw notFloating(type);
        };
    }

    private static void set(MemorySegment target, DataType type, long index, double value) {
        switch (type) {
            case F32 -> target.setAtIndex(ValueLayout.JAVA_FLOAT, index, (float) value);
            case F64 -> target.setAtIndex(ValueLayout.JAVA_DOUBLE, index, value);
            case BF16 -> target.setAtIndex(ValueLayout.JAVA_SHORT, index, bfloat16((float) value));
            case I32, BYTE -> throw notFloating(type);
        }
    }

    /** Rounds to the nearest bfloat16, ties to even; a NaN stays one. */
    private static short bfloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) (bits >>> 16 | 0x40);
        }
        int roundToEven = 0x7fff + (bits >>> 16 & 1);
        return (short) (bits + roundToEven >>> 16);
    }

    private static void checkLength(int length, DataType type, long elements) {
        if (length != elements) {
            throw invalid(
                    "%d values for %s[%d]; expected as many as it has elements"
                            .formatted(length, type, elements));
        }
    }

    private static int arrayLength(DataType type, long elements) {
        if (elements > Integer.MAX_VALUE - 8) {
            throw invalid(
                    "%s[%d] is too large for a Java array; read slices of it"
                            .formatted(type, elements));
        }
        return (int) elements;
    }

    private static void checkIntegers(DataType type) {
        if (type != DataType.I32) {
            throw invalid("the buffer holds %s; expected I32 for int[]".formatted(type));
        }
    }

    private static KernelException notFloating(DataType type) {
        return invalid(
                "the buffer holds %s; expected F32, F64 or BF16 for float[] and double[]"
                        .formatted(type));
    }

    private static KernelException invalid(String text) {
        return new KernelException.InvalidArgument("buffer", "buffer: " + text, "", "");
    }
}
