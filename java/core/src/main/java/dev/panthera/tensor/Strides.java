package dev.panthera.tensor;

/** Elements between consecutive entries of a tensor, per dimension. */
final class Strides {

    private Strides() {}

    /** Of a dense array. */
    static long[] dense(int... shape) {
        long[] strides = new long[shape.length];
        long stride = 1;
        for (int i = shape.length - 1; i >= 0; i--) {
            strides[i] = stride;
            stride *= shape[i];
        }
        return strides;
    }

    /** Of a tensor seen in a shape to which it broadcasts, aligned at its end: 0 where it is repeated. */
    static long[] broadcast(Tensor tensor, int... shape) {
        long[] strides = new long[shape.length];
        long stride = 1;
        for (int i = 1; i <= tensor.rank(); i++) {
            int size = tensor.size(-i);
            int at = shape.length - i;
            strides[at] = size == 1 && shape[at] != 1 ? 0 : stride;
            stride *= size;
        }
        return strides;
    }
}
