// What implicit filters are made of: features of the position, sine layers, decay.
#include "block.cuh"

namespace {

constexpr double PI = 3.14159265358979323846;
constexpr double LOWEST_FREQUENCY = 1e-4;

struct features_element {
    int64_t length, bands;
    float *z;

    __device__ double frequency(int64_t band) const {
        const auto last = static_cast<double>(bands - 1);
        return bands == 1 ? LOWEST_FREQUENCY
                          : LOWEST_FREQUENCY + static_cast<double>(band) / last * (last - LOWEST_FREQUENCY);
    }

    __device__ void operator()(int64_t i) const {
        const int64_t width = 2 * bands + 1;
        const int64_t feature = i % width;
        const auto t = static_cast<double>(i / width);
        if (feature == 0) {
            z[i] = length == 1 ? 0.0f : static_cast<float>(t / static_cast<double>(length - 1));
            return;
        }
        const double angle = 2.0 * PI * t / static_cast<double>(length);
        z[i] = static_cast<float>(feature <= bands ? cos(frequency(feature - 1) * angle)
                                                   : -sin(frequency(feature - 1 - bands) * angle));
    }
};

// The sine or cosine of frequency * x, whose product would lose digits in float: in double, less whole turns, it fits a
// float again. Beyond 2^16 the library's functions of doubles take their time.
constexpr double LARGE_PHASE = 65536.0;

__device__ float small_phase(double phase) {
    return static_cast<float>(phase - 2.0 * PI * rint(phase * (0.5 / PI)));
}

__device__ float sine_of(float frequency, float x) {
    const double phase = static_cast<double>(frequency) * x;
    return fabs(phase) < LARGE_PHASE ? sinf(small_phase(phase)) : static_cast<float>(sin(phase));
}

__device__ float cosine_of(float frequency, float x) {
    const double phase = static_cast<double>(frequency) * x;
    return fabs(phase) < LARGE_PHASE ? cosf(small_phase(phase)) : static_cast<float>(cos(phase));
}

struct sine_element {
    const float *x, *frequency;
    float *y;
    int64_t channels;

    __device__ void operator()(int64_t i) const {
        y[i] = sine_of(frequency[i % channels], x[i]);
    }
};

struct sine_gradient_element {
    const float *x, *frequency, *dy;
    float *dx;
    int64_t channels;

    __device__ void operator()(int64_t i) const {
        const float f = frequency[i % channels];
        dx[i] = f * cosine_of(f, x[i]) * dy[i];
    }
};

struct frequency_terms {
    const float *x, *frequency, *dy;
    int64_t channels;

    __device__ void operator()(int64_t row, int64_t channel, double (&sums)[1]) const {
        const int64_t i = row * channels + channel;
        sums[0] += static_cast<double>(x[i]) * cosine_of(frequency[channel], x[i]) * dy[i];
    }
};

struct modulation_element {
    const float *x, *rate;
    float *y;
    int64_t channels;
    double time_step, shift;

    __device__ void operator()(int64_t i) const {
        const double time = static_cast<double>(i / channels) * time_step;
        const double window = exp(-time * fabs(static_cast<double>(rate[i % channels]))) + shift;
        y[i] = static_cast<float>(x[i] * window);
    }
};

} // namespace

pan_status cuda_positional_features(pan_stream *stream, const pan_positional_features_desc *desc, float *z) {
    return for_each(stream, "positional_features", desc->length, 2 * desc->bands + 1,
                    features_element{desc->length, desc->bands, z});
}

pan_status cuda_sine_layer_forward(pan_stream *stream, const pan_sine_layer_desc *desc, const void *x,
                                   const float *frequency, void *y) {
    return for_each(stream, "sine_layer_forward", desc->rows, desc->channels,
                    sine_element{static_cast<const float *>(x), frequency, static_cast<float *>(y), desc->channels});
}

pan_status cuda_sine_layer_backward_workspace_size(pan_stream *, const pan_sine_layer_desc *desc, int64_t *bytes) {
    *bytes = column_sums_bytes(desc->rows, desc->channels, 1);
    return PAN_OK;
}

pan_status cuda_sine_layer_backward(pan_stream *stream, const pan_sine_layer_desc *desc, const void *x,
                                    const float *frequency, const void *dy, void *dx, float *dfrequency,
                                    void *workspace, int64_t) {
    const auto *in = static_cast<const float *>(x), *gradient = static_cast<const float *>(dy);
    // First, because dx may lie where dy does.
    if (dfrequency != nullptr) {
        CUDA_TRY(add_column_sums<1>(stream, "sine_layer_backward", desc->rows, desc->channels,
                                    frequency_terms{in, frequency, gradient, desc->channels}, workspace, {dfrequency}));
    }
    return dx == nullptr
               ? PAN_OK
               : for_each(stream, "sine_layer_backward", desc->rows, desc->channels,
                          sine_gradient_element{in, frequency, gradient, static_cast<float *>(dx), desc->channels});
}

pan_status cuda_exponential_modulation(pan_stream *stream, const pan_exponential_modulation_desc *desc, const void *x,
                                       const float *rate, void *y) {
    return for_each(stream, "exponential_modulation", desc->length, desc->channels,
                    modulation_element{static_cast<const float *>(x), rate, static_cast<float *>(y), desc->channels,
                                       desc->time_step, desc->shift});
}
