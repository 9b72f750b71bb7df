/** Benchmarks of kernels, training steps and machine ceilings, and the programs that they are compared with. */
@org.jspecify.annotations.NullMarked
package dev.panthera.bench;
