/**
 * Sequence mixers and state mixers. A mixer is one file: a configuration record and a record that holds its parameters;
 * adding one touches nothing else but a line of {@link dev.panthera.mixer.Mixers}.
 */
@org.jspecify.annotations.NullMarked
package dev.panthera.mixer;
