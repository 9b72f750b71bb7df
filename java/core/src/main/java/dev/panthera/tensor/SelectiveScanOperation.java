package dev.panthera.tensor;

import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.SelectiveScanKernel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The selective scan of Mamba; see {@link SelectiveScanKernel}.
 *
 * @param state from which the scan goes on, and where it leaves the last one; null: from 0
 * @param checkpoints what forward keeps for backward; null outside of training
 */
public record SelectiveScanOperation(
        SelectiveScanKernel kernel,
        Inputs inputs,
        @Nullable Tensor state,
        @Nullable Tensor checkpoints,
        Tensor y)
        implements Operation {

    /** Checkpoints are shaped into rows because they may have more elements than an array's index. */
    private static final int CHECKPOINT_ROW = 64;

    /**
     * What is scanned.
     *
     * @param u {@code (batch, length, channels)}
     * @param delta of the same shape: step sizes before bias and softplus
     * @param aLog {@code (channels, state_size)}
     * @param b {@code (batch, length, state_size)}
     * @param c of the same shape
     * @param skip {@code (channels)} or null
     * @param deltaBias {@code (channels)} or null
     * @param z of the shape of {@code u}, or null
     */
    public record Inputs(
            Columns u,
            Columns delta,
            Tensor aLog,
            Columns b,
            Columns c,
            @Nullable Tensor skip,
            @Nullable Tensor deltaBias,
            @Nullable Columns z) {

        private boolean fit() {
            int[] shape = u.shape();
            return shape.length == 3
                    && aLog.rank() == 2
                    && aLog.size(0) == u.count()
                    && Arrays.equals(delta.shape(), shape)
                    && Arrays.equals(b.shape(), new int[] {shape[0], shape[1], aLog.size(1)})
                    && Arrays.equals(c.shape(), b.shape())
                    && (z == null || Arrays.equals(z.shape(), shape));
        }

        private SelectiveScanKernel kernel() {
            int[] shape = u.shape();
            return new SelectiveScanKernel(
                    shape[0],
                    shape[1],
                    shape[2],
                    aLog.size(1),
                    u.stride(),
                    delta.stride(),
                    b.stride(),
                    c.stride(),
                    z == null ? shape[2] : z.stride(),
                    shape[2]);
        }

        private SelectiveScanKernel.Inputs buffers() {
            return new SelectiveScanKernel.Inputs(
                    u.values(),
                    delta.values(),
                    aLog.values(),
                    b.values(),
                    c.values(),
                    skip == null ? null : skip.values(),
                    deltaBias == null ? null : deltaBias.values(),
                    Columns.values(z));
        }
    }

    /** The outputs, {@code (batch, length, channels)}. */
    public static Tensor apply(Tape tape, Inputs inputs) {
        return run(tape, inputs, null);
    }

    /**
     * The outputs of positions that follow others. No gradient passes.
     *
     * @param state {@code (batch, state_size, channels)} after the positions before, 0 at first; overwritten with that after
     *     these
     */
    public static Tensor extend(Tape tape, Inputs inputs, Tensor state) {
        tape.requireEvaluation("selective scan");
        return run(tape, inputs, state);
    }

    private static Tensor run(Tape tape, Inputs inputs, @Nullable Tensor state) {
        if (!inputs.fit()) {
            throw new IllegalArgumentException(
                    "selective scan: %s; expected u, delta and z (batch, length, channels), b and c (batch, length, state_size), aLog (channels, state_size)"
                            .formatted(inputs));
        }
        var kernel = inputs.kernel();
        var operation =
                new SelectiveScanOperation(
                        kernel,
                        inputs,
                        state,
                        tape.training() ? checkpoints(tape, kernel) : null,
                        tape.allocate(inputs.u.shape()));
        tape.run(operation);
        return operation.y;
    }

    private static Tensor checkpoints(Tape tape, SelectiveScanKernel kernel) {
        long rowBytes = (long) CHECKPOINT_ROW * tape.type().bytes();
        long rows = Math.ceilDiv(kernel.checkpointsBytes(tape.stream()), rowBytes);
        return tape.allocateConstant(tape.type(), Math.toIntExact(rows), CHECKPOINT_ROW);
    }

    @Override
    public String name() {
        return "selective scan";
    }

    /** Four products for each number of the state, the exponential not counted. */
    @Override
    public double flops() {
        return 8.0 * y.size() * inputs.aLog.size(1);
    }

    @Override
    public void forward(Tape tape) {
        try (var workspace = tape.scratch(kernel.forwardWorkspaceBytes(tape.stream()))) {
            DeviceBuffer states = state == null ? null : state.values();
            kernel.forward(
                    tape.stream(),
                    inputs.buffers(),
                    states,
                    y.values(),
                    checkpoints == null ? null : checkpoints.values(),
                    states,
                    Tape.Scratch.of(workspace));
        }
    }

    @Override
    public void backward(Tape tape) {
        if (checkpoints == null) {
            throw new IllegalStateException(
                    "a selective scan keeps nothing for backward outside of training");
        }
        var gradients =
                new Columns.Gradients(tape, inputs.u, inputs.delta, inputs.b, inputs.c, inputs.z);
        try (var unwanted = new Unwanted(tape);
                var workspace = tape.scratch(kernel.backwardWorkspaceBytes(tape.stream()))) {
            kernel.backward(
                    tape.stream(),
                    inputs.buffers(),
                    checkpoints.values(),
                    y.gradient(),
                    new SelectiveScanKernel.Gradients(
                            unwanted.unless(gradients.of(0), inputs.u.tensor()),
                            unwanted.unless(gradients.of(1), inputs.delta.tensor()),
                            unwanted.unless(tape.addGradient(inputs.aLog), inputs.aLog),
                            unwanted.unless(gradients.of(2), inputs.b.tensor()),
                            unwanted.unless(gradients.of(3), inputs.c.tensor()),
                            tape.addGradient(inputs.skip),
                            tape.addGradient(inputs.deltaBias),
                            inputs.z == null
                                    ? null
                                    : unwanted.unless(gradients.of(4), inputs.z.tensor())),
                    Tape.Scratch.of(workspace));
        }
        gradients.give();
    }

    /** Memory for gradients that the kernel cannot leave out and nobody wants. */
    private record Unwanted(Tape tape, List<Tape.Gradient> gradients) implements AutoCloseable {
        Unwanted(Tape tape) {
            this(tape, new ArrayList<>());
        }

        DeviceBuffer unless(@Nullable DeviceBuffer wanted, Tensor tensor) {
            if (wanted != null) {
                return wanted;
            }
            var gradient = tape.newGradient(tensor);
            tape.stream().zero(gradient.buffer());
            gradients.add(gradient);
            return gradient.buffer();
        }

        @Override
        public void close() {
            gradients.forEach(gradient -> tape.give(gradient));
        }
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }

    @Override
    public Tensor[] saved() {
        return checkpoints == null ? new Tensor[0] : new Tensor[] {checkpoints};
    }
}
