package dev.panthera.tensor;

import dev.panthera.kernels.DeviceBuffer;
import org.jspecify.annotations.Nullable;

/**
 * A range of a tensor's columns (its last dimension), for operations whose kernels step over the others: several
 * projections computed as one array need not be taken apart.
 *
 * @param tensor whose columns these are
 * @param first index of the first column
 * @param count of columns
 */
public record Columns(Tensor tensor, int first, int count) {

    public Columns {
        if (first < 0 || count < 1 || first > tensor.size(-1) - count) {
            throw new IllegalArgumentException(
                    "%d columns from %d on of %s".formatted(count, first, tensor));
        }
    }

    /** All columns. */
    public static Columns of(Tensor tensor) {
        return new Columns(tensor, 0, tensor.size(-1));
    }

    /** One of the equal parts that lie side by side in a packed tensor. */
    public static Columns part(Tensor packed, int part, int parts) {
        int count = packed.size(-1) / parts;
        return new Columns(packed, part * count, count);
    }

    /** Elements between rows. */
    public long stride() {
        return tensor.size(-1);
    }

    /** The shape of the columns as a tensor of their own. */
    public int[] shape() {
        int[] shape = tensor.shape();
        shape[shape.length - 1] = count;
        return shape;
    }

    /** The values, from the first of these columns on. */
    DeviceBuffer values() {
        return from(tensor.values());
    }

    /** The values of columns that may be absent. */
    static @Nullable DeviceBuffer values(@Nullable Columns columns) {
        return columns == null ? null : columns.values();
    }

    private DeviceBuffer from(DeviceBuffer all) {
        return all.slice(first, all.elements() - first);
    }

    private boolean overlaps(Columns other) {
        return tensor == other.tensor
                && first < other.first + other.count
                && other.first < first + count;
    }

    /**
     * Gradients for kernels that write those of column ranges, in memory of the whole tensors. Disjoint ranges of one tensor
     * share its gradient; columns in no range get gradient 0.
     */
    static final class Gradients {
        private final Tape tape;
        private final @Nullable Columns[] ranges;

        /** The first range whose gradient memory range i shares. */
        private final int[] owners;

        private final Tape.@Nullable Gradient[] gradients;

        Gradients(Tape tape, @Nullable Columns... ranges) {
            this.tape = tape;
            this.ranges = ranges;
            this.owners = new int[ranges.length];
            this.gradients = new Tape.Gradient[ranges.length];
            for (int i = 0; i < ranges.length; i++) {
                owners[i] = owner(i);
            }
            for (int i = 0; i < ranges.length; i++) {
                if (ranges[i] != null) {
                    gradients[i] = owners[i] < i ? gradients[owners[i]] : fresh(i);
                }
            }
        }

        /** Where the gradient of range i is written; null if it is absent or wants none. */
        @Nullable DeviceBuffer of(int i) {
            return gradients[i] == null ? null : ranges[i].from(gradients[i].buffer());
        }

        /** Where a kernel that must have it writes the gradient of range i, even if nobody wants it. */
        DeviceBuffer required(int i) {
            if (gradients[owners[i]] == null) {
                gradients[owners[i]] = tape.newGradient(ranges[i].tensor);
            }
            gradients[i] = gradients[owners[i]];
            return ranges[i].from(gradients[i].buffer());
        }

        /** Hands over what was written. */
        void give() {
            for (int i = 0; i < ranges.length; i++) {
                if (owners[i] == i && gradients[i] != null) {
                    tape.give(gradients[i], ranges[i].tensor);
                }
            }
        }

        private int owner(int i) {
            for (int j = 0; j < i; j++) {
                if (ranges[i] != null
                        && ranges[j] != null
                        && owners[j] == j
                        && ranges[j].tensor == ranges[i].tensor
                        && isDisjoint(j, i)) {
                    return j;
                }
            }
            return i;
        }

        /** Whether range i overlaps none of those before it that share the memory of {@code owner}. */
        private boolean isDisjoint(int owner, int i) {
            for (int j = owner; j < i; j++) {
                if (ranges[j] != null && owners[j] == owner && ranges[j].overlaps(ranges[i])) {
                    return false;
                }
            }
            return true;
        }

        private Tape.@Nullable Gradient fresh(int owner) {
            Tensor tensor = ranges[owner].tensor;
            var gradient = tape.writeGradient(tensor);
            int covered = 0;
            for (int i = owner; i < ranges.length; i++) {
                covered += ranges[i] != null && owners[i] == owner ? ranges[i].count : 0;
            }
            if (gradient != null && covered < tensor.size(-1)) {
                tape.stream().zero(gradient.buffer());
            }
            return gradient;
        }
    }
}
