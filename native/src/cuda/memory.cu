// Device memory: a caching, stream-ordered allocator on the driver's memory pools.
//
// Allocations and frees happen on a stream of their own. A free waits there, on the device and not on the host, for what
// every other stream had been given before; what streams are given after an allocation waits for it in turn. So memory
// is never reused under work that still needs it, whichever streams are involved, and no call waits on the host.
#include "driver.h"

namespace {

// The pool keeps what is freed instead of giving it back to the driver at the next synchronisation.
pan_status make_pool(cuda_device *device) {
    int supported = 0;
    cudaError_t error = cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, device->ordinal);
    if (error != cudaSuccess || !supported) {
        return cuda_checked(nullptr, "device_open", error);
    }
    cudaMemPoolProps properties = {};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = device->ordinal;
    error = cudaMemPoolCreate(&device->pool, &properties);
    if (error == cudaSuccess) {
        unsigned long long everything = ~0ull;
        error = cudaMemPoolSetAttribute(device->pool, cudaMemPoolAttrReleaseThreshold, &everything);
    }
    return cuda_checked(nullptr, "device_open", error);
}

// A stream that records must not be tied to work outside of its graph: what it did before was waited for when the
// recording began, and a graph's memory outlives it.
cudaError_t fence_all(const cuda_device *device) {
    cudaError_t error = cudaSuccess;
    for (const cuda_stream *s = device->streams; s != nullptr && error == cudaSuccess; s = s->next) {
        error = s->capturing ? cudaSuccess : fence_stream(s);
    }
    return error;
}

cudaError_t let_streams_wait(const cuda_device *device) {
    cudaError_t error = cudaEventRecord(device->memory_event, device->memory_stream);
    for (const cuda_stream *s = device->streams; s != nullptr && error == cudaSuccess; s = s->next) {
        error = s->capturing ? cudaStreamSynchronize(device->memory_stream)
                             : cudaStreamWaitEvent(s->handle, device->memory_event, 0);
    }
    return error;
}

pan_status out_of_memory(const cuda_device *device, int64_t bytes) {
    cudaGetLastError(); // the next launch would take it for its own
    size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) != cudaSuccess) {
        free = total = 0;
        cudaGetLastError();
    }
    return pan_cuda_fail(
        PAN_OUT_OF_MEMORY, "memory_allocate: no %lld bytes on CUDA device %d: %lld of its %lld bytes are free",
        static_cast<long long>(bytes), device->ordinal, static_cast<long long>(free), static_cast<long long>(total));
}

// Freed memory that the pool keeps in pieces can be what is missing.
cudaError_t allocate_from_pool(cuda_device *device, size_t bytes, void **address) {
    cudaError_t error = cudaMallocFromPoolAsync(address, bytes, device->pool, device->memory_stream);
    if (error == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        error = cudaStreamSynchronize(device->memory_stream);
        if (error == cudaSuccess) {
            error = cudaMemPoolTrimTo(device->pool, 0);
        }
        if (error == cudaSuccess) {
            error = cudaMallocFromPoolAsync(address, bytes, device->pool, device->memory_stream);
        }
    }
    if (error == cudaSuccess) {
        error = let_streams_wait(device);
        if (error != cudaSuccess) {
            cudaFreeAsync(*address, device->memory_stream);
        }
    }
    return error;
}

cudaError_t open_report(cuda_device *device) {
    void *report = nullptr;
    const cudaError_t error =
        cudaHostAlloc(&report, sizeof *device->report, cudaHostAllocPortable | cudaHostAllocMapped);
    if (error == cudaSuccess) {
        device->report = static_cast<cuda_report *>(report);
        *device->report = 0;
    }
    return error;
}

} // namespace

cudaError_t fence_stream(const cuda_stream *stream) {
    const cudaError_t error = cudaEventRecord(stream->fence, stream->handle);
    return error == cudaSuccess ? cudaStreamWaitEvent(stream->device->memory_stream, stream->fence, 0) : error;
}

pan_status open_memory(cuda_device *device) {
    cudaError_t error = cudaSetDevice(device->ordinal);
    if (error == cudaSuccess) {
        error = cudaStreamCreateWithFlags(&device->memory_stream, cudaStreamNonBlocking);
    }
    if (error == cudaSuccess) {
        error = cudaEventCreateWithFlags(&device->memory_event, cudaEventDisableTiming);
    }
    if (error == cudaSuccess) {
        error = open_report(device);
    }
    if (error == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        return pan_cuda_fail(PAN_OUT_OF_MEMORY, "device_open: CUDA device %d has no memory left for this process",
                             device->ordinal);
    }
    CUDA_TRY(cuda_checked(nullptr, "device_open", error));
    return make_pool(device);
}

void close_memory(cuda_device *device) {
    cudaSetDevice(device->ordinal); // a lost device has a host's side still
    if (device->memory_stream != nullptr) {
        cudaStreamSynchronize(device->memory_stream);
        cudaStreamDestroy(device->memory_stream);
    }
    if (device->memory_event != nullptr) {
        cudaEventDestroy(device->memory_event);
    }
    if (device->pool != nullptr) {
        cudaMemPoolDestroy(device->pool);
    }
    if (device->report != nullptr) {
        cudaFreeHost(device->report);
    }
    cudaGetLastError(); // of a lost device: the next call would take it for its own
}

pan_status cuda_allocate(void *state, int64_t bytes, void **address) {
    auto *device = static_cast<cuda_device *>(state);
    std::lock_guard<std::mutex> lock(device->lock);
    cudaError_t error = cudaSetDevice(device->ordinal);
    if (error == cudaSuccess) {
        error = device->pool == nullptr ? cudaMalloc(address, static_cast<size_t>(bytes))
                                        : allocate_from_pool(device, static_cast<size_t>(bytes), address);
    }
    return error == cudaErrorMemoryAllocation ? out_of_memory(device, bytes)
                                              : cuda_checked(device, "memory_allocate", error);
}

// The memory of a lost device is gone: that it cannot be given back is no failure of its own.
pan_status cuda_release(void *state, void *address) {
    auto *device = static_cast<cuda_device *>(state);
    std::lock_guard<std::mutex> lock(device->lock);
    cudaError_t error = cudaSetDevice(device->ordinal);
    if (device->pool != nullptr && error == cudaSuccess) {
        error = fence_all(device);
    }
    if (error == cudaSuccess || device->lost) { // cudaFree() waits for the whole device
        error = device->pool == nullptr ? cudaFree(address) : cudaFreeAsync(address, device->memory_stream);
    }
    const pan_status status = cuda_checked(device, "memory_free", error);
    return device->lost ? PAN_OK : status;
}

pan_status cuda_write(void *state, void *target, const void *source, int64_t bytes) {
    auto *device = static_cast<cuda_device *>(state);
    std::lock_guard<std::mutex> lock(device->lock);
    cudaError_t error = cudaSetDevice(device->ordinal);
    if (error == cudaSuccess) {
        error =
            cudaMemcpyAsync(target, source, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, device->memory_stream);
    }
    if (error == cudaSuccess) {
        error = cudaStreamSynchronize(device->memory_stream);
    }
    return cuda_checked(device, "write", error);
}
