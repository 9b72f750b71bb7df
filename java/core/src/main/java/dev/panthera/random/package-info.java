/** Counter-based random numbers: every draw is a pure function of (seed, purpose, stream, index). */
@NullMarked
package dev.panthera.random;

import org.jspecify.annotations.NullMarked;
