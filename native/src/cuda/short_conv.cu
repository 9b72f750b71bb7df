// Causal depthwise convolution with a few taps: weight[c, taps - 1 - j] meets the input j positions back.
#include "direct_conv.cuh"

namespace {

conv_shape shape_of(const pan_short_conv_desc *desc) {
    return {desc->batch, desc->length, desc->channels, desc->taps};
}

// The weights in the order of distance.
template <typename T> conv_taps<T> taps_of(const pan_short_conv_desc *desc, T *weight) {
    return {weight + desc->taps - 1, desc->taps, -1};
}

struct write_output {
    const float *bias;
    float *y;
    int64_t stride;

    __device__ void operator()(int64_t row, int64_t channel, float sum) const {
        y[row * stride + channel] = bias == nullptr ? sum : sum + bias[channel];
    }
};

} // namespace

pan_status cuda_short_conv_forward(pan_stream *stream, const pan_short_conv_desc *desc, const void *x,
                                   const float *weight, const float *bias, void *y) {
    return convolve_directly<false>(stream, "short_conv_forward", shape_of(desc),
                                    {static_cast<const float *>(x), desc->x_stride, nullptr, 0}, taps_of(desc, weight),
                                    write_output{bias, static_cast<float *>(y), desc->y_stride});
}

// The sums for the weights and for the bias use the workspace in turn.
pan_status cuda_short_conv_backward_workspace_size(pan_stream *, const pan_short_conv_desc *desc, int64_t *bytes) {
    const int64_t weights = tap_sums_bytes(shape_of(desc));
    const int64_t biases = column_sums_bytes(desc->batch * desc->length, desc->channels, 1);
    *bytes = weights > biases ? weights : biases;
    return PAN_OK;
}

pan_status cuda_short_conv_backward(pan_stream *stream, const pan_short_conv_desc *desc, const void *x,
                                    const float *weight, const void *dy, void *dx, float *dweight, float *dbias,
                                    void *workspace, int64_t) {
    static const char op[] = "short_conv_backward";
    const conv_shape shape = shape_of(desc);
    const conv_signal input = {static_cast<const float *>(x), desc->x_stride, nullptr, 0};
    const conv_signal gradient = {static_cast<const float *>(dy), desc->y_stride, nullptr, 0};
    if (dx != nullptr) {
        CUDA_TRY(convolve_directly<true>(stream, op, shape, gradient, taps_of(desc, weight),
                                         write_output{nullptr, static_cast<float *>(dx), desc->x_stride}));
    }
    if (dweight != nullptr) {
        CUDA_TRY(add_tap_gradient(stream, op, shape, input, gradient, taps_of(desc, dweight), workspace));
    }
    return dbias == nullptr ? PAN_OK
                            : add_column_sums<1>(stream, op, desc->batch * desc->length, desc->channels,
                                                 row_terms{gradient.values, desc->y_stride}, workspace, {dbias});
}
