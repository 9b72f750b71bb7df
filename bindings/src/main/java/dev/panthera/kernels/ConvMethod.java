package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;

/** How a long convolution is computed. */
public enum ConvMethod {
    /** The faster one for the length and the number of taps, by measured crossovers. */
    AUTO(PantheraAbi.PAN_CONV_AUTO()),
    /** In the time domain: an output depends on no later input in any bit. */
    DIRECT(PantheraAbi.PAN_CONV_DIRECT()),
    /**
     * By fast Fourier transforms, which mix all positions of an (example, channel) and nothing else: errors are
     * O(epsilon log length) relative to its largest value, and one NaN or infinity spoils it whole.
     */
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
