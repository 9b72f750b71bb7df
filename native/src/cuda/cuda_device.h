// What the CUDA kernels share: streams, failures and launches.
#ifndef PAN_CUDA_CUDA_DEVICE_H
#define PAN_CUDA_CUDA_DEVICE_H

#include <cuda_runtime.h>

#include "../core/cuda_interface.h"

// The `state` of a pan_stream.
struct cuda_stream {
    int ordinal;
    cudaStream_t handle;
};

// libpanthera's pan_fail(), received when the backend was opened.
extern pan_fail_function *pan_cuda_fail;

// Makes the stream's device current on the calling thread, which may have used another one.
inline cudaError_t use_stream(const pan_stream *stream, cudaStream_t *handle) {
    const auto *state = static_cast<const cuda_stream *>(stream->state);
    *handle = state->handle;
    return cudaSetDevice(state->ordinal);
}

// Work for `grid` blocks of `block` threads each.
struct launch_shape {
    dim3 grid;
    dim3 block;
};

// Launches a kernel on a stream. A refused launch is reported here; a failure while it runs, when the stream is next
// synchronised. `op`, `rows` and `channels` name the work in the text.
template <typename... Parameters, typename... Arguments>
pan_status launch(const pan_stream *stream, const char *op, int64_t rows, int64_t channels, launch_shape shape,
                  void (*kernel)(Parameters...), Arguments... arguments) {
    cudaStream_t handle;
    cudaError_t error = use_stream(stream, &handle);
    if (error == cudaSuccess) {
        kernel<<<shape.grid, shape.block, 0, handle>>>(arguments...);
        error = cudaGetLastError();
    }
    if (error != cudaSuccess) {
        return pan_cuda_fail(PAN_DEVICE_ERROR, "%s: launch for %lld x %lld failed: %s (%d)", op,
                             static_cast<long long>(rows), static_cast<long long>(channels), cudaGetErrorString(error),
                             static_cast<int>(error));
    }
    return PAN_OK;
}

// Bodies of the ops that exist. A slot without a body is an op that this backend lacks.
pan_status cuda_gate_forward(pan_stream *stream, const pan_gate_desc *desc, const void *a, const void *b, const void *c,
                             void *y);
pan_status cuda_gate_backward(pan_stream *stream, const pan_gate_desc *desc, const void *a, const void *b,
                              const void *dy, void *da, void *db);

#endif
