// Long convolution: preparing the filter, and forward.
#include "long_conv.cuh"

namespace {

// ---- filter ----

struct copy_tap {
    conv_taps<const float> from;
    float *to;
    int64_t channels;

    __device__ void operator()(int64_t i) const {
        to[i] = from.at(i % channels, i / channels);
    }
};

// The power of two out of a filter leaves room for that of the transform.
__device__ int filter_exponent(float largest, int points_exponent) {
    return clamp_exponent(exponent_of(largest), EXPONENT_MIN + points_exponent);
}

struct filter_columns {
    conv_taps<const float> taps;
    int64_t count;
    const float *largest;
    int points_exponent;

    __device__ float at(int64_t, int64_t tap, int64_t channel) const {
        return taps.at(channel, tap);
    }
    __device__ int exponent(int64_t, int64_t channel) const {
        return filter_exponent(largest[channel], points_exponent);
    }
};

struct write_exponent {
    const float *largest;
    int points_exponent;
    int *exponents;

    __device__ void operator()(int64_t channel) const {
        exponents[channel] = filter_exponent(largest[channel], points_exponent) - points_exponent;
    }
};

// ---- forward ----

// y = post (v + skip x), with x = pre u read where y is written.
struct output {
    conv_signal x;
    const float *post, *skip;
    int64_t post_stride;
    float *y;
    int64_t y_stride;

    __device__ void operator()(int64_t row, int64_t channel, float v) const {
        if (skip != nullptr) {
            v += skip[channel] * x.at(row, channel);
        }
        if (post != nullptr) {
            v *= post[row * post_stride + channel];
        }
        y[row * y_stride + channel] = v;
    }
};

struct output_columns {
    output out;
    signal_columns x;
    const int *exponents;
    int64_t count;

    __device__ int exponent(int64_t example, int64_t channel) const {
        return x.exponent(example, channel) + exponents[channel];
    }
    __device__ void finish(int64_t example, int64_t position, int64_t channel, float value) const {
        out((x.first + example) * count + position, channel, value);
    }
};

pan_status forward_by_fft(pan_stream *stream, const pan_long_conv_plan *plan, const void *spectrum, const output &out,
                          void *workspace) {
    static const char op[] = "long_conv_forward";
    const pan_long_conv_desc *desc = &plan->desc;
    const fft_shape shape = shape_of(stream, plan);
    auto *largest = static_cast<float *>(workspace);
    const stored_points z = stored_at(shape, static_cast<char *>(workspace) + largest_bytes(plan));
    signal_columns x = {out.x, desc->length, desc->channels, 0, largest};
    CUDA_TRY(find_largest(stream, op, x, desc->batch, desc->channels, largest));
    const int64_t chunk = fits_in_shared(shape) ? desc->batch : chunk_examples(plan, 1);
    for (int64_t first = 0; first < desc->batch; first += chunk) {
        x.first = first;
        const int64_t examples = desc->batch - first < chunk ? desc->batch - first : chunk;
        const output_columns y = {out, x, filter_exponents(plan, spectrum), desc->length};
        CUDA_TRY(convolve_columns(stream, op, shape, examples, column_source<signal_columns>{x, shape.twist},
                                  times_spectrum<false>{filter_spectrum(spectrum), desc->channels},
                                  column_sink<output_columns>{y, shape.twist}, z));
    }
    return PAN_OK;
}

// Blocks read each other's inputs: an output that lies there is written elsewhere first.
pan_status forward_directly(pan_stream *stream, const pan_long_conv_plan *plan, const void *spectrum, output out,
                            void *workspace) {
    static const char op[] = "long_conv_forward";
    const pan_long_conv_desc *desc = &plan->desc;
    float *const y = out.y;
    const bool in_place = y == out.x.values;
    if (in_place) {
        out.y = static_cast<float *>(workspace);
        out.y_stride = desc->channels;
    }
    CUDA_TRY(convolve_directly<false>(stream, op, direct_shape(plan), out.x, prepared_taps(plan, spectrum), out));
    return in_place ? for_each(stream, op, desc->batch * desc->length, desc->channels,
                               copy_rows{out.y, y, desc->channels, desc->y_stride})
                    : PAN_OK;
}

} // namespace

pan_status cuda_long_conv_spectrum_size(pan_stream *, const pan_long_conv_plan *plan, int64_t *bytes) {
    const int64_t channels = plan->desc.channels;
    *bytes = plan->method == PAN_CONV_FFT ? spectrum_bytes(plan) + channels * static_cast<int64_t>(sizeof(int))
                                          : plan->taps * channels * static_cast<int64_t>(sizeof(float));
    return PAN_OK;
}

pan_status cuda_long_conv_prepare_workspace_size(pan_stream *, const pan_long_conv_plan *plan, int64_t *bytes) {
    *bytes = plan->method == PAN_CONV_FFT ? plan->desc.channels * static_cast<int64_t>(sizeof(float)) : 0;
    return PAN_OK;
}

pan_status cuda_long_conv_prepare(pan_stream *stream, const pan_long_conv_plan *plan, const float *h, void *spectrum,
                                  void *workspace, int64_t) {
    static const char op[] = "long_conv_prepare";
    const int64_t channels = plan->desc.channels;
    const conv_taps<const float> taps = {h, plan->desc.h_channel_stride, plan->desc.h_tap_stride};
    if (plan->method == PAN_CONV_DIRECT) {
        return for_each(stream, op, plan->taps, channels, copy_tap{taps, static_cast<float *>(spectrum), channels});
    }
    const fft_shape shape = shape_of(stream, plan);
    auto *largest = static_cast<float *>(workspace);
    const filter_columns columns = {taps, plan->taps, largest, log2_points(plan)};
    CUDA_TRY(find_largest(stream, op, columns, 1, channels, largest));
    CUDA_TRY(transform_columns(stream, op, shape, 1, column_source<filter_columns>{columns, shape.twist},
                               stored_at(shape, spectrum)));
    auto *exponents = const_cast<int *>(filter_exponents(plan, spectrum));
    return for_each(stream, op, 1, channels, write_exponent{largest, log2_points(plan), exponents});
}

pan_status cuda_long_conv_forward_workspace_size(pan_stream *stream, const pan_long_conv_plan *plan, int64_t *bytes) {
    if (plan->method == PAN_CONV_DIRECT) {
        *bytes = plan->desc.batch * plan->desc.length * plan->desc.channels * static_cast<int64_t>(sizeof(float));
    } else {
        const bool in_shared = fits_in_shared(shape_of(stream, plan));
        *bytes = largest_bytes(plan) + (in_shared ? 0 : chunk_examples(plan, 1) * spectrum_bytes(plan));
    }
    return PAN_OK;
}

pan_status cuda_long_conv_forward(pan_stream *stream, const pan_long_conv_plan *plan, const void *spectrum,
                                  const void *u, const void *pre, const void *post, const float *skip, void *y,
                                  void *workspace, int64_t) {
    const pan_long_conv_desc *desc = &plan->desc;
    const conv_signal x = {static_cast<const float *>(u), desc->u_stride, static_cast<const float *>(pre),
                           desc->pre_stride};
    const output out = {
        x, static_cast<const float *>(post), skip, desc->post_stride, static_cast<float *>(y), desc->y_stride};
    return plan->method == PAN_CONV_FFT ? forward_by_fft(stream, plan, spectrum, out, workspace)
                                        : forward_directly(stream, plan, spectrum, out, workspace);
}
