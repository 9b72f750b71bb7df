/* GEMM without a library, for platforms that have none: right, not fast. */
#include "gemm.h"

static float element(const float *x, int64_t stride, bool transpose, int64_t row, int64_t column) {
    return transpose ? x[column * stride + row] : x[row * stride + column];
}

void pan_gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
              int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            float sum = 0.0f;
            for (int64_t l = 0; l < k; l++) {
                sum += element(a, lda, transpose_a, i, l) * element(b, ldb, transpose_b, l, j);
            }
            float *target = &c[i * ldc + j];
            *target = alpha * sum + (beta == 0.0f ? 0.0f : beta * *target);
        }
    }
}

void pan_gemm_cap_isa(pan_isa isa) {
    (void) isa;
}

void pan_gemm_enter_worker(void) {}

int32_t pan_gemm_enter_caller(void) {
    return 0;
}

void pan_gemm_leave_caller(int32_t threads) {
    (void) threads;
}

const char *pan_gemm_name(void) {
    return "plain (no library)";
}
