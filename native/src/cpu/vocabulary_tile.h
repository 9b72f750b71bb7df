/* What the passes of the vocabulary loss share: chunks of labelled rows, cut into tiles, by groups of the vocabulary.
 * Both passes recompute a tile of logits with the same GEMM call, so they see the same bits. */
#ifndef PAN_CPU_VOCABULARY_TILE_H
#define PAN_CPU_VOCABULARY_TILE_H

#include "score_row.h"
#include "tile.h"

/* Rows and columns of a tile of logits. */
enum { VOCABULARY_ROWS = 96, MAX_VOCABULARY_COLUMNS = 256, MAX_CHUNK_TILES = 10 };
enum { LOGITS_BYTES = VOCABULARY_ROWS * MAX_VOCABULARY_COLUMNS * 4 };

/* GEMM kernels treat rows left over from their own blocks differently. With a multiple of this, none is left over, and
 * a row's bits do not depend on how many other rows have labels. */
enum { ROW_GRAIN = 24 };

static inline int64_t padded_rows(int64_t rows) {
    return ceil_div(rows, ROW_GRAIN) * ROW_GRAIN;
}

typedef struct vocabulary_plan {
    int64_t columns;       /* of a tile */
    int64_t group_columns; /* of a group: the tiles that a task goes through */
    int64_t groups;
    int64_t chunk_rows; /* labelled rows handled at a time, a multiple of VOCABULARY_ROWS */
} vocabulary_plan;

/* Labelled rows in work. */
typedef struct vocabulary_chunk {
    int64_t *rows; /* their numbers */
    int64_t count;
    int64_t cursor; /* first row not yet looked at */
    float *hidden;  /* (chunk_rows, channels) gathered, every tile padded with zeros */
} vocabulary_chunk;

static inline int64_t chunk_bytes(const vocabulary_plan *plan, int64_t channels) {
    return align_up(plan->chunk_rows * (int64_t) sizeof(int64_t)) +
           align_up(plan->chunk_rows * channels * (int64_t) sizeof(float));
}

/* Places a chunk's arrays; returns what follows them. */
static inline char *place_chunk(vocabulary_chunk *chunk, const vocabulary_plan *plan, int64_t channels,
                                void *workspace) {
    char *memory = workspace;
    chunk->rows = (int64_t *) memory;
    chunk->hidden = (float *) (memory + align_up(plan->chunk_rows * (int64_t) sizeof(int64_t)));
    return memory + chunk_bytes(plan, channels);
}

#define plan_vocabulary PAN_CONCAT(pan_plan_vocabulary_, PAN_TIER, )
#define next_chunk PAN_CONCAT(pan_next_chunk_, PAN_TIER, )
#define gather_tile PAN_CONCAT(pan_gather_tile_, PAN_TIER, )

vocabulary_plan plan_vocabulary(const pan_vocabulary_loss_desc *desc);

/* Collects up to `capacity` labelled rows from the cursor on; returns how many. */
int64_t next_chunk(vocabulary_chunk *chunk, const pan_vocabulary_loss_desc *desc, const int32_t *labels,
                   int64_t capacity);

/* Copies a tile's rows of hidden side by side. */
void gather_tile(const vocabulary_chunk *chunk, const pan_vocabulary_loss_desc *desc, const float *hidden,
                 int64_t tile);

#endif
