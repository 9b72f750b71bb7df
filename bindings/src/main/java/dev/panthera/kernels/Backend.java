package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;

/** Where kernels run. */
public enum Backend {
    /** Vectorised, multi-threaded, F32. */
    CPU(PantheraAbi.PAN_BACKEND_CPU()),
    /** One NVIDIA device. */
    CUDA(PantheraAbi.PAN_BACKEND_CUDA()),
    /** Plain scalar code with F32 storage and F64 accumulation, one thread. */
    REFERENCE(PantheraAbi.PAN_BACKEND_REFERENCE()),
    /** The same code with F64 storage: the yardstick of all others. */
    REFERENCE_F64(PantheraAbi.PAN_BACKEND_REFERENCE_F64());

    private final int code;

    Backend(int code) {
        this.code = code;
    }

    int code() {
        return code;
    }

    /** Whether Java can read and write this backend's memory. */
    boolean isHost() {
        return this != CUDA;
    }

    static Backend of(int code) {
        for (Backend backend : values()) {
            if (backend.code == code) {
                return backend;
            }
        }
        throw new IllegalArgumentException("no backend has code " + code);
    }
}
