package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_vocabulary_loss_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Cross entropy of a linear vocabulary head, over the labelled rows only:
 * <pre>
 * z[r,v] = sum_c hidden[r,c] weight[v,c]      lse[r] = log sum_v exp z[r,v]
 * rowLoss[r] = lse[r] - z[r,labels[r]]        loss = mean of rowLoss over the rows with a label; 0 without any
 * </pre>
 * The logits are formed tile by tile: no array of rows x vocabSize exists, and unlabelled rows cost nothing.
 *
 * @param rows         rows of hidden
 * @param channels     columns of hidden and weight
 * @param vocabSize    rows of weight
 * @param hiddenStride elements between rows of hidden and dhidden; at least {@code channels}
 */
public record VocabularyLossKernel(long rows, long channels, long vocabSize, long hiddenStride) {

    /** The label of a row that the loss ignores. */
    public static final int IGNORE_LABEL = PantheraAbi.PAN_IGNORE_LABEL();

    /** Of dense rows. */
    public VocabularyLossKernel(long rows, long channels, long vocabSize) {
        this(rows, channels, vocabSize, channels);
    }

    /** Bytes of scratch that {@link #forward} needs. */
    public long forwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("vocabulary_loss_forward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_vocabulary_loss_forward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes the loss, the predictions and what backward needs. A label out of range throws on the CPU and leaves the
     * outputs unspecified; on CUDA it is ignored, and {@link DeviceStream#synchronize} throws.
     *
     * @param hidden        (rows, channels)
     * @param weight        (vocabSize, channels), a parameter
     * @param labels        (rows) of I32, in [0, vocabSize) or {@link #IGNORE_LABEL}
     * @param loss          (1), a statistic, output
     * @param labelledCount (1) of I32, output: rows that have a label
     * @param rowLoss       (rows), a statistic, output: 0 where ignored
     * @param lse           (rows), a statistic, output: 0 where ignored
     * @param argMax        (rows) of I32, output: argmax_v z[r,v], the smallest such v; -1 where ignored
     * @param workspace     {@link #forwardWorkspaceBytes}; may be null if 0
     */
    public void forward(
            DeviceStream stream,
            DeviceBuffer hidden,
            DeviceBuffer weight,
            DeviceBuffer labels,
            DeviceBuffer loss,
            DeviceBuffer labelledCount,
            DeviceBuffer rowLoss,
            DeviceBuffer lse,
            DeviceBuffer argMax,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("vocabulary_loss_forward", this);
            DataType type = call.activationType(hidden);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_vocabulary_loss_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("hidden", hidden, type, hiddenExtent()),
                            call.input("weight", weight, real, weights()),
                            call.input("labels", labels, DataType.I32, rows),
                            call.output("loss", loss, real, 1),
                            call.output("labelled_count", labelledCount, DataType.I32, 1),
                            call.output("row_loss", rowLoss, real, rows),
                            call.output("lse", lse, real, rows),
                            call.output("arg_max", argMax, DataType.I32, rows),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    /** Bytes of scratch that {@link #backward} needs. */
    public long backwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("vocabulary_loss_backward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_vocabulary_loss_backward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes gradients. With n = labelledCount and
     * {@code g[r,v] = dloss / n * (exp(z[r,v] - lse[r]) - [v = labels[r]])} on labelled rows:
     * {@code dhidden[r,c] = sum_v g[r,v] weight[v,c]}, 0 on ignored rows, and
     * {@code dweight[v,c] += sum_r g[r,v] hidden[r,c]}.
     *
     * @param labelledCount of forward
     * @param lse           of forward
     * @param dloss         (1), a statistic
     * @param dhidden       written; null: not computed
     * @param dweight       added to; null: not computed
     * @param workspace     {@link #backwardWorkspaceBytes}; may be null if 0
     */
    public void backward(
            DeviceStream stream,
            DeviceBuffer hidden,
            DeviceBuffer weight,
            DeviceBuffer labels,
            DeviceBuffer labelledCount,
            DeviceBuffer lse,
            DeviceBuffer dloss,
            @Nullable DeviceBuffer dhidden,
            @Nullable DeviceBuffer dweight,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("vocabulary_loss_backward", this);
            DataType type = call.activationType(hidden);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_vocabulary_loss_backward(
                            call.stream(),
                            describe(call, type),
                            call.input("hidden", hidden, type, hiddenExtent()),
                            call.input("weight", weight, real, weights()),
                            call.input("labels", labels, DataType.I32, rows),
                            call.input("labelled_count", labelledCount, DataType.I32, 1),
                            call.input("lse", lse, real, rows),
                            call.input("dloss", dloss, real, 1),
                            call.optionalOutput("dhidden", dhidden, type, hiddenExtent()),
                            call.optionalOutput("dweight", dweight, real, weights()),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    /** Bytes of scratch that {@link #withGradient} needs. */
    public long withGradientWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("vocabulary_loss_with_gradient_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_vocabulary_loss_with_gradient_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * {@link #forward} and {@link #backward} in one call, which on the CPU forms each logit once instead of twice.
     *
     * @param dloss     (1), a statistic
     * @param dhidden   written
     * @param dweight   added to
     * @param workspace {@link #withGradientWorkspaceBytes}; may be null if 0
     */
    public void withGradient(
            DeviceStream stream,
            DeviceBuffer hidden,
            DeviceBuffer weight,
            DeviceBuffer labels,
            DeviceBuffer dloss,
            DeviceBuffer loss,
            DeviceBuffer labelledCount,
            DeviceBuffer rowLoss,
            DeviceBuffer lse,
            DeviceBuffer argMax,
            DeviceBuffer dhidden,
            DeviceBuffer dweight,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("vocabulary_loss_with_gradient", this);
            DataType type = call.activationType(hidden);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_vocabulary_loss_with_gradient(
                            call.stream(),
                            describe(call, type),
                            call.input("hidden", hidden, type, hiddenExtent()),
                            call.input("weight", weight, real, weights()),
                            call.input("labels", labels, DataType.I32, rows),
                            call.input("dloss", dloss, real, 1),
                            call.output("loss", loss, real, 1),
                            call.output("labelled_count", labelledCount, DataType.I32, 1),
                            call.output("row_loss", rowLoss, real, rows),
                            call.output("lse", lse, real, rows),
                            call.output("arg_max", argMax, DataType.I32, rows),
                            call.output("dhidden", dhidden, type, hiddenExtent()),
                            call.output("dweight", dweight, real, weights()),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private long hiddenExtent() {
        return Sizes.extent(rows, hiddenStride, channels);
    }

    private long weights() {
        return Sizes.product(vocabSize, channels);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_vocabulary_loss_desc.struct_size(desc, (int) pan_vocabulary_loss_desc.sizeof());
        pan_vocabulary_loss_desc.dtype(desc, type.code());
        pan_vocabulary_loss_desc.rows(desc, rows);
        pan_vocabulary_loss_desc.channels(desc, channels);
        pan_vocabulary_loss_desc.vocab_size(desc, vocabSize);
        pan_vocabulary_loss_desc.hidden_stride(desc, hiddenStride);
        return desc;
    }
}
