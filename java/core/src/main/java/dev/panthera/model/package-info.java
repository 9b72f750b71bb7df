/** Language models made of blocks: embeddings, sequence mixers, state mixers and a vocabulary head. */
@org.jspecify.annotations.NullMarked
package dev.panthera.model;
