/**
 * Tensors and define-by-run automatic differentiation. A {@link dev.panthera.tensor.Tape} runs operations, each one
 * coarse kernel call forward and one backward; memory comes from a {@link dev.panthera.tensor.StepArena} that a training
 * step reuses without allocating.
 */
@org.jspecify.annotations.NullMarked
package dev.panthera.tensor;
