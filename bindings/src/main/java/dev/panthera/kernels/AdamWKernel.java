package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_adamw_desc;
import java.lang.foreign.MemorySegment;

/**
 * One step of AdamW over a flat array of parameters, in one pass:
 * <pre>
 * p *= 1 - learningRate * weightDecay
 * m = beta1 m + (1 - beta1) g      v = beta2 v + (1 - beta2) g^2
 * p -= learningRate / biasCorrection1 * m / (sqrt(v / biasCorrection2) + epsilon)
 * </pre>
 * Source: Loshchilov and Hutter 2019 (arXiv 1711.05101), algorithm 2, with the schedule folded into learningRate.
 *
 * @param count parameters
 */
public record AdamWKernel(long count) {

    /**
     * Does a step. All arrays have {@code count} elements of {@link Device#parameterType()}.
     *
     * @param state      learning rate and so on
     * @param parameters p, updated
     * @param gradients  g
     * @param expAvg     m, updated
     * @param expAvgSq   v, updated
     */
    public void step(
            DeviceStream stream,
            AdamWState state,
            DeviceBuffer parameters,
            DeviceBuffer gradients,
            DeviceBuffer expAvg,
            DeviceBuffer expAvgSq) {
        synchronized (stream) {
            KernelCall call = stream.call("adamw_step", this);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_adamw_step(
                            call.stream(),
                            describe(call),
                            call.block("state", state),
                            call.output("parameters", parameters, real, count),
                            call.input("gradients", gradients, real, count),
                            call.output("exp_avg", expAvg, real, count),
                            call.output("exp_avg_sq", expAvgSq, real, count)));
        }
    }

    private MemorySegment describe(KernelCall call) {
        MemorySegment desc = call.descriptor();
        pan_adamw_desc.struct_size(desc, (int) pan_adamw_desc.sizeof());
        pan_adamw_desc.reserved(desc, 0);
        pan_adamw_desc.count(desc, count);
        return desc;
    }
}
