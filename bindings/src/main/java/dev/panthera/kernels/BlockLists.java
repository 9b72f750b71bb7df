package dev.panthera.kernels;

import dev.panthera.kernels.abi.pan_block_lists;
import java.lang.foreign.MemorySegment;

/**
 * What an array of lists of blocks of keys means: I32 {@code (batches, heads, ceil(length / queries), slots)}. An entry j is the
 * block of the positions from {@code j * blockSize} on, -1 none. A list names a block once at most; the entries' order makes no
 * difference but for rounding.
 *
 * @param slots     entries of a list
 * @param blockSize positions of a block
 * @param queries   neighbouring queries that share a list
 * @param batches   the batch, or 1: all sequences share their lists
 * @param heads     the heads of keys, or 1: all heads share their lists
 */
public record BlockLists(long slots, long blockSize, long queries, long batches, long heads) {

    /** There are no lists. */
    public static final BlockLists NONE = new BlockLists(0, 0, 0, 0, 0);

    /** Entries of all lists, for sequences of a length. */
    public long elements(long length) {
        if (queries <= 0) {
            return 0;
        }
        return Sizes.product(
                Sizes.product(batches, heads), Math.ceilDiv(Math.max(length, 0), queries), slots);
    }

    /** Fills a {@code pan_block_lists}. */
    void write(MemorySegment struct) {
        pan_block_lists.slots(struct, slots);
        pan_block_lists.block_size(struct, blockSize);
        pan_block_lists.queries(struct, queries);
        pan_block_lists.batches(struct, batches);
        pan_block_lists.heads(struct, heads);
    }
}
