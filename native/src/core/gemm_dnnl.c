/* GEMM by oneDNN's sgemm, which is row-major and takes any leading dimension. */
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdio.h>

#include "gemm.h"

/* oneDNN's threads are libgomp's; weak, because a oneDNN built without OpenMP has none to limit. */
extern void omp_set_num_threads(int threads) __attribute__((weak));
extern int omp_get_max_threads(void) __attribute__((weak));

void pan_gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
              int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
    dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void pan_gemm_cap_isa(pan_isa isa) {
    static const dnnl_cpu_isa_t caps[] = {
        [PAN_ISA_BASELINE] = dnnl_cpu_isa_sse41,
        [PAN_ISA_AVX2] = dnnl_cpu_isa_avx2,
        [PAN_ISA_AVX512] = dnnl_cpu_isa_default,
    };
    if (isa < PAN_ISA_AVX512) {
        dnnl_set_max_cpu_isa(caps[isa]);
    }
}

void pan_gemm_enter_worker(void) {
    if (omp_set_num_threads != NULL) {
        omp_set_num_threads(1);
    }
}

int32_t pan_gemm_enter_caller(void) {
    if (omp_set_num_threads == NULL || omp_get_max_threads == NULL) {
        return 0;
    }
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    return threads;
}

void pan_gemm_leave_caller(int32_t threads) {
    if (threads > 0) {
        omp_set_num_threads(threads);
    }
}

static char name[64];

static void write_name(void) {
    const dnnl_version_t *version = dnnl_version();
    snprintf(name, sizeof name, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
}

const char *pan_gemm_name(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, write_name);
    return name;
}
