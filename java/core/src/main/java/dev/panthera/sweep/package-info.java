/** Many runs as one experiment: grids of trials, a store that keeps every finished one, and engines that carry them out. */
@NullMarked
package dev.panthera.sweep;

import org.jspecify.annotations.NullMarked;
