// Depthwise convolutions in the time domain: sums of their own terms, whatever other terms are.
//
// A block takes 32 channels, one for each lane of a warp, and 64 positions or taps; signals go through shared memory.
#ifndef PAN_CUDA_DIRECT_CONV_CUH
#define PAN_CUDA_DIRECT_CONV_CUH

#include "block.cuh"

constexpr int CONV_CHANNELS = WARP_THREADS;
constexpr int CONV_LANES = 8;                    // threads of a channel
constexpr int CONV_OWN = 8;                      // results of a thread
constexpr int CONV_ROWS = CONV_LANES * CONV_OWN; // results of a block and channel
constexpr int CONV_DEPTH = 32;                   // terms between loads
constexpr int CONV_WINDOW = CONV_ROWS + CONV_DEPTH - 1;
constexpr int CONV_SPAN = 2 * CONV_OWN - 1; // values that CONV_OWN results meet in CONV_OWN terms

// An array (batch, length, channels) with rows `stride` apart, times another one unless that is NULL.
struct conv_signal {
    const float *values;
    int64_t stride;
    const float *gate;
    int64_t gate_stride;

    __device__ float at(int64_t row, int64_t channel) const {
        const float value = values[row * stride + channel];
        return gate == nullptr ? value : gate[row * gate_stride + channel] * value;
    }
};

// Tap j of a channel: values[channel * channel_stride + j * tap_stride].
template <typename T> struct conv_taps {
    T *values;
    int64_t channel_stride, tap_stride;

    __device__ T &at(int64_t channel, int64_t tap) const {
        return values[channel * channel_stride + tap * tap_stride];
    }
};

struct conv_shape {
    int64_t batch, length, channels, taps;
};

// window[i] = signal at position first + i of an example; zeros outside of the example and its channels.
__device__ inline void load_window(float (*window)[CONV_CHANNELS], int count, const conv_shape &shape,
                                   const conv_signal &signal, int64_t example, int64_t first, int64_t channel) {
    for (int i = static_cast<int>(threadIdx.y); i < count; i += CONV_LANES) {
        const int64_t position = first + i;
        const bool inside = position >= 0 && position < shape.length && channel < shape.channels;
        window[i][threadIdx.x] = inside ? signal.at(example * shape.length + position, channel) : 0.0f;
    }
}

// ---- outputs ----

// sums[r] over the taps from `first_tap` on, CONV_DEPTH of them. ADJOINT: result t meets signal t + j, else t - j.
// EDGE: some of the positions or taps do not exist, and their terms are left out.
template <bool ADJOINT, bool EDGE>
__device__ void add_taps(const conv_shape &shape, const float (*window)[CONV_CHANNELS], const float (*h)[CONV_CHANNELS],
                         int64_t first_tap, int64_t first_position, float (&sums)[CONV_OWN]) {
    const int own = static_cast<int>(threadIdx.y) * CONV_OWN;
    for (int j = 0; j < CONV_DEPTH; j += CONV_OWN) {
        const int first = ADJOINT ? own + j : own + CONV_DEPTH - CONV_OWN - j;
        float x[CONV_SPAN];
#pragma unroll
        for (int i = 0; i < CONV_SPAN; i++) {
            x[i] = window[first + i][threadIdx.x];
        }
#pragma unroll
        for (int k = 0; k < CONV_OWN; k++) {
            const float tap = h[j + k][threadIdx.x];
#pragma unroll
            for (int r = 0; r < CONV_OWN; r++) {
                const int i = ADJOINT ? r + k : r + CONV_OWN - 1 - k;
                const int64_t position = first_position + first + i;
                if (!EDGE || (first_tap + j + k < shape.taps && position >= 0 && position < shape.length)) {
                    sums[r] = fmaf(tap, x[i], sums[r]);
                }
            }
        }
    }
}

// finish(row, channel, sum) for the CONV_ROWS positions from `begin` on.
template <bool ADJOINT, typename Finish>
__device__ void convolve_tile(const conv_shape &shape, const conv_signal &signal, const conv_taps<const float> &taps,
                              int64_t example, int64_t begin, int64_t channel, const Finish &finish) {
    __shared__ float window[CONV_WINDOW][CONV_CHANNELS];
    __shared__ float h[CONV_DEPTH][CONV_CHANNELS];
    float sums[CONV_OWN] = {};
    const int64_t last = ADJOINT ? shape.length - 1 - begin : begin + CONV_ROWS - 1; // furthest tap that meets anything
    for (int64_t tap = 0; tap < shape.taps && tap <= last; tap += CONV_DEPTH) {
        const int64_t first = ADJOINT ? begin + tap : begin - tap - (CONV_DEPTH - 1);
        load_window(window, CONV_WINDOW, shape, signal, example, first, channel);
        for (int j = static_cast<int>(threadIdx.y); j < CONV_DEPTH; j += CONV_LANES) {
            const bool exists = tap + j < shape.taps && channel < shape.channels;
            h[j][threadIdx.x] = exists ? taps.at(channel, tap + j) : 0.0f;
        }
        __syncthreads();
        if (first >= 0 && first + CONV_WINDOW <= shape.length && tap + CONV_DEPTH <= shape.taps) {
            add_taps<ADJOINT, false>(shape, window, h, tap, first, sums);
        } else {
            add_taps<ADJOINT, true>(shape, window, h, tap, first, sums);
        }
        __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < CONV_OWN; r++) {
        const int64_t t = begin + static_cast<int64_t>(threadIdx.y) * CONV_OWN + r;
        if (t < shape.length && channel < shape.channels) {
            finish(example * shape.length + t, channel, sums[r]);
        }
    }
}

template <bool ADJOINT, typename Finish>
__global__ void __launch_bounds__(CONV_CHANNELS *CONV_LANES)
    convolve_kernel(conv_shape shape, conv_signal signal, conv_taps<const float> taps, Finish finish) {
    const int64_t tiles = (shape.length + CONV_ROWS - 1) / CONV_ROWS;
    for (int64_t tile = blockIdx.x; tile < shape.batch * tiles; tile += gridDim.x) {
        for (int64_t first = static_cast<int64_t>(blockIdx.y) * CONV_CHANNELS; first < shape.channels;
             first += static_cast<int64_t>(gridDim.y) * CONV_CHANNELS) {
            convolve_tile<ADJOINT>(shape, signal, taps, tile / tiles, tile % tiles * CONV_ROWS, first + threadIdx.x,
                                   finish);
        }
    }
}

inline dim3 conv_grid(int64_t tiles, int64_t channels) {
    const int64_t across = ceil_div(channels, CONV_CHANNELS);
    return dim3(blocks_for(tiles), static_cast<unsigned>(across < MAX_GRID_YZ ? across : MAX_GRID_YZ));
}

// finish(row, channel, sum_j taps[channel, j] signal[row - j]), or, ADJOINT, signal[row + j], for all rows and channels.
// What finish() writes must not be read by the call.
template <bool ADJOINT, typename Finish>
pan_status convolve_directly(const pan_stream *stream, const char *op, const conv_shape &shape,
                             const conv_signal &signal, const conv_taps<const float> &taps, const Finish &finish) {
    const int64_t tiles = shape.batch * ceil_div(shape.length, CONV_ROWS);
    return launch(stream, op, shape.batch * shape.length, shape.channels,
                  {conv_grid(tiles, shape.channels), dim3(CONV_CHANNELS, CONV_LANES)}, convolve_kernel<ADJOINT, Finish>,
                  shape, signal, taps, finish);
}

// ---- gradient of the taps ----

// The positions of all examples are cut into segments, and these into parts, each with sums of its own.
constexpr int64_t CONV_SEGMENT = 512;
constexpr int64_t CONV_WANTED_BLOCKS = 264;

struct conv_parts {
    int64_t segments; // of an example
    int64_t parts;
    int64_t part_segments;
};

inline conv_parts parts_of(const conv_shape &shape) {
    const int64_t segments = ceil_div(shape.length, CONV_SEGMENT);
    const int64_t blocks = ceil_div(shape.channels, CONV_CHANNELS) * ceil_div(shape.taps, CONV_ROWS);
    const int64_t wanted = ceil_div(CONV_WANTED_BLOCKS, blocks);
    const int64_t all = shape.batch * segments;
    const int64_t part_segments = ceil_div(all, wanted < all ? wanted : all);
    return {segments, ceil_div(all, part_segments), part_segments};
}

inline int64_t tap_sums_bytes(const conv_shape &shape) {
    return parts_of(shape).parts * shape.taps * shape.channels * static_cast<int64_t>(sizeof(float));
}

// sums[r] += g[t] x[t - tap - r] over the CONV_OWN positions from row `group` of the window of g on.
template <bool EDGE>
__device__ void add_products(const float (*x)[CONV_CHANNELS], const float (*g)[CONV_CHANNELS], int own, int group,
                             int64_t first_position, int64_t end_row, float (&sums)[CONV_OWN]) {
    const int first = group + CONV_ROWS - CONV_OWN - own;
    float values[CONV_SPAN];
#pragma unroll
    for (int i = 0; i < CONV_SPAN; i++) {
        values[i] = x[first + i][threadIdx.x];
    }
#pragma unroll
    for (int k = 0; k < CONV_OWN; k++) {
        const float factor = g[group + k][threadIdx.x];
#pragma unroll
        for (int r = 0; r < CONV_OWN; r++) {
            const int i = k + CONV_OWN - 1 - r;
            if (!EDGE || (group + k < end_row && first_position + first + i >= 0)) {
                sums[r] = fmaf(factor, values[i], sums[r]);
            }
        }
    }
}

// Adds one segment of an example, CONV_DEPTH positions at a time. TAP_LANES of a channel's threads have taps of their
// own; the others share the positions.
template <int TAP_LANES>
__device__ void add_segment(const conv_shape &shape, const conv_signal &x, const conv_signal &g, int64_t example,
                            int64_t begin, int64_t first_tap, int64_t channel, float (&sums)[CONV_OWN]) {
    __shared__ float x_window[CONV_WINDOW][CONV_CHANNELS];
    __shared__ float g_window[CONV_DEPTH][CONV_CHANNELS];
    const int own = static_cast<int>(threadIdx.y) % TAP_LANES * CONV_OWN;
    const int64_t end = begin + CONV_SEGMENT < shape.length ? begin + CONV_SEGMENT : shape.length;
    for (int64_t t = begin > first_tap ? begin : begin + (first_tap - begin) / CONV_DEPTH * CONV_DEPTH; t < end;
         t += CONV_DEPTH) {
        const int64_t first = t - first_tap - (CONV_ROWS - 1);
        load_window(x_window, CONV_WINDOW, shape, x, example, first, channel);
        load_window(g_window, CONV_DEPTH, shape, g, example, t, channel);
        __syncthreads();
        const bool edge = first < 0 || t + CONV_DEPTH > end;
        for (int group = static_cast<int>(threadIdx.y) / TAP_LANES * CONV_OWN; group < CONV_DEPTH;
             group += CONV_LANES / TAP_LANES * CONV_OWN) {
            if (edge) {
                add_products<true>(x_window, g_window, own, group, first, end - t, sums);
            } else {
                add_products<false>(x_window, g_window, own, group, first, end - t, sums);
            }
        }
        __syncthreads();
    }
}

// partial[part][tap][channel] for CONV_ROWS taps, or CONV_OWN if TAP_LANES is 1.
template <int TAP_LANES>
__device__ void write_tap_sums(const conv_shape &shape, int64_t first_tap, int64_t channel, int64_t part,
                               const float (&sums)[CONV_OWN], float *partial) {
    __shared__ float shared[CONV_LANES][CONV_OWN][CONV_CHANNELS];
    for (int r = 0; r < CONV_OWN; r++) {
        shared[threadIdx.y][r][threadIdx.x] = sums[r];
    }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.y); i < TAP_LANES * CONV_OWN; i += CONV_LANES) {
        float sum = 0.0f;
        for (int lane = i / CONV_OWN; lane < CONV_LANES; lane += TAP_LANES) {
            sum += shared[lane][i % CONV_OWN][threadIdx.x];
        }
        if (first_tap + i < shape.taps && channel < shape.channels) {
            partial[(part * shape.taps + first_tap + i) * shape.channels + channel] = sum;
        }
    }
    __syncthreads();
}

template <int TAP_LANES>
__global__ void __launch_bounds__(CONV_CHANNELS *CONV_LANES)
    tap_sums_kernel(conv_shape shape, conv_parts parts, conv_signal x, conv_signal g, float *partial) {
    constexpr int BLOCK_TAPS = TAP_LANES * CONV_OWN;
    const int64_t tap_blocks = (shape.taps + BLOCK_TAPS - 1) / BLOCK_TAPS;
    const int64_t segments = shape.batch * parts.segments;
    for (int64_t task = blockIdx.x; task < parts.parts * tap_blocks; task += gridDim.x) {
        const int64_t part = task / tap_blocks, first_tap = task % tap_blocks * BLOCK_TAPS;
        const int64_t end = (part + 1) * parts.part_segments < segments ? (part + 1) * parts.part_segments : segments;
        for (int64_t first = static_cast<int64_t>(blockIdx.y) * CONV_CHANNELS; first < shape.channels;
             first += static_cast<int64_t>(gridDim.y) * CONV_CHANNELS) {
            float sums[CONV_OWN] = {};
            for (int64_t s = part * parts.part_segments; s < end; s++) {
                add_segment<TAP_LANES>(shape, x, g, s / parts.segments, s % parts.segments * CONV_SEGMENT, first_tap,
                                       first + threadIdx.x, sums);
            }
            write_tap_sums<TAP_LANES>(shape, first_tap, first + threadIdx.x, part, sums, partial);
        }
    }
}

struct add_tap_parts {
    conv_shape shape;
    int64_t parts;
    const float *partial;
    conv_taps<float> gradient;

    __device__ void operator()(int64_t i) const {
        float sum = 0.0f;
        for (int64_t part = 0; part < parts; part++) {
            sum += partial[part * shape.taps * shape.channels + i];
        }
        gradient.at(i % shape.channels, i / shape.channels) += sum;
    }
};

// gradient[channel, j] += sum over examples and t >= j of g[t] x[t - j], for j < shape.taps <= shape.length or the taps
// of a short convolution. The workspace has tap_sums_bytes().
inline pan_status add_tap_gradient(const pan_stream *stream, const char *op, const conv_shape &shape,
                                   const conv_signal &x, const conv_signal &g, const conv_taps<float> &gradient,
                                   void *workspace) {
    const conv_parts parts = parts_of(shape);
    auto *partial = static_cast<float *>(workspace);
    const bool few = shape.taps <= CONV_OWN;
    const int64_t tasks = parts.parts * ceil_div(shape.taps, few ? CONV_OWN : CONV_ROWS);
    CUDA_TRY(launch(stream, op, shape.batch * shape.length, shape.channels,
                    {conv_grid(tasks, shape.channels), dim3(CONV_CHANNELS, CONV_LANES)},
                    few ? tap_sums_kernel<1> : tap_sums_kernel<CONV_LANES>, shape, parts, x, g, partial));
    return for_each(stream, op, shape.taps, shape.channels, add_tap_parts{shape, parts.parts, partial, gradient});
}

#endif
