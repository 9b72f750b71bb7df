// Dense matrix product: cuBLAS where it was found, tiles of our own otherwise.
#ifndef PAN_CUDA_GEMM_H
#define PAN_CUDA_GEMM_H

#include "cuda_device.h"

// C = alpha op(A) op(B) + beta C, row-major; op(A) is m x k, op(B) k x n, C m x n, ld* the row strides in elements. With
// beta = 0, C is not read.
struct cuda_product {
    bool transpose_a, transpose_b;
    int64_t m, n, k;
    float alpha;
    const float *a;
    int64_t lda;
    const float *b;
    int64_t ldb;
    float beta;
    float *c;
    int64_t ldc;
};

// How many products of one shape, and the elements between their operands; 0: shared by all.
struct cuda_batch {
    int64_t count = 1;
    int64_t a_stride = 0, b_stride = 0, c_stride = 0;
};

// Bytes of workspace with which products of few results and long sums are spread over the device.
int64_t gemm_workspace_bytes(int64_t m, int64_t n, int64_t k, int64_t batch = 1);

// `workspace` may be NULL: then the sums are not cut. Bitwise repeatable for the same shape on the same device.
pan_status cuda_gemm(pan_stream *stream, const char *op, const cuda_product &product, void *workspace,
                     const cuda_batch &batch = {});

// By cuBLAS. PAN_UNSUPPORTED, without an error text, where the stream has none or a size does not fit its 32 bits.
pan_status cublas_gemm(pan_stream *stream, const char *op, const cuda_product &product, const cuda_batch &batch);

#endif
