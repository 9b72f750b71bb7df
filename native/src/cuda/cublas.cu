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
};

constexpr int DEFAULT_MATH = 0; // float products in float: TF32 would keep 10 bits
constexpr int NO_TRANSPOSE = 0, TRANSPOSE = 1;

// What cuBLAS asks for on Hopper, its largest. A workspace of the stream's own keeps its results repeatable and its calls
// capturable.
constexpr size_t WORKSPACE_BYTES = 32 << 20;

struct library {
    cublas_functions functions;
    bool usable;
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
           find(opened, "cublasGetProperty", &f->get_property) && find(opened, "cublasSgemm_v2", &f->sgemm);
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

// PANTHERA_CUBLAS: "off", or the library's path; unset: the versions that this interface is known to fit.
library open_any() {
    library l = {};
    std::snprintf(l.name, sizeof l.name, "Panthera's tiles");
    const char *choice = std::getenv("PANTHERA_CUBLAS");
    if (choice != nullptr && std::strcmp(choice, "off") != 0) {
        if (!open_library(choice, &l)) {
            const char *why = dlerror();
            std::snprintf(l.problem, sizeof l.problem, "PANTHERA_CUBLAS is %.150s: %.200s", choice,
                          why == nullptr ? "it lacks functions of cuBLAS" : why);
        }
    } else if (choice == nullptr && !open_library("libcublas.so.13", &l)) {
        open_library("libcublas.so.12", &l);
    }
    return l;
}

const library &cublas() {
    static const library opened = open_any();
    return opened;
}

} // namespace

struct cublas_handle {
    void *handle;
    void *workspace;
    void *recorded; // the workspace of the graph that is being recorded
};

const char *cuda_gemm_name() {
    return cublas().name;
}

pan_status open_cublas(cuda_stream *stream) {
    if (cublas().problem[0] != '\0') {
        return pan_cuda_fail(PAN_INVALID_ARGUMENT, "stream_create: %s", cublas().problem);
    }
    if (!cublas().usable) {
        return PAN_OK;
    }
    const cublas_functions &f = cublas().functions;
    auto *made = new (std::nothrow) cublas_handle{};
    stream->cublas = made;
    if (made == nullptr || f.create(&made->handle) != 0 ||
        cudaMalloc(&made->workspace, WORKSPACE_BYTES) != cudaSuccess ||
        f.set_stream(made->handle, stream->handle) != 0 ||
        f.set_workspace(made->handle, made->workspace, WORKSPACE_BYTES) != 0 ||
        f.set_math_mode(made->handle, DEFAULT_MATH) != 0) {
        cudaGetLastError();
        return pan_cuda_fail(PAN_OUT_OF_MEMORY, "stream_create: cuBLAS cannot start on CUDA device %d",
                             stream->device->ordinal);
    }
    return PAN_OK;
}

// A graph may run beside other work of its stream, or when that is gone: its products have a workspace of their own.
pan_status begin_cublas_capture(cuda_stream *stream) {
    cublas_handle *own = stream->cublas;
    if (own == nullptr) {
        return PAN_OK;
    }
    const cudaError_t error = cudaMalloc(&own->recorded, WORKSPACE_BYTES);
    if (error != cudaSuccess) {
        cudaGetLastError();
        return pan_cuda_fail(PAN_OUT_OF_MEMORY, "capture_begin: no %lld bytes for the graph's cuBLAS workspace",
                             static_cast<long long>(WORKSPACE_BYTES));
    }
    cublas().functions.set_workspace(own->handle, own->recorded, WORKSPACE_BYTES);
    return PAN_OK;
}

void *end_cublas_capture(cuda_stream *stream) {
    cublas_handle *own = stream->cublas;
    if (own == nullptr) {
        return nullptr;
    }
    void *recorded = own->recorded;
    own->recorded = nullptr;
    cublas().functions.set_workspace(own->handle, own->workspace, WORKSPACE_BYTES);
    return recorded;
}

void close_cublas(cuda_stream *stream) {
    if (stream->cublas == nullptr) {
        return;
    }
    if (stream->cublas->handle != nullptr) {
        cublas().functions.destroy(stream->cublas->handle);
    }
    if (stream->cublas->workspace != nullptr) {
        cudaFree(stream->cublas->workspace);
    }
    delete stream->cublas;
    stream->cublas = nullptr;
}

// A row-major matrix is the transpose of a column-major one: C^T = op(B)^T op(A)^T.
pan_status cublas_gemm(pan_stream *stream, const char *op, const cuda_product &p) {
    cuda_stream *state = state_of(stream);
    const bool fits =
        p.m <= INT_MAX && p.n <= INT_MAX && p.k <= INT_MAX && p.lda <= INT_MAX && p.ldb <= INT_MAX && p.ldc <= INT_MAX;
    if (state->cublas == nullptr || !fits) {
        return PAN_UNSUPPORTED;
    }
    CUDA_TRY(cuda_checked(state->device, op, cudaSetDevice(state->device->ordinal)));
    state->last_op = op;
    state->last_rows = p.m;
    state->last_channels = p.n;
    const int status = cublas().functions.sgemm(
        state->cublas->handle, p.transpose_b ? TRANSPOSE : NO_TRANSPOSE, p.transpose_a ? TRANSPOSE : NO_TRANSPOSE,
        static_cast<int>(p.n), static_cast<int>(p.m), static_cast<int>(p.k), &p.alpha, p.b, static_cast<int>(p.ldb),
        p.a, static_cast<int>(p.lda), &p.beta, p.c, static_cast<int>(p.ldc));
    return status == 0 ? PAN_OK
                       : pan_cuda_fail(PAN_DEVICE_ERROR, "%s: cuBLAS refused a product of %lld x %lld x %lld (%d)", op,
                                       static_cast<long long>(p.m), static_cast<long long>(p.n),
                                       static_cast<long long>(p.k), status);
}
