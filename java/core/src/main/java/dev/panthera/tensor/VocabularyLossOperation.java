package dev.panthera.tensor;

import dev.panthera.kernels.DataType;
import dev.panthera.kernels.VocabularyLossKernel;
import org.jspecify.annotations.Nullable;

/**
 * Cross entropy of a linear vocabulary head over the labelled rows only; see {@link VocabularyLossKernel}. In training,
 * forward computes the gradients of the loss too, while it has the logits, and backward only passes them on.
 */
public record VocabularyLossOperation(
        VocabularyLossKernel kernel,
        Tensor hidden,
        Tensor weight,
        Tensor labels,
        Tensor loss,
        Tensor labelledCount,
        Tensor rowLoss,
        Tensor logSumExp,
        Tensor argMax,
        @Nullable Tensor hiddenGradient,
        @Nullable Tensor weightGradient)
        implements Operation {

    /**
     * What the loss yields. Read it before {@link Tape#backward}, which frees it.
     *
     * @param loss mean over labelled rows, shape (1)
     * @param labelledCount int32 (1)
     * @param rowLoss one value a row, 0 where unlabelled
     * @param argMax int32, the predicted token of each labelled row, -1 elsewhere
     */
    public record Result(Tensor loss, Tensor labelledCount, Tensor rowLoss, Tensor argMax) {}

    /**
     * @param hidden {@code (batch, length, channels)}
     * @param weight {@code (vocab_size, channels)}
     * @param labels int32 {@code (batch, length)}, -100 where there is none
     */
    public static Result apply(Tape tape, Tensor hidden, Tensor weight, Tensor labels) {
        int rows = Math.toIntExact(hidden.rows());
        var kernel = new VocabularyLossKernel(rows, hidden.size(-1), weight.size(0));
        var operation =
                new VocabularyLossOperation(
                        kernel,
                        hidden,
                        weight,
                        labels,
                        tape.allocate(1),
                        tape.allocateConstant(DataType.I32, 1),
                        tape.allocateConstant(tape.type(), rows),
                        tape.allocateConstant(tape.type(), rows),
                        tape.allocateConstant(DataType.I32, rows),
                        gradientOf(tape, hidden),
                        gradientOf(tape, weight));
        tape.run(operation);
        return new Result(
                operation.loss, operation.labelledCount, operation.rowLoss, operation.argMax);
    }

    private static @Nullable Tensor gradientOf(Tape tape, Tensor tensor) {
        return tape.training() ? tape.allocateConstant(tape.type(), tensor.shape()) : null;
    }

    @Override
    public String name() {
        return "vocabulary loss";
    }

    /** The logits of all rows, labelled or not, and in training the products of both gradients. */
    @Override
    public double flops() {
        return (hiddenGradient == null ? 1 : 3) * 2.0 * hidden.rows() * weight.size();
    }

    @Override
    public double backwardFlops() {
        return 0;
    }

    @Override
    public void forward(Tape tape) {
        if (hiddenGradient != null && weightGradient != null) {
            forwardWithGradient(tape, hiddenGradient, weightGradient);
            return;
        }
        try (var workspace = tape.scratch(kernel.forwardWorkspaceBytes(tape.stream()))) {
            kernel.forward(
                    tape.stream(),
                    hidden.values(),
                    weight.values(),
                    labels.values(),
                    loss.values(),
                    labelledCount.values(),
                    rowLoss.values(),
                    logSumExp.values(),
                    argMax.values(),
                    Tape.Scratch.of(workspace));
        }
    }

    private void forwardWithGradient(Tape tape, Tensor dhidden, Tensor dweight) {
        tape.stream().zero(dweight.values());
        try (var workspace = tape.scratch(kernel.withGradientWorkspaceBytes(tape.stream()))) {
            kernel.withGradient(
                    tape.stream(),
                    hidden.values(),
                    weight.values(),
                    labels.values(),
                    tape.constant(1, 1).values(),
                    loss.values(),
                    labelledCount.values(),
                    rowLoss.values(),
                    logSumExp.values(),
                    argMax.values(),
                    dhidden.values(),
                    dweight.values(),
                    Tape.Scratch.of(workspace));
        }
    }

    @Override
    public void backward(Tape tape) {
        tape.giveScaled(hiddenGradient, loss, hidden);
        tape.giveScaled(weightGradient, loss, weight);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {loss};
    }

    @Override
    public Tensor[] saved() {
        return hiddenGradient == null || weightGradient == null
                ? new Tensor[] {labelledCount, rowLoss, logSumExp, argMax}
                : new Tensor[] {
                    labelledCount, rowLoss, logSumExp, argMax, hiddenGradient, weightGradient
                };
    }
}
