/**
 * Parity with the original implementation: reruns cases whose inputs, parameters, outputs and gradients were recorded
 * from it, and reports how far ours are from theirs. {@link dev.panthera.parity.Parity} is the entry; a family of cases
 * is one class that implements {@code ParityCase}.
 */
@org.jspecify.annotations.NullMarked
package dev.panthera.parity;
