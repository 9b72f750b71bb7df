package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;

/** Element type of a {@link DeviceBuffer}. */
public enum DataType {
    /** IEEE 754 binary32: activations, parameters, statistics and gradients. */
    F32(4, PantheraAbi.PAN_F32()),
    /** The upper half of a binary32: activations only. */
    BF16(2, PantheraAbi.PAN_BF16()),
    /** IEEE 754 binary64: everything on {@link Backend#REFERENCE_F64}. */
    F64(8, PantheraAbi.PAN_F64()),
    /** 32-bit signed integers: token ids, labels and counts. */
    I32(4, DataType.NOT_COMPUTED_WITH),
    /** Bytes: workspaces, and the blocks of {@link RandomState} and {@link AdamWState}. */
    BYTE(1, DataType.NOT_COMPUTED_WITH);

    private static final int NOT_COMPUTED_WITH = -1;

    private final int bytes;
    private final int code;

    DataType(int bytes, int code) {
        this.bytes = bytes;
        this.code = code;
    }

    /** Bytes of one element. */
    public int bytes() {
        return bytes;
    }

    /** The pan_dtype; a value that no kernel accepts for types that are not computed with. */
    int code() {
        return code;
    }
}
