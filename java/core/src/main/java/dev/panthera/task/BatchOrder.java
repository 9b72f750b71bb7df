package dev.panthera.task;

/** In which order an epoch visits its rows. No batch mixes segments, whose lengths may differ. */
public enum BatchOrder {
    /** Rows are permuted within their segment, batches across segments, anew in each epoch. */
    SHUFFLED,
    /** Segment after segment, row after row, the same in each epoch: the order of the original implementation. */
    FIXED
}
