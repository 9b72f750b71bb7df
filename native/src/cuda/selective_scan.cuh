// What the selective scan and its gradient share: a block of threads scans 32 channels of an example, chunk by chunk. The
// threads of a warp are neighbouring channels, and each warp has its share of the states.
#ifndef PAN_CUDA_SELECTIVE_SCAN_CUH
#define PAN_CUDA_SELECTIVE_SCAN_CUH

#include "../core/selective_scan.h"
#include "activation.cuh"
#include "block.cuh"

constexpr int SCAN_WARPS = 4;
constexpr int SCAN_CHANNELS = WARP_THREADS;

// A number for each position of a chunk and each channel of a block.
using scan_tile = float[PAN_SCAN_CHUNK][SCAN_CHANNELS];

// What is scanned; skip, delta_bias and z may be NULL.
struct scan_inputs {
    pan_selective_scan_desc desc;
    const float *u;
    const float *delta;
    const float *a_log;
    const float *b;
    const float *c;
    const float *skip;
    const float *delta_bias;
    const float *z;

    __device__ float raw_step(int64_t row, int64_t channel) const {
        return delta[row * desc.delta_stride + channel] + (delta_bias == nullptr ? 0.0f : delta_bias[channel]);
    }

    __device__ float rate(int64_t channel, int64_t n) const {
        return -expf(a_log[channel * desc.state_size + n]);
    }

    __device__ float skipped(int64_t row, int64_t channel) const {
        return skip == nullptr ? 0.0f : skip[channel] * u[row * desc.u_stride + channel];
    }

    // SiLU(z) and its slope, or 1 and 0 without a gate.
    __device__ activation_value gate(int64_t row, int64_t channel) const {
        return z == nullptr ? activation_value{1.0f, 0.0f}
                            : activate<PAN_ACTIVATION_SILU>(z[row * desc.z_stride + channel]);
    }
};

// Where an example's state n of a channel lies in an array (batch, state_size, channels).
__device__ inline int64_t state_index(const pan_selective_scan_desc &desc, int64_t example, int64_t n,
                                      int64_t channel) {
    return (example * desc.state_size + n) * desc.channels + channel;
}

// The rows of a chunk.
struct scan_chunk {
    int64_t first_row;
    int count;

    __device__ scan_chunk(const pan_selective_scan_desc &desc, int64_t example, int64_t chunk) {
        const int64_t begin = chunk * PAN_SCAN_CHUNK, left = desc.length - begin;
        first_row = example * desc.length + begin;
        count = left < PAN_SCAN_CHUNK ? static_cast<int>(left) : int{PAN_SCAN_CHUNK};
    }
};

inline int64_t scan_blocks(const pan_selective_scan_desc *desc) {
    return ceil_div(desc->channels, SCAN_CHANNELS);
}

inline launch_shape scan_shape(const pan_selective_scan_desc *desc) {
    const int64_t examples = desc->batch < MAX_GRID_YZ ? desc->batch : MAX_GRID_YZ;
    return {dim3(blocks_for(scan_blocks(desc)), static_cast<unsigned>(examples)), dim3(WARP_THREADS, SCAN_WARPS)};
}

#endif
