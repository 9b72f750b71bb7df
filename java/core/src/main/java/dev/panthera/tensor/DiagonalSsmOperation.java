package dev.panthera.tensor;

import dev.panthera.kernels.DiagonalSsmKernel;

/** The filter of a diagonal state-space model; see {@link DiagonalSsmKernel}. */
public record DiagonalSsmOperation(DiagonalSsmKernel kernel, Parameters parameters, Tensor filter)
        implements Operation {

    /**
     * Parameters of the models of all heads; leading dimensions of size 1 are allowed.
     *
     * @param logDt {@code (heads)}
     * @param aRealLog {@code (heads, modes)}
     * @param aImag {@code (heads, modes)}
     * @param b {@code (heads, modes, 2)}: real and imaginary parts
     * @param c {@code (heads, modes, 2)}
     */
    public record Parameters(Tensor logDt, Tensor aRealLog, Tensor aImag, Tensor b, Tensor c) {
        public Parameters {
            long size = aRealLog.size();
            if (aRealLog.rows() != logDt.size()
                    || aImag.size() != size
                    || b.size() != 2 * size
                    || c.size() != 2 * size) {
                throw new IllegalArgumentException(
                        "diagonal ssm: log dt %s, A %s and %s, B %s, C %s"
                                .formatted(logDt, aRealLog, aImag, b, c));
            }
        }

        public int heads() {
            return Math.toIntExact(logDt.size());
        }

        public int modes() {
            return aRealLog.size(-1);
        }

        /** What kernels take. */
        public DiagonalSsmKernel.Parameters values() {
            return new DiagonalSsmKernel.Parameters(
                    logDt.values(), aRealLog.values(), aImag.values(), b.values(), c.values());
        }

        private DiagonalSsmKernel.Parameters gradients(Tape tape) {
            return new DiagonalSsmKernel.Parameters(
                    tape.addGradient(logDt),
                    tape.addGradient(aRealLog),
                    tape.addGradient(aImag),
                    tape.addGradient(b),
                    tape.addGradient(c));
        }
    }

    /**
     * @param taps of the filter
     * @return {@code (1, taps, heads)}
     */
    public static Tensor apply(Tape tape, Parameters parameters, int taps) {
        int heads = parameters.heads();
        var operation =
                new DiagonalSsmOperation(
                        new DiagonalSsmKernel(heads, parameters.modes(), taps),
                        parameters,
                        tape.allocate(1, taps, heads));
        tape.run(operation);
        return operation.filter;
    }

    @Override
    public String name() {
        return "diagonal ssm";
    }

    /** A complex product and a sum for each tap of a mode. */
    @Override
    public double flops() {
        return 7.0 * kernel.heads() * kernel.modes() * kernel.length();
    }

    @Override
    public void forward(Tape tape) {
        try (var workspace = tape.scratch(kernel.forwardWorkspaceBytes(tape.stream()))) {
            kernel.forward(
                    tape.stream(),
                    parameters.values(),
                    filter.values(),
                    Tape.Scratch.of(workspace));
        }
    }

    @Override
    public void backward(Tape tape) {
        try (var workspace = tape.scratch(kernel.backwardWorkspaceBytes(tape.stream()))) {
            kernel.backward(
                    tape.stream(),
                    parameters.values(),
                    filter.gradient(),
                    parameters.gradients(tape),
                    Tape.Scratch.of(workspace));
        }
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {filter};
    }
}
