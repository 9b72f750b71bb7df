package dev.panthera.kernels;

/**
 * Where the matrices of a batch lie, in elements.
 *
 * @param stride      between stored rows
 * @param batchStride between matrices; 0: one matrix for all
 */
public record MatrixLayout(long stride, long batchStride) {

    /** Of dense matrices that follow each other. */
    public static MatrixLayout dense(long rows, long columns) {
        return new MatrixLayout(columns, Sizes.product(rows, columns));
    }

    /** Of one dense matrix for all products. */
    public static MatrixLayout shared(long columns) {
        return new MatrixLayout(columns, 0);
    }

    /** Elements that the matrices span. */
    long extent(long batch, long rows, long columns) {
        return Sizes.sum(
                Sizes.product(batch - 1, batchStride), Sizes.extent(rows, stride, columns));
    }
}
