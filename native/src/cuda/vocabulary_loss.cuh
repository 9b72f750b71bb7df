// What the passes of the vocabulary loss share: the list of the labelled rows, and blocks that take tiles of logits in
// turn. How many rows have labels only the device knows, so grids are sized by the device and not by the work.
#ifndef PAN_CUDA_VOCABULARY_LOSS_CUH
#define PAN_CUDA_VOCABULARY_LOSS_CUH

#include "score_tile.cuh"

// The numbers of the rows that have a label, ascending.
struct labelled_rows {
    const int32_t *labels;
    int64_t rows;
    int64_t vocab_size;
    int32_t *list;  // (rows)
    int32_t *count; // how many of it are in use
    // The rows are cut into parts, the same for a call's shapes.
    int32_t *part_counts;
    int64_t part_rows;
    int64_t parts;

    // A label out of range counts as ignored.
    __device__ bool has_label(int64_t row) const {
        return labels[row] >= 0 && labels[row] < vocab_size;
    }
};

// Bytes of workspace for the list.
int64_t labelled_rows_bytes(const pan_vocabulary_loss_desc *desc);

// A list to be filled, in the workspace.
labelled_rows place_labelled_rows(const pan_vocabulary_loss_desc *desc, const int32_t *labels, void *workspace);

// Fills the list; reports labels out of range. `labelled_count`, which may be NULL, receives the count too.
pan_status list_labelled_rows(const pan_stream *stream, const char *op, const labelled_rows &rows,
                              int32_t *labelled_count);

// Blocks for at most `items` items of unequal or unknown number: a few rounds of all that run at once.
inline unsigned blocks_of_device(const pan_stream *stream, int64_t items) {
    constexpr int64_t BLOCKS_PER_MULTIPROCESSOR = 16;
    const int64_t most = BLOCKS_PER_MULTIPROCESSOR * state_of(stream)->device->multiprocessors;
    return static_cast<unsigned>(items < most ? items : most);
}

// The hidden states of the labelled rows [begin, begin + capacity), as far as there are so many.
__device__ inline listed_rows hidden_rows(const labelled_rows &rows, const float *hidden, int64_t stride,
                                          int64_t channels, int64_t begin, int64_t capacity) {
    const int64_t left = *rows.count - begin;
    const matrix all = make_matrix(hidden, stride, rows.rows, channels);
    return {all, rows.list + begin, left < 0 ? 0 : left < capacity ? left : capacity, channels, all.vectors};
}

__device__ inline int64_t tiles_of(int64_t rows) {
    return (rows + TILE - 1) / TILE;
}

#endif
