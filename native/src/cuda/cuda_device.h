// What the CUDA kernels share: devices, streams, failures and launches.
#ifndef PAN_CUDA_CUDA_DEVICE_H
#define PAN_CUDA_CUDA_DEVICE_H

#include <cuda_runtime.h>

#include <atomic>
#include <mutex>

#include "../core/cuda_interface.h"

// libpanthera's pan_fail(), received when the backend was opened.
extern pan_fail_function *pan_cuda_fail;

struct cuda_stream;

// Something that a kernel found wrong with the numbers in an array, and where: a kind in the upper bits, an index in the
// lower ones. One word, so that threads that write at once leave the report of one of them.
using cuda_report = unsigned long long;
constexpr int REPORT_INDEX_BITS = 48;
enum report_kind { REPORT_NONE, REPORT_EMBEDDING_ID, REPORT_LABEL, REPORT_QUERY_ROW, REPORT_BLOCK };

__host__ __device__ inline cuda_report make_report(report_kind kind, int64_t index) {
    return static_cast<cuda_report>(kind) << REPORT_INDEX_BITS | static_cast<cuda_report>(index);
}

// The `state` of a pan_device.
struct cuda_device {
    int ordinal;
    int multiprocessors;
    int shared_bytes;           // most that a block can be given
    cudaMemPool_t pool;         // NULL where the driver has none
    cudaStream_t memory_stream; // allocations and frees happen on it
    cudaEvent_t memory_event;   // its work so far
    std::mutex lock;            // of `streams` and of what is done for all of them
    cuda_stream *streams;       // a list of those alive
    cuda_report *report;    // in pinned memory, which kernels write; the device's, because a graph outlives its stream
    std::atomic<bool> lost; // the device has failed for good
};

// A ring of pinned memory through which the host's uploads go.
struct upload_ring {
    static constexpr int SLOTS = 16;
    static constexpr size_t SLOT_BYTES = 256 << 10;
    unsigned char *memory;
    cudaEvent_t copied[SLOTS];
    int next;
};

// What a stream takes over from an earlier one; see parts.cu.
struct stream_parts {
    int ordinal;
    void *cublas; // handle; NULL where there is none
    upload_ring uploads;
    stream_parts *next; // of those that are idle
};

// The `state` of a pan_stream.
struct cuda_stream {
    cuda_device *device;
    cudaStream_t handle;
    cudaEvent_t fence; // the stream's work so far, for the memory stream
    stream_parts *parts;
    void *cublas_workspace;   // NULL: the library's own products
    void *recorded_workspace; // that of the graph that is being recorded
    bool capturing;
    // What was launched last, for messages.
    const char *last_op;
    int64_t last_rows, last_channels;
    cuda_stream *previous, *next;
};

inline cuda_stream *state_of(const pan_stream *stream) {
    return static_cast<cuda_stream *>(stream->state);
}

// Records a failure of a call as a PAN_DEVICE_ERROR, and whether the device is lost. Success is PAN_OK.
pan_status cuda_checked(cuda_device *device, const char *op, cudaError_t error);

// A recording cannot wait, nor copy what the host will have when it is repeated, nor be tied to other streams.
inline pan_status refuse_in_capture(const cuda_stream *stream, const char *op) {
    return stream->capturing ? pan_cuda_fail(PAN_INVALID_ARGUMENT, "%s: the stream is recording", op) : PAN_OK;
}

// Work for `grid` blocks of `block` threads each, which share `shared` bytes of dynamic memory.
struct launch_shape {
    dim3 grid;
    dim3 block;
    size_t shared = 0;
};

// Most blocks in the second and third dimension of a grid.
constexpr int64_t MAX_GRID_YZ = 65535;
// What a block may use of shared memory without asking.
constexpr size_t DEFAULT_SHARED_BYTES = 48 << 10;

pan_status cuda_launch_failed(cuda_stream *stream, const char *op, int64_t rows, int64_t channels, cudaError_t error);

// Launches a kernel on a stream. A refused launch is reported here; a failure while it runs, when the stream is next
// synchronised. `op`, `rows` and `channels` name the work in the text.
template <typename... Parameters, typename... Arguments>
pan_status launch(const pan_stream *stream, const char *op, int64_t rows, int64_t channels, launch_shape shape,
                  void (*kernel)(Parameters...), Arguments... arguments) {
    cuda_stream *state = state_of(stream);
    cudaError_t error = cudaSetDevice(state->device->ordinal);
    // Always the same value, because it is the kernel's and other threads launch it too.
    if (error == cudaSuccess && shape.shared > DEFAULT_SHARED_BYTES) {
        error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, state->device->shared_bytes);
    }
    if (error == cudaSuccess) {
        cudaLaunchConfig_t config = {};
        config.gridDim = shape.grid;
        config.blockDim = shape.block;
        config.dynamicSmemBytes = shape.shared;
        config.stream = state->handle;
        error = cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
    }
    state->last_op = op;
    state->last_rows = rows;
    state->last_channels = channels;
    return error == cudaSuccess ? PAN_OK : cuda_launch_failed(state, op, rows, channels, error);
}

// Leaves the function with the status of a failing call.
#define CUDA_TRY(call)                        \
    do {                                      \
        const pan_status try_status = (call); \
        if (try_status != PAN_OK) {           \
            return try_status;                \
        }                                     \
    } while (0)

// A block's dynamic shared memory, as an array of `type`. Its kernel has no other shared memory.
#ifdef __CUDACC__
#define DYNAMIC_SHARED(type, name)                                         \
    extern __shared__ __align__(16) unsigned char dynamic_shared_memory[]; \
    type *const name = reinterpret_cast<type *>(dynamic_shared_memory)
#else
#define DYNAMIC_SHARED(type, name) type *const name = reinterpret_cast<type *>(emulated_shared)
#endif

// The bodies: one for every line of the op table.
#define PAN_OP(name) __typeof__(pan_##name) cuda_##name;
#define PAN_SIZE(name) __typeof__(pan_##name) cuda_##name;
#include "../core/ops.def"
#undef PAN_OP
#undef PAN_SIZE

#endif
