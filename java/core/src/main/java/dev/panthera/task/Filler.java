package dev.panthera.task;

/** What stands at positions that carry no information. */
public enum Filler {
    /** Tokens uniform over the whole vocabulary; they may equal a key or value of the same row. */
    RANDOM,
    /** Token 0, which is never a key or value. */
    ZERO
}
