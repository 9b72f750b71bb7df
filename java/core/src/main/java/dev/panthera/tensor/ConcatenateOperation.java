package dev.panthera.tensor;

import dev.panthera.kernels.StridedCopyKernel;
import java.util.Arrays;
import java.util.List;

/** Tensors one after the other along a dimension; see {@link StridedCopyKernel}. */
public record ConcatenateOperation(int dimension, List<Tensor> parts, Tensor y)
        implements Operation {

    /**
     * @param dimension along which they follow each other; a negative one counts from the end
     * @param parts of one shape but for that dimension
     */
    public static Tensor apply(Tape tape, int dimension, Tensor... parts) {
        int[] shape = parts[0].shape();
        int along = dimension < 0 ? shape.length + dimension : dimension;
        boolean fits = along >= 0 && along < shape.length;
        int total = 0;
        for (int i = 0; fits && i < parts.length; i++) {
            int[] rest = parts[i].shape();
            if (rest.length == shape.length) {
                total += rest[along];
                rest[along] = shape[along];
            }
            fits = Arrays.equals(rest, shape);
        }
        if (!fits) {
            throw new IllegalArgumentException(
                    "concatenate: %s along dimension %d; expected one shape but for that dimension"
                            .formatted(Arrays.toString(parts), dimension));
        }
        shape[along] = total;
        var operation = new ConcatenateOperation(along, List.of(parts), tape.allocate(shape));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "concatenate";
    }

    @Override
    public void forward(Tape tape) {
        int first = 0;
        for (Tensor part : parts) {
            SliceOperation.write(tape, part, y, dimension, first);
            first += part.size(dimension);
        }
    }

    @Override
    public void backward(Tape tape) {
        int first = 0;
        for (Tensor part : parts) {
            var range = SliceOperation.Range.of(y, dimension, first, part.size(dimension));
            var gradient = tape.writeGradient(part);
            if (gradient != null) {
                range.copyOut(y)
                        .copy(tape.stream(), range.within(y, y.gradient()), gradient.buffer());
                tape.give(gradient, part);
            }
            first += part.size(dimension);
        }
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
