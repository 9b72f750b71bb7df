/* Dense matrix product: the one place that knows which library computes it. */
#ifndef PAN_CORE_GEMM_H
#define PAN_CORE_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "panthera.h"

/* C = alpha op(A) op(B) + beta C, row-major; op(A) is m x k, op(B) k x n, C m x n, ld* the row strides in elements.
 * With beta = 0, C is not read. Runs on the calling thread alone and is bitwise repeatable for the same shape. */
void pan_gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
              int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

/* Keeps the library from using instructions above `isa`; heeded only before its first use in the process. */
void pan_gemm_cap_isa(pan_isa isa);

/* The library must not start threads of its own inside our workers. A worker calls enter_worker once; a caller's thread
 * is set to one thread for the length of a parallel region and gets its own setting back. */
void pan_gemm_enter_worker(void);
int32_t pan_gemm_enter_caller(void);
void pan_gemm_leave_caller(int32_t threads);

#endif
