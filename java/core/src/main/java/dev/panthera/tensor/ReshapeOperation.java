package dev.panthera.tensor;

import java.util.Arrays;

/** The same elements in the same order, in another shape. Copies nothing: values and gradient are shared. */
public record ReshapeOperation(Tensor x, Tensor y) implements Operation {

    /**
     * @param shape of as many elements as x; one size may be -1, which is then what the others leave
     */
    public static Tensor apply(Tape tape, Tensor x, int... shape) {
        int[] whole = shape.clone();
        long known = 1;
        int open = -1;
        for (int i = 0; i < shape.length; i++) {
            if (shape[i] == -1 && open < 0) {
                open = i;
            } else {
                known *= shape[i];
            }
        }
        if (open >= 0 && known > 0) {
            whole[open] = (int) (x.size() / known);
            known *= whole[open];
        }
        if (known != x.size()) {
            throw new IllegalArgumentException(
                    "reshape: %s has %d elements, which %s does not hold"
                            .formatted(x, x.size(), Arrays.toString(shape)));
        }
        Tensor y = Tensor.of(x.shareValues(), tape.training() && x.requiresGradient(), whole);
        var operation = new ReshapeOperation(x, y.on(tape));
        tape.run(operation);
        return y;
    }

    @Override
    public String name() {
        return "reshape";
    }

    @Override
    public void forward(Tape tape) {}

    @Override
    public void backward(Tape tape) {
        tape.passOn(y, x);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
