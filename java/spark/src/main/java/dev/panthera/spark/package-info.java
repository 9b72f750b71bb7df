/** Trials of a sweep on a cluster of Apache Spark. */
@NullMarked
package dev.panthera.spark;

import org.jspecify.annotations.NullMarked;
