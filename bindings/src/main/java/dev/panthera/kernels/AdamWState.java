package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_adamw_state;
import java.lang.foreign.MemorySegment;

/**
 * Device memory with what {@link AdamWKernel} needs and changes from step to step. Owns its block.
 *
 * @param block the {@code pan_adamw_state}
 */
public record AdamWState(DeviceBuffer block) implements StepState {

    /**
     * What a step does.
     *
     * @param learningRate of this step, from the schedule
     * @param beta1        decay of the mean of gradients, in [0, 1)
     * @param beta2        decay of the mean of squared gradients, in [0, 1)
     * @param epsilon      added to the root of the mean square
     * @param weightDecay  decoupled decay of the parameters
     * @param step         counted from 1; bias corrections are {@code 1 - beta^step}
     * @param skip         whether the step changes nothing
     */
    public record Step(
            double learningRate,
            double beta1,
            double beta2,
            double epsilon,
            double weightDecay,
            long step,
            boolean skip) {}

    /** A block whose contents are undefined until {@link #write}. */
    public static AdamWState allocate(Device device) {
        return new AdamWState(device.allocate(DataType.BYTE, pan_adamw_state.sizeof()));
    }

    /**
     * Lets the stream's steps from here on change nothing if a number that the device computes is not zero; the next
     * {@link #write} ends it. So a step can depend on its own gradients without a look at them by the host.
     *
     * @param flag (1) of F32, F64 or I32, read when the stream gets here; a floating-point zero must be positive
     */
    public void skipUnlessZero(DeviceStream stream, DeviceBuffer flag) {
        // The field is an integer that means "skip" unless all of its bits are 0, which +0 has of
        // any type.
        stream.copy(block.view(pan_adamw_state.skip$offset(), flag.type(), 1), flag);
    }

    /** Sets what the stream's steps from here on do. */
    public void write(DeviceStream stream, Step values) {
        synchronized (stream) {
            KernelCall call = stream.call("adamw_state_write", values);
            if (values.step() < 1) {
                throw call.invalid("step is %d; expected at least 1".formatted(values.step()));
            }
            MemorySegment struct = call.descriptor();
            pan_adamw_state.learning_rate(struct, values.learningRate());
            pan_adamw_state.beta1(struct, values.beta1());
            pan_adamw_state.beta2(struct, values.beta2());
            pan_adamw_state.epsilon(struct, values.epsilon());
            pan_adamw_state.weight_decay(struct, values.weightDecay());
            pan_adamw_state.bias_correction1(struct, 1 - Math.pow(values.beta1(), values.step()));
            pan_adamw_state.bias_correction2(struct, 1 - Math.pow(values.beta2(), values.step()));
            pan_adamw_state.skip(struct, values.skip() ? 1 : 0);
            call.finish(
                    PantheraAbi.pan_copy_to_device(
                            call.stream(),
                            call.block("state", this),
                            struct,
                            pan_adamw_state.sizeof()));
        }
    }
}
