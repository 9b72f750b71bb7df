package dev.panthera.tensor;

/**
 * Attention over some of the keys, and what it takes to join it with attention over others. Both tensors pass gradients on.
 *
 * @param o {@code (batch, length, heads * head_dim)}: the values of the keys, weighted; 0 of a query without keys
 * @param logSumExp {@code (batch, heads, length)}: the logarithm of the sum of the scores' exponentials; -infinity of a query
 *     without keys
 */
public record PartialAttention(Tensor o, Tensor logSumExp) {}
