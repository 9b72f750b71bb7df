/**
 * Benchmarks of what Java adds to the kernels, with JMH: calls through the bindings, rows of data, the tape. The kernels
 * themselves are measured by {@code ./panthera bench}.
 */
@org.jspecify.annotations.NullMarked
package dev.panthera.benchmarks;
