// Products of which linear attention is made: of pairs within a chunk, and through states.
//
// Features are formed where they are used and never stored. A state belongs to a chunk, so that all chunks are worked on
// at once; a scan over the chunks joins them.
#ifndef PAN_CUDA_LINEAR_ATTENTION_CUH
#define PAN_CUDA_LINEAR_ATTENTION_CUH

#include "../core/linear_attention.h"
#include "tile.cuh"

static_assert(PAN_CHUNK_LENGTH % TILE == 0, "a tile of positions would belong to two chunks");

// Sizes of a call.
struct linear_shape {
    pan_linear_attention_desc desc;
    int64_t heads;    // over the batch
    int64_t features; // of a position
    int64_t columns;  // of a state: the values' channels and one for the weights
    int64_t chunk;    // positions of one
    int64_t chunks;
    float scale;                // of q . k
    float single, square, pair; // factors of x_i, x_i^2 and x_i x_j among the features
};

inline linear_shape make_linear_shape(const pan_linear_attention_desc *desc) {
    const double f = static_cast<double>(desc->feature_dim);
    const int64_t chunk = pan_chunk_length(desc);
    return {*desc,
            desc->batch * desc->heads,
            pan_feature_count(desc->features, desc->feature_dim),
            desc->value_dim + 1,
            chunk,
            ceil_div(desc->length, chunk),
            desc->features == PAN_FEATURES_TAYLOR ? static_cast<float>(1.0 / std::sqrt(f)) : 1.0f,
            static_cast<float>(1.0 / std::sqrt(std::sqrt(f))),
            static_cast<float>(1.0 / std::sqrt(2.0 * f)),
            static_cast<float>(1.0 / std::sqrt(f))};
}

inline int64_t state_elements(const linear_shape &shape) {
    return shape.features * shape.columns;
}

// ---- rows ----

// The positions of one head. Where `extended`, there is one more column, of ones.
struct head_view {
    const float *first;
    int64_t stride, rows, dim;
    bool extended;

    // 0 outside.
    __device__ float at(int64_t t, int64_t c) const {
        return t >= rows ? 0.0f : c < dim ? first[t * stride + c] : extended && c == dim ? 1.0f : 0.0f;
    }
};

// An array (batch, length, heads, dim).
struct head_array {
    const float *first;
    pan_head_layout layout;
    int64_t dim;
    bool extended;

    __device__ head_view of(const linear_shape &shape, int64_t head) const {
        const int64_t offset =
            head / shape.desc.heads * layout.batch_stride + head % shape.desc.heads * layout.head_stride;
        return {first + offset, layout.length_stride, shape.desc.length, dim, extended};
    }
};

// Of an array (batch, heads, length, columns) in the workspace.
inline pan_head_layout work_layout(const linear_shape &shape, int64_t columns) {
    const int64_t head = shape.desc.length * columns;
    return {shape.desc.heads * head, columns, head};
}

// Where results go: rows of a head array, which they are added to or overwrite.
struct head_target {
    float *first;
    pan_head_layout layout;
    int64_t columns;
    bool add;

    __device__ void put(const linear_shape &shape, int64_t head, int64_t t, int64_t c, float value) const {
        float *const to = first + head / shape.desc.heads * layout.batch_stride +
                          head % shape.desc.heads * layout.head_stride + t * layout.length_stride + c;
        *to = add ? *to + value : value;
    }
};

// Feature j of position t.
__device__ inline float feature_at(const linear_shape &shape, const head_view &x, int64_t t, int64_t j) {
    const int64_t f = shape.desc.feature_dim;
    if (shape.desc.features == PAN_FEATURES_GIVEN) {
        return x.at(t, j);
    }
    if (j <= f) {
        return t >= x.rows ? 0.0f : j == 0 ? 1.0f : shape.single * x.at(t, j - 1);
    }
    // The last i whose pairs do not begin behind j, from the root of a quadratic equation that float may miss.
    const float middle = static_cast<float>(f) + 0.5f;
    const float left = middle * middle - 2.0f * static_cast<float>(j - 1 - f);
    int64_t i = static_cast<int64_t>(middle - sqrtf(left > 0.0f ? left : 0.0f));
    i = i < 0 ? 0 : i < f ? i : f - 1;
    while (i > 0 && pan_pair_feature(f, i) > j) {
        i--;
    }
    while (i + 1 < f && pan_pair_feature(f, i + 1) <= j) {
        i++;
    }
    const int64_t other = i + j - pan_pair_feature(f, i);
    return (other == i ? shape.square : shape.pair) * x.at(t, i) * x.at(t, other);
}

// ---- products of tiles ----

__host__ __device__ inline int64_t tiles_of(int64_t count) {
    return (count + TILE - 1) / TILE;
}

struct linear_pieces {
    tile_line a[TILE_DEPTH];
    tile_line b[TILE_DEPTH];
};

// sums += a b^T over entries [0, count) of the summed dimension; a(row, k) and b(row, k) are elements of a tile.
template <bool A_ALONG, bool B_ALONG, typename A, typename B>
__device__ void multiply_values(tile_sums &sums, int64_t count, const A &a, const B &b, linear_pieces &pieces) {
    for (int64_t k = 0; k < count; k += TILE_DEPTH) {
        const int depth = static_cast<int>(count - k < TILE_DEPTH ? count - k : TILE_DEPTH);
        load_operand<A_ALONG>(pieces.a, depth, [&](int row, int entry) { return a(row, k + entry); });
        load_operand<B_ALONG>(pieces.b, depth, [&](int row, int entry) { return b(row, k + entry); });
        __syncthreads();
        multiply_tiles(sums, pieces.a, pieces.b, depth);
        __syncthreads();
    }
}

// put(row, column, sum) for the sums of a thread.
template <typename Put> __device__ void each_sum(const tile_sums &sums, const Put &put) {
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
#pragma unroll
        for (int j = 0; j < TILE_PART; j++) {
            put(tile_row() + i, tile_column() + j, sums.at[i][j]);
        }
    }
}

// Launches kernel(job) for `items` items, which the blocks take in turn.
template <typename Job>
pan_status launch_linear(const pan_stream *stream, const char *op, int64_t items, void (*kernel)(Job, int64_t),
                         const Job &job) {
    constexpr int64_t MOST = 0x7fffffff;
    const pan_linear_attention_desc &desc = job.shape.desc;
    return launch(stream, op, desc.batch * desc.heads * desc.length, desc.value_dim,
                  {static_cast<unsigned>(items < MOST ? items : MOST), TILE_THREADS}, kernel, job, items);
}

// ---- states ----

// state[chunk] = phi(x)^T y over the chunk's positions.
struct sums_job {
    linear_shape shape;
    head_array x, y;
    float *state; // (heads, chunks, features, columns)
};

static __global__ void __launch_bounds__(TILE_THREADS) sums_kernel(sums_job job, int64_t items) {
    __shared__ linear_pieces pieces;
    const linear_shape &shape = job.shape;
    const int64_t across = tiles_of(shape.columns), down = tiles_of(shape.features);
    for (int64_t item = blockIdx.x; item < items; item += gridDim.x) {
        const int64_t column = item % across * TILE, feature = item / across % down * TILE;
        const int64_t owner = item / across / down; // head and chunk
        const int64_t head = owner / shape.chunks, begin = owner % shape.chunks * shape.chunk;
        const int64_t left = shape.desc.length - begin, count = left < shape.chunk ? left : shape.chunk;
        const head_view x = job.x.of(shape, head), y = job.y.of(shape, head);
        tile_sums sums = {};
        multiply_values<false, false>(
            sums, count,
            [&](int row, int64_t t) {
                return feature + row < shape.features ? feature_at(shape, x, begin + t, feature + row) : 0.0f;
            },
            [&](int row, int64_t t) { return y.at(begin + t, column + row); }, pieces);
        float *const state = job.state + owner * shape.features * shape.columns;
        each_sum(sums, [&](int row, int c, float sum) {
            if (feature + row < shape.features && column + c < shape.columns) {
                state[(feature + row) * shape.columns + column + c] = sum;
            }
        });
    }
}

inline pan_status sum_states(const pan_stream *stream, const char *op, const sums_job &job) {
    const linear_shape &shape = job.shape;
    const int64_t tiles = tiles_of(shape.columns) * tiles_of(shape.features);
    return launch_linear(stream, op, shape.heads * shape.chunks * tiles, sums_kernel, job);
}

// Replaces each chunk's state by the sum of those before it, or, if `reverse`, after it.
struct scan_states {
    int64_t elements, chunks;
    float *state;
    bool reverse;
    const float *initial; // NULL: zeros
    float *final;         // may be NULL

    __device__ void operator()(int64_t i) const {
        float *const own = state + i / elements * chunks * elements + i % elements;
        float sum = initial == nullptr ? 0.0f : initial[i];
        for (int64_t c = 0; c < chunks; c++) {
            float *const at = own + (reverse ? chunks - 1 - c : c) * elements;
            const float next = sum + *at;
            *at = sum;
            sum = next;
        }
        if (final != nullptr) {
            final[i] = sum;
        }
    }
};

// target = phi(x) state, or, if `to_features`, target = x state^T, with the state of the positions' chunk.
struct apply_job {
    linear_shape shape;
    head_array x;
    const float *state;
    head_target target;
};

template <bool TO_FEATURES> __global__ void __launch_bounds__(TILE_THREADS) apply_kernel(apply_job job, int64_t items) {
    __shared__ linear_pieces pieces;
    const linear_shape &shape = job.shape;
    const int64_t across = tiles_of(job.target.columns), down = tiles_of(shape.desc.length);
    for (int64_t item = blockIdx.x; item < items; item += gridDim.x) {
        const int64_t column = item % across * TILE, first = item / across % down * TILE;
        const int64_t head = item / across / down;
        const head_view x = job.x.of(shape, head);
        const float *const state =
            job.state + (head * shape.chunks + first / shape.chunk) * shape.features * shape.columns;
        tile_sums sums = {};
        if (TO_FEATURES) {
            multiply_values<true, true>(
                sums, shape.columns, [&](int row, int64_t c) { return x.at(first + row, c); },
                [&](int row, int64_t c) {
                    return column + row < shape.features ? state[(column + row) * shape.columns + c] : 0.0f;
                },
                pieces);
        } else {
            multiply_values<true, false>(
                sums, shape.features, [&](int row, int64_t j) { return feature_at(shape, x, first + row, j); },
                [&](int row, int64_t j) {
                    return column + row < job.target.columns ? state[j * shape.columns + column + row] : 0.0f;
                },
                pieces);
        }
        each_sum(sums, [&](int row, int c, float sum) {
            if (first + row < shape.desc.length && column + c < job.target.columns) {
                job.target.put(shape, head, first + row, column + c, sum);
            }
        });
    }
}

// Tiles of a target over all heads.
inline int64_t target_items(const linear_shape &shape, const head_target &target) {
    return shape.heads * tiles_of(shape.desc.length) * tiles_of(target.columns);
}

template <bool TO_FEATURES> pan_status apply_states(const pan_stream *stream, const char *op, const apply_job &job) {
    return launch_linear(stream, op, target_items(job.shape, job.target), apply_kernel<TO_FEATURES>, job);
}

// ---- pairs within a chunk ----

// What a pair of a query and a key is multiplied with, and summed over.
enum class pair_kind { WEIGHT, SLOPE };

// target = sum over the pairs of the rows' chunk of w x, or of the gradient of the scores times x. The rows are queries
// and x belongs to keys, or, if `transposed`, the other way round.
struct pairs_job {
    linear_shape shape;
    head_array q, k, x;
    head_array values, slopes; // (v | 1) and (g | -e); for pair_kind::SLOPE
    const float *denominator;  // likewise; NULL: not normalised
    bool transposed;
    head_target target;
};

struct pairs_memory {
    linear_pieces pieces;
    tile_line weights[TILE];
};

// Of the pair of query t and key s, from its score and, for a slope, from g . v - e.
template <pair_kind KIND>
__device__ float pair_factor(const pairs_job &job, const head_view &slopes, int64_t head, int64_t t, float product,
                             float along) {
    const linear_shape &shape = job.shape;
    const bool taylor = shape.desc.features == PAN_FEATURES_TAYLOR;
    const float score = shape.scale * product;
    if (KIND == pair_kind::WEIGHT) {
        return taylor ? fmaf(score, fmaf(0.5f, score, 1.0f), 1.0f) : score;
    }
    if (t == 0 && job.denominator != nullptr) {
        // The only value: o = w v / n, so that g . v - e is g . v epsilon / n.
        along = (along - slopes.at(0, shape.desc.value_dim)) *
                (shape.desc.epsilon / job.denominator[head * shape.desc.length]);
    }
    return shape.scale * (taylor ? along * (score + 1.0f) : along);
}

template <pair_kind KIND>
__device__ void add_pairs(const pairs_job &job, int64_t head, int64_t first, int64_t other, int64_t column,
                          tile_sums &output, pairs_memory &memory) {
    const linear_shape &shape = job.shape;
    const head_view q = job.q.of(shape, head), k = job.k.of(shape, head), x = job.x.of(shape, head);
    const head_view rows = job.transposed ? k : q, others = job.transposed ? q : k;
    const head_view values = job.values.of(shape, head), slopes = job.slopes.of(shape, head);
    tile_sums factors = {}, along = {};
    multiply_values<true, true>(
        factors, shape.desc.feature_dim, [&](int row, int64_t c) { return rows.at(first + row, c); },
        [&](int row, int64_t c) { return others.at(other + row, c); }, memory.pieces);
    if (KIND == pair_kind::SLOPE) {
        const head_view a = job.transposed ? values : slopes, b = job.transposed ? slopes : values;
        multiply_values<true, true>(
            along, shape.columns, [&](int row, int64_t c) { return a.at(first + row, c); },
            [&](int row, int64_t c) { return b.at(other + row, c); }, memory.pieces);
    }
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
#pragma unroll
        for (int j = 0; j < TILE_PART; j++) {
            const int64_t t = job.transposed ? other + tile_column() + j : first + tile_row() + i;
            factors.at[i][j] = pair_factor<KIND>(job, slopes, head, t, factors.at[i][j], along.at[i][j]);
            memory.weights[tile_column() + j].values[tile_row() + i] = factors.at[i][j];
        }
    }
    const auto keep = [&](int row, int k_of) {
        return job.transposed ? first + row <= other + k_of : other + k_of <= first + row;
    };
    for (int piece = 0; piece < TILE; piece += TILE_DEPTH) {
        load_operand<false>(memory.pieces.b, TILE_DEPTH,
                            [&](int row, int entry) { return x.at(other + piece + entry, column + row); });
        __syncthreads();
        if (first == other) {
            multiply_kept(output, memory.weights + piece, memory.pieces.b, TILE_DEPTH,
                          [&](int row, int entry) { return keep(row, piece + entry); });
        } else {
            multiply_tiles(output, memory.weights + piece, memory.pieces.b, TILE_DEPTH);
        }
        __syncthreads();
    }
}

template <pair_kind KIND> __global__ void __launch_bounds__(TILE_THREADS) pairs_kernel(pairs_job job, int64_t items) {
    __shared__ pairs_memory memory;
    const linear_shape &shape = job.shape;
    const int64_t across = tiles_of(job.target.columns), down = tiles_of(shape.desc.length);
    for (int64_t item = blockIdx.x; item < items; item += gridDim.x) {
        const int64_t column = item % across * TILE, first = item / across % down * TILE;
        const int64_t head = item / across / down;
        const int64_t begin = first / shape.chunk * shape.chunk;
        const int64_t end = begin + shape.chunk < shape.desc.length ? begin + shape.chunk : shape.desc.length;
        tile_sums output = {};
        for (int64_t other = job.transposed ? first : begin; job.transposed ? other < end : other <= first;
             other += TILE) {
            add_pairs<KIND>(job, head, first, other, column, output, memory);
        }
        each_sum(output, [&](int row, int c, float sum) {
            if (first + row < shape.desc.length && column + c < job.target.columns) {
                job.target.put(shape, head, first + row, column + c, sum);
            }
        });
    }
}

template <pair_kind KIND> pan_status sum_pairs(const pan_stream *stream, const char *op, const pairs_job &job) {
    return launch_linear(stream, op, target_items(job.shape, job.target), pairs_kernel<KIND>, job);
}

#endif
