package dev.panthera.tensor;

import dev.panthera.kernels.FeatureKind;
import dev.panthera.kernels.LinearAttentionKernel;
import org.jspecify.annotations.Nullable;

/**
 * Causal linear attention, normalised or not; see {@link LinearAttentionKernel}. Goes on from a state where there is one, which then
 * takes up the positions, for evaluation.
 */
public record LinearAttentionOperation(
        LinearAttentionKernel kernel,
        Tensor q,
        Tensor k,
        Tensor v,
        @Nullable Tensor state,
        Tensor y,
        @Nullable Tensor denominator)
        implements Operation {

    /** What the weights are: the features, and whether outputs are divided by the weights' sum plus epsilon. */
    public record Weights(FeatureKind features, boolean normalised, float epsilon) {}

    /**
     * @param q {@code (batch, length, heads * featureDim)}, queries or their features
     * @param k likewise keys
     * @param v {@code (batch, length, heads * valueDim)}
     * @return as v
     */
    public static Tensor apply(
            Tape tape, Weights weights, int heads, Tensor q, Tensor k, Tensor v) {
        return run(tape, weights, heads, q, k, v, null).y;
    }

    /**
     * As {@link #apply} after the positions that a state holds, and adds these to it. No gradient passes.
     *
     * @param state {@code (batch, heads, features, valueDim + 1)}, which outlives the step; zeros before the first position
     */
    public static Tensor extend(
            Tape tape, Weights weights, int heads, Tensor q, Tensor k, Tensor v, Tensor state) {
        return extendWithTotals(tape, weights, heads, q, k, v, state).y;
    }

    /**
     * What {@link #extendWithTotals} gives.
     *
     * @param y {@code (batch, length, heads * valueDim)}
     * @param total {@code (batch, heads, length)}: the sum of the weights, plus epsilon, that y was divided by; null if it was not
     */
    public record Average(Tensor y, @Nullable Tensor total) {}

    /** As {@link #extend}, with what outputs were divided by. */
    public static Average extendWithTotals(
            Tape tape, Weights weights, int heads, Tensor q, Tensor k, Tensor v, Tensor state) {
        tape.requireEvaluation("linear attention");
        var operation = run(tape, weights, heads, q, k, v, state);
        return new Average(operation.y, operation.denominator);
    }

    private static LinearAttentionOperation run(
            Tape tape,
            Weights weights,
            int heads,
            Tensor q,
            Tensor k,
            Tensor v,
            @Nullable Tensor state) {
        int batch = v.size(0);
        int length = v.size(1);
        int features = q.size(-1) / heads;
        int values = v.size(-1) / heads;
        boolean positions = q.rows() == v.rows() && k.rows() == v.rows();
        boolean split = q.size(-1) == heads * features && v.size(-1) == heads * values;
        if (v.rank() != 3 || !positions || !split || k.size(-1) != q.size(-1)) {
            throw new IllegalArgumentException(
                    "linear attention: queries %s, keys %s, values %s for %d heads"
                            .formatted(q, k, v, heads));
        }
        var kernel =
                LinearAttentionKernel.dense(
                        weights.features,
                        weights.normalised,
                        weights.epsilon,
                        batch,
                        heads,
                        length,
                        features,
                        values);
        if (state != null && state.size() != kernel.stateElements()) {
            throw new IllegalArgumentException(
                    "linear attention: %s is no state of %s".formatted(state, kernel));
        }
        Tensor denominator =
                weights.normalised
                        ? tape.allocateConstant(tape.type(), batch, heads, length)
                        : null;
        var operation =
                new LinearAttentionOperation(
                        kernel, q, k, v, state, tape.allocate(v.shape()), denominator);
        tape.run(operation);
        return operation;
    }

    @Override
    public String name() {
        return "linear attention";
    }

    /** As if every position were multiplied with the state twice. */
    @Override
    public double flops() {
        double perHead = (double) kernel.features().count(kernel.featureDim()) * kernel.valueDim();
        return 4.0 * kernel.batch() * kernel.heads() * kernel.length() * perHead;
    }

    @Override
    public void forward(Tape tape) {
        try (var workspace = tape.scratch(kernel.forwardWorkspaceBytes(tape.stream()))) {
            kernel.forward(
                    tape.stream(),
                    q.values(),
                    k.values(),
                    v.values(),
                    state == null ? null : state.values(),
                    y.values(),
                    denominator == null ? null : denominator.values(),
                    state == null ? null : state.values(),
                    Tape.Scratch.of(workspace));
        }
    }

    @Override
    public void backward(Tape tape) {
        var dq = tape.newGradient(q);
        var dk = tape.newGradient(k);
        var dv = tape.newGradient(v);
        try (var workspace = tape.scratch(kernel.backwardWorkspaceBytes(tape.stream()))) {
            kernel.backward(
                    tape.stream(),
                    q.values(),
                    k.values(),
                    v.values(),
                    y.values(),
                    denominator == null ? null : denominator.values(),
                    y.gradient(),
                    dq.buffer(),
                    dk.buffer(),
                    dv.buffer(),
                    Tape.Scratch.of(workspace));
        }
        tape.give(dq, q);
        tape.give(dk, k);
        tape.give(dv, v);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }

    @Override
    public Tensor[] saved() {
        return denominator == null ? new Tensor[0] : new Tensor[] {denominator};
    }
}
