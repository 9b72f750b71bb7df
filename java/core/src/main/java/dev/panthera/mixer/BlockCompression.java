package dev.panthera.mixer;

import dev.panthera.kernels.Activation;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.Parameterized;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.ActivationOperation;
import dev.panthera.tensor.ArithmeticOperation;
import dev.panthera.tensor.PermuteOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * The network that makes one key, or value, of those of a block (Yuan et al. 2025, arXiv 2502.11089, eq. 7):
 * {@code W_2 relu(W_1 concat_i (x[i] + p[i]) + b_1) + b_2} for each head by itself, with learned p for the places in a block.
 */
public record BlockCompression(@StateName("1") Linear hidden, @StateName("3") Linear output)
        implements Parameterized {

    /**
     * @param block channels of a block: its positions times those of a head
     * @param hidden channels of the hidden layer
     */
    static BlockCompression of(int block, int hidden, int headDim, Init init) {
        return new BlockCompression(
                Linear.of(block, hidden, init), Linear.of(hidden, headDim, init));
    }

    /**
     * @param x {@code (batch, blocks * positions of a block, heads * headDim)}
     * @param places p, {@code (heads, positions of a block, headDim)}
     * @return {@code (batch, blocks, heads * headDim)}
     */
    Tensor apply(Tape tape, Tensor x, Tensor places) {
        int batch = x.size(0);
        int heads = places.size(0);
        int positions = places.size(1);
        int blocks = x.size(1) / positions;
        Tensor split =
                ReshapeOperation.apply(tape, x, batch, blocks, positions, heads, places.size(2));
        Tensor placed =
                ArithmeticOperation.apply(
                        tape,
                        ArithmeticKind.ADD,
                        PermuteOperation.apply(tape, split, 0, 1, 3, 2, 4),
                        places);
        Tensor flat = ReshapeOperation.apply(tape, placed, batch, blocks, heads, -1);
        Tensor activated =
                ActivationOperation.apply(tape, Activation.RELU, hidden.apply(tape, flat));
        return ReshapeOperation.apply(tape, output.apply(tape, activated), batch, blocks, -1);
    }
}
