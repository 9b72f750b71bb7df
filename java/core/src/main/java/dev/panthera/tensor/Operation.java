package dev.panthera.tensor;

/**
 * One differentiable operation of a step: its inputs, its outputs, and what backward needs. An implementation is a small
 * record whose static factory allocates the outputs and calls {@link Tape#run}; forward and backward each make one kernel
 * call.
 */
public interface Operation {

    /** Name for messages, for example {@code "linear"}. */
    String name();

    /** Computes the outputs. */
    void forward(Tape tape);

    /**
     * Passes the gradients of the outputs on to the inputs. Every output's gradient may be null: then it is zero; at least
     * one is not null.
     */
    void backward(Tape tape);

    /** What {@link #forward} computes. Freed after {@link #backward}. */
    Tensor[] outputs();

    /** Those outputs in which NaN or infinity means that something went wrong, for {@link Tape#checkEachOperation}. */
    default Tensor[] finiteOutputs() {
        return outputs();
    }

    /** What else {@link #forward} keeps for {@link #backward}, such as statistics. Freed after {@link #backward}. */
    default Tensor[] saved() {
        return new Tensor[0];
    }

    /**
     * Floating-point operations of {@link #forward} in products and transforms, a multiply-add counting as two. 0 where
     * memory, not arithmetic, bounds the operation.
     */
    default double flops() {
        return 0;
    }

    /** Those of {@link #backward}: of a product, one for each factor. */
    default double backwardFlops() {
        return 2 * flops();
    }
}
