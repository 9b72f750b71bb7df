package dev.panthera.nn;

import dev.panthera.kernels.NormKind;
import dev.panthera.tensor.NormOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Layer norm or RMS norm over the channels, optionally fused with the residual addition in front of it.
 *
 * @param weight {@code (channels)}
 * @param bias {@code (channels)}; null for RMS norm
 */
public record Norm(Tensor weight, @Nullable Tensor bias, NormKind kind, float epsilon)
        implements Parameterized {

    public static Norm layer(int channels, double epsilon, Init init) {
        return new Norm(
                init.constant(1, channels),
                init.constant(0, channels),
                NormKind.LAYER,
                (float) epsilon);
    }

    public static Norm rms(int channels, double epsilon, Init init) {
        return new Norm(init.constant(1, channels), null, NormKind.RMS, (float) epsilon);
    }

    /** Normalises {@code x}. */
    public Tensor apply(Tape tape, Tensor x) {
        return NormOperation.apply(tape, kind, epsilon, x, null, weight, bias).normalised();
    }

    /** Adds {@code x} to the residual stream (which is {@code x} itself where {@code residual} is null) and normalises it. */
    public NormOperation.Result addAndApply(Tape tape, Tensor x, @Nullable Tensor residual) {
        return NormOperation.apply(tape, kind, epsilon, x, residual, weight, bias);
    }
}
