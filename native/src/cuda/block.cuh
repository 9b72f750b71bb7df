// How threads share work: over elements, over the rows of an array, over its columns.
#ifndef PAN_CUDA_BLOCK_CUH
#define PAN_CUDA_BLOCK_CUH

#include <cmath>
#include <type_traits>

#include "cuda_device.h"

constexpr int BLOCK_THREADS = 256;
constexpr int WARP_THREADS = 32;
constexpr unsigned WHOLE_WARP = 0xffffffffu;
// Enough blocks to fill any device; threads go on to further work.
constexpr int64_t MAX_BLOCKS = 1 << 16;

inline int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

// Bytes of an array in a workspace, so that the next one is aligned.
inline int64_t align_up(int64_t bytes) {
    return ceil_div(bytes, PAN_ALIGNMENT) * PAN_ALIGNMENT;
}

inline unsigned blocks_for(int64_t wanted) {
    return static_cast<unsigned>(wanted < 1 ? 1 : wanted < MAX_BLOCKS ? wanted : MAX_BLOCKS);
}

// ---- elements ----

template <typename Body> __global__ void __launch_bounds__(BLOCK_THREADS) each_kernel(int64_t count, Body body) {
    const int64_t step = static_cast<int64_t>(gridDim.x) * BLOCK_THREADS;
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * BLOCK_THREADS + threadIdx.x; i < count; i += step) {
        body(i);
    }
}

// body(i) for every i < count.
template <typename Body>
pan_status for_each(const pan_stream *stream, const char *op, int64_t rows, int64_t channels, Body body) {
    const int64_t count = rows * channels;
    return launch(stream, op, rows, channels, {blocks_for(ceil_div(count, BLOCK_THREADS)), BLOCK_THREADS},
                  each_kernel<Body>, count, body);
}

// ---- reductions ----

struct plus {
    template <typename T> __device__ T operator()(T a, T b) const {
        return a + b;
    }
};

struct smaller {
    template <typename T> __device__ T operator()(T a, T b) const {
        return a < b ? a : b;
    }
};

// The larger; a NaN if there is one.
struct larger_or_nan {
    template <typename T> __device__ T operator()(T a, T b) const {
        return a > b || a != a ? a : b;
    }
};

// The same result in all lanes.
template <typename T, typename Combine> __device__ T warp_reduce(T value, Combine combine) {
    for (int distance = WARP_THREADS / 2; distance > 0; distance /= 2) {
        value = combine(value, __shfl_xor_sync(WHOLE_WARP, value, distance));
    }
    return value;
}

// ---- rows ----

// A row of an array belongs to a team of threads: a warp, or a whole block where rows are long.
constexpr int64_t LONG_ROW = 2048;

// The result in all threads of the team; for blocks, every thread must be here.
template <int TEAM, typename T, typename Combine> __device__ T team_reduce(T value, Combine combine) {
    value = warp_reduce(value, combine);
    if constexpr (TEAM > WARP_THREADS) {
        __shared__ T parts[TEAM / WARP_THREADS];
        __syncthreads(); // parts may still be read from the reduction before
        if (threadIdx.x % WARP_THREADS == 0) {
            parts[threadIdx.x / WARP_THREADS] = value;
        }
        __syncthreads();
        value = parts[0];
        for (int w = 1; w < TEAM / WARP_THREADS; w++) {
            value = combine(value, parts[w]);
        }
    }
    return value;
}

template <int TEAM, typename Body>
__global__ void __launch_bounds__(BLOCK_THREADS) rows_kernel(int64_t rows, Body body) {
    const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.y;
    for (int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; row < rows; row += step) {
        body.template row<TEAM>(row);
    }
}

// body.row<TEAM>(r) for every r < rows, each by the TEAM threads threadIdx.x = 0, 1, ...
template <typename Body>
pan_status for_each_row(const pan_stream *stream, const char *op, int64_t rows, int64_t channels, Body body) {
    if (channels >= LONG_ROW) {
        return launch(stream, op, rows, channels, {blocks_for(rows), dim3(BLOCK_THREADS)},
                      rows_kernel<BLOCK_THREADS, Body>, rows, body);
    }
    constexpr int WARPS = BLOCK_THREADS / WARP_THREADS;
    return launch(stream, op, rows, channels, {blocks_for(ceil_div(rows, WARPS)), dim3(WARP_THREADS, WARPS)},
                  rows_kernel<WARP_THREADS, Body>, rows, body);
}

// ---- sums over rows ----

// The rows are cut into parts by their number alone; each part's sums are kept in double and then added in order.
constexpr int64_t PART_ROWS = 64;
constexpr int64_t MAX_PARTS = 256;
constexpr int COLUMN_LANES = 8;

inline int64_t column_parts(int64_t rows) {
    const int64_t parts = ceil_div(rows, PART_ROWS);
    return parts < MAX_PARTS ? parts : MAX_PARTS;
}

// Bytes of workspace for `sums` sums of each channel.
inline int64_t column_sums_bytes(int64_t rows, int64_t channels, int sums) {
    return column_parts(rows) * sums * channels * static_cast<int64_t>(sizeof(double));
}

template <int SUMS, typename Term>
__global__ void __launch_bounds__(WARP_THREADS *COLUMN_LANES)
    column_parts_kernel(int64_t rows, int64_t channels, int64_t part_rows, Term term, double *parts) {
    __shared__ double shared[SUMS][COLUMN_LANES][WARP_THREADS];
    const int64_t begin = static_cast<int64_t>(blockIdx.x) * part_rows;
    const int64_t end = begin + part_rows < rows ? begin + part_rows : rows;
    for (int64_t first = static_cast<int64_t>(blockIdx.y) * WARP_THREADS; first < channels;
         first += static_cast<int64_t>(gridDim.y) * WARP_THREADS) {
        const int64_t channel = first + threadIdx.x;
        double sums[SUMS] = {};
        for (int64_t row = begin + threadIdx.y; row < end && channel < channels; row += COLUMN_LANES) {
            term(row, channel, sums);
        }
        for (int s = 0; s < SUMS; s++) {
            shared[s][threadIdx.y][threadIdx.x] = sums[s];
        }
        __syncthreads();
        for (int s = threadIdx.y; s < SUMS && channel < channels; s += COLUMN_LANES) {
            double sum = 0.0;
            for (int lane = 0; lane < COLUMN_LANES; lane++) {
                sum += shared[s][lane][threadIdx.x];
            }
            parts[(blockIdx.x * static_cast<int64_t>(SUMS) + s) * channels + channel] = sum;
        }
        __syncthreads();
    }
}

template <int SUMS> struct column_targets {
    int64_t channels;
    int64_t parts;
    const double *partial;
    float *target[SUMS]; // each may be NULL

    // target[s][c] += the sum of its parts
    __device__ void operator()(int64_t i) const {
        const int64_t s = i / channels, channel = i % channels;
        float *to = target[0];
        for (int k = 1; k < SUMS; k++) {
            to = k == s ? target[k] : to;
        }
        if (to == nullptr) {
            return;
        }
        double sum = 0.0;
        for (int64_t part = 0; part < parts; part++) {
            sum += partial[(part * SUMS + s) * channels + channel];
        }
        to[channel] = static_cast<float>(to[channel] + sum);
    }
};

// target[s][channel] += sum over rows of what term(row, channel, sums) adds to sums[s]. A target may be NULL.
template <int SUMS, typename Term>
pan_status add_column_sums(const pan_stream *stream, const char *op, int64_t rows, int64_t channels, Term term,
                           void *workspace, float *const (&target)[SUMS]) {
    const int64_t parts = column_parts(rows);
    const int64_t part_rows = ceil_div(rows, parts);
    const int64_t across = ceil_div(channels, WARP_THREADS);
    const dim3 grid(static_cast<unsigned>(parts), static_cast<unsigned>(across < MAX_GRID_YZ ? across : MAX_GRID_YZ));
    CUDA_TRY(launch(stream, op, rows, channels, {grid, dim3(WARP_THREADS, COLUMN_LANES)},
                    column_parts_kernel<SUMS, Term>, rows, channels, part_rows, term,
                    static_cast<double *>(workspace)));
    column_targets<SUMS> add = {channels, parts, static_cast<const double *>(workspace), {}};
    for (int s = 0; s < SUMS; s++) {
        add.target[s] = target[s];
    }
    return for_each(stream, op, SUMS, channels, add);
}

// The terms of a bias's gradient: the rows themselves, `stride` apart.
struct row_terms {
    const float *rows;
    int64_t stride;

    __device__ void operator()(int64_t row, int64_t channel, double (&sums)[1]) const {
        sums[0] += rows[row * stride + channel];
    }
};

#endif
