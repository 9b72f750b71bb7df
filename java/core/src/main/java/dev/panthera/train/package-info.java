/** Training and evaluation: configurations, the training step, the loop over epochs, checkpoints and metrics. */
@org.jspecify.annotations.NullMarked
package dev.panthera.train;
