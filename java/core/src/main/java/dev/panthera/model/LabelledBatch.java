package dev.panthera.model;

import dev.panthera.tensor.Tensor;

/**
 * Rows of a task on the device, and which of their positions have a label. Where batches of different numbers of labels shall
 * have tensors of one shape, the list of labelled positions is filled up with positions that have none.
 *
 * @param inputs int32 {@code (batch, ids of a row)}
 * @param rows int32 {@code (1, count)}, ascending: positions counted over the batch
 * @param labels int32 {@code (1, count)}: what is to be predicted there, -100 for a filling
 * @param targets int32 {@code (1, count)}: the labels, 0 for a filling
 * @param shares {@code (1, count, 1)}: what a position counts in the mean, 1 / number of labels; 0 for a filling
 */
public record LabelledBatch(
        Tensor inputs, Tensor rows, Tensor labels, Tensor targets, Tensor shares) {}
