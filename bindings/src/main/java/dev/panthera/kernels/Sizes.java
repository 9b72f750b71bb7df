package dev.panthera.kernels;

/**
 * Element counts of arrays. Sums and products saturate at {@link Long#MAX_VALUE}, which no buffer has; what is
 * negative counts as 0, because the native library rejects it with the name of the size.
 */
final class Sizes {

    private Sizes() {}

    static long product(long a, long b) {
        if (a <= 0 || b <= 0) {
            return 0;
        }
        return Math.multiplyHigh(a, b) != 0 || a * b < 0 ? Long.MAX_VALUE : a * b;
    }

    static long product(long a, long b, long c) {
        return product(product(a, b), c);
    }

    static long sum(long a, long b) {
        long sum = Math.max(a, 0) + Math.max(b, 0);
        return sum < 0 ? Long.MAX_VALUE : sum;
    }

    /** Elements spanned by rows of {@code columns} elements that start {@code stride} apart. */
    static long extent(long rows, long stride, long columns) {
        return rows <= 0 ? 0 : sum(product(rows - 1, stride), columns);
    }
}
