// The choice of blocks. A block of threads forms the scores of a tile of queries in its part of the workspace; then each
// warp takes queries, finds the k-th largest score bit by bit and lists what is above.
#include "../core/float_rank.h"
#include "../core/pooled_blocks.h"
#include "score_tile.cuh"

namespace {

// Blocks of threads, each with scores of its own: enough to fill a device, and fewer where rows are long.
constexpr int64_t MOST_TEAMS = 1024, LEAST_TEAMS = 128, TEAM_FLOATS = 1 << 24;

struct top_k_job {
    pan_block_top_k_desc desc;
    int64_t query_tiles;
    int64_t stride; // of rows of scores
    const float *q, *key;
    int32_t *listed;
    float *scores; // (teams, TILE, stride)
};

// A tile of queries of a key head.
struct chooser {
    int64_t b;
    int64_t kv_head;
    int64_t first;
    int count;
    int64_t blocks; // that have ended before the last of them
};

__device__ chooser chooser_at(const top_k_job &job, int64_t item) {
    const pan_block_top_k_desc &desc = job.desc;
    const int64_t head = item / job.query_tiles, first = item % job.query_tiles * TILE, left = desc.length - first;
    const int count = static_cast<int>(left < TILE ? left : TILE);
    return {head / desc.kv_heads, head % desc.kv_heads, first, count,
            pan_ended_blocks(desc.blocks, desc.block_size, desc.first + first + count - 1)};
}

// An operand like across_columns: sums of the rows of a group's query heads.
struct across_group {
    const float *first; // of the group's first head
    int64_t head_stride, group;
    int64_t row_stride, rows, columns;
    int64_t first_row;

    __device__ across_columns<matrix> head(const matrix &x) const {
        return {x, first_row};
    }

    __device__ float4 fetch(int64_t k) const {
        float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        for (int64_t h = 0; h < group; h++) {
            const matrix x = make_matrix(first + h * head_stride, row_stride, rows, columns);
            const float4 part = head(x).fetch(k);
            sum = make_float4(sum.x + part.x, sum.y + part.y, sum.z + part.z, sum.w + part.w);
        }
        return sum;
    }

    __device__ void store(tile_line *piece, float4 values) const {
        const matrix x = {};
        head(x).store(piece, values);
    }
};

// Scores of the tile, by all threads.
__device__ void form_scores(const top_k_job &job, const chooser &queries, float *scores, tile_pieces &pieces) {
    const pan_block_top_k_desc &desc = job.desc;
    const int64_t group = desc.heads / desc.kv_heads;
    const float *const first_head =
        job.q + queries.b * desc.q.batch_stride + queries.kv_head * group * desc.q.head_stride;
    const across_group q = {first_head,  desc.q.head_stride, group,        desc.q.length_stride,
                            desc.length, desc.head_dim,      queries.first};
    const matrix key = make_matrix(job.key + queries.b * desc.key.batch_stride + queries.kv_head * desc.key.head_stride,
                                   desc.key.length_stride, queries.blocks, desc.head_dim);
    const float factor = desc.scale / static_cast<float>(group);
    for (int64_t first_key = 0; first_key < queries.blocks; first_key += TILE) {
        tile_sums products = {};
        multiply_matrices(products, q, across(key, first_key), 0, desc.head_dim, pieces);
        scale_tile(products, factor);
        write_tile(scores, job.stride, queries.count, queries.blocks, first_key, products);
    }
}

// How many of `count` scores have a rank of at least `bound`, in all lanes of a warp.
__device__ inline int64_t count_from(const float *row, int64_t count, uint32_t bound) {
    const int lane = static_cast<int>(threadIdx.x) % WARP_THREADS;
    int64_t found = 0;
    for (int64_t j = lane; j < count; j += WARP_THREADS) {
        found += pan_rank(row[j]) >= bound;
    }
    return warp_reduce(found, plus());
}

// The rank of the k-th largest; 0 if not that many have one.
__device__ inline uint32_t rank_of_kth(const float *row, int64_t count, int64_t k) {
    uint32_t found = 0;
    for (uint32_t bit = 0x80000000u; bit != 0 && count >= k; bit >>= 1) {
        if (count_from(row, count, found | bit) >= k) {
            found |= bit;
        }
    }
    return found;
}

// A score's weight exceeds the least one if score - shift > bound.
struct least_weight {
    float shift;
    float bound;
};

__device__ inline least_weight least_weight_of(const pan_block_top_k_desc &desc, const float *row, int64_t count) {
    const int lane = static_cast<int>(threadIdx.x) % WARP_THREADS;
    float max = PAN_DUMMY_SCORE;
    for (int64_t j = lane; j < count; j += WARP_THREADS) {
        max = larger()(max, row[j]);
    }
    const float shift = score_shift(warp_reduce(max, larger()));
    float sum = 0.0f;
    for (int64_t j = lane; j < count; j += WARP_THREADS) {
        sum += expf(row[j] - shift);
    }
    sum = warp_reduce(sum, plus()) + expf(PAN_DUMMY_SCORE - shift);
    return {shift, logf(desc.min_weight * sum)};
}

// Lists the blocks of a row of scores, by a warp.
__device__ void list_blocks(const pan_block_top_k_desc &desc, const float *row, int64_t count, int32_t *list) {
    const int lane = static_cast<int>(threadIdx.x) % WARP_THREADS;
    const unsigned before = (1u << lane) - 1;
    const uint32_t bound = rank_of_kth(row, count, desc.k);
    const bool weighed = desc.min_weight >= 0.0f;
    const least_weight least = weighed ? least_weight_of(desc, row, count) : least_weight{};
    // Of those that equal the k-th, so many are chosen.
    int64_t equal = bound == 0 ? 0 : desc.k - count_from(row, count, bound + 1);
    int64_t listed = 0;
    for (int64_t j = 0; j < count; j += WARP_THREADS) {
        const float x = j + lane < count ? row[j + lane] : NAN;
        const uint32_t rank = pan_rank(x);
        const unsigned equals = __ballot_sync(WHOLE_WARP, rank == bound && bound != 0);
        const bool chosen = rank > bound || (rank == bound && __popc(equals & before) < equal);
        const bool in = chosen && (!weighed || x - least.shift > least.bound);
        const unsigned all = __ballot_sync(WHOLE_WARP, in);
        if (in) {
            list[listed + __popc(all & before)] = static_cast<int32_t>(j + lane);
        }
        listed += __popc(all);
        equal -= __popc(equals);
    }
    for (int64_t i = listed + lane; i < desc.k; i += WARP_THREADS) {
        list[i] = -1;
    }
}

__host__ __device__ int64_t item_count(const top_k_job &job) {
    return job.desc.batch * job.desc.kv_heads * job.query_tiles;
}

__global__ void __launch_bounds__(TILE_THREADS) top_k_kernel(top_k_job job) {
    __shared__ tile_pieces pieces;
    const pan_block_top_k_desc &desc = job.desc;
    float *const scores = job.scores + blockIdx.x * TILE * job.stride;
    const int warp = static_cast<int>(threadIdx.x) / WARP_THREADS;
    for (int64_t item = blockIdx.x; item < item_count(job); item += gridDim.x) {
        const chooser queries = chooser_at(job, item);
        __syncthreads(); // the scores may still be read
        form_scores(job, queries, scores, pieces);
        __syncthreads();
        for (int r = warp; r < queries.count; r += TILE_THREADS / WARP_THREADS) {
            const int64_t query = queries.first + r, position = desc.first + query;
            const int64_t row = (queries.b * desc.kv_heads + queries.kv_head) * desc.length + query;
            int32_t *const list = job.listed + row * (desc.k + desc.own);
            list_blocks(desc, scores + r * job.stride, pan_ended_blocks(desc.blocks, desc.block_size, position), list);
            if (desc.own != 0 && threadIdx.x % WARP_THREADS == 0) {
                list[desc.k] = static_cast<int32_t>(position / desc.block_size);
            }
        }
    }
}

top_k_job make_job(const pan_block_top_k_desc *desc) {
    top_k_job job = {};
    job.desc = *desc;
    job.query_tiles = ceil_div(desc->length, TILE);
    job.stride = ceil_div(desc->blocks, TILE) * TILE;
    return job;
}

int64_t team_count(const top_k_job &job) {
    const int64_t fitting = TEAM_FLOATS / (TILE * job.stride + 1);
    const int64_t most = fitting < LEAST_TEAMS ? LEAST_TEAMS : fitting < MOST_TEAMS ? fitting : MOST_TEAMS;
    const int64_t items = item_count(job);
    return items < most ? items : most;
}

} // namespace

pan_status cuda_block_top_k_workspace_size(pan_stream *, const pan_block_top_k_desc *desc, int64_t *bytes) {
    const top_k_job job = make_job(desc);
    *bytes = team_count(job) * TILE * job.stride * static_cast<int64_t>(sizeof(float));
    return PAN_OK;
}

pan_status cuda_block_top_k(pan_stream *stream, const pan_block_top_k_desc *desc, const void *q, const void *key,
                            int32_t *listed, void *workspace, int64_t) {
    top_k_job job = make_job(desc);
    job.q = static_cast<const float *>(q);
    job.key = static_cast<const float *>(key);
    job.listed = listed;
    job.scores = static_cast<float *>(workspace);
    return launch(stream, "block_top_k", desc->batch * desc->kv_heads * desc->length, desc->head_dim,
                  {static_cast<unsigned>(team_count(job)), TILE_THREADS}, top_k_kernel, job);
}
