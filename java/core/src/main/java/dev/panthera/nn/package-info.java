/**
 * Building blocks of models: records that hold parameter tensors and apply operations to activations. A block's parameters
 * and their names are found by walking its record components; see {@link dev.panthera.nn.Parameters}.
 */
@org.jspecify.annotations.NullMarked
package dev.panthera.nn;
