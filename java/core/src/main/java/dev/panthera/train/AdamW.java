package dev.panthera.train;

import dev.panthera.kernels.AdamWKernel;
import dev.panthera.kernels.AdamWState;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.DeviceStream;
import dev.panthera.tensor.ParameterStore;

/**
 * AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) over all trainable parameters, weight decay included; see
 * {@link AdamWKernel}.
 */
public final class AdamW implements AutoCloseable {

    /**
     * @param beta1 decay of the first moment
     * @param beta2 decay of the second moment
     * @param epsilon added to the root of the second moment
     * @param weightDecay decoupled from the gradient; 0 is Adam
     */
    public record Options(double beta1, double beta2, double epsilon, double weightDecay) {

        /** The usual betas and epsilon. */
        public static Options withWeightDecay(double weightDecay) {
            return new Options(0.9, 0.999, 1e-8, weightDecay);
        }
    }

    private final OwnedResources owned = new OwnedResources();
    private final Options options;
    private final ParameterStore parameters;
    private final AdamWKernel kernel;
    private final AdamWState state;
    private final DeviceBuffer firstMoment;
    private final DeviceBuffer secondMoment;
    private long steps;

    public AdamW(Device device, DeviceStream stream, ParameterStore parameters, Options options) {
        this.options = options;
        this.parameters = parameters;
        kernel = new AdamWKernel(parameters.trainableElements());
        var type = parameters.trainable().type();
        try {
            state = owned.own(AdamWState.allocate(device));
            firstMoment = owned.own(device.allocate(type, parameters.trainableElements()));
            secondMoment = owned.own(device.allocate(type, parameters.trainableElements()));
        } catch (RuntimeException | Error failure) {
            owned.closeAfter(failure);
            throw failure;
        }
        stream.zero(firstMoment);
        stream.zero(secondMoment);
    }

    /** Number of steps made. */
    public long steps() {
        return steps;
    }

    /** Running mean of gradients, laid out as {@link ParameterStore#trainable()}. */
    public DeviceBuffer firstMoment() {
        return firstMoment;
    }

    /** Running mean of squared gradients, likewise. */
    public DeviceBuffer secondMoment() {
        return secondMoment;
    }

    /** Says how many steps the moments have seen, when they were restored from a checkpoint. */
    public void restoreSteps(long count) {
        steps = count;
    }

    /** One step down the gradients of the parameters. */
    public void step(DeviceStream stream, double learningRate) {
        begin(stream, learningRate);
        apply(stream);
    }

    /** Says what the next {@link #apply} does. Counts the step. */
    void begin(DeviceStream stream, double learningRate) {
        steps++;
        state.write(
                stream,
                new AdamWState.Step(
                        learningRate,
                        options.beta1(),
                        options.beta2(),
                        options.epsilon(),
                        options.weightDecay(),
                        steps,
                        false));
    }

    /** Lets the next {@link #apply} change nothing if a number is not zero that the device computes before. */
    void skipUnlessZero(DeviceStream stream, DeviceBuffer flag) {
        state.skipUnlessZero(stream, flag);
    }

    /** Makes the step that {@link #begin} has described, without any copy from the host. */
    void apply(DeviceStream stream) {
        kernel.step(
                stream,
                state,
                parameters.trainable(),
                parameters.gradients(),
                firstMoment,
                secondMoment);
    }

    @Override
    public void close() {
        owned.close();
    }
}
