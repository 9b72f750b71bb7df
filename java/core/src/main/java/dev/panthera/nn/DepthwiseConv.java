package dev.panthera.nn;

import dev.panthera.tensor.ShortConvOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Causal depthwise convolution; the last tap meets the current position.
 *
 * @param weight {@code (channels, 1, taps)}
 * @param bias {@code (channels)} or null
 */
public record DepthwiseConv(Tensor weight, @Nullable Tensor bias) implements Parameterized {

    /** Weights and biases start uniform in {@code 1 / sqrt(taps)}, which the scheme of {@link Init} leaves alone. */
    public static DepthwiseConv of(int channels, int taps, Init init) {
        return of(channels, taps, true, init);
    }

    /** As {@link #of(int, int, Init)}, with or without bias. */
    public static DepthwiseConv of(int channels, int taps, boolean bias, Init init) {
        double bound = 1 / Math.sqrt(taps);
        return new DepthwiseConv(
                init.uniform(bound, channels, 1, taps),
                bias ? init.uniform(bound, channels) : null);
    }

    public int taps() {
        return weight.size(-1);
    }

    /** Maps {@code (batch, length, channels)} to the same shape. */
    public Tensor apply(Tape tape, Tensor x) {
        return ShortConvOperation.apply(tape, x, weight, bias);
    }
}
