// The selective scan of Mamba.
#include "selective_scan.cuh"

namespace {

struct scan_outputs {
    const float *initial_state; // may be NULL, as the others but y and carry
    float *y;
    float *checkpoints;
    float *final_state;
    float *carry; // (batch, state_size, channels): the states between chunks
};

// What the warps of a block hand each other.
struct forward_tiles {
    scan_tile step;
    scan_tile input; // step * u
    scan_tile output[SCAN_WARPS];
};

__device__ float first_state(const scan_outputs &out, int64_t chunk, int64_t at) {
    if (chunk > 0) {
        return out.carry[at];
    }
    return out.initial_state == nullptr ? 0.0f : out.initial_state[at];
}

// The outputs of a warp's share of the states over a chunk.
__device__ void advance(const scan_inputs &in, const scan_outputs &out, forward_tiles &tiles, int64_t example,
                        int64_t chunk, const scan_chunk &rows, int64_t channel) {
    const int64_t chunks = pan_scan_chunks(in.desc.length);
    float sum[PAN_SCAN_CHUNK] = {};
    for (int64_t n = threadIdx.y; n < in.desc.state_size && channel < in.desc.channels; n += SCAN_WARPS) {
        const int64_t at = state_index(in.desc, example, n, channel);
        const float rate = in.rate(channel, n);
        float state = first_state(out, chunk, at);
        if (out.checkpoints != nullptr) {
            out.checkpoints[state_index(in.desc, example * chunks + chunk, n, channel)] = state;
        }
#pragma unroll
        for (int t = 0; t < PAN_SCAN_CHUNK; t++) {
            if (t < rows.count) {
                const int64_t row = rows.first_row + t;
                state = expf(tiles.step[t][threadIdx.x] * rate) * state +
                        tiles.input[t][threadIdx.x] * in.b[row * in.desc.b_stride + n];
                sum[t] += in.c[row * in.desc.c_stride + n] * state;
            }
        }
        out.carry[at] = state;
        if (out.final_state != nullptr && chunk == chunks - 1) {
            out.final_state[at] = state;
        }
    }
#pragma unroll
    for (int t = 0; t < PAN_SCAN_CHUNK; t++) {
        tiles.output[threadIdx.y][t][threadIdx.x] = sum[t];
    }
}

__device__ void scan_one(const scan_inputs &in, const scan_outputs &out, forward_tiles &tiles, int64_t example,
                         int64_t channel) {
    for (int64_t chunk = 0; chunk < pan_scan_chunks(in.desc.length); chunk++) {
        const scan_chunk rows(in.desc, example, chunk);
        for (int t = threadIdx.y; t < rows.count && channel < in.desc.channels; t += SCAN_WARPS) {
            const int64_t row = rows.first_row + t;
            const float step = softplus(in.raw_step(row, channel));
            tiles.step[t][threadIdx.x] = step;
            tiles.input[t][threadIdx.x] = step * in.u[row * in.desc.u_stride + channel];
        }
        __syncthreads();
        advance(in, out, tiles, example, chunk, rows, channel);
        __syncthreads();
        for (int t = threadIdx.y; t < rows.count && channel < in.desc.channels; t += SCAN_WARPS) {
            const int64_t row = rows.first_row + t;
            float y = in.skipped(row, channel);
            for (int warp = 0; warp < SCAN_WARPS; warp++) {
                y += tiles.output[warp][t][threadIdx.x];
            }
            out.y[row * in.desc.y_stride + channel] = y * in.gate(row, channel).value;
        }
    }
}

__global__ void __launch_bounds__(WARP_THREADS *SCAN_WARPS) scan_kernel(scan_inputs in, scan_outputs out) {
    __shared__ forward_tiles tiles;
    for (int64_t first = static_cast<int64_t>(blockIdx.x) * SCAN_CHANNELS; first < in.desc.channels;
         first += static_cast<int64_t>(gridDim.x) * SCAN_CHANNELS) {
        for (int64_t example = blockIdx.y; example < in.desc.batch; example += gridDim.y) {
            scan_one(in, out, tiles, example, first + threadIdx.x);
        }
    }
}

} // namespace

pan_status cuda_selective_scan_checkpoints_size(pan_stream *, const pan_selective_scan_desc *desc, int64_t *bytes) {
    *bytes = desc->batch * pan_scan_chunks(desc->length) * desc->state_size * desc->channels *
             static_cast<int64_t>(sizeof(float));
    return PAN_OK;
}

pan_status cuda_selective_scan_forward_workspace_size(pan_stream *, const pan_selective_scan_desc *desc,
                                                      int64_t *bytes) {
    *bytes = desc->batch * desc->state_size * desc->channels * static_cast<int64_t>(sizeof(float));
    return PAN_OK;
}

pan_status cuda_selective_scan_forward(pan_stream *stream, const pan_selective_scan_desc *desc, const void *u,
                                       const void *delta, const float *a_log, const void *b, const void *c,
                                       const float *skip, const float *delta_bias, const void *z,
                                       const float *initial_state, void *y, float *checkpoints, float *final_state,
                                       void *workspace, int64_t) {
    const scan_inputs in = {*desc,
                            static_cast<const float *>(u),
                            static_cast<const float *>(delta),
                            a_log,
                            static_cast<const float *>(b),
                            static_cast<const float *>(c),
                            skip,
                            delta_bias,
                            static_cast<const float *>(z)};
    const scan_outputs out = {initial_state, static_cast<float *>(y), checkpoints, final_state,
                              static_cast<float *>(workspace)};
    return launch(stream, "selective_scan_forward", desc->batch * desc->length, desc->channels, scan_shape(desc),
                  scan_kernel, in, out);
}
