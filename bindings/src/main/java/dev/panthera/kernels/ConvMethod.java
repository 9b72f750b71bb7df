package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;

/** How a long convolution is computed. */
public enum ConvMethod {
    /** The faster one for the number of taps, by a measured crossover. */
    AUTO(PantheraAbi.PAN_CONV_AUTO()),
    /** In the time domain: an output depends on no later input in any bit. */
    DIRECT(PantheraAbi.PAN_CONV_DIRECT()),
    /** By fast Fourier transforms: relative error O(epsilon log length). */
    FFT(PantheraAbi.PAN_CONV_FFT());

    private final int code;

    ConvMethod(int code) {
        this.code = code;
    }

    int code() {
        return code;
    }

    static ConvMethod of(int code) {
        for (ConvMethod method : values()) {
            if (method.code == code) {
                return method;
            }
        }
        throw new IllegalArgumentException("convolution method " + code);
    }
}
