/* Attention of chosen queries, forward. Which positions are chosen follows from the input, so no output may depend on
 * what is chosen later: a sequence's list is cut into tiles at fixed places, a tile that is not full is padded, and its
 * products have the shapes that it would have if it were. Queries in front of a block of keys are left out of products:
 * what follows them may depend on them. */
#include "selected_attention.h"

enum {
    KEY_BLOCK = 128, /* keys of a tile; with few queries more would not be faster */
    FIRST_TILE = 16  /* queries of the first two tiles; the next has twice as many, all others QUERY_BLOCK */
};

typedef struct selected_job {
    const pan_attention_desc *desc;
    const pan_attention_desc *listed;
    const int32_t *list;
    weight_dropout dropout;
    int64_t tiles; /* of the head that has the most */
    int64_t heads; /* over the batch */
    int64_t task_heads;
    const float *q;
    const float *k;
    const float *v;
    float *o;
    float *lse;
    char *workspace;
    int64_t worker_bytes;
} selected_job;

/* The queries that a tile has if it is full: from a multiple of its size on. */
static tile_range full_tile(int64_t tile) {
    if (tile < 3) {
        const int64_t begin = tile == 0 ? 0 : FIRST_TILE << (tile - 1);
        return (tile_range){begin, FIRST_TILE << tile};
    }
    return (tile_range){(tile - 2) * QUERY_BLOCK, (tile - 1) * QUERY_BLOCK};
}

/* Tiles of a list. */
static int64_t tile_count(int64_t queries) {
    int64_t tiles = ceil_div(queries, QUERY_BLOCK) + 2;
    while (tiles > 0 && full_tile(tiles - 1).begin >= queries) {
        tiles--;
    }
    return tiles;
}

/* Some queries of a head, and memory for what belongs to them. */
typedef struct selected_tile {
    int64_t head;
    int64_t count;
    int64_t rows;                  /* `count` ones and the padding */
    int64_t position[QUERY_BLOCK]; /* the padding's is that of the last query */
    float max[QUERY_BLOCK];        /* of the scores so far ... */
    float sum[QUERY_BLOCK];        /* ... and the sum of their exponentials, relative to that */
    float factor[QUERY_BLOCK];     /* by which what was summed before shrinks */
    float *q;                      /* (rows, head_dim), likewise o and product; the padding's are zeros */
    float *o;
    float *product;
    float *scores;  /* (rows, storage of KEY_BLOCK) */
    float *scratch; /* of causal_multiply() */
} selected_tile;

static int64_t row_bytes(const pan_attention_desc *desc) {
    return align_up(QUERY_BLOCK * desc->head_dim * (int64_t) sizeof(float));
}

static int64_t worker_bytes(const pan_attention_desc *desc) {
    const int64_t product = causal_scratch_floats(QUERY_BLOCK + KEY_BLOCK, desc->head_dim);
    return 3 * row_bytes(desc) + tile_bytes(KEY_BLOCK) + align_up(product * (int64_t) sizeof(float));
}

static selected_tile tile_in(const pan_attention_desc *desc, char *memory) {
    const int64_t bytes = row_bytes(desc);
    return (selected_tile){.q = (float *) memory,
                           .o = (float *) (memory + bytes),
                           .product = (float *) (memory + 2 * bytes),
                           .scores = (float *) (memory + 3 * bytes),
                           .scratch = (float *) (memory + 3 * bytes + tile_bytes(KEY_BLOCK))};
}

static void start_tile(const selected_job *job, int64_t head, const head_queries *queries, tile_range full,
                       selected_tile *tile) {
    const pan_attention_desc *desc = job->desc;
    const size_t bytes = (size_t) desc->head_dim * sizeof(float);
    tile->head = head;
    tile->count = min_i64(full.end, queries->count) - full.begin;
    tile->rows = full.end - full.begin;
    for (int64_t r = 0; r < tile->rows; r++) {
        tile->position[r] = query_position(queries, full.begin + min_i64(r, tile->count - 1));
        tile->max[r] = -INFINITY;
        tile->sum[r] = 0.0f;
        float *q = tile->q + r * desc->head_dim;
        if (r < tile->count) {
            memcpy(q, job->q + head_offset(desc, &desc->q, head) + tile->position[r] * desc->q.length_stride, bytes);
        } else {
            memset(q, 0, bytes);
        }
    }
    memset(tile->o, 0, (size_t) tile->rows * bytes);
}

/* Keys of a block that a query sees, counted from the block's first; if none, an end that is not behind the beginning. */
static tile_range visible_keys(const pan_attention_desc *desc, int64_t position, tile_range block) {
    const tile_range seen = {first_visible(desc, position), position + 1};
    const tile_range both = tile_overlap(seen, block);
    return (tile_range){both.begin - block.begin, both.end - block.begin};
}

/* Turns scores into weights: dropout included, and 0 where a query does not see the key. */
static void weigh_tile(const selected_job *job, selected_tile *tile, int64_t first, tile_range block, int64_t storage) {
    const pan_attention_desc *desc = job->desc;
    for (int64_t r = first; r < tile->count; r++) {
        float *row = tile->scores + r * storage;
        const tile_range keys = visible_keys(desc, tile->position[r], block);
        int64_t written = 0;
        tile->factor[r] = 1.0f;
        if (keys.begin < keys.end) {
            tile->factor[r] = weigh_scores(row, keys, &tile->max[r], &tile->sum[r]);
            drop_weights(&job->dropout, (uint64_t) (tile->head * desc->length + tile->position[r]), block.begin, row,
                         keys.end);
            written = score_storage(keys.end);
        }
        memset(row + written, 0, (size_t) (storage - written) * sizeof *row);
    }
}

/* o = factor o + product, for the queries that see a key of the block. */
static void add_product(const pan_attention_desc *desc, const selected_tile *tile, int64_t first, tile_range block) {
    for (int64_t r = first; r < tile->count; r++) {
        const tile_range keys = visible_keys(desc, tile->position[r], block);
        float *o = tile->o + r * desc->head_dim;
        const float *product = tile->product + r * desc->head_dim;
        for (int64_t c = 0; keys.begin < keys.end && c < desc->head_dim; c++) {
            o[c] = o[c] * tile->factor[r] + product[c];
        }
    }
}

static void add_keys(const selected_job *job, selected_tile *tile, tile_range block) {
    const pan_attention_desc *desc = job->desc;
    const int64_t keys = block.end - block.begin, storage = score_storage(keys);
    const int64_t k_stride = key_stride(desc, &desc->k), v_stride = key_stride(desc, &desc->v);
    int64_t first = 0;
    while (tile->position[first] < block.begin) {
        first++;
    }
    const int64_t row = first * desc->head_dim;
    pan_gemm(false, true, tile->rows - first, keys, desc->head_dim, desc->scale, tile->q + row, desc->head_dim,
             job->k + head_offset(desc, &desc->k, tile->head) + block.begin * k_stride, k_stride, 0.0f,
             tile->scores + first * storage, storage);
    weigh_tile(job, tile, first, block, storage);
    const causal_product product = {.m = tile->rows - first,
                                    .n = desc->head_dim,
                                    .k = keys,
                                    .position = tile->position + first,
                                    .window = attention_window(desc),
                                    .first_key = block.begin,
                                    .alpha = 1.0f,
                                    .beta = 0.0f,
                                    .w = tile->scores + first * storage,
                                    .w_stride = storage,
                                    .x = job->v + head_offset(desc, &desc->v, tile->head) + block.begin * v_stride,
                                    .x_stride = v_stride,
                                    .c = tile->product + row,
                                    .c_stride = desc->head_dim};
    causal_multiply(&product, tile->scratch);
    add_product(desc, tile, first, block);
}

static void finish_tile(const selected_job *job, const selected_tile *tile) {
    const pan_attention_desc *desc = job->desc;
    for (int64_t r = 0; r < tile->count; r++) {
        float *o = job->o + head_offset(desc, &desc->o, tile->head) + tile->position[r] * desc->o.length_stride;
        for (int64_t c = 0; c < desc->head_dim; c++) {
            o[c] = tile->o[r * desc->head_dim + c] * (1.0f / tile->sum[r]);
        }
        job->lse[tile->head * desc->length + tile->position[r]] = score_shift(tile->max[r]) + logf(tile->sum[r]);
    }
}

/* A tile of some heads, the longest first, so that none is left for the end. */
static void selected_task(void *context, int64_t task, int32_t worker) {
    const selected_job *job = context;
    const pan_attention_desc *desc = job->desc;
    const tile_range full = full_tile(job->tiles - 1 - task % job->tiles);
    const tile_range heads = tile_at(task / job->tiles, job->task_heads, job->heads);
    selected_tile tile = tile_in(desc, job->workspace + worker * job->worker_bytes);
    for (int64_t head = heads.begin; head < heads.end; head++) {
        const head_queries queries = queries_of(job->listed, job->list, head);
        if (full.begin >= queries.count) {
            continue;
        }
        start_tile(job, head, &queries, full, &tile);
        const int64_t first = first_visible(desc, tile.position[0]) / QUERY_BLOCK * QUERY_BLOCK;
        for (int64_t key = first; key <= tile.position[tile.count - 1]; key += KEY_BLOCK) {
            add_keys(job, &tile, (tile_range){key, min_i64(key + KEY_BLOCK, desc->length)});
        }
        finish_tile(job, &tile);
    }
}

pan_status PAN_BODY(selected_attention_forward_workspace_size)(pan_stream *stream, const pan_attention_desc *desc,
                                                               int64_t *bytes) {
    *bytes = list_bytes(desc) + pan_pool_threads(stream->device->pool) * worker_bytes(desc);
    return PAN_OK;
}

pan_status PAN_BODY(selected_attention_forward)(pan_stream *stream, const pan_attention_desc *desc,
                                                const pan_random_state *random, const void *chosen, const void *q,
                                                const void *k, const void *v, void *o, float *lse, void *workspace,
                                                int64_t workspace_bytes) {
    (void) workspace_bytes;
    pan_pool *pool = stream->device->pool;
    int32_t *list = workspace;
    const pan_attention_desc listed = listed_desc(desc, list_chosen(desc, chosen, list));
    clear_unchosen(pool, desc, chosen, o, &desc->o, lse);
    if (listed.queries == 0) {
        return PAN_OK;
    }
    selected_job job = {.desc = desc,
                        .listed = &listed,
                        .list = list,
                        .dropout = dropout_of(desc, random),
                        .tiles = tile_count(most_queries(&listed, list)),
                        .heads = desc->batch * desc->heads,
                        .task_heads = heads_per_task(&listed, 2),
                        .q = q,
                        .k = k,
                        .v = v,
                        .o = o,
                        .lse = lse,
                        .workspace = (char *) workspace + list_bytes(desc),
                        .worker_bytes = worker_bytes(desc)};
    pan_parallel(pool, job.tiles * ceil_div(job.heads, job.task_heads), selected_task, &job);
    return PAN_OK;
}
