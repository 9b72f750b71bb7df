/* Batched matrix product. */
#include "real.h"

pan_status PAN_BODY(matmul_workspace_size)(pan_stream *stream, const pan_matmul_desc *desc, int64_t *bytes) {
    (void) stream;
    (void) desc;
    *bytes = 0;
    return PAN_OK;
}

static double element(const real *x, int64_t stride, int32_t transposed, int64_t row, int64_t column) {
    return transposed ? x[column * stride + row] : x[row * stride + column];
}

pan_status PAN_BODY(matmul)(pan_stream *stream, const pan_matmul_desc *desc, const void *a_, const void *b_, void *y_,
                            void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace;
    (void) workspace_bytes;
    for (int64_t batch = 0; batch < desc->batch; batch++) {
        const real *a = (const real *) a_ + batch * desc->a_batch_stride;
        const real *b = (const real *) b_ + batch * desc->b_batch_stride;
        real *y = (real *) y_ + batch * desc->y_batch_stride;
        for (int64_t i = 0; i < desc->m; i++) {
            for (int64_t j = 0; j < desc->n; j++) {
                double sum = 0.0;
                for (int64_t k = 0; k < desc->k; k++) {
                    sum += element(a, desc->a_stride, desc->a_transposed, i, k) *
                           element(b, desc->b_stride, desc->b_transposed, k, j);
                }
                real *to = &y[i * desc->y_stride + j];
                *to = (real) (desc->alpha * sum + (desc->accumulate ? *to : 0.0));
            }
        }
    }
    return PAN_OK;
}
