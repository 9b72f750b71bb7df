// The entry point of this library, and what a device is.
#include <cstdio>
#include <new>

#include "driver.h"

pan_fail_function *pan_cuda_fail;

namespace {

// Oldest compute capability for which there is machine code.
constexpr int OLDEST_CAPABILITY = 80;

// An error that every later call repeats, because the device's context is gone.
bool is_lasting(const cuda_device *device) {
    const cudaError_t state = cudaStreamQuery(device->memory_stream);
    return state != cudaSuccess && state != cudaErrorNotReady;
}

} // namespace

pan_status cuda_checked(cuda_device *device, const char *op, cudaError_t error) {
    if (error == cudaSuccess) {
        return PAN_OK;
    }
    cudaGetLastError(); // the next launch would take a failure left behind for its own
    if (device != nullptr && is_lasting(device)) {
        device->lost = true;
    }
    const bool lost = device != nullptr && device->lost;
    return pan_cuda_fail(PAN_DEVICE_ERROR, "%s: %s (%s, %d)%s", op, cudaGetErrorString(error), cudaGetErrorName(error),
                         static_cast<int>(error), lost ? "; the device accepts no more work from this process" : "");
}

pan_status cuda_launch_failed(cuda_stream *stream, const char *op, int64_t rows, int64_t channels, cudaError_t error) {
    char text[160];
    std::snprintf(text, sizeof text, "%s: launch for %lld x %lld", op, static_cast<long long>(rows),
                  static_cast<long long>(channels));
    return cuda_checked(stream->device, text, error);
}

namespace {

pan_status count_devices(int32_t *devices) {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    *devices = count;
    return cuda_checked(nullptr, "device_count", error);
}

pan_status check_index(const pan_device_options *options) {
    int32_t count = 0;
    CUDA_TRY(count_devices(&count));
    if (options->index < 0 || options->index >= count) {
        return pan_cuda_fail(PAN_NO_DEVICE, "device_open: there is no CUDA device %d; this machine has %d, from 0 on",
                             options->index, count);
    }
    return PAN_OK;
}

pan_status describe_device(int ordinal, cuda_device *device, pan_device_info *info) {
    cudaDeviceProp properties;
    const cudaError_t error = cudaGetDeviceProperties(&properties, ordinal);
    if (error != cudaSuccess) {
        return cuda_checked(nullptr, "device_open", error);
    }
    info->compute_capability = 10 * properties.major + properties.minor;
    info->total_bytes = static_cast<int64_t>(properties.totalGlobalMem);
    std::snprintf(info->name, sizeof info->name, "%.127s", properties.name);
    if (info->compute_capability < OLDEST_CAPABILITY) {
        return pan_cuda_fail(PAN_NO_DEVICE, "device_open: %s has compute capability %d.%d; this build needs %d.%d",
                             info->name, properties.major, properties.minor, OLDEST_CAPABILITY / 10,
                             OLDEST_CAPABILITY % 10);
    }
    device->ordinal = ordinal;
    device->multiprocessors = properties.multiProcessorCount;
    device->shared_bytes = static_cast<int>(properties.sharedMemPerBlockOptin);
    return PAN_OK;
}

void close_device(void *state) {
    auto *device = static_cast<cuda_device *>(state);
    drop_idle_parts(device->ordinal);
    close_memory(device);
    delete device;
}

pan_status open_device(const pan_device_options *options, void **state, pan_device_info *info) {
    CUDA_TRY(check_index(options));
    auto *device = new (std::nothrow) cuda_device{};
    if (device == nullptr) {
        return pan_cuda_fail(PAN_OUT_OF_MEMORY, "device_open: no memory for the device");
    }
    pan_status status = describe_device(options->index, device, info);
    if (status == PAN_OK) {
        status = open_memory(device);
    }
    if (status != PAN_OK) {
        close_device(device);
        return status;
    }
    *state = device;
    return PAN_OK;
}

// By assignment, because C++ would tie designated initialisers to the order of the op table.
constexpr pan_cuda_backend make_backend() {
    pan_cuda_backend made{};
    made.driver.open = open_device;
    made.driver.close = close_device;
    made.driver.count = count_devices;
    made.driver.gemm_name = cuda_gemm_name;
    made.driver.allocate = cuda_allocate;
    made.driver.release = cuda_release;
    made.driver.write = cuda_write;
    made.driver.create_stream = cuda_create_stream;
    made.driver.destroy_stream = cuda_destroy_stream;
    made.driver.synchronize = cuda_synchronize;
    made.driver.copy_to_device = cuda_copy_to_device;
    made.driver.copy_to_host = cuda_copy_to_host;
    made.driver.copy = cuda_copy;
    made.driver.zero = cuda_zero;
    made.driver.create_event = cuda_create_event;
    made.driver.destroy_event = cuda_destroy_event;
    made.driver.record_event = cuda_record_event;
    made.driver.wait_event = cuda_wait_event;
    made.driver.synchronize_event = cuda_synchronize_event;
    made.driver.elapsed = cuda_elapsed;
    made.driver.begin_capture = cuda_begin_capture;
    made.driver.end_capture = cuda_end_capture;
    made.driver.launch_graph = cuda_launch_graph;
    made.driver.destroy_graph = cuda_destroy_graph;
#define PAN_OP(name) made.ops.name = cuda_##name;
#define PAN_SIZE(name) made.ops.name = cuda_##name;
#include "../core/ops.def"
#undef PAN_OP
#undef PAN_SIZE
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
    if (error == cudaErrorInsufficientDriver) {
        std::snprintf(reason, reason_size, "the NVIDIA driver is too old: install one for CUDA %d.%d or later",
                      CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
        return nullptr;
    }
    if (error != cudaSuccess || count == 0) {
        std::snprintf(reason, reason_size, "no usable NVIDIA device: %s (%d)",
                      error == cudaSuccess ? "the driver lists none" : cudaGetErrorString(error),
                      static_cast<int>(error));
        return nullptr;
    }
    pan_cuda_fail = fail;
    return &backend;
}
