// cuBLAS, opened at run time where it is installed, by its own names and calling conventions.
#include <dlfcn.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "driver.h"
#include "gemm.h"

namespace {

// The part of cuBLAS's interface that is used here; a status of 0 is success.
struct cublas_functions {
    int (*create)(void **handle);
    int (*destroy)(void *handle);
    int (*set_stream)(void *handle, cudaStream_t stream);
    int (*set_workspace)(void *handle, void *workspace, size_t bytes);
    int (*set_math_mode)(void *handle, int mode);
    int (*get_property)(int property, int *value);
    int (*sgemm)(void *handle, int transpose_a, int transpose_b, int m, int n, int k, const float *alpha,
                 const float *a, int lda, const float *b, int ldb, const float *beta, float *c, int ldc);
    int (*sgemm_batched)(void *handle, int transpose_a, int transpose_b, int m, int n, int k, const float *alpha,
                         const float *a, int lda, long long a_stride, const float *b, int ldb, long long b_stride,
                         const float *beta, float *c, int ldc, long long c_stride, int count);
};

constexpr int DEFAULT_MATH = 0; // float products in float: TF32 would keep 10 bits
constexpr int NO_TRANSPOSE = 0, TRANSPOSE = 1;
constexpr int SUCCESS = 0, ALLOCATION_FAILED = 3;

constexpr char OWN_NAME[] = "Panthera's tiles";

// What cuBLAS asks for on Hopper, its largest. A workspace of the stream's own keeps its results repeatable and its calls
// capturable.
constexpr int64_t WORKSPACE_BYTES = 32 << 20;

struct library {
    cublas_functions functions;
    bool usable;
    bool chosen; // by its path
    char name[160];
    char problem[400]; // why the library that was asked for cannot be used
};

template <typename Function> bool find(void *opened, const char *name, Function *function) {
    *function = reinterpret_cast<Function>(dlsym(opened, name));
    return *function != nullptr;
}

bool find_all(void *opened, cublas_functions *f) {
    return find(opened, "cublasCreate_v2", &f->create) && find(opened, "cublasDestroy_v2", &f->destroy) &&
           find(opened, "cublasSetStream_v2", &f->set_stream) &&
           find(opened, "cublasSetWorkspace_v2", &f->set_workspace) &&
           find(opened, "cublasSetMathMode", &f->set_math_mode) &&
           find(opened, "cublasGetProperty", &f->get_property) && find(opened, "cublasSgemm_v2", &f->sgemm) &&
           find(opened, "cublasSgemmStridedBatched", &f->sgemm_batched);
}

void name_library(const char *path, library *l) {
    int version[3] = {};
    for (int i = 0; i < 3; i++) {
        l->functions.get_property(i, &version[i]);
    }
    std::snprintf(l->name, sizeof l->name, "cuBLAS %d.%d.%d (%.100s)", version[0], version[1], version[2], path);
}

bool open_library(const char *path, library *l) {
    void *opened = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (opened == nullptr) {
        return false;
    }
    l->usable = find_all(opened, &l->functions);
    if (l->usable) {
        name_library(path, l);
    }
    return l->usable;
}

// PANTHERA_CUBLAS: "off", or the library's path; unset: the versions that this interface is known to fit, that of the
// CUDA runtime first.
library open_any() {
    library l = {};
    const char *choice = std::getenv("PANTHERA_CUBLAS");
    if (choice != nullptr && std::strcmp(choice, "off") != 0) {
        l.chosen = true;
        if (!open_library(choice, &l)) {
            const char *why = dlerror();
            std::snprintf(l.problem, sizeof l.problem, "PANTHERA_CUBLAS is %.150s: %.200s", choice,
                          why == nullptr ? "it lacks functions of cuBLAS" : why);
        }
    } else if (choice == nullptr &&
               !open_library(CUDART_VERSION >= 13000 ? "libcublas.so.13" : "libcublas.so.12", &l)) {
        open_library(CUDART_VERSION >= 13000 ? "libcublas.so.12" : "libcublas.so.13", &l);
    }
    return l;
}

const library &cublas() {
    static const library opened = open_any();
    return opened;
}

std::atomic<bool> does_not_start;

bool uses_cublas() {
    return cublas().usable && !does_not_start;
}

pan_status allocate_workspace(const char *op, cuda_device *device, void **workspace) {
    const pan_status status = cuda_allocate(device, WORKSPACE_BYTES, workspace);
    return status == PAN_OUT_OF_MEMORY
               ? pan_cuda_fail(status, "%s: no %lld bytes for cuBLAS on CUDA device %d; PANTHERA_CUBLAS=off needs none",
                               op, static_cast<long long>(WORKSPACE_BYTES), device->ordinal)
               : status;
}

} // namespace

const char *cuda_gemm_name() {
    return uses_cublas() ? cublas().name : OWN_NAME;
}

pan_status open_cublas(cuda_stream *stream) {
    if (cublas().problem[0] != '\0') {
        return pan_cuda_fail(PAN_INVALID_ARGUMENT, "stream_create: %s", cublas().problem);
    }
    if (!uses_cublas()) {
        return PAN_OK;
    }
    const cublas_functions &f = cublas().functions;
    void *&handle = stream->parts->cublas;
    const int status = handle == nullptr ? f.create(&handle) : SUCCESS;
    if (status != SUCCESS && status != ALLOCATION_FAILED && !cublas().chosen) {
        does_not_start = true; // a version that does not fit the driver, and that nobody asked for
        return PAN_OK;
    }
    if (status != SUCCESS) {
        return pan_cuda_fail(status == ALLOCATION_FAILED ? PAN_OUT_OF_MEMORY : PAN_DEVICE_ERROR,
                             "stream_create: cuBLAS does not start on CUDA device %d (%d)", stream->device->ordinal,
                             status);
    }
    CUDA_TRY(allocate_workspace("stream_create", stream->device, &stream->cublas_workspace));
    // The stream first: it takes the workspace away.
    if (f.set_stream(handle, stream->handle) != SUCCESS ||
        f.set_workspace(handle, stream->cublas_workspace, WORKSPACE_BYTES) != SUCCESS ||
        f.set_math_mode(handle, DEFAULT_MATH) != SUCCESS) {
        return pan_cuda_fail(PAN_DEVICE_ERROR, "stream_create: cuBLAS refuses a stream of CUDA device %d",
                             stream->device->ordinal);
    }
    return PAN_OK;
}

void close_cublas(cuda_stream *stream) {
    if (stream->cublas_workspace != nullptr) {
        cuda_release(stream->device, stream->cublas_workspace);
        stream->cublas_workspace = nullptr;
    }
}

void destroy_cublas(void *handle) {
    if (handle != nullptr) {
        cublas().functions.destroy(handle);
    }
}

// A graph may run beside other work of its stream, or when that is gone: its products have a workspace of their own.
pan_status begin_cublas_capture(cuda_stream *stream) {
    if (stream->cublas_workspace == nullptr) {
        return PAN_OK;
    }
    CUDA_TRY(allocate_workspace("capture_begin", stream->device, &stream->recorded_workspace));
    cublas().functions.set_workspace(stream->parts->cublas, stream->recorded_workspace, WORKSPACE_BYTES);
    return PAN_OK;
}

void *end_cublas_capture(cuda_stream *stream) {
    void *recorded = stream->recorded_workspace;
    if (recorded != nullptr) {
        stream->recorded_workspace = nullptr;
        cublas().functions.set_workspace(stream->parts->cublas, stream->cublas_workspace, WORKSPACE_BYTES);
    }
    return recorded;
}

// A row-major matrix is the transpose of a column-major one: C^T = op(B)^T op(A)^T.
pan_status cublas_gemm(pan_stream *stream, const char *op, const cuda_product &p, const cuda_batch &batch) {
    cuda_stream *state = state_of(stream);
    const bool fits = p.m <= INT_MAX && p.n <= INT_MAX && p.k <= INT_MAX && p.lda <= INT_MAX && p.ldb <= INT_MAX &&
                      p.ldc <= INT_MAX && batch.count <= INT_MAX;
    if (state->cublas_workspace == nullptr || !fits) {
        return PAN_UNSUPPORTED;
    }
    CUDA_TRY(cuda_checked(state->device, op, cudaSetDevice(state->device->ordinal)));
    state->last_op = op;
    state->last_rows = p.m;
    state->last_channels = p.n;
    const cublas_functions &f = cublas().functions;
    void *handle = state->parts->cublas;
    const int transpose_a = p.transpose_a ? TRANSPOSE : NO_TRANSPOSE;
    const int transpose_b = p.transpose_b ? TRANSPOSE : NO_TRANSPOSE;
    const int m = static_cast<int>(p.m), n = static_cast<int>(p.n), k = static_cast<int>(p.k);
    const int lda = static_cast<int>(p.lda), ldb = static_cast<int>(p.ldb), ldc = static_cast<int>(p.ldc);
    const int status =
        batch.count == 1
            ? f.sgemm(handle, transpose_b, transpose_a, n, m, k, &p.alpha, p.b, ldb, p.a, lda, &p.beta, p.c, ldc)
            : f.sgemm_batched(handle, transpose_b, transpose_a, n, m, k, &p.alpha, p.b, ldb, batch.b_stride, p.a, lda,
                              batch.a_stride, &p.beta, p.c, ldc, batch.c_stride, static_cast<int>(batch.count));
    if (status == SUCCESS) {
        return PAN_OK;
    }
    char text[160];
    std::snprintf(text, sizeof text, "%s: cuBLAS refused a product of %lld x %lld x %lld (%d)", op,
                  static_cast<long long>(p.m), static_cast<long long>(p.n), static_cast<long long>(p.k), status);
    // Of a device that is lost, or of itself.
    const cudaError_t error = cudaStreamQuery(state->device->memory_stream);
    return error == cudaSuccess || error == cudaErrorNotReady ? pan_cuda_fail(PAN_DEVICE_ERROR, "%s", text)
                                                              : cuda_checked(state->device, text, error);
}
