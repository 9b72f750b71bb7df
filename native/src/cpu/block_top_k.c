/* The choice of blocks: scores of a tile of queries by one product; then the rank of each row's k-th largest, bit by bit,
 * for which each pass over the row is a count, which vectorises. */
#include "../core/float_rank.h"
#include "../core/pooled_blocks.h"
#include "score_row.h"
#include "tile.h"

enum { TOP_K_QUERIES = 64, TOP_K_TASK_FLOPS = 2 << 20, TOP_K_TILE_FLOPS = 1 << 17 };

typedef struct top_k_job {
    const pan_block_top_k_desc *desc;
    int64_t query_tiles; /* of a head */
    int64_t task_tiles;
    const float *q;
    const float *key;
    int32_t *listed;
    char *workspace;
} top_k_job;

/* Scratch memory of a worker. */
typedef struct top_k_scratch {
    float *queries;  /* (TOP_K_QUERIES, head_dim): sums over the heads of a group */
    float *scores;   /* (TOP_K_QUERIES, blocks), rows of whole vectors */
    uint32_t *ranks; /* of a row */
} top_k_scratch;

static int64_t queries_bytes(const pan_block_top_k_desc *desc) {
    return align_up(TOP_K_QUERIES * desc->head_dim * (int64_t) sizeof(float));
}

static int64_t scores_bytes(const pan_block_top_k_desc *desc) {
    return align_up(TOP_K_QUERIES * score_storage(desc->blocks) * (int64_t) sizeof(float));
}

static int64_t worker_bytes(const pan_block_top_k_desc *desc) {
    return queries_bytes(desc) + scores_bytes(desc) + align_up(desc->blocks * (int64_t) sizeof(uint32_t));
}

/* Sums of the query heads of a group; the mean's factor is that of the scores. */
static void sum_heads(const pan_block_top_k_desc *desc, const float *q, tile_range queries, float *sums) {
    const int64_t group = desc->heads / desc->kv_heads;
    for (int64_t t = queries.begin; t < queries.end; t++, sums += desc->head_dim) {
        const float *row = q + t * desc->q.length_stride;
        memcpy(sums, row, (size_t) desc->head_dim * sizeof *sums);
        for (int64_t h = 1; h < group; h++) {
            row += desc->q.head_stride;
            for (int64_t c = 0; c < desc->head_dim; c++) {
                sums[c] += row[c];
            }
        }
    }
}

/* Which ranks are chosen: those above the bound, and so many of those that equal it. */
typedef struct choice {
    uint32_t bound;
    int64_t equal;
} choice;

static int64_t count_at_least(const uint32_t *ranks, int64_t count, uint32_t bound) {
    int32_t found = 0; /* a sequence has not more blocks than that holds */
    for (int64_t j = 0; j < count; j++) {
        found += ranks[j] >= bound;
    }
    return found;
}

/* Of the k largest, or of all if there are not more. */
static choice choose(const uint32_t *ranks, int64_t count, int64_t k) {
    uint32_t bound = 0;
    int64_t least = count; /* have at least that rank */
    for (int bit = PAN_RANK_BITS - 1; bit >= 0 && least > k; bit--) {
        const uint32_t higher = bound | (1u << bit);
        const int64_t found = count_at_least(ranks, count, higher);
        if (found >= k) {
            bound = higher;
            least = found;
        }
    }
    if (least <= k) {
        return (choice){bound == 0 ? 0 : bound - 1, 0};
    }
    return (choice){bound, bound == 0 ? 0 : k - count_at_least(ranks, count, bound + 1)};
}

/* A score's weight exceeds the least one if score - shift > bound. */
typedef struct least_weight {
    float shift;
    float bound;
} least_weight;

static least_weight least_weight_of(const pan_block_top_k_desc *desc, const float *row, int64_t count) {
    const float shift = score_shift(score_max(row, count, PAN_DUMMY_SCORE));
    const float sum = vf_exp(vf_splat(PAN_DUMMY_SCORE - shift))[0] + score_exp_sum(row, count, shift);
    return (least_weight){shift, logf(desc->min_weight * sum)};
}

/* Leaves those out whose weight is too small; returns how many remain. */
static int64_t keep_heavy(const pan_block_top_k_desc *desc, const float *row, int64_t count, int32_t *list,
                          int64_t listed) {
    const least_weight least = least_weight_of(desc, row, count);
    int64_t kept = 0;
    for (int64_t i = 0; i < listed; i++) {
        const int32_t block = list[i];
        list[kept] = block;
        kept += row[block] - least.shift > least.bound;
    }
    return kept;
}

/* Lists the blocks of a row of scores. */
static void list_blocks(const pan_block_top_k_desc *desc, const float *row, int64_t count, int32_t *list,
                        uint32_t *ranks) {
    for (int64_t j = 0; j < count; j++) {
        ranks[j] = pan_rank(row[j]);
    }
    const choice chosen = choose(ranks, count, desc->k);
    int64_t listed = 0, equal = chosen.equal;
    for (int64_t j = 0; j < count && listed < desc->k; j++) {
        const int64_t above = ranks[j] > chosen.bound, equals = ranks[j] == chosen.bound;
        list[listed] = (int32_t) j; /* stays if it is chosen; branches would be mispredicted */
        listed += above | (equals & (equal > 0));
        equal -= equals;
    }
    if (desc->min_weight >= 0.0f) {
        listed = keep_heavy(desc, row, count, list, listed);
    }
    for (; listed < desc->k; listed++) {
        list[listed] = -1;
    }
}

static void list_tile(const top_k_job *job, int64_t head, tile_range queries, const top_k_scratch *scratch) {
    const pan_block_top_k_desc *desc = job->desc;
    const int64_t b = head / desc->kv_heads, h = head % desc->kv_heads, group = desc->heads / desc->kv_heads;
    const int64_t blocks = pan_ended_blocks(desc->blocks, desc->block_size, desc->first + queries.end - 1);
    const int64_t storage = score_storage(blocks), slots = desc->k + desc->own;
    if (blocks > 0) {
        const float *q = job->q + b * desc->q.batch_stride + h * group * desc->q.head_stride;
        sum_heads(desc, q, queries, scratch->queries);
        pan_gemm(false, true, queries.end - queries.begin, blocks, desc->head_dim, 1.0f, scratch->queries,
                 desc->head_dim, job->key + b * desc->key.batch_stride + h * desc->key.head_stride,
                 desc->blocks > 1 ? desc->key.length_stride : desc->head_dim, 0.0f, scratch->scores, storage);
    }
    const float factor = desc->scale / (float) group;
    for (int64_t t = queries.begin; t < queries.end; t++) {
        const int64_t position = desc->first + t;
        const int64_t count = pan_ended_blocks(desc->blocks, desc->block_size, position);
        float *row = scratch->scores + (t - queries.begin) * storage;
        for (int64_t j = 0; j < count; j++) {
            row[j] *= factor;
        }
        int32_t *list = job->listed + (head * desc->length + t) * slots;
        list_blocks(desc, row, count, list, scratch->ranks);
        if (desc->own) {
            list[desc->k] = (int32_t) (position / desc->block_size);
        }
    }
}

static void top_k_task(void *context, int64_t task, int32_t worker) {
    const top_k_job *job = context;
    const pan_block_top_k_desc *desc = job->desc;
    char *first = job->workspace + worker * worker_bytes(desc);
    const top_k_scratch scratch = {(float *) first, (float *) (first + queries_bytes(desc)),
                                   (uint32_t *) (first + queries_bytes(desc) + scores_bytes(desc))};
    const tile_range tiles = tile_at(task, job->task_tiles, desc->batch * desc->kv_heads * job->query_tiles);
    for (int64_t i = tiles.begin; i < tiles.end; i++) {
        list_tile(job, i / job->query_tiles, tile_at(i % job->query_tiles, TOP_K_QUERIES, desc->length), &scratch);
    }
}

pan_status PAN_BODY(block_top_k_workspace_size)(pan_stream *stream, const pan_block_top_k_desc *desc, int64_t *bytes) {
    *bytes = pan_pool_threads(stream->device->pool) * worker_bytes(desc);
    return PAN_OK;
}

pan_status PAN_BODY(block_top_k)(pan_stream *stream, const pan_block_top_k_desc *desc, const void *q, const void *key,
                                 int32_t *listed, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    top_k_job job = {.desc = desc,
                     .query_tiles = ceil_div(desc->length, TOP_K_QUERIES),
                     .q = q,
                     .key = key,
                     .listed = listed,
                     .workspace = workspace};
    const double flops = (double) TOP_K_QUERIES * (double) desc->blocks * (double) desc->head_dim;
    job.task_tiles = 1 + (int64_t) (TOP_K_TASK_FLOPS / (flops + TOP_K_TILE_FLOPS));
    pan_parallel(stream->device->pool, ceil_div(desc->batch * desc->kv_heads * job.query_tiles, job.task_tiles),
                 top_k_task, &job);
    return PAN_OK;
}
