// What attention and the vocabulary loss share: products of tiles of matrices that lie in device memory, and the shift
// of scores before their exponentials.
#ifndef PAN_CUDA_SCORE_TILE_CUH
#define PAN_CUDA_SCORE_TILE_CUH

#include <cfloat>

#include "tile.cuh"

// ---- matrices ----

// A matrix in device memory. What lies beyond its rows or columns counts as zero.
struct matrix {
    const float *first;
    int64_t stride;
    int64_t rows;
    int64_t columns;
    bool vectors; // whether four neighbouring elements of a row can be read at once

    // NULL beyond the rows.
    __device__ const float *row(int64_t r) const {
        return r < rows ? first + r * stride : nullptr;
    }
};

__device__ inline matrix make_matrix(const float *first, int64_t stride, int64_t rows, int64_t columns) {
    const bool vectors = reinterpret_cast<uintptr_t>(first) % sizeof(float4) == 0 && stride % 4 == 0;
    return {first, stride, rows, columns, vectors};
}

// The rows of a matrix that a list names, in its order.
struct listed_rows {
    matrix all;
    const int32_t *list;
    int64_t rows;
    int64_t columns;
    bool vectors;

    __device__ const float *row(int64_t r) const {
        return r < rows ? all.first + list[r] * all.stride : nullptr;
    }
};

// Elements (r, column) to (r, column + 3), where `column` is a multiple of 4.
template <typename Matrix> __device__ float4 load_four(const Matrix &x, int64_t r, int64_t column) {
    const float *row = x.row(r);
    const int64_t left = row == nullptr ? 0 : x.columns - column;
    if (left >= 4 && x.vectors) {
        return *reinterpret_cast<const float4 *>(row + column);
    }
    return make_float4(left > 0 ? row[column] : 0.0f, left > 1 ? row[column + 1] : 0.0f,
                       left > 2 ? row[column + 2] : 0.0f, left > 3 ? row[column + 3] : 0.0f);
}

// ---- operands ----

// An operand is fetched in pieces of TILE_DEPTH entries of the summed dimension, four elements by each thread.

// The summed dimension is that of the columns: TILE rows from `first_row` on.
template <typename Matrix> struct across_columns {
    const Matrix &x;
    int64_t first_row;

    __device__ float4 fetch(int64_t k) const {
        return load_four(x, first_row + threadIdx.x / 4, k + threadIdx.x % 4 * 4);
    }

    __device__ void store(tile_line *piece, float4 values) const {
        const int row = static_cast<int>(threadIdx.x) / 4, k = static_cast<int>(threadIdx.x) % 4 * 4;
        piece[k].values[row] = values.x;
        piece[k + 1].values[row] = values.y;
        piece[k + 2].values[row] = values.z;
        piece[k + 3].values[row] = values.w;
    }
};

// The summed dimension is that of the rows: TILE columns from `first_column` on.
template <typename Matrix> struct along_rows {
    const Matrix &x;
    int64_t first_column;

    __device__ float4 fetch(int64_t k) const {
        return load_four(x, k + threadIdx.x / TILE_DEPTH, first_column + threadIdx.x % TILE_DEPTH * 4);
    }

    __device__ void store(tile_line *piece, float4 values) const {
        float *const target = piece[threadIdx.x / TILE_DEPTH].values + threadIdx.x % TILE_DEPTH * 4;
        *reinterpret_cast<float4 *>(target) = values;
    }
};

template <typename Matrix> __device__ across_columns<Matrix> across(const Matrix &x, int64_t first_row) {
    return {x, first_row};
}

template <typename Matrix> __device__ along_rows<Matrix> along(const Matrix &x, int64_t first_column) {
    return {x, first_column};
}

static_assert(TILE * TILE_DEPTH == 4 * TILE_THREADS && TILE == 4 * TILE_DEPTH, "the threads would not cover a piece");

// Where the pieces lie in shared memory.
struct tile_pieces {
    tile_line a[TILE_DEPTH];
    tile_line b[TILE_DEPTH];
};

// ---- products ----

// sums += a b^T over entries [begin, end) of the summed dimension, where an end that is no multiple of TILE_DEPTH from
// `begin` must be that of the matrices. The next pieces are on their way while these are multiplied. Called by all
// threads of the block; what they wrote to shared memory before is seen by all afterwards if begin < end.
template <typename A, typename B>
__device__ void multiply_matrices(tile_sums &sums, const A &a, const B &b, int64_t begin, int64_t end,
                                  tile_pieces &pieces) {
    float4 next_a = a.fetch(begin), next_b = b.fetch(begin);
    for (int64_t k = begin; k < end; k += TILE_DEPTH) {
        __syncthreads(); // the pieces may still be read
        a.store(pieces.a, next_a);
        b.store(pieces.b, next_b);
        __syncthreads();
        if (k + TILE_DEPTH < end) {
            next_a = a.fetch(k + TILE_DEPTH);
            next_b = b.fetch(k + TILE_DEPTH);
        }
        multiply_tiles(sums, pieces.a, pieces.b, TILE_DEPTH);
    }
}

// sums += weights x: the TILE entries of `weights` in shared memory with rows `first` to first + TILE - 1 of x. Unless
// `whole`, terms for which keep(row, k) is false are left out.
template <typename B, typename Keep>
__device__ void multiply_weights(tile_sums &sums, const tile_line *weights, const B &x, int64_t first, bool whole,
                                 const Keep &keep, tile_pieces &pieces) {
    float4 next = x.fetch(first);
    for (int k = 0; k < TILE; k += TILE_DEPTH) {
        __syncthreads(); // the piece may still be read; and the weights are there
        x.store(pieces.b, next);
        __syncthreads();
        if (k + TILE_DEPTH < TILE) {
            next = x.fetch(first + k + TILE_DEPTH);
        }
        if (whole) {
            multiply_tiles(sums, weights + k, pieces.b, TILE_DEPTH);
        } else {
            multiply_kept(sums, weights + k, pieces.b, TILE_DEPTH,
                          [&](int row, int entry) { return keep(row, k + entry); });
        }
    }
}

// Makes a tile an operand: its columns become the summed dimension.
__device__ inline void store_weights(tile_line *weights, const tile_sums &tile) {
    const int row = tile_row(), column = tile_column();
#pragma unroll
    for (int j = 0; j < TILE_PART; j++) {
        *reinterpret_cast<float4 *>(weights[column + j].values + row) =
            make_float4(tile.at[0][j], tile.at[1][j], tile.at[2][j], tile.at[3][j]);
    }
}

// ---- results ----

// Writes a tile of results, row r of it to the `columns` elements at row(r) unless that is NULL.
template <typename Row>
__device__ void write_rows(const Row &row, int64_t columns, int64_t first_column, const tile_sums &tile) {
    const int64_t column = first_column + tile_column();
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
        float *const target = row(tile_row() + i);
#pragma unroll
        for (int j = 0; j < TILE_PART; j++) {
            if (target != nullptr && column + j < columns) {
                target[column + j] = tile.at[i][j];
            }
        }
    }
}

// Writes a tile of results to rows of which `rows` are there, `stride` elements apart.
__device__ inline void write_tile(float *first, int64_t stride, int64_t rows, int64_t columns, int64_t first_column,
                                  const tile_sums &tile) {
    write_rows([&](int r) { return r < rows ? first + r * stride : nullptr; }, columns, first_column, tile);
}

__device__ inline void scale_tile(tile_sums &tile, float factor) {
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
#pragma unroll
        for (int j = 0; j < TILE_PART; j++) {
            tile.at[i][j] *= factor;
        }
    }
}

// ---- softmax ----

// The larger; never a NaN if the first is none.
struct larger {
    __device__ float operator()(float a, float b) const {
        return b > a ? b : a;
    }
};

// What to subtract from scores whose maximum is given, before exp. Being finite it lets exp(-Inf) be 0 and exp(Inf) be
// Inf, where -Inf - -Inf or Inf - Inf would be NaN.
__device__ inline float score_shift(float max) {
    return max > FLT_MAX ? FLT_MAX : max < -FLT_MAX ? -FLT_MAX : max;
}

#endif
