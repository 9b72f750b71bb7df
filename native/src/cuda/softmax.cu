// Softmax of every row.
#include "block.cuh"

namespace {

struct softmax_row {
    const float *x;
    float *y;
    int64_t columns;

    template <int TEAM> __device__ void row(int64_t r) const {
        const float *from = x + r * columns;
        float *to = y + r * columns;
        float largest = -INFINITY;
        for (int64_t c = threadIdx.x; c < columns; c += TEAM) {
            largest = larger_or_nan()(from[c], largest);
        }
        largest = team_reduce<TEAM>(largest, larger_or_nan());
        float sum = 0.0f;
        for (int64_t c = threadIdx.x; c < columns; c += TEAM) {
            const float e = expf(from[c] - largest);
            to[c] = e;
            sum += e;
        }
        const float scale = 1.0f / team_reduce<TEAM>(sum, plus());
        for (int64_t c = threadIdx.x; c < columns; c += TEAM) {
            to[c] *= scale;
        }
    }
};

struct softmax_gradient_row {
    const float *y, *dy;
    float *dx;
    int64_t columns;

    template <int TEAM> __device__ void row(int64_t r) const {
        const int64_t first = r * columns;
        float product = 0.0f;
        for (int64_t c = threadIdx.x; c < columns; c += TEAM) {
            product = fmaf(dy[first + c], y[first + c], product);
        }
        product = team_reduce<TEAM>(product, plus());
        for (int64_t c = threadIdx.x; c < columns; c += TEAM) {
            dx[first + c] = y[first + c] * (dy[first + c] - product);
        }
    }
};

} // namespace

pan_status cuda_softmax_forward(pan_stream *stream, const pan_softmax_desc *desc, const void *x, void *y) {
    return for_each_row(stream, "softmax_forward", desc->rows, desc->columns,
                        softmax_row{static_cast<const float *>(x), static_cast<float *>(y), desc->columns});
}

pan_status cuda_softmax_backward(pan_stream *stream, const pan_softmax_desc *desc, const void *y, const void *dy,
                                 void *dx) {
    return for_each_row(stream, "softmax_backward", desc->rows, desc->columns,
                        softmax_gradient_row{static_cast<const float *>(y), static_cast<const float *>(dy),
                                             static_cast<float *>(dx), desc->columns});
}
