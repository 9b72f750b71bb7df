package dev.panthera.nn;

/**
 * A record that holds parameters: its components of type {@link dev.panthera.tensor.Tensor}, of this type, or lists of
 * them, belong to the model.
 */
public interface Parameterized {}
