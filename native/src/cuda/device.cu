// The CUDA driver functions of core/backend.h, and the entry point of this library.
#include <cstdio>
#include <new>

#include "cuda_device.h"

pan_fail_function *pan_cuda_fail;

namespace {

struct cuda_device {
    int ordinal;
};

// Oldest compute capability for which there is machine code.
constexpr int OLDEST_CAPABILITY = 80;

pan_status device_error(const char *op, cudaError_t error) {
    cudaGetLastError(); // the next launch would take a failure left behind for its own
    return pan_cuda_fail(PAN_DEVICE_ERROR, "%s: %s (%s, %d)", op, cudaGetErrorString(error), cudaGetErrorName(error),
                         static_cast<int>(error));
}

pan_status checked(const char *op, cudaError_t error) {
    return error == cudaSuccess ? PAN_OK : device_error(op, error);
}

pan_status check_index(const pan_device_options *options) {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess) {
        return device_error("device_open", error);
    }
    if (options->index < 0 || options->index >= count) {
        return pan_cuda_fail(PAN_NO_DEVICE, "device_open: there is no CUDA device %d; this machine has %d, from 0 on",
                             options->index, count);
    }
    return PAN_OK;
}

pan_status open_device(const pan_device_options *options, void **state, pan_device_info *info) {
    pan_status status = check_index(options);
    if (status != PAN_OK) {
        return status;
    }
    cudaDeviceProp properties;
    cudaError_t error = cudaGetDeviceProperties(&properties, options->index);
    if (error == cudaSuccess) {
        error = cudaSetDevice(options->index);
    }
    if (error != cudaSuccess) {
        return device_error("device_open", error);
    }
    info->compute_capability = 10 * properties.major + properties.minor;
    info->total_bytes = static_cast<int64_t>(properties.totalGlobalMem);
    std::snprintf(info->name, sizeof info->name, "%.127s", properties.name);
    if (info->compute_capability < OLDEST_CAPABILITY) {
        return pan_cuda_fail(PAN_NO_DEVICE, "device_open: %s has compute capability %d.%d; this build needs %d.%d",
                             info->name, properties.major, properties.minor, OLDEST_CAPABILITY / 10,
                             OLDEST_CAPABILITY % 10);
    }
    auto *device = new (std::nothrow) cuda_device{options->index};
    if (device == nullptr) {
        return pan_cuda_fail(PAN_OUT_OF_MEMORY, "device_open: no memory for the device");
    }
    *state = device;
    return PAN_OK;
}

void close_device(void *state) {
    delete static_cast<cuda_device *>(state);
}

pan_status allocate(void *state, int64_t bytes, void **address) {
    const int ordinal = static_cast<cuda_device *>(state)->ordinal;
    cudaError_t error = cudaSetDevice(ordinal);
    if (error == cudaSuccess) {
        error = cudaMalloc(address, static_cast<size_t>(bytes));
    }
    if (error == cudaErrorMemoryAllocation) {
        cudaGetLastError(); // as in device_error()
        return pan_cuda_fail(PAN_OUT_OF_MEMORY, "memory_allocate: no %lld bytes on CUDA device %d",
                             static_cast<long long>(bytes), ordinal);
    }
    return checked("memory_allocate", error);
}

pan_status release(void *state, void *address) {
    cudaError_t error = cudaSetDevice(static_cast<cuda_device *>(state)->ordinal);
    if (error == cudaSuccess) {
        error = cudaFree(address);
    }
    return checked("memory_free", error);
}

pan_status create_stream(void *state, void **stream_state) {
    auto *stream = new (std::nothrow) cuda_stream{static_cast<cuda_device *>(state)->ordinal, nullptr};
    if (stream == nullptr) {
        return pan_cuda_fail(PAN_OUT_OF_MEMORY, "stream_create: no memory for the stream");
    }
    cudaError_t error = cudaSetDevice(stream->ordinal);
    if (error == cudaSuccess) {
        error = cudaStreamCreateWithFlags(&stream->handle, cudaStreamNonBlocking);
    }
    if (error != cudaSuccess) {
        delete stream;
        return device_error("stream_create", error);
    }
    *stream_state = stream;
    return PAN_OK;
}

void destroy_stream(void *stream_state) {
    auto *stream = static_cast<cuda_stream *>(stream_state);
    if (cudaSetDevice(stream->ordinal) == cudaSuccess) {
        cudaStreamDestroy(stream->handle);
    }
    delete stream;
}

// Waits; a failure of earlier work, after which CUDA accepts no more, is reported here and by every later call.
pan_status synchronize(void *stream_state) {
    const auto *stream = static_cast<cuda_stream *>(stream_state);
    cudaError_t error = cudaSetDevice(stream->ordinal);
    if (error == cudaSuccess) {
        error = cudaStreamSynchronize(stream->handle);
    }
    return checked("stream_synchronize", error);
}

pan_status copy_async(const char *op, void *stream_state, void *target, const void *source, int64_t bytes,
                      cudaMemcpyKind kind) {
    const auto *stream = static_cast<cuda_stream *>(stream_state);
    cudaError_t error = cudaSetDevice(stream->ordinal);
    if (error == cudaSuccess && bytes > 0) {
        error = cudaMemcpyAsync(target, source, static_cast<size_t>(bytes), kind, stream->handle);
    }
    // The host's memory must be free to change, or complete, when the call returns.
    if (error == cudaSuccess && kind != cudaMemcpyDeviceToDevice) {
        error = cudaStreamSynchronize(stream->handle);
    }
    return checked(op, error);
}

pan_status copy_to_device(void *stream_state, void *target, const void *source, int64_t bytes) {
    return copy_async("copy_to_device", stream_state, target, source, bytes, cudaMemcpyHostToDevice);
}

pan_status copy_to_host(void *stream_state, void *target, const void *source, int64_t bytes) {
    return copy_async("copy_to_host", stream_state, target, source, bytes, cudaMemcpyDeviceToHost);
}

pan_status copy(void *stream_state, void *target, const void *source, int64_t bytes) {
    return copy_async("copy", stream_state, target, source, bytes, cudaMemcpyDeviceToDevice);
}

pan_status zero(void *stream_state, void *target, int64_t bytes) {
    const auto *stream = static_cast<cuda_stream *>(stream_state);
    cudaError_t error = cudaSetDevice(stream->ordinal);
    if (error == cudaSuccess && bytes > 0) {
        error = cudaMemsetAsync(target, 0, static_cast<size_t>(bytes), stream->handle);
    }
    return checked("zero", error);
}

// By assignment, because C++ would tie designated initialisers to the order of the op table.
constexpr pan_cuda_backend make_backend() {
    pan_cuda_backend made{};
    made.driver.open = open_device;
    made.driver.close = close_device;
    made.driver.allocate = allocate;
    made.driver.release = release;
    made.driver.create_stream = create_stream;
    made.driver.destroy_stream = destroy_stream;
    made.driver.synchronize = synchronize;
    made.driver.copy_to_device = copy_to_device;
    made.driver.copy_to_host = copy_to_host;
    made.driver.copy = copy;
    made.driver.zero = zero;
    made.ops.gate_forward = cuda_gate_forward;
    made.ops.gate_backward = cuda_gate_backward;
    return made;
}

constexpr pan_cuda_backend backend = make_backend();

} // namespace

extern "C" PAN_API const pan_cuda_backend *pan_cuda_backend_open(uint32_t abi_version, pan_fail_function *fail,
                                                                 char *reason, size_t reason_size) {
    if (abi_version != PAN_ABI_VERSION) {
        std::snprintf(reason, reason_size, "libpanthera_cuda.so has ABI %d; libpanthera.so has %u", PAN_ABI_VERSION,
                      abi_version);
        return nullptr;
    }
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count == 0) {
        std::snprintf(reason, reason_size, "no usable NVIDIA device: %s (%d)",
                      error == cudaSuccess ? "the driver lists none" : cudaGetErrorString(error),
                      static_cast<int>(error));
        return nullptr;
    }
    pan_cuda_fail = fail;
    return &backend;
}
