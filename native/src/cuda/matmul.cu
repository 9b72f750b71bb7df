// Batched matrix product.
#include "gemm.h"

pan_status cuda_matmul_workspace_size(pan_stream *, const pan_matmul_desc *desc, int64_t *bytes) {
    *bytes = gemm_workspace_bytes(desc->m, desc->n, desc->k, desc->batch);
    return PAN_OK;
}

pan_status cuda_matmul(pan_stream *stream, const pan_matmul_desc *desc, const void *a, const void *b, void *y,
                       void *workspace, int64_t) {
    const cuda_product product = {desc->a_transposed != 0,
                                  desc->b_transposed != 0,
                                  desc->m,
                                  desc->n,
                                  desc->k,
                                  desc->alpha,
                                  static_cast<const float *>(a),
                                  desc->a_stride,
                                  static_cast<const float *>(b),
                                  desc->b_stride,
                                  desc->accumulate ? 1.0f : 0.0f,
                                  static_cast<float *>(y),
                                  desc->y_stride};
    return cuda_gemm(stream, "matmul", product, workspace,
                     {desc->batch, desc->a_batch_stride, desc->b_batch_stride, desc->y_batch_stride});
}
