package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;

/** Instruction-set tier of {@link Backend#CPU}. */
public enum Isa {
    /** The best that the processor has and the environment variable PANTHERA_MAX_ISA allows. */
    BEST(PantheraAbi.PAN_ISA_BEST()),
    /** x86-64 (SSE2). */
    BASELINE(PantheraAbi.PAN_ISA_BASELINE()),
    /** AVX2 and FMA. */
    AVX2(PantheraAbi.PAN_ISA_AVX2()),
    /** AVX-512 F, BW, DQ and VL. */
    AVX512(PantheraAbi.PAN_ISA_AVX512());

    private final int code;

    Isa(int code) {
        this.code = code;
    }

    int code() {
        return code;
    }

    static Isa of(int code) {
        for (Isa isa : values()) {
            if (isa.code == code) {
                return isa;
            }
        }
        throw new IllegalArgumentException("no instruction-set tier has code " + code);
    }
}
