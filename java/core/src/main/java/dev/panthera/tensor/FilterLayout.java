package dev.panthera.tensor;

/** In which order a filter's dimensions are stored. */
public enum FilterLayout {
    /** {@code (channels, taps)}. */
    CHANNELS_FIRST,
    /** {@code (taps, channels)}, as a layer over positions computes it. */
    TAPS_FIRST
}
