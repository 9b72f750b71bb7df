package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_exponential_modulation_desc;
import java.lang.foreign.MemorySegment;

/**
 * Lets an implicit filter decay: {@code y[t,c] = x[t,c] * (exp(-t * timeStep * |rate[c]|) + shift)}. Linear in x and its
 * own adjoint: backward is this function applied to dy. Source: Poli et al. 2023 (arXiv 2302.10866), eq. 7.
 *
 * @param length   positions
 * @param channels of a position
 * @param timeStep of consecutive positions, usually 1 / (longest length - 1); finite, at least 0
 * @param shift    added to the window
 */
public record ExponentialModulationKernel(
        long length, long channels, double timeStep, double shift) {

    /**
     * Computes y.
     *
     * @param x    (length, channels)
     * @param rate (channels), a parameter that gets no gradient
     * @param y    (length, channels), output; may be x
     */
    public void apply(DeviceStream stream, DeviceBuffer x, DeviceBuffer rate, DeviceBuffer y) {
        synchronized (stream) {
            KernelCall call = stream.call("exponential_modulation", this);
            DataType type = call.activationType(x);
            MemorySegment desc = call.descriptor();
            pan_exponential_modulation_desc.struct_size(
                    desc, (int) pan_exponential_modulation_desc.sizeof());
            pan_exponential_modulation_desc.dtype(desc, type.code());
            pan_exponential_modulation_desc.length(desc, length);
            pan_exponential_modulation_desc.channels(desc, channels);
            pan_exponential_modulation_desc.time_step(desc, timeStep);
            pan_exponential_modulation_desc.shift(desc, shift);
            long elements = Sizes.product(length, channels);
            call.finish(
                    PantheraAbi.pan_exponential_modulation(
                            call.stream(),
                            desc,
                            call.input("x", x, type, elements),
                            call.input("rate", rate, call.parameterType(), channels),
                            call.output("y", y, type, elements)));
        }
    }
}
