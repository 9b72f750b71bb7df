package dev.panthera.task;

/** Where rows are between epochs. Batches are the same for both. */
public enum RowStorage {
    /** Rows are made when a batch needs them; memory does not grow with their number. */
    STREAMED,
    /** Rows are made once and kept off the Java heap: 2 bytes for each id and label, 4 if the vocabulary has more than 32767 tokens. */
    MATERIALISED
}
