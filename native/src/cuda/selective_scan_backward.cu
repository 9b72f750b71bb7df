// Gradient of the selective scan: from the last chunk to the first, a chunk's states are computed again from its checkpoint
// and the gradient is carried backwards through them.
#include "selective_scan.cuh"

namespace {

struct scan_gradients {
    const float *checkpoints;
    const float *dy;
    float *du;
    float *ddelta;
    float *dz;       // may be NULL
    float *db_parts; // (blocks, rows, state_size), as dc_parts: the sums over a block's channels
    float *dc_parts;
    float *dstate; // (batch, state_size, channels): the gradient of the states between chunks
    float *drate;  // likewise, of each example's rates
};

// What the warps of a block hand each other.
struct backward_tiles {
    scan_tile step;
    scan_tile input;    // step * u
    scan_tile gradient; // of the output before the gate
    scan_tile output[SCAN_WARPS];
    scan_tile dinput[SCAN_WARPS];
    scan_tile dstep[SCAN_WARPS]; // by way of the decays
};

__device__ void begin_chunk(const scan_inputs &in, const scan_gradients &out, backward_tiles &tiles,
                            const scan_chunk &rows, int64_t channel) {
    for (int t = threadIdx.y; t < PAN_SCAN_CHUNK; t += SCAN_WARPS) {
        const bool present = t < rows.count && channel < in.desc.channels;
        const int64_t row = rows.first_row + t;
        const float step = present ? softplus(in.raw_step(row, channel)) : 0.0f;
        tiles.step[t][threadIdx.x] = step;
        tiles.input[t][threadIdx.x] = present ? step * in.u[row * in.desc.u_stride + channel] : 0.0f;
        tiles.gradient[t][threadIdx.x] =
            present ? out.dy[row * in.desc.y_stride + channel] * in.gate(row, channel).value : 0.0f;
    }
}

// A warp's sum of a value that each channel of the block has, kept by its first thread.
__device__ void write_sum(float value, float *to) {
    value = warp_reduce(value, plus());
    if (threadIdx.x == 0) {
        *to = value;
    }
}

// The gradients by way of a warp's share of the states over a chunk.
__device__ void differentiate(const scan_inputs &in, const scan_gradients &out, backward_tiles &tiles, int64_t example,
                              int64_t chunk, const scan_chunk &rows, int64_t channel, int64_t block) {
    const pan_selective_scan_desc &desc = in.desc;
    const int64_t chunks = pan_scan_chunks(desc.length), lane = threadIdx.x;
    const bool present = channel < desc.channels;
    float output[PAN_SCAN_CHUNK] = {}, dinput[PAN_SCAN_CHUNK] = {}, dstep[PAN_SCAN_CHUNK] = {};
    for (int64_t n = threadIdx.y; n < desc.state_size; n += SCAN_WARPS) {
        const int64_t at = state_index(desc, example, n, channel);
        const int64_t part = (block * desc.batch * desc.length + rows.first_row) * desc.state_size + n;
        const float rate = present ? in.rate(channel, n) : 0.0f;
        float state = present ? out.checkpoints[state_index(desc, example * chunks + chunk, n, channel)] : 0.0f;
        float decay[PAN_SCAN_CHUNK], carried[PAN_SCAN_CHUNK];
#pragma unroll
        for (int t = 0; t < PAN_SCAN_CHUNK; t++) {
            if (t < rows.count) {
                const int64_t row = rows.first_row + t;
                decay[t] = expf(tiles.step[t][lane] * rate);
                carried[t] = decay[t] * state;
                state = carried[t] + tiles.input[t][lane] * in.b[row * desc.b_stride + n];
                output[t] += in.c[row * desc.c_stride + n] * state;
                write_sum(tiles.gradient[t][lane] * state, out.dc_parts + part + t * desc.state_size);
            }
        }
        const bool last = chunk == chunks - 1;
        float gradient = last || !present ? 0.0f : out.dstate[at];
        float drate = last || !present ? 0.0f : out.drate[at];
#pragma unroll
        for (int t = PAN_SCAN_CHUNK - 1; t >= 0; t--) {
            if (t < rows.count) {
                const int64_t row = rows.first_row + t;
                const float dstate = gradient + tiles.gradient[t][lane] * in.c[row * desc.c_stride + n];
                const float dexponent = dstate * carried[t];
                write_sum(dstate * tiles.input[t][lane], out.db_parts + part + t * desc.state_size);
                dinput[t] += dstate * in.b[row * desc.b_stride + n];
                dstep[t] += dexponent * rate;
                drate += dexponent * tiles.step[t][lane];
                gradient = dstate * decay[t];
            }
        }
        if (present) {
            out.dstate[at] = gradient;
            out.drate[at] = drate;
        }
    }
#pragma unroll
    for (int t = 0; t < PAN_SCAN_CHUNK; t++) {
        tiles.output[threadIdx.y][t][lane] = output[t];
        tiles.dinput[threadIdx.y][t][lane] = dinput[t];
        tiles.dstep[threadIdx.y][t][lane] = dstep[t];
    }
}

__device__ float add_warps(const scan_tile *tiles, int t) {
    float sum = 0.0f;
    for (int warp = 0; warp < SCAN_WARPS; warp++) {
        sum += tiles[warp][t][threadIdx.x];
    }
    return sum;
}

__device__ void end_chunk(const scan_inputs &in, const scan_gradients &out, const backward_tiles &tiles,
                          const scan_chunk &rows, int64_t channel) {
    const pan_selective_scan_desc &desc = in.desc;
    for (int t = threadIdx.y; t < rows.count && channel < desc.channels; t += SCAN_WARPS) {
        const int64_t row = rows.first_row + t;
        const float dinput = add_warps(tiles.dinput, t);
        const float skipped = in.skip == nullptr ? 0.0f : in.skip[channel] * tiles.gradient[t][threadIdx.x];
        const float dstep = add_warps(tiles.dstep, t) + dinput * in.u[row * desc.u_stride + channel];
        out.du[row * desc.u_stride + channel] = dinput * tiles.step[t][threadIdx.x] + skipped;
        out.ddelta[row * desc.delta_stride + channel] = dstep * sigmoid(in.raw_step(row, channel));
        if (out.dz != nullptr) {
            const float output = in.skipped(row, channel) + add_warps(tiles.output, t);
            out.dz[row * desc.z_stride + channel] =
                out.dy[row * desc.y_stride + channel] * output * in.gate(row, channel).slope;
        }
    }
}

__global__ void __launch_bounds__(WARP_THREADS *SCAN_WARPS) scan_backward_kernel(scan_inputs in, scan_gradients out) {
    __shared__ backward_tiles tiles;
    for (int64_t first = static_cast<int64_t>(blockIdx.x) * SCAN_CHANNELS; first < in.desc.channels;
         first += static_cast<int64_t>(gridDim.x) * SCAN_CHANNELS) {
        const int64_t channel = first + threadIdx.x;
        for (int64_t example = blockIdx.y; example < in.desc.batch; example += gridDim.y) {
            for (int64_t chunk = pan_scan_chunks(in.desc.length) - 1; chunk >= 0; chunk--) {
                const scan_chunk rows(in.desc, example, chunk);
                begin_chunk(in, out, tiles, rows, channel);
                __syncthreads();
                differentiate(in, out, tiles, example, chunk, rows, channel, first / SCAN_CHANNELS);
                __syncthreads();
                end_chunk(in, out, tiles, rows, channel);
                __syncthreads(); // tiles are still read
            }
        }
    }
}

// db or dc: the sums of all blocks' parts.
struct add_blocks {
    int64_t blocks;
    int64_t rows;
    int64_t state_size;
    int64_t stride;
    const float *parts;
    float *to;

    __device__ void operator()(int64_t i) const {
        float sum = 0.0f;
        for (int64_t block = 0; block < blocks; block++) {
            sum += parts[block * rows * state_size + i];
        }
        to[i / state_size * stride + i % state_size] = sum;
    }
};

struct add_examples {
    scan_inputs in;
    const float *drate;
    float *da_log;

    // i counts states, then channels, as the examples' sums lie.
    __device__ void operator()(int64_t i) const {
        const int64_t n = i / in.desc.channels, channel = i % in.desc.channels;
        double sum = 0.0;
        for (int64_t example = 0; example < in.desc.batch; example++) {
            sum += drate[state_index(in.desc, example, n, channel)];
        }
        da_log[channel * in.desc.state_size + n] += static_cast<float>(sum) * in.rate(channel, n);
    }
};

// The terms of dskip and ddelta_bias.
struct channel_terms {
    scan_inputs in;
    const float *dy;
    const float *ddelta;

    __device__ void operator()(int64_t row, int64_t channel, double (&sums)[2]) const {
        const float gradient = dy[row * in.desc.y_stride + channel] * in.gate(row, channel).value;
        sums[0] += static_cast<double>(gradient) * in.u[row * in.desc.u_stride + channel];
        sums[1] += ddelta[row * in.desc.delta_stride + channel];
    }
};

struct scan_workspace {
    int64_t sums;   // bytes of db_parts, as of dc_parts
    int64_t states; // bytes of dstate, as of drate
    int64_t columns;

    explicit scan_workspace(const pan_selective_scan_desc *desc) {
        const int64_t rows = desc->batch * desc->length, real = sizeof(float);
        sums = align_up(scan_blocks(desc) * rows * desc->state_size * real);
        states = align_up(desc->batch * desc->state_size * desc->channels * real);
        columns = column_sums_bytes(rows, desc->channels, 2);
    }
};

} // namespace

pan_status cuda_selective_scan_backward_workspace_size(pan_stream *, const pan_selective_scan_desc *desc,
                                                       int64_t *bytes) {
    const scan_workspace sizes(desc);
    *bytes = 2 * sizes.sums + 2 * sizes.states + sizes.columns;
    return PAN_OK;
}

pan_status cuda_selective_scan_backward(pan_stream *stream, const pan_selective_scan_desc *desc, const void *u,
                                        const void *delta, const float *a_log, const void *b, const void *c,
                                        const float *skip, const float *delta_bias, const void *z,
                                        const float *checkpoints, const void *dy, void *du, void *ddelta, float *da_log,
                                        void *db, void *dc, float *dskip, float *ddelta_bias, void *dz, void *workspace,
                                        int64_t) {
    static const char op[] = "selective_scan_backward";
    const int64_t rows = desc->batch * desc->length, channels = desc->channels;
    const scan_workspace sizes(desc);
    char *const memory = static_cast<char *>(workspace);
    const scan_inputs in = {*desc,
                            static_cast<const float *>(u),
                            static_cast<const float *>(delta),
                            a_log,
                            static_cast<const float *>(b),
                            static_cast<const float *>(c),
                            skip,
                            delta_bias,
                            static_cast<const float *>(z)};
    const scan_gradients out = {checkpoints,
                                static_cast<const float *>(dy),
                                static_cast<float *>(du),
                                static_cast<float *>(ddelta),
                                static_cast<float *>(dz),
                                reinterpret_cast<float *>(memory),
                                reinterpret_cast<float *>(memory + sizes.sums),
                                reinterpret_cast<float *>(memory + 2 * sizes.sums),
                                reinterpret_cast<float *>(memory + 2 * sizes.sums + sizes.states)};
    CUDA_TRY(launch(stream, op, rows, channels, scan_shape(desc), scan_backward_kernel, in, out));
    CUDA_TRY(for_each(
        stream, op, rows, desc->state_size,
        add_blocks{scan_blocks(desc), rows, desc->state_size, desc->b_stride, out.db_parts, static_cast<float *>(db)}));
    CUDA_TRY(for_each(
        stream, op, rows, desc->state_size,
        add_blocks{scan_blocks(desc), rows, desc->state_size, desc->c_stride, out.dc_parts, static_cast<float *>(dc)}));
    CUDA_TRY(for_each(stream, op, desc->state_size, channels, add_examples{in, out.drate, da_log}));
    return dskip == nullptr && ddelta_bias == nullptr
               ? PAN_OK
               : add_column_sums<2>(stream, op, rows, channels, channel_terms{in, out.dy, out.ddelta},
                                    memory + 2 * sizes.sums + 2 * sizes.states, {dskip, ddelta_bias});
}
