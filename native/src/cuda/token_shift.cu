// Mixing every position with the one before it.
#include "block.cuh"

namespace {

struct mix_element {
    int64_t length, channels;
    const float *x, *mix, *previous; // previous may be NULL
    float *y;

    __device__ void operator()(int64_t i) const {
        const int64_t row = i / channels, c = i % channels;
        const bool first = row % length == 0;
        float sum = mix[c] * x[i];
        if (!first) {
            sum = fmaf(1.0f - mix[c], x[i - channels], sum);
        } else if (previous != nullptr) {
            sum = fmaf(1.0f - mix[c], previous[row / length * channels + c], sum);
        }
        y[i] = sum;
    }
};

struct unmix_element {
    int64_t length, channels;
    const float *mix, *dy;
    float *dx;

    __device__ void operator()(int64_t i) const {
        const int64_t row = i / channels, c = i % channels;
        const float here = mix[c] * dy[i];
        dx[i] = row % length == length - 1 ? here : fmaf(1.0f - mix[c], dy[i + channels], here);
    }
};

struct mix_terms {
    int64_t length, channels;
    const float *x, *dy;

    __device__ void operator()(int64_t row, int64_t channel, double (&sums)[1]) const {
        const int64_t i = row * channels + channel;
        const double difference = row % length == 0 ? x[i] : static_cast<double>(x[i]) - x[i - channels];
        sums[0] += difference * dy[i];
    }
};

} // namespace

pan_status cuda_token_shift_forward(pan_stream *stream, const pan_token_shift_desc *desc, const void *x,
                                    const float *mix, const void *previous, void *y) {
    return for_each(stream, "token_shift_forward", desc->batch * desc->length, desc->channels,
                    mix_element{desc->length, desc->channels, static_cast<const float *>(x), mix,
                                static_cast<const float *>(previous), static_cast<float *>(y)});
}

pan_status cuda_token_shift_backward_workspace_size(pan_stream *, const pan_token_shift_desc *desc, int64_t *bytes) {
    *bytes = column_sums_bytes(desc->batch * desc->length, desc->channels, 1);
    return PAN_OK;
}

pan_status cuda_token_shift_backward(pan_stream *stream, const pan_token_shift_desc *desc, const void *x_,
                                     const float *mix, const void *dy_, void *dx, float *dmix, void *workspace,
                                     int64_t) {
    static const char op[] = "token_shift_backward";
    const int64_t rows = desc->batch * desc->length;
    const auto *x = static_cast<const float *>(x_), *dy = static_cast<const float *>(dy_);
    if (dx != nullptr) {
        CUDA_TRY(for_each(stream, op, rows, desc->channels,
                          unmix_element{desc->length, desc->channels, mix, dy, static_cast<float *>(dx)}));
    }
    return dmix == nullptr ? PAN_OK
                           : add_column_sums<1>(stream, op, rows, desc->channels,
                                                mix_terms{desc->length, desc->channels, x, dy}, workspace, {dmix});
}
