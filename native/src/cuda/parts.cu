// What streams are made of that must outlive them: taking down a cuBLAS handle or pinned memory waits for the whole GPU,
// which would spoil a recording on any of its streams. So a stream hands its parts on to the next one, and idle ones are
// taken down when a device closes while nothing records.
#include <mutex>
#include <new>

#include "driver.h"

namespace {

std::mutex lock;
stream_parts *idle;
std::atomic<int> recordings;

cudaError_t open_uploads(upload_ring *ring) {
    void *memory = nullptr;
    cudaError_t error = cudaHostAlloc(&memory, upload_ring::SLOTS * upload_ring::SLOT_BYTES, cudaHostAllocPortable);
    ring->memory = static_cast<unsigned char *>(memory);
    for (int i = 0; i < upload_ring::SLOTS && error == cudaSuccess; i++) {
        error = cudaEventCreateWithFlags(&ring->copied[i], cudaEventDisableTiming);
    }
    return error;
}

void take_down(stream_parts *parts) {
    cudaSetDevice(parts->ordinal);
    destroy_cublas(parts->cublas);
    for (cudaEvent_t copied : parts->uploads.copied) {
        if (copied != nullptr) {
            cudaEventDestroy(copied);
        }
    }
    if (parts->uploads.memory != nullptr) {
        cudaFreeHost(parts->uploads.memory);
    }
    cudaGetLastError(); // of a lost device: the next call would take it for its own
    delete parts;
}

// Removes the first idle parts of a device from the list.
stream_parts *find_idle(int ordinal) {
    std::lock_guard<std::mutex> guard(lock);
    for (stream_parts **place = &idle; *place != nullptr; place = &(*place)->next) {
        stream_parts *found = *place;
        if (found->ordinal == ordinal) {
            *place = found->next;
            return found;
        }
    }
    return nullptr;
}

} // namespace

pan_status take_parts(cuda_device *device, stream_parts **parts) {
    *parts = find_idle(device->ordinal);
    if (*parts != nullptr) {
        return PAN_OK;
    }
    auto *made = new (std::nothrow) stream_parts{};
    cudaError_t error = cudaErrorMemoryAllocation;
    if (made != nullptr) {
        made->ordinal = device->ordinal;
        error = open_uploads(&made->uploads);
        if (error == cudaSuccess) {
            *parts = made;
            return PAN_OK;
        }
        take_down(made);
    }
    return error == cudaErrorMemoryAllocation
               ? pan_cuda_fail(PAN_OUT_OF_MEMORY, "stream_create: no memory for the stream's uploads")
               : cuda_checked(device, "stream_create", error);
}

void give_back_parts(stream_parts *parts) {
    std::lock_guard<std::mutex> guard(lock);
    parts->next = idle;
    idle = parts;
}

void drop_idle_parts(int ordinal) {
    while (recordings == 0) {
        stream_parts *found = find_idle(ordinal);
        if (found == nullptr) {
            return;
        }
        take_down(found);
    }
}

void count_recording(int change) {
    recordings += change;
}
