// Affine map of every row: dense products.
#include "block.cuh"
#include "gemm.h"

namespace {

struct add_bias {
    const float *bias;
    float *y;
    int64_t features, stride;

    __device__ void operator()(int64_t i) const {
        y[i / features * stride + i % features] += bias[i % features];
    }
};

} // namespace

pan_status cuda_linear_forward(pan_stream *stream, const pan_linear_desc *desc, const void *x, const float *weight,
                               const float *bias, void *y) {
    static const char op[] = "linear_forward";
    const cuda_product product = {false,
                                  true,
                                  desc->rows,
                                  desc->out_features,
                                  desc->in_features,
                                  1.0f,
                                  static_cast<const float *>(x),
                                  desc->x_stride,
                                  weight,
                                  desc->in_features,
                                  0.0f,
                                  static_cast<float *>(y),
                                  desc->y_stride};
    CUDA_TRY(cuda_gemm(stream, op, product, nullptr));
    return bias == nullptr ? PAN_OK
                           : for_each(stream, op, desc->rows, desc->out_features,
                                      add_bias{bias, static_cast<float *>(y), desc->out_features, desc->y_stride});
}

// The products and the sums for the bias use the workspace in turn.
pan_status cuda_linear_backward_workspace_size(pan_stream *, const pan_linear_desc *desc, int64_t *bytes) {
    const int64_t inputs = gemm_workspace_bytes(desc->rows, desc->in_features, desc->out_features);
    const int64_t weights = gemm_workspace_bytes(desc->out_features, desc->in_features, desc->rows);
    const int64_t biases = column_sums_bytes(desc->rows, desc->out_features, 1);
    const int64_t products = inputs > weights ? inputs : weights;
    *bytes = products > biases ? products : biases;
    return PAN_OK;
}

pan_status cuda_linear_backward(pan_stream *stream, const pan_linear_desc *desc, const void *x, const float *weight,
                                const void *dy_, void *dx, float *dweight, float *dbias, void *workspace, int64_t) {
    static const char op[] = "linear_backward";
    const auto *dy = static_cast<const float *>(dy_);
    if (dx != nullptr) {
        const cuda_product product = {false,
                                      false,
                                      desc->rows,
                                      desc->in_features,
                                      desc->out_features,
                                      1.0f,
                                      dy,
                                      desc->y_stride,
                                      weight,
                                      desc->in_features,
                                      0.0f,
                                      static_cast<float *>(dx),
                                      desc->x_stride};
        CUDA_TRY(cuda_gemm(stream, op, product, workspace));
    }
    if (dweight != nullptr) {
        const cuda_product product = {true,
                                      false,
                                      desc->out_features,
                                      desc->in_features,
                                      desc->rows,
                                      1.0f,
                                      dy,
                                      desc->y_stride,
                                      static_cast<const float *>(x),
                                      desc->x_stride,
                                      1.0f,
                                      dweight,
                                      desc->in_features};
        CUDA_TRY(cuda_gemm(stream, op, product, workspace));
    }
    return dbias == nullptr ? PAN_OK
                            : add_column_sums<1>(stream, op, desc->rows, desc->out_features,
                                                 row_terms{dy, desc->y_stride}, workspace, {dbias});
}
