package dev.panthera.nn;

import dev.panthera.tensor.LinearOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * {@code y = x W^T + b}.
 *
 * @param weight {@code (out, in)}
 * @param bias {@code (out)} or null
 */
public record Linear(Tensor weight, @Nullable Tensor bias) implements FeatureLayer {

    /** A layer with bias. */
    public static Linear of(int in, int out, Init init) {
        return of(in, out, true, init);
    }

    public static Linear of(int in, int out, boolean bias, Init init) {
        return new Linear(init.linearWeight(out, in), bias ? init.constant(0, out) : null);
    }

    /** A layer with bias that writes to the residual stream, and starts smaller the deeper the model is. */
    public static Linear residual(int in, int out, Init init) {
        return residual(in, out, true, init);
    }

    /** As {@link #residual(int, int, Init)}, with or without bias. */
    public static Linear residual(int in, int out, boolean bias, Init init) {
        return new Linear(init.residualWeight(out, in), bias ? init.constant(0, out) : null);
    }

    /** A layer with bias outside of the scheme of {@link Init}: all values start uniform in {@code 1 / sqrt(in)}. */
    public static Linear uniform(int in, int out, Init init) {
        double bound = 1 / Math.sqrt(in);
        return new Linear(init.uniform(bound, out, in), init.uniform(bound, out));
    }

    /** The layer that computes some of the outputs, with the same parameters. */
    public Linear outputs(int first, int count) {
        return new Linear(weight.part(first, count), bias == null ? null : bias.part(first, count));
    }

    @Override
    public Tensor apply(Tape tape, Tensor x) {
        return LinearOperation.apply(tape, x, weight, bias);
    }
}
