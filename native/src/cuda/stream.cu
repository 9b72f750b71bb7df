// Streams and copies.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>

#include "driver.h"

namespace {

pan_status no_memory(const char *op) {
    return pan_cuda_fail(PAN_OUT_OF_MEMORY, "%s: no memory for the stream", op);
}

// What the device's kernels found wrong with their numbers since the last look.
pan_status take_report(const cuda_device *device) {
    const cuda_report found = __atomic_exchange_n(device->report, 0, __ATOMIC_ACQ_REL);
    if (found == 0) {
        return PAN_OK;
    }
    const auto index = static_cast<long long>(found & ((1ull << REPORT_INDEX_BITS) - 1));
    switch (found >> REPORT_INDEX_BITS) {
    case REPORT_EMBEDDING_ID:
        return pan_cuda_fail(PAN_INVALID_ARGUMENT, "embedding: id number %lld is not in [0, vocab_size)", index);
    case REPORT_LABEL:
        return pan_cuda_fail(PAN_INVALID_ARGUMENT, "vocabulary_loss: label number %lld is not in [0, vocab_size)",
                             index);
    case REPORT_BLOCK:
        return pan_cuda_fail(PAN_INVALID_ARGUMENT,
                             "attention: entry number %lld of the lists is neither -1 nor a block of the sequence",
                             index);
    default:
        return pan_cuda_fail(PAN_INVALID_ARGUMENT,
                             "attention: query_rows number %lld is not in [0, batch * length), or not ascending",
                             index);
    }
}

// A failure of a call that may be that of earlier work: it names what was launched last, which or before which it was.
pan_status checked_after_work(const cuda_stream *stream, const char *op, cudaError_t error) {
    if (error == cudaSuccess) {
        return PAN_OK;
    }
    char text[200];
    std::snprintf(text, sizeof text, "%s: after %s of %lld x %lld", op,
                  stream->last_op == nullptr ? "no op" : stream->last_op, static_cast<long long>(stream->last_rows),
                  static_cast<long long>(stream->last_channels));
    return cuda_checked(stream->device, text, error);
}

pan_status wait(const cuda_stream *stream, const char *op) {
    CUDA_TRY(checked_after_work(stream, op, cudaStreamSynchronize(stream->handle)));
    return take_report(stream->device);
}

// Waits only where the ring is full of uploads that the device has not got to.
cudaError_t upload(cuda_stream *stream, unsigned char *target, const unsigned char *source, size_t bytes) {
    upload_ring *ring = &stream->parts->uploads;
    const int slot = ring->next;
    cudaError_t error = cudaEventSynchronize(ring->copied[slot]);
    if (error != cudaSuccess) {
        return error;
    }
    unsigned char *staged = ring->memory + static_cast<size_t>(slot) * upload_ring::SLOT_BYTES;
    std::memcpy(staged, source, bytes);
    error = cudaMemcpyAsync(target, staged, bytes, cudaMemcpyHostToDevice, stream->handle);
    if (error == cudaSuccess) {
        error = cudaEventRecord(ring->copied[slot], stream->handle);
    }
    ring->next = (slot + 1) % upload_ring::SLOTS;
    return error;
}

pan_status open_stream(cuda_stream *stream) {
    cudaError_t error = cudaStreamCreateWithFlags(&stream->handle, cudaStreamNonBlocking);
    if (error == cudaSuccess) {
        error = cudaEventCreateWithFlags(&stream->fence, cudaEventDisableTiming);
    }
    // Memory that was allocated before may still be on its way.
    if (error == cudaSuccess) {
        error = cudaEventRecord(stream->device->memory_event, stream->device->memory_stream);
    }
    if (error == cudaSuccess) {
        error = cudaStreamWaitEvent(stream->handle, stream->device->memory_event, 0);
    }
    return error == cudaErrorMemoryAllocation ? no_memory("stream_create")
                                              : cuda_checked(stream->device, "stream_create", error);
}

void link(cuda_stream *stream) {
    stream->next = stream->device->streams;
    if (stream->next != nullptr) {
        stream->next->previous = stream;
    }
    stream->device->streams = stream;
}

void unlink(cuda_stream *stream) {
    if (stream->next != nullptr) {
        stream->next->previous = stream->previous;
    }
    if (stream->previous != nullptr) {
        stream->previous->next = stream->next;
    } else if (stream->device->streams == stream) {
        stream->device->streams = stream->next;
    }
}

void free_stream(cuda_stream *stream) {
    if (stream->parts != nullptr) {
        give_back_parts(stream->parts);
    }
    if (stream->fence != nullptr) {
        cudaEventDestroy(stream->fence);
    }
    if (stream->handle != nullptr) {
        cudaStreamDestroy(stream->handle);
    }
    cudaGetLastError(); // of a lost device: the next call would take it for its own
    delete stream;
}

// Of a stream that is linked and whose work is done.
void close_stream(cuda_stream *stream) {
    close_cublas(stream);
    {
        std::lock_guard<std::mutex> lock(stream->device->lock);
        unlink(stream);
    }
    free_stream(stream);
}

pan_status copy_within(const char *op, cuda_stream *stream, void *target, const void *source, int64_t bytes) {
    cudaError_t error = cudaSetDevice(stream->device->ordinal);
    if (error == cudaSuccess && bytes > 0) {
        error = source == nullptr ? cudaMemsetAsync(target, 0, static_cast<size_t>(bytes), stream->handle)
                                  : cudaMemcpyAsync(target, source, static_cast<size_t>(bytes),
                                                    cudaMemcpyDeviceToDevice, stream->handle);
    }
    return checked_after_work(stream, op, error);
}

} // namespace

pan_status cuda_create_stream(void *state, void **stream_state) {
    auto *stream = new (std::nothrow) cuda_stream{};
    if (stream == nullptr) {
        return no_memory("stream_create");
    }
    auto *device = static_cast<cuda_device *>(state);
    stream->device = device;
    pan_status status = cuda_checked(device, "stream_create", cudaSetDevice(device->ordinal));
    if (status == PAN_OK) {
        status = take_parts(device, &stream->parts);
    }
    if (status == PAN_OK) {
        std::lock_guard<std::mutex> lock(device->lock);
        status = open_stream(stream);
        if (status == PAN_OK) {
            link(stream);
        }
    }
    if (status != PAN_OK) {
        free_stream(stream);
        return status;
    }
    status = open_cublas(stream);
    if (status != PAN_OK) {
        close_stream(stream);
        return status;
    }
    *stream_state = stream;
    return PAN_OK;
}

// A failure that was reported before, or that is about numbers and not about the device, is not the end's to report.
pan_status cuda_destroy_stream(void *stream_state) {
    auto *stream = static_cast<cuda_stream *>(stream_state);
    const bool known = stream->device->lost;
    if (stream->capturing) {
        abandon_capture(stream);
    }
    cudaError_t error = cudaSetDevice(stream->device->ordinal);
    if (error == cudaSuccess) {
        error = cudaStreamSynchronize(stream->handle);
    }
    const pan_status status = checked_after_work(stream, "stream_destroy", error);
    close_stream(stream);
    return known ? PAN_OK : status;
}

pan_status cuda_synchronize(void *stream_state) {
    auto *stream = static_cast<cuda_stream *>(stream_state);
    CUDA_TRY(refuse_in_capture(stream, "stream_synchronize"));
    CUDA_TRY(checked_after_work(stream, "stream_synchronize", cudaSetDevice(stream->device->ordinal)));
    return wait(stream, "stream_synchronize");
}

pan_status cuda_copy_to_device(void *stream_state, void *target, const void *source, int64_t bytes) {
    auto *stream = static_cast<cuda_stream *>(stream_state);
    CUDA_TRY(refuse_in_capture(stream, "copy_to_device"));
    cudaError_t error = cudaSetDevice(stream->device->ordinal);
    const auto *from = static_cast<const unsigned char *>(source);
    auto *to = static_cast<unsigned char *>(target);
    for (int64_t done = 0; done < bytes && error == cudaSuccess;) {
        const int64_t part = std::min<int64_t>(bytes - done, upload_ring::SLOT_BYTES);
        error = upload(stream, to + done, from + done, static_cast<size_t>(part));
        done += part;
    }
    return checked_after_work(stream, "copy_to_device", error);
}

pan_status cuda_copy_to_host(void *stream_state, void *target, const void *source, int64_t bytes) {
    auto *stream = static_cast<cuda_stream *>(stream_state);
    CUDA_TRY(refuse_in_capture(stream, "copy_to_host"));
    cudaError_t error = cudaSetDevice(stream->device->ordinal);
    if (error == cudaSuccess && bytes > 0) {
        error = cudaMemcpyAsync(target, source, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream->handle);
    }
    CUDA_TRY(checked_after_work(stream, "copy_to_host", error));
    return wait(stream, "copy_to_host");
}

pan_status cuda_copy(void *stream_state, void *target, const void *source, int64_t bytes) {
    return copy_within("copy", static_cast<cuda_stream *>(stream_state), target, source, bytes);
}

pan_status cuda_zero(void *stream_state, void *target, int64_t bytes) {
    return copy_within("zero", static_cast<cuda_stream *>(stream_state), target, nullptr, bytes);
}
