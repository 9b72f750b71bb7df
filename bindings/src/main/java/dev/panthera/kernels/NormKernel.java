package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_norm_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Normalisation of every row, fused with the residual addition in front of it. With {@code sum = x + residual}:
 * <pre>
 * layer:  y = (sum - mean[r]) * rstd[r] * weight[c] + bias[c],  rstd = 1 / sqrt(var + epsilon), biased variance
 * RMS:    y = sum * rstd[r] * weight[c] + bias[c],              rstd = 1 / sqrt(mean(sum^2) + epsilon)
 * </pre>
 * Source: Ba et al. 2016 (arXiv 1607.06450), eq. 3; Zhang and Sennrich 2019 (arXiv 1910.07467), eq. 4.
 *
 * @param kind     how a row is normalised
 * @param epsilon  added to the variance (layer) or the mean square (RMS); at least 0
 * @param rows     rows of x and y
 * @param channels columns of x and y
 * @param stride   elements between rows of x, residual, sum, y and their gradients; at least {@code channels}
 */
public record NormKernel(NormKind kind, float epsilon, long rows, long channels, long stride) {

    /** Of dense rows. */
    public NormKernel(NormKind kind, float epsilon, long rows, long channels) {
        this(kind, epsilon, rows, channels, channels);
    }

    /**
     * Computes y and what backward needs.
     *
     * @param x        (rows, channels)
     * @param residual (rows, channels); null: 0
     * @param weight   (channels), a parameter
     * @param bias     (channels), a parameter; null: 0
     * @param sum      (rows, channels), output; null exactly if {@code residual} is; may be x or residual
     * @param y        (rows, channels), output
     * @param mean     (rows), a statistic, output; null exactly for RMS
     * @param rstd     (rows), a statistic, output
     */
    public void forward(
            DeviceStream stream,
            DeviceBuffer x,
            @Nullable DeviceBuffer residual,
            DeviceBuffer weight,
            @Nullable DeviceBuffer bias,
            @Nullable DeviceBuffer sum,
            DeviceBuffer y,
            @Nullable DeviceBuffer mean,
            DeviceBuffer rstd) {
        synchronized (stream) {
            KernelCall call = stream.call("norm_forward", this);
            DataType type = call.activationType(x);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_norm_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("x", x, type, extent()),
                            call.optionalInput("residual", residual, type, extent()),
                            call.input("weight", weight, real, channels),
                            call.optionalInput("bias", bias, real, channels),
                            call.optionalOutput("sum", sum, type, extent()),
                            call.output("y", y, type, extent()),
                            call.optionalOutput("mean", mean, real, rows),
                            call.output("rstd", rstd, real, rows)));
        }
    }

    /** Bytes of scratch that {@link #backward} needs. */
    public long backwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("norm_backward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_norm_backward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes gradients. With {@code g = dy * weight} and n the normalised row:
     * <pre>
     * layer:  dx = dsum + rstd * (g - mean_c(g) - n * mean_c(g n))
     * RMS:    dx = dsum + rstd * (g - n * mean_c(g n))
     * dweight[c] += sum_r dy n      dbias[c] += sum_r dy
     * </pre>
     *
     * @param sum       what forward normalised: its {@code sum}, or x where residual was null
     * @param mean      of forward; null exactly for RMS
     * @param rstd      of forward
     * @param dsum      gradient of the output {@code sum}; null: 0
     * @param dy        gradient of y
     * @param dx        gradient of x and, being the same, of residual; written; may be dsum or dy; null: not computed
     * @param dweight   added to; null: not computed
     * @param dbias     added to; null: not computed
     * @param workspace {@link #backwardWorkspaceBytes}; may be null if 0
     */
    public void backward(
            DeviceStream stream,
            DeviceBuffer sum,
            DeviceBuffer weight,
            @Nullable DeviceBuffer mean,
            DeviceBuffer rstd,
            @Nullable DeviceBuffer dsum,
            DeviceBuffer dy,
            @Nullable DeviceBuffer dx,
            @Nullable DeviceBuffer dweight,
            @Nullable DeviceBuffer dbias,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("norm_backward", this);
            DataType type = call.activationType(sum);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_norm_backward(
                            call.stream(),
                            describe(call, type),
                            call.input("sum", sum, type, extent()),
                            call.input("weight", weight, real, channels),
                            call.optionalInput("mean", mean, real, rows),
                            call.input("rstd", rstd, real, rows),
                            call.optionalInput("dsum", dsum, type, extent()),
                            call.input("dy", dy, type, extent()),
                            call.optionalOutput("dx", dx, type, extent()),
                            call.optionalOutput("dweight", dweight, real, channels),
                            call.optionalOutput("dbias", dbias, real, channels),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private long extent() {
        return Sizes.extent(rows, stride, channels);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_norm_desc.struct_size(desc, (int) pan_norm_desc.sizeof());
        pan_norm_desc.dtype(desc, type.code());
        pan_norm_desc.kind(desc, kind.code());
        pan_norm_desc.epsilon(desc, epsilon);
        pan_norm_desc.rows(desc, rows);
        pan_norm_desc.channels(desc, channels);
        pan_norm_desc.stride(desc, stride);
        return desc;
    }
}
