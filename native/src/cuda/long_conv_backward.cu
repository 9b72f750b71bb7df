// Gradient of the long convolution.
//
// With g = post dy and x = pre u, by FFT: the spectra of g and x of a chunk of examples are formed; their correlation is
// added to the spectrum of the filter's gradient, example after example; then each is multiplied by the filter's spectrum
// and restored. Directly: the same results as sums.
#include "long_conv.cuh"

namespace {

// The arguments of a call; each gradient may be NULL.
struct backward_call {
    const pan_long_conv_plan *plan;
    const void *spectrum;
    const float *u, *pre, *post, *skip, *dy;
    float *du, *dpre, *dpost, *dh, *dskip;

    const pan_long_conv_desc &desc() const {
        return plan->desc;
    }
    conv_signal x() const {
        return {u, desc().u_stride, pre, desc().pre_stride};
    }
    conv_signal g() const {
        return {dy, desc().y_stride, post, desc().post_stride};
    }
    bool wants_input() const {
        return du != nullptr || dpre != nullptr;
    }
};

constexpr char OP[] = "long_conv_backward";

struct skip_terms {
    conv_signal x, g;

    __device__ void operator()(int64_t row, int64_t channel, double (&sums)[1]) const {
        sums[0] += static_cast<double>(g.at(row, channel)) * x.at(row, channel);
    }
};

// dpost = dy (v + skip x)
struct post_gradient {
    conv_signal x;
    const float *skip, *dy;
    float *dpost;
    int64_t dy_stride, dpost_stride;

    __device__ void operator()(int64_t row, int64_t channel, float v) const {
        if (skip != nullptr) {
            v += skip[channel] * x.at(row, channel);
        }
        dpost[row * dpost_stride + channel] = v * dy[row * dy_stride + channel];
    }
};

// dx = v + skip g, of which dpre = u dx and du = pre dx. Everything is read before du, which may be dy, is written.
struct input_gradient {
    conv_signal x, g;
    const float *skip;
    float *du, *dpre;
    int64_t du_stride;

    __device__ void operator()(int64_t row, int64_t channel, float v) const {
        if (skip != nullptr) {
            v += skip[channel] * g.at(row, channel);
        }
        if (dpre != nullptr) {
            dpre[row * x.gate_stride + channel] = v * x.values[row * x.stride + channel];
        }
        if (du != nullptr) {
            du[row * du_stride + channel] = x.gate == nullptr ? v : v * x.gate[row * x.gate_stride + channel];
        }
    }
};

post_gradient post_gradient_of(const backward_call &call) {
    return {call.x(), call.skip, call.dy, call.dpost, call.desc().y_stride, call.desc().post_stride};
}

input_gradient input_gradient_of(const backward_call &call) {
    return {call.x(), call.g(), call.skip, call.du, call.dpre, call.desc().u_stride};
}

// ---- by FFT ----

// Results of the columns of an array, with the exponent of that array's columns and of the filter.
template <typename Finish> struct gradient_columns {
    Finish finish_row;
    signal_columns of;
    const int *exponents;
    int64_t count;

    __device__ int exponent(int64_t example, int64_t channel) const {
        return of.exponent(example, channel) + exponents[channel];
    }
    __device__ void finish(int64_t example, int64_t position, int64_t channel, float value) const {
        finish_row((of.first + example) * count + position, channel, value);
    }
};

// The power of two of a product of columns; EXPONENT_NONE if one of them is all zeros.
__device__ int product_exponent(float x_largest, float g_largest) {
    return x_largest == 0.0f || g_largest == 0.0f ? EXPONENT_NONE : exponent_of(x_largest) + exponent_of(g_largest);
}

// The exponent of the filter's gradient: the largest of all examples.
struct find_sum_exponent {
    const float *x_largest, *g_largest;
    int64_t batch, channels;
    int *exponents;

    __device__ void operator()(int64_t channel) const {
        int most = EXPONENT_NONE;
        for (int64_t b = 0; b < batch; b++) {
            const int e = product_exponent(x_largest[b * channels + channel], g_largest[b * channels + channel]);
            most = e > most ? e : most;
        }
        exponents[channel] = most;
    }
};

// sum[point, channel] (+)= g conj(x) of the chunk's examples, in their order.
struct add_correlations {
    stored_points x, g;
    signal_columns x_columns, g_columns;
    int64_t examples;
    const int *exponents;
    float2 *sum;

    __device__ void operator()(int64_t i) const {
        const int64_t channel = i % x.channels, point = i / x.channels;
        float2 total = x_columns.first == 0 ? make_float2(0.0f, 0.0f) : sum[i];
        for (int64_t b = 0; b < examples; b++) {
            const int64_t column = (x_columns.first + b) * x.channels + channel;
            const int e = product_exponent(x_columns.largest[column], g_columns.largest[column]);
            const float scale = power_or_zero(e - exponents[channel]);
            const float2 product = multiply_conjugate(g.load(b, point, channel), x.load(b, point, channel));
            total = make_float2(fmaf(product.x, scale, total.x), fmaf(product.y, scale, total.y));
        }
        sum[i] = total;
    }
};

struct tap_columns {
    conv_taps<float> dh;
    int64_t count;
    const int *exponents;
    int points_exponent;

    __device__ int exponent(int64_t, int64_t channel) const {
        return exponents[channel] - points_exponent;
    }
    __device__ void finish(int64_t, int64_t tap, int64_t channel, float value) const {
        dh.at(channel, tap) += value;
    }
};

// The workspace by FFT.
struct fft_workspace {
    float *x_largest, *g_largest;
    int *sum_exponents;
    float2 *sum;
    void *x, *g;
    void *column_sums;
};

// Lays the workspace out from `base` on and returns its size.
int64_t place(const pan_long_conv_plan *plan, char *base, fft_workspace *w) {
    const pan_long_conv_desc &desc = plan->desc;
    int64_t bytes = 0;
    const auto take = [&](int64_t size) {
        char *at = base + bytes;
        bytes += align_up(size);
        return static_cast<void *>(at);
    };
    w->x_largest = static_cast<float *>(take(largest_bytes(plan)));
    w->g_largest = static_cast<float *>(take(largest_bytes(plan)));
    w->sum_exponents = static_cast<int *>(take(desc.channels * static_cast<int64_t>(sizeof(int))));
    w->sum = static_cast<float2 *>(take(spectrum_bytes(plan)));
    w->x = take(chunk_examples(plan, 2) * spectrum_bytes(plan));
    w->g = take(chunk_examples(plan, 2) * spectrum_bytes(plan));
    w->column_sums = take(column_sums_bytes(desc.batch * desc.length, desc.channels, 1));
    return bytes;
}

struct fft_pass {
    const backward_call &call;
    fft_shape shape;
    fft_workspace w;
    signal_columns x, g; // of the chunk
    int64_t examples;
};

pan_status chunk_by_fft(pan_stream *stream, const fft_pass &p) {
    const backward_call &call = p.call;
    const int64_t channels = call.desc().channels, length = call.desc().length;
    const stored_points x = stored_at(p.shape, p.w.x), g = stored_at(p.shape, p.w.g);
    const float2 *h = filter_spectrum(call.spectrum);
    const int *exponents = filter_exponents(call.plan, call.spectrum);
    if (call.dh != nullptr || call.dpost != nullptr) {
        CUDA_TRY(
            transform_columns(stream, OP, p.shape, p.examples, column_source<signal_columns>{p.x, p.shape.twist}, x));
    }
    if (call.dh != nullptr || call.wants_input()) {
        CUDA_TRY(
            transform_columns(stream, OP, p.shape, p.examples, column_source<signal_columns>{p.g, p.shape.twist}, g));
    }
    if (call.dh != nullptr) {
        CUDA_TRY(for_each(stream, OP, p.shape.points, channels,
                          add_correlations{x, g, p.x, p.g, p.examples, p.w.sum_exponents, p.w.sum}));
    }
    if (call.dpost != nullptr) {
        const gradient_columns<post_gradient> result = {post_gradient_of(call), p.x, exponents, length};
        CUDA_TRY(restore_columns(stream, OP, p.shape, p.examples, x, times_spectrum<false>{h, channels},
                                 column_sink<gradient_columns<post_gradient>>{result, p.shape.twist}));
    }
    if (call.wants_input()) {
        const gradient_columns<input_gradient> result = {input_gradient_of(call), p.g, exponents, length};
        CUDA_TRY(restore_columns(stream, OP, p.shape, p.examples, g, times_spectrum<true>{h, channels},
                                 column_sink<gradient_columns<input_gradient>>{result, p.shape.twist}));
    }
    return PAN_OK;
}

pan_status by_fft(pan_stream *stream, const backward_call &call, void *workspace) {
    const pan_long_conv_desc &desc = call.desc();
    fft_pass p = {call, shape_of(stream, call.plan), {}, {}, {}, 0};
    place(call.plan, static_cast<char *>(workspace), &p.w);
    p.x = {call.x(), desc.length, desc.channels, 0, p.w.x_largest};
    p.g = {call.g(), desc.length, desc.channels, 0, p.w.g_largest};
    if (call.dskip != nullptr) {
        CUDA_TRY(add_column_sums<1>(stream, OP, desc.batch * desc.length, desc.channels, skip_terms{call.x(), call.g()},
                                    p.w.column_sums, {call.dskip}));
    }
    CUDA_TRY(find_largest(stream, OP, p.x, desc.batch, desc.channels, p.w.x_largest));
    CUDA_TRY(find_largest(stream, OP, p.g, desc.batch, desc.channels, p.w.g_largest));
    CUDA_TRY(for_each(stream, OP, 1, desc.channels,
                      find_sum_exponent{p.w.x_largest, p.w.g_largest, desc.batch, desc.channels, p.w.sum_exponents}));
    const int64_t chunk = chunk_examples(call.plan, 2);
    for (int64_t first = 0; first < desc.batch; first += chunk) {
        p.x.first = p.g.first = first;
        p.examples = desc.batch - first < chunk ? desc.batch - first : chunk;
        CUDA_TRY(chunk_by_fft(stream, p));
    }
    if (call.dh == nullptr) {
        return PAN_OK;
    }
    const conv_taps<float> dh = {call.dh, desc.h_channel_stride, desc.h_tap_stride};
    const tap_columns taps = {dh, call.plan->taps, p.w.sum_exponents, log2_points(call.plan)};
    return restore_columns(stream, OP, p.shape, 1, stored_at(p.shape, p.w.sum), keep_spectrum(),
                           column_sink<tap_columns>{taps, p.shape.twist});
}

// ---- directly ----

// A du that lies where other blocks still read dy is written elsewhere first; the other sums follow in the same place.
int64_t direct_bytes(const pan_long_conv_plan *plan) {
    const int64_t rows = plan->desc.batch * plan->desc.length;
    const int64_t inputs = rows * plan->desc.channels * static_cast<int64_t>(sizeof(float));
    const int64_t taps = tap_sums_bytes(direct_shape(plan));
    const int64_t columns = column_sums_bytes(rows, plan->desc.channels, 1);
    const int64_t sums = taps > columns ? taps : columns;
    return inputs > sums ? inputs : sums;
}

pan_status directly(pan_stream *stream, const backward_call &call, void *workspace) {
    const pan_long_conv_desc &desc = call.desc();
    const conv_shape shape = direct_shape(call.plan);
    const conv_taps<const float> taps = prepared_taps(call.plan, call.spectrum);
    if (call.dskip != nullptr) {
        CUDA_TRY(add_column_sums<1>(stream, OP, desc.batch * desc.length, desc.channels, skip_terms{call.x(), call.g()},
                                    workspace, {call.dskip}));
    }
    if (call.dh != nullptr) {
        const conv_taps<float> dh = {call.dh, desc.h_channel_stride, desc.h_tap_stride};
        CUDA_TRY(add_tap_gradient(stream, OP, shape, call.x(), call.g(), dh, workspace));
    }
    if (call.dpost != nullptr) {
        CUDA_TRY(convolve_directly<false>(stream, OP, shape, call.x(), taps, post_gradient_of(call)));
    }
    if (!call.wants_input()) {
        return PAN_OK;
    }
    input_gradient gradient = input_gradient_of(call);
    const bool in_place = call.du == call.dy;
    if (in_place) {
        gradient.du = static_cast<float *>(workspace);
        gradient.du_stride = desc.channels;
    }
    CUDA_TRY(convolve_directly<true>(stream, OP, shape, call.g(), taps, gradient));
    return in_place ? for_each(stream, OP, desc.batch * desc.length, desc.channels,
                               copy_rows{gradient.du, call.du, desc.channels, desc.u_stride})
                    : PAN_OK;
}

} // namespace

pan_status cuda_long_conv_backward_workspace_size(pan_stream *, const pan_long_conv_plan *plan, int64_t *bytes) {
    fft_workspace unused;
    *bytes = plan->method == PAN_CONV_FFT ? place(plan, nullptr, &unused) : direct_bytes(plan);
    return PAN_OK;
}

pan_status cuda_long_conv_backward(pan_stream *stream, const pan_long_conv_plan *plan, const void *spectrum,
                                   const void *u, const void *pre, const void *post, const float *skip, const void *dy,
                                   void *du, void *dpre, void *dpost, float *dh, float *dskip, void *workspace,
                                   int64_t) {
    const backward_call call = {plan,
                                spectrum,
                                static_cast<const float *>(u),
                                static_cast<const float *>(pre),
                                static_cast<const float *>(post),
                                skip,
                                static_cast<const float *>(dy),
                                static_cast<float *>(du),
                                static_cast<float *>(dpre),
                                static_cast<float *>(dpost),
                                dh,
                                dskip};
    return plan->method == PAN_CONV_FFT ? by_fft(stream, call, workspace) : directly(stream, call, workspace);
}
