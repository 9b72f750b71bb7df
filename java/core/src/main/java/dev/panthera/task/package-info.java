/** Synthetic tasks, their rows, and the batches that training and evaluation visit. */
@NullMarked
package dev.panthera.task;

import org.jspecify.annotations.NullMarked;
