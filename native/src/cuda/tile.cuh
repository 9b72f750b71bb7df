// Products of tiles of matrices in shared memory, in float: what the dense product, attention and the vocabulary loss
// are built of.
//
// A block of 16 x 16 threads computes 64 x 64 sums, each thread 4 x 4 of them: four neighbouring rows and four
// neighbouring columns. Operands lie in shared memory with the summed dimension first: operand[k][row].
#ifndef PAN_CUDA_TILE_CUH
#define PAN_CUDA_TILE_CUH

#include "block.cuh"

constexpr int TILE = 64;
constexpr int TILE_DEPTH = 16; // of the operands that are loaded piece by piece
constexpr int TILE_THREADS = 256;
constexpr int TILE_PART = 4; // rows, and columns, of a thread
constexpr int TILE_STRIDE =
    TILE + 4; // floats between entries of the summed dimension: aligned, and off each other's banks

// One entry of the summed dimension of an operand.
struct alignas(16) tile_line {
    float values[TILE_STRIDE];
};

// The sums of a thread: rows tile_row() + i, columns tile_column() + j.
struct tile_sums {
    float at[TILE_PART][TILE_PART];
};

__device__ inline int tile_row() {
    return static_cast<int>(threadIdx.x) / (TILE / TILE_PART) * TILE_PART;
}

__device__ inline int tile_column() {
    return static_cast<int>(threadIdx.x) % (TILE / TILE_PART) * TILE_PART;
}

// operand[k][row] = value(row, k) for TILE rows and `depth` <= TILE_DEPTH entries, by all threads of the block; beyond
// `depth` zeros. ALONG_DEPTH: neighbouring threads take neighbouring k, for arrays that are contiguous that way.
template <bool ALONG_DEPTH, typename Value>
__device__ void load_operand(tile_line *operand, int depth, const Value &value) {
    for (int i = static_cast<int>(threadIdx.x); i < TILE * TILE_DEPTH; i += TILE_THREADS) {
        const int k = ALONG_DEPTH ? i % TILE_DEPTH : i / TILE;
        const int row = ALONG_DEPTH ? i / TILE_DEPTH : i % TILE;
        operand[k].values[row] = k < depth ? value(row, k) : 0.0f;
    }
}

__device__ inline float4 read_part(const tile_line &line, int first) {
    return *reinterpret_cast<const float4 *>(line.values + first);
}

// sums += a b^T over `depth` entries of the summed dimension.
__device__ inline void multiply_tiles(tile_sums &sums, const tile_line *a, const tile_line *b, int depth) {
    const int row = tile_row(), column = tile_column();
    for (int k = 0; k < depth; k++) {
        const float4 a_part = read_part(a[k], row), b_part = read_part(b[k], column);
        const float x[TILE_PART] = {a_part.x, a_part.y, a_part.z, a_part.w};
        const float y[TILE_PART] = {b_part.x, b_part.y, b_part.z, b_part.w};
        for (int i = 0; i < TILE_PART; i++) {
            for (int j = 0; j < TILE_PART; j++) {
                sums.at[i][j] = fmaf(x[i], y[j], sums.at[i][j]);
            }
        }
    }
}

// As multiply_tiles(), leaving out the terms for which keep(row, k) is false whatever their factors are: 0 * NaN is NaN.
template <typename Keep>
__device__ void multiply_kept(tile_sums &sums, const tile_line *a, const tile_line *b, int depth, const Keep &keep) {
    const int row = tile_row(), column = tile_column();
    for (int k = 0; k < depth; k++) {
        const float4 b_part = read_part(b[k], column);
        const float y[TILE_PART] = {b_part.x, b_part.y, b_part.z, b_part.w};
        for (int i = 0; i < TILE_PART; i++) {
            if (keep(row + i, k)) {
                for (int j = 0; j < TILE_PART; j++) {
                    sums.at[i][j] = fmaf(a[k].values[row + i], y[j], sums.at[i][j]);
                }
            }
        }
    }
}

// A row of sums lies in the registers of TILE / TILE_PART neighbouring threads, half a warp.
template <typename T, typename Combine> __device__ T reduce_tile_row(T value, Combine combine) {
    for (int distance = TILE / TILE_PART / 2; distance > 0; distance /= 2) {
        value = combine(value, __shfl_xor_sync(WHOLE_WARP, value, distance));
    }
    return value;
}

#endif
