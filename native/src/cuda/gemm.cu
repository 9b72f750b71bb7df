// Dense matrix product by tiles in shared memory.
#include "gemm.h"

#include "tile.cuh"

namespace {

// Blocks to aim for, and the least sum worth a block of its own.
constexpr int64_t WANTED_BLOCKS = 264;
constexpr int64_t SPLIT_TERMS = 256;
constexpr int64_t MOST_SPLITS = 64;

int64_t splits_of(int64_t m, int64_t n, int64_t k, int64_t batch) {
    // In floating point, because a workspace query may come with sizes that no array can have.
    const double tiles =
        static_cast<double>(ceil_div(m, TILE)) * static_cast<double>(ceil_div(n, TILE)) * static_cast<double>(batch);
    const int64_t wanted = tiles < WANTED_BLOCKS ? ceil_div(WANTED_BLOCKS, static_cast<int64_t>(tiles)) : 1;
    const int64_t possible = ceil_div(k, SPLIT_TERMS);
    const int64_t splits = wanted < possible ? wanted : possible;
    return splits < MOST_SPLITS ? splits : MOST_SPLITS;
}

// Product `index` of a batch.
__host__ __device__ inline cuda_product product_at(cuda_product p, const cuda_batch &batch, int64_t index) {
    p.a += index * batch.a_stride;
    p.b += index * batch.b_stride;
    p.c += index * batch.c_stride;
    return p;
}

// Writes alpha times the sums over the terms from `begin` to `end` to m x n results, or, without those, the product to C.
template <bool TRANSPOSE_A, bool TRANSPOSE_B>
__device__ void multiply_range(const cuda_product &p, int64_t begin, int64_t end, float *partial) {
    __shared__ tile_line a[TILE_DEPTH], b[TILE_DEPTH];
    const int64_t row = static_cast<int64_t>(blockIdx.x) * TILE;
    for (int64_t column = static_cast<int64_t>(blockIdx.y) * TILE; column < p.n;
         column += static_cast<int64_t>(gridDim.y) * TILE) {
        tile_sums sums = {};
        for (int64_t k = begin; k < end; k += TILE_DEPTH) {
            const int depth = static_cast<int>(end - k < TILE_DEPTH ? end - k : TILE_DEPTH);
            load_operand<!TRANSPOSE_A>(a, depth, [&](int r, int j) {
                return row + r >= p.m ? 0.0f
                       : TRANSPOSE_A  ? p.a[(k + j) * p.lda + row + r]
                                      : p.a[(row + r) * p.lda + k + j];
            });
            load_operand<TRANSPOSE_B>(b, depth, [&](int r, int j) {
                return column + r >= p.n ? 0.0f
                       : TRANSPOSE_B     ? p.b[(column + r) * p.ldb + k + j]
                                         : p.b[(k + j) * p.ldb + column + r];
            });
            __syncthreads();
            multiply_tiles(sums, a, b, depth);
            __syncthreads();
        }
#pragma unroll
        for (int i = 0; i < TILE_PART; i++) {
#pragma unroll
            for (int j = 0; j < TILE_PART; j++) {
                const int64_t r = row + tile_row() + i, c = column + tile_column() + j;
                if (r >= p.m || c >= p.n) {
                    continue;
                }
                const float value = p.alpha * sums.at[i][j];
                if (partial != nullptr) {
                    partial[r * p.n + c] = value;
                } else {
                    float *to = p.c + r * p.ldc + c;
                    *to = p.beta == 0.0f ? value : fmaf(p.beta, *to, value);
                }
            }
        }
    }
}

// A block in the third dimension of the grid has one split of one of the products at a time; `partial` holds
// (products, splits, m, n) results.
template <bool TRANSPOSE_A, bool TRANSPOSE_B>
__global__ void __launch_bounds__(TILE_THREADS)
    product_kernel(cuda_product p, cuda_batch batch, int64_t splits, int64_t split_terms, float *partial) {
    for (int64_t z = blockIdx.z; z < batch.count * splits; z += gridDim.z) {
        const int64_t begin = z % splits * split_terms;
        const int64_t end = begin + split_terms < p.k ? begin + split_terms : p.k;
        multiply_range<TRANSPOSE_A, TRANSPOSE_B>(product_at(p, batch, z / splits), begin, end,
                                                 partial == nullptr ? nullptr : partial + z * p.m * p.n);
    }
}

// C from the sums of the splits, in their order.
struct add_splits {
    cuda_product p;
    cuda_batch batch;
    int64_t splits;
    const float *partial;

    __device__ void operator()(int64_t i) const {
        const int64_t results = p.m * p.n, index = i / results;
        i %= results;
        float sum = 0.0f;
        for (int64_t s = 0; s < splits; s++) {
            sum += partial[(index * splits + s) * results + i];
        }
        float *to = p.c + index * batch.c_stride + i / p.n * p.ldc + i % p.n;
        *to = p.beta == 0.0f ? sum : fmaf(p.beta, *to, sum);
    }
};

template <bool TRANSPOSE_A, bool TRANSPOSE_B>
pan_status tiled_product(pan_stream *stream, const char *op, const cuda_product &p, float *workspace,
                         const cuda_batch &batch) {
    const int64_t splits = workspace == nullptr ? 1 : splits_of(p.m, p.n, p.k, batch.count);
    // A whole number of pieces, so that all splits but the last are full.
    const int64_t split_terms = ceil_div(ceil_div(p.k, splits), TILE_DEPTH) * TILE_DEPTH;
    const int64_t filled = ceil_div(p.k, split_terms);
    const int64_t columns = ceil_div(p.n, TILE), layers = filled * batch.count;
    const dim3 grid(static_cast<unsigned>(ceil_div(p.m, TILE)),
                    static_cast<unsigned>(columns < MAX_GRID_YZ ? columns : MAX_GRID_YZ),
                    static_cast<unsigned>(layers < MAX_GRID_YZ ? layers : MAX_GRID_YZ));
    CUDA_TRY(launch(stream, op, p.m, p.n, {grid, dim3(TILE_THREADS)}, product_kernel<TRANSPOSE_A, TRANSPOSE_B>, p,
                    batch, filled, split_terms, filled > 1 ? workspace : nullptr));
    return filled > 1 ? for_each(stream, op, batch.count * p.m, p.n, add_splits{p, batch, filled, workspace}) : PAN_OK;
}

} // namespace

int64_t gemm_workspace_bytes(int64_t m, int64_t n, int64_t k, int64_t batch) {
    const int64_t splits = splits_of(m, n, k, batch);
    return splits > 1 ? batch * splits * m * n * static_cast<int64_t>(sizeof(float)) : 0;
}

pan_status cuda_gemm(pan_stream *stream, const char *op, const cuda_product &p, void *workspace,
                     const cuda_batch &batch) {
    const pan_status by_library = cublas_gemm(stream, op, p, batch);
    if (by_library != PAN_UNSUPPORTED) {
        return by_library;
    }
    auto *floats = static_cast<float *>(workspace);
    if (p.transpose_a) {
        return p.transpose_b ? tiled_product<true, true>(stream, op, p, floats, batch)
                             : tiled_product<true, false>(stream, op, p, floats, batch);
    }
    return p.transpose_b ? tiled_product<false, true>(stream, op, p, floats, batch)
                         : tiled_product<false, false>(stream, op, p, floats, batch);
}
