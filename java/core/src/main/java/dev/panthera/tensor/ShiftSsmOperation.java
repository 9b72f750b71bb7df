package dev.panthera.tensor;

import dev.panthera.kernels.ShiftSsmKernel;

/** The filter of a shift state-space model; see {@link ShiftSsmKernel}. */
public record ShiftSsmOperation(ShiftSsmKernel kernel, Tensor b, Tensor c, Tensor filter)
        implements Operation {

    /**
     * @param b {@code (..., channels, stateSize)}
     * @param c as many elements as {@code b}
     * @param taps of the filter
     * @return {@code (1, taps, channels)}
     */
    public static Tensor apply(Tape tape, Tensor b, Tensor c, int taps) {
        if (b.size() != c.size() || b.size(-1) != c.size(-1)) {
            throw new IllegalArgumentException("shift ssm: b " + b + " and c " + c);
        }
        int channels = Math.toIntExact(b.rows());
        var operation =
                new ShiftSsmOperation(
                        new ShiftSsmKernel(channels, b.size(-1), taps),
                        b,
                        c,
                        tape.allocate(1, taps, channels));
        tape.run(operation);
        return operation.filter;
    }

    @Override
    public String name() {
        return "shift ssm";
    }

    @Override
    public double flops() {
        double used = Math.min(kernel.stateSize(), kernel.length());
        return kernel.channels() * used * (2 * kernel.stateSize() - used + 1);
    }

    @Override
    public void forward(Tape tape) {
        kernel.forward(tape.stream(), b.values(), c.values(), filter.values());
    }

    @Override
    public void backward(Tape tape) {
        kernel.backward(
                tape.stream(),
                b.values(),
                c.values(),
                filter.gradient(),
                tape.addGradient(b),
                tape.addGradient(c));
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {filter};
    }
}
