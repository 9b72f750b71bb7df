/**
 * Attention against its rivals in one go: how well each mixer recalls, what it keeps per row, and what its training steps cost
 * at growing lengths.
 */
@org.jspecify.annotations.NullMarked
package dev.panthera.compare;
