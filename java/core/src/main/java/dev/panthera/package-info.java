/** What every package of Panthera shares. */
@NullMarked
package dev.panthera;

import org.jspecify.annotations.NullMarked;
