package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_embedding_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Token embedding, plus a learned absolute position where there is a table of them:
 * {@code y[b,t,c] = table[ids[b,t],c] + positionTable[t,c]}.
 *
 * @param batch     sequences
 * @param length    tokens of a sequence
 * @param channels  columns of the tables and of y
 * @param vocabSize rows of the token table
 * @param positions rows of the position table, at least {@code length}; 0 without one
 */
public record EmbeddingKernel(
        long batch, long length, long channels, long vocabSize, long positions) {

    /**
     * Computes y. An id out of range throws on the CPU and leaves y unspecified; on CUDA it counts as
     * zeros, and {@link DeviceStream#synchronize} throws.
     *
     * @param ids           (batch, length) of I32, in [0, vocabSize)
     * @param table         (vocabSize, channels), a parameter
     * @param positionTable (positions, channels), a parameter; null exactly if {@code positions} is 0
     * @param y             (batch, length, channels), output
     */
    public void forward(
            DeviceStream stream,
            DeviceBuffer ids,
            DeviceBuffer table,
            @Nullable DeviceBuffer positionTable,
            DeviceBuffer y) {
        synchronized (stream) {
            KernelCall call = stream.call("embedding_forward", this);
            DataType type = call.activationType(y);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_embedding_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("ids", ids, DataType.I32, tokens()),
                            call.input("table", table, real, Sizes.product(vocabSize, channels)),
                            call.optionalInput(
                                    "position_table",
                                    positionTable,
                                    real,
                                    Sizes.product(positions, channels)),
                            call.output("y", y, type, outputs())));
        }
    }

    /**
     * Computes gradients: {@code dtable[v,c] += sum of dy[b,t,c] over ids[b,t] = v} and
     * {@code dpositionTable[t,c] += sum_b dy[b,t,c]}, both in an order fixed by the shape.
     *
     * @param dtable         added to; null: not computed
     * @param dpositionTable added to; null: not computed
     */
    public void backward(
            DeviceStream stream,
            DeviceBuffer ids,
            DeviceBuffer dy,
            @Nullable DeviceBuffer dtable,
            @Nullable DeviceBuffer dpositionTable) {
        synchronized (stream) {
            KernelCall call = stream.call("embedding_backward", this);
            DataType type = call.activationType(dy);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_embedding_backward(
                            call.stream(),
                            describe(call, type),
                            call.input("ids", ids, DataType.I32, tokens()),
                            call.input("dy", dy, type, outputs()),
                            call.optionalOutput(
                                    "dtable", dtable, real, Sizes.product(vocabSize, channels)),
                            call.optionalOutput(
                                    "dposition_table",
                                    dpositionTable,
                                    real,
                                    Sizes.product(positions, channels))));
        }
    }

    private long tokens() {
        return Sizes.product(batch, length);
    }

    private long outputs() {
        return Sizes.product(batch, length, channels);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_embedding_desc.struct_size(desc, (int) pan_embedding_desc.sizeof());
        pan_embedding_desc.dtype(desc, type.code());
        pan_embedding_desc.batch(desc, batch);
        pan_embedding_desc.length(desc, length);
        pan_embedding_desc.channels(desc, channels);
        pan_embedding_desc.vocab_size(desc, vocabSize);
        pan_embedding_desc.positions(desc, positions);
        return desc;
    }
}
