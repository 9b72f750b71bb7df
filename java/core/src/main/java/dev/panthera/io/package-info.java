/** Tensor files: the safetensors format, and files that appear whole or not at all. */
@NullMarked
package dev.panthera.io;

import org.jspecify.annotations.NullMarked;
