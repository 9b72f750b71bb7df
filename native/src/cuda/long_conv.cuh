// What the long convolution's forward and backward share.
#ifndef PAN_CUDA_LONG_CONV_CUH
#define PAN_CUDA_LONG_CONV_CUH

#include "direct_conv.cuh"
#include "fft.cuh"

// Device memory for the spectra of a call; the batch is cut into chunks that fit, whose results do not depend on the cut.
constexpr int64_t SPECTRA_BYTES = 64 << 20;

inline conv_shape direct_shape(const pan_long_conv_plan *plan) {
    return {plan->desc.batch, plan->desc.length, plan->desc.channels, plan->taps};
}

inline int64_t spectrum_bytes(const pan_long_conv_plan *plan) {
    return plan->points * plan->desc.channels * static_cast<int64_t>(sizeof(float2));
}

// Examples of a chunk where each has `arrays` spectra.
inline int64_t chunk_examples(const pan_long_conv_plan *plan, int arrays) {
    const int64_t fitting = SPECTRA_BYTES / (arrays * spectrum_bytes(plan));
    return fitting < 1 ? 1 : fitting < plan->desc.batch ? fitting : plan->desc.batch;
}

// A filter as it is prepared. By FFT its spectrum, (points, channels), and behind it for each channel the exponent that a
// column convolved with it lacks in the end; directly its taps, (taps, channels).
inline const float2 *filter_spectrum(const void *spectrum) {
    return static_cast<const float2 *>(spectrum);
}

inline const int *filter_exponents(const pan_long_conv_plan *plan, const void *spectrum) {
    return reinterpret_cast<const int *>(static_cast<const char *>(spectrum) + spectrum_bytes(plan));
}

inline conv_taps<const float> prepared_taps(const pan_long_conv_plan *plan, const void *spectrum) {
    return {static_cast<const float *>(spectrum), 1, plan->desc.channels};
}

inline int log2_points(const pan_long_conv_plan *plan) {
    return 63 - __builtin_clzll(static_cast<unsigned long long>(plan->points));
}

// The columns of an array, from example `first` on; `largest` (examples, channels) has the largest magnitude of each.
struct signal_columns {
    conv_signal signal;
    int64_t count, channels, first;
    const float *largest;

    __device__ float at(int64_t example, int64_t position, int64_t channel) const {
        return signal.at((first + example) * count + position, channel);
    }
    __device__ int exponent(int64_t example, int64_t channel) const {
        return exponent_of(largest[(first + example) * channels + channel]);
    }
};

// ---- largest magnitudes ----

// Bytes of one magnitude for each column.
inline int64_t largest_bytes(const pan_long_conv_plan *plan) {
    return align_up(plan->desc.batch * plan->desc.channels * static_cast<int64_t>(sizeof(float)));
}

template <typename Columns>
__global__ void __launch_bounds__(WARP_THREADS *COLUMN_LANES)
    largest_kernel(Columns columns, int64_t examples, int64_t channels, float *largest) {
    __shared__ float shared[COLUMN_LANES][WARP_THREADS];
    for (int64_t example = blockIdx.x; example < examples; example += gridDim.x) {
        for (int64_t first = static_cast<int64_t>(blockIdx.y) * WARP_THREADS; first < channels;
             first += static_cast<int64_t>(gridDim.y) * WARP_THREADS) {
            const int64_t channel = first + threadIdx.x;
            float most = 0.0f; // fmaxf passes NaN over
            for (int64_t t = threadIdx.y; t < columns.count && channel < channels; t += COLUMN_LANES) {
                most = fmaxf(most, fabsf(columns.at(example, t, channel)));
            }
            shared[threadIdx.y][threadIdx.x] = most;
            __syncthreads();
            for (int lane = 0; lane < COLUMN_LANES; lane++) {
                most = fmaxf(most, shared[lane][threadIdx.x]);
            }
            if (threadIdx.y == 0 && channel < channels) {
                largest[example * channels + channel] = most;
            }
            __syncthreads();
        }
    }
}

// largest[example, channel] = max over positions of |columns|; NaN is passed over.
template <typename Columns>
pan_status find_largest(const pan_stream *stream, const char *op, const Columns &columns, int64_t examples,
                        int64_t channels, float *largest) {
    return launch(stream, op, examples, channels, {conv_grid(examples, channels), dim3(WARP_THREADS, COLUMN_LANES)},
                  largest_kernel<Columns>, columns, examples, channels, largest);
}

// A copy between strided arrays of (rows, channels), for results that may lie where other blocks still read.
struct copy_rows {
    const float *from; // dense
    float *to;
    int64_t channels, stride;

    __device__ void operator()(int64_t i) const {
        to[i / channels * stride + i % channels] = from[i];
    }
};

#endif
