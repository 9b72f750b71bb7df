// Lower triangular systems of equations, by substitution.
//
// A block has some columns of a matrix and goes through its rows, SOLVE_ROWS at a time: all threads take from the right-hand
// sides what the rows before add; then the rows are solved one by one, each leaving its part in those below it.
#include "tile.cuh"

namespace {

constexpr int SOLVE_ROWS = 32;
constexpr int SOLVE_TEAMS = 8; // threads that share a column

// A system as the solver goes through it: unknown s of a transposed one is the s-th from the end.
template <bool TRANSPOSED> struct solve_system {
    int64_t size, columns;
    const float *a;
    const float *b;
    float *x;

    __device__ int64_t row(int64_t unknown) const {
        return TRANSPOSED ? size - 1 - unknown : unknown;
    }

    __device__ float coefficient(int64_t equation, int64_t unknown) const {
        return TRANSPOSED ? a[row(unknown) * size + row(equation)] : a[row(equation) * size + row(unknown)];
    }
};

// rest[s] = b[first + s] - sum over t < first of a[first + s, t] x[t], for this thread's rows of a column.
template <bool TRANSPOSED>
__device__ void take_solved(const solve_system<TRANSPOSED> &system, int64_t first, int rows, int64_t column,
                            float (&rest)[SOLVE_ROWS][WARP_THREADS]) {
    constexpr int OWN = SOLVE_ROWS / SOLVE_TEAMS;
    const int team = static_cast<int>(threadIdx.y);
    const bool inside = column < system.columns;
    float sum[OWN] = {};
    for (int64_t t = 0; t < first; t++) {
        const float x = inside ? system.x[system.row(t) * system.columns + column] : 0.0f;
        for (int i = 0; i < OWN; i++) {
            const int s = team + i * SOLVE_TEAMS;
            sum[i] = fmaf(s < rows ? system.coefficient(first + s, t) : 0.0f, x, sum[i]);
        }
    }
    for (int i = 0; i < OWN; i++) {
        const int s = team + i * SOLVE_TEAMS;
        if (s < rows) {
            const float b = inside ? system.b[system.row(first + s) * system.columns + column] : 0.0f;
            rest[s][threadIdx.x] = b - sum[i];
        }
    }
}

template <bool TRANSPOSED>
__global__ void __launch_bounds__(WARP_THREADS *SOLVE_TEAMS)
    solve_kernel(int64_t tiles, int64_t across, solve_system<TRANSPOSED> all) {
    __shared__ float rest[SOLVE_ROWS][WARP_THREADS];
    __shared__ float factors[SOLVE_ROWS][SOLVE_ROWS + 1];
    const int lane = static_cast<int>(threadIdx.x), team = static_cast<int>(threadIdx.y);
    for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const int64_t batch = tile / across, column = tile % across * WARP_THREADS + lane;
        solve_system<TRANSPOSED> system = all;
        system.a += batch * all.size * all.size;
        system.b += batch * all.size * all.columns;
        system.x += batch * all.size * all.columns;
        for (int64_t first = 0; first < all.size; first += SOLVE_ROWS) {
            const int rows = static_cast<int>(all.size - first < SOLVE_ROWS ? all.size - first : SOLVE_ROWS);
            for (int s = team; s < rows; s += SOLVE_TEAMS) {
                factors[s][lane] = lane <= s ? system.coefficient(first + s, first + lane) : 0.0f;
            }
            take_solved(system, first, rows, column, rest);
            __syncthreads();
            for (int s = 0; s < rows; s++) {
                const float x = rest[s][lane] / factors[s][s];
                if (team == 0 && column < all.columns) {
                    system.x[system.row(first + s) * all.columns + column] = x;
                }
                for (int below = s + 1 + team; below < rows; below += SOLVE_TEAMS) {
                    rest[below][lane] = fmaf(-factors[below][s], x, rest[below][lane]);
                }
                __syncthreads();
            }
        }
    }
}

template <bool TRANSPOSED>
pan_status solve(pan_stream *stream, const char *op, const pan_triangular_solve_desc *desc, const void *a,
                 const void *b, void *x) {
    const solve_system<TRANSPOSED> system = {desc->size, desc->columns, static_cast<const float *>(a),
                                             static_cast<const float *>(b), static_cast<float *>(x)};
    const int64_t across = ceil_div(desc->columns, WARP_THREADS), tiles = desc->batch * across;
    return launch(stream, op, desc->batch * desc->size, desc->columns,
                  {blocks_for(tiles), dim3(WARP_THREADS, SOLVE_TEAMS)}, solve_kernel<TRANSPOSED>, tiles, across,
                  system);
}

// Tiles of da = -db x^T, which is 0 above the diagonal.
__global__ void __launch_bounds__(TILE_THREADS)
    gradient_kernel(int64_t tiles, int64_t across, int64_t size, int64_t columns, const float *x, const float *db,
                    float *da) {
    __shared__ tile_line left[TILE_DEPTH], right[TILE_DEPTH];
    for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const int64_t batch = tile / (across * across) * size;
        const int64_t first_row = tile / across % across * TILE, first_column = tile % across * TILE;
        tile_sums sums = {};
        for (int64_t k = 0; k < columns && first_column <= first_row; k += TILE_DEPTH) {
            const int depth = static_cast<int>(columns - k < TILE_DEPTH ? columns - k : TILE_DEPTH);
            __syncthreads(); // the operands may still be read
            load_operand<true>(left, depth, [&](int row, int at) {
                return first_row + row < size ? db[(batch + first_row + row) * columns + k + at] : 0.0f;
            });
            load_operand<true>(right, depth, [&](int row, int at) {
                return first_column + row < size ? x[(batch + first_column + row) * columns + k + at] : 0.0f;
            });
            __syncthreads();
            multiply_tiles(sums, left, right, depth);
        }
        for (int i = 0; i < TILE_PART; i++) {
            for (int j = 0; j < TILE_PART; j++) {
                const int64_t row = first_row + tile_row() + i, column = first_column + tile_column() + j;
                if (row < size && column < size) {
                    da[(batch + row) * size + column] = column <= row ? -sums.at[i][j] : 0.0f;
                }
            }
        }
    }
}

} // namespace

pan_status cuda_triangular_solve_forward(pan_stream *stream, const pan_triangular_solve_desc *desc, const void *a,
                                         const void *b, void *x) {
    return solve<false>(stream, "triangular_solve_forward", desc, a, b, x);
}

pan_status cuda_triangular_solve_backward(pan_stream *stream, const pan_triangular_solve_desc *desc, const void *a,
                                          const void *x, const void *dx, void *da, void *db) {
    static const char op[] = "triangular_solve_backward";
    CUDA_TRY(solve<true>(stream, op, desc, a, dx, db));
    const int64_t across = ceil_div(desc->size, TILE), tiles = desc->batch * across * across;
    return launch(stream, op, desc->batch * desc->size, desc->columns, {blocks_for(tiles), TILE_THREADS},
                  gradient_kernel, tiles, across, desc->size, desc->columns, static_cast<const float *>(x),
                  static_cast<const float *>(db), static_cast<float *>(da));
}
