/* What the passes of the vocabulary loss share: chunks of labelled rows, cut into tiles, by groups of the vocabulary.
 * Each pass forms a tile of logits with the same GEMM call, so they see the same bits; done together, the first keeps a
 * chunk's logits for the second. */
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

/* A chunk's logits, where they are kept: (chunk_rows, stride). */
typedef struct kept_logits {
    float *values; /* NULL: they are not */
    int64_t stride;
} kept_logits;

/* What one group of the vocabulary contributes to a row. */
typedef struct row_part {
    float max;
    float sum; /* of exp(z - shift), with the shift of max */
    int32_t arg_max;
    int32_t reserved;
} row_part;

/* The losses of a chunk of rows. */
typedef struct loss_job {
    const pan_vocabulary_loss_desc *desc;
    vocabulary_plan plan;
    vocabulary_chunk *chunk;
    const float *weight;
    const int32_t *labels;
    float *row_loss;
    float *lse;
    int32_t *arg_max;
    row_part *parts;     /* (chunk_rows, groups) */
    float *label_logits; /* (chunk_rows) */
    kept_logits kept;
    char *scratch; /* of each worker: LOGITS_BYTES, where logits are not kept */
} loss_job;

/* The gradients of a chunk of rows, whose hidden states are gathered. */
typedef struct gradient_job {
    const pan_vocabulary_loss_desc *desc;
    vocabulary_plan plan;
    vocabulary_chunk *chunk;
    const float *weight;
    const int32_t *labels;
    const float *lse;
    float scale;    /* dloss / n */
    float *dhidden; /* may be NULL, as dweight */
    float *dweight;
    float *hidden_sums; /* (groups, chunk_rows, channels): the groups' parts of dhidden */
    kept_logits kept;
    char *scratch;
} gradient_job;

static inline int64_t parts_bytes(const vocabulary_plan *plan) {
    return align_up(plan->chunk_rows * plan->groups * (int64_t) sizeof(row_part)) +
           align_up(plan->chunk_rows * (int64_t) sizeof(float));
}

/* Places what a loss job sums up; returns what follows. */
static inline char *place_parts(loss_job *job, char *memory) {
    job->parts = (row_part *) memory;
    memory += align_up(job->plan.chunk_rows * job->plan.groups * (int64_t) sizeof(row_part));
    job->label_logits = (float *) memory;
    return memory + align_up(job->plan.chunk_rows * (int64_t) sizeof(float));
}

static inline int64_t hidden_sums_bytes(const vocabulary_plan *plan, int64_t channels) {
    return align_up(plan->groups * plan->chunk_rows * channels * (int64_t) sizeof(float));
}

#define plan_vocabulary PAN_CONCAT(pan_plan_vocabulary_, PAN_TIER, )
#define gather_chunk PAN_CONCAT(pan_gather_chunk_, PAN_TIER, )
#define clear_losses PAN_CONCAT(pan_clear_losses_, PAN_TIER, )
#define chunk_losses PAN_CONCAT(pan_chunk_losses_, PAN_TIER, )
#define mean_loss PAN_CONCAT(pan_mean_loss_, PAN_TIER, )
#define clear_gradients PAN_CONCAT(pan_clear_gradients_, PAN_TIER, )
#define chunk_gradients PAN_CONCAT(pan_chunk_gradients_, PAN_TIER, )

vocabulary_plan plan_vocabulary(const pan_vocabulary_loss_desc *desc);

/* Gathers the next labelled rows, from the cursor on; returns how many. */
int64_t gather_chunk(pan_pool *pool, vocabulary_chunk *chunk, const pan_vocabulary_loss_desc *desc,
                     const vocabulary_plan *plan, const float *hidden, const int32_t *labels);

/* Writes what rows without a label get. */
void clear_losses(const loss_job *job);

/* Losses, log-sum-exps and predictions of the chunk's rows. */
void chunk_losses(pan_pool *pool, loss_job *job);

/* Writes the mean over `count` labelled rows. */
void mean_loss(const loss_job *job, int64_t count, float *loss, int32_t *labelled_count);

/* Zeroes dhidden, which must not be NULL, on rows without a label. */
void clear_gradients(pan_pool *pool, gradient_job *job);

/* The chunk's rows of dhidden, and its part of dweight. */
void chunk_gradients(pan_pool *pool, gradient_job *job);

#endif
