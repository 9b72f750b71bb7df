/* The part of cuBLAS that Panthera calls, with cuBLAS's conventions: column-major matrices, a handle with a stream and a
 * workspace. What a caller may forget (a workspace of its own, the math mode) is a failure here. */
#include "cuda_runtime.h"

namespace {

struct handle {
    cudaStream_t stream;
    void *workspace;
    bool has_mode;
};

constexpr int SUCCESS = 0, INVALID_VALUE = 7, NOT_READY = 1;

/* Products of one shape, whose matrices are so many elements apart. */
struct product {
    bool transpose_a, transpose_b;
    int m, n, k;
    float alpha, beta;
    const float *a, *b;
    float *c;
    int lda, ldb, ldc;
    int64_t a_stride, b_stride, c_stride;
    int count;
};

/* One of the results. */
void result_thread(product p) {
    int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    const int64_t results = static_cast<int64_t>(p.m) * p.n, index = i / results;
    if (index >= p.count) {
        return;
    }
    i %= results;
    p.a += index * p.a_stride;
    p.b += index * p.b_stride;
    p.c += index * p.c_stride;
    const int64_t row = i % p.m, column = i / p.m;
    double sum = 0.0;
    for (int64_t j = 0; j < p.k; j++) {
        const float x = p.transpose_a ? p.a[row * p.lda + j] : p.a[j * p.lda + row];
        const float y = p.transpose_b ? p.b[j * p.ldb + column] : p.b[column * p.ldb + j];
        sum += static_cast<double>(x) * y;
    }
    float *to = p.c + column * p.ldc + row;
    *to = static_cast<float>(p.alpha * sum + (p.beta == 0.0f ? 0.0 : static_cast<double>(p.beta) * *to));
}

int multiply(const handle *h, const product &p) {
    if (h->stream == nullptr || h->workspace == nullptr || !h->has_mode) {
        return NOT_READY;
    }
    if (p.lda < (p.transpose_a ? p.k : p.m) || p.ldb < (p.transpose_b ? p.n : p.k) || p.ldc < p.m || p.count < 0) {
        return INVALID_VALUE;
    }
    cudaLaunchConfig_t config = {};
    config.blockDim = dim3(256);
    config.gridDim = dim3(static_cast<unsigned>((static_cast<int64_t>(p.m) * p.n * p.count + 255) / 256));
    config.stream = h->stream;
    return cudaLaunchKernelEx(&config, result_thread, p) == cudaSuccess ? SUCCESS : INVALID_VALUE;
}

} // namespace

extern "C" {

EMULATOR_API int cublasCreate_v2(void **created) {
    *created = new handle{};
    return SUCCESS;
}

EMULATOR_API int cublasDestroy_v2(void *destroyed) {
    delete static_cast<handle *>(destroyed);
    return SUCCESS;
}

EMULATOR_API int cublasSetStream_v2(void *of, cudaStream_t stream) {
    static_cast<handle *>(of)->stream = stream;
    static_cast<handle *>(of)->workspace = nullptr; // as cuBLAS does
    return SUCCESS;
}

EMULATOR_API int cublasSetWorkspace_v2(void *of, void *workspace, size_t bytes) {
    static_cast<handle *>(of)->workspace = workspace;
    return bytes > 0 ? SUCCESS : INVALID_VALUE;
}

EMULATOR_API int cublasSetMathMode(void *of, int mode) {
    static_cast<handle *>(of)->has_mode = mode == 0;
    return SUCCESS;
}

EMULATOR_API int cublasGetProperty(int property, int *value) {
    *value = property == 0 ? 13 : 0;
    return SUCCESS;
}

EMULATOR_API int cublasSgemm_v2(void *by, int transpose_a, int transpose_b, int m, int n, int k, const float *alpha,
                                const float *a, int lda, const float *b, int ldb, const float *beta, float *c,
                                int ldc) {
    return multiply(static_cast<handle *>(by),
                    {transpose_a != 0, transpose_b != 0, m, n, k, *alpha, *beta, a, b, c, lda, ldb, ldc, 0, 0, 0, 1});
}

EMULATOR_API int cublasSgemmStridedBatched(void *by, int transpose_a, int transpose_b, int m, int n, int k,
                                           const float *alpha, const float *a, int lda, long long a_stride,
                                           const float *b, int ldb, long long b_stride, const float *beta, float *c,
                                           int ldc, long long c_stride, int count) {
    return multiply(static_cast<handle *>(by), {transpose_a != 0, transpose_b != 0, m, n, k, *alpha, *beta, a, b, c,
                                                lda, ldb, ldc, a_stride, b_stride, c_stride, count});
}
}
