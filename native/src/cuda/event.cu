// Events, and work that is recorded in a CUDA graph.
#include <new>

#include "driver.h"

namespace {

struct cuda_event {
    cuda_device *device;
    cudaEvent_t handle;
};

struct cuda_graph {
    cuda_device *device;
    cudaGraphExec_t handle;
    void *workspace; // of its cuBLAS products; may be NULL
};

void release_workspace(cuda_device *device, void *workspace) {
    if (workspace != nullptr) {
        cuda_release(device, workspace);
    }
}

// Under the lock, because others look at `capturing` before they tie streams together.
cudaError_t end_recording(cuda_stream *stream, cudaGraph_t *recorded) {
    std::lock_guard<std::mutex> lock(stream->device->lock);
    cudaSetDevice(stream->device->ordinal);
    const cudaError_t error = cudaStreamEndCapture(stream->handle, recorded);
    stream->capturing = false;
    count_recording(-1);
    return error;
}

} // namespace

pan_status cuda_create_event(void *state, void **event_state) {
    auto *device = static_cast<cuda_device *>(state);
    auto *event = new (std::nothrow) cuda_event{device, nullptr};
    if (event == nullptr) {
        return pan_cuda_fail(PAN_OUT_OF_MEMORY, "event_create: no memory for the event");
    }
    cudaError_t error = cudaSetDevice(device->ordinal);
    if (error == cudaSuccess) {
        error = cudaEventCreateWithFlags(&event->handle, cudaEventDefault);
    }
    if (error != cudaSuccess) {
        delete event;
        return cuda_checked(device, "event_create", error);
    }
    *event_state = event;
    return PAN_OK;
}

void cuda_destroy_event(void *event_state) {
    auto *event = static_cast<cuda_event *>(event_state);
    cudaSetDevice(event->device->ordinal);
    cudaEventDestroy(event->handle);
    cudaGetLastError(); // of a lost device: the next call would take it for its own
    delete event;
}

pan_status cuda_record_event(void *event_state, void *stream_state) {
    const auto *event = static_cast<cuda_event *>(event_state);
    CUDA_TRY(refuse_in_capture(static_cast<cuda_stream *>(stream_state), "event_record"));
    cudaError_t error = cudaSetDevice(event->device->ordinal);
    if (error == cudaSuccess) {
        error = cudaEventRecord(event->handle, static_cast<cuda_stream *>(stream_state)->handle);
    }
    return cuda_checked(event->device, "event_record", error);
}

pan_status cuda_wait_event(void *stream_state, void *event_state) {
    const auto *event = static_cast<cuda_event *>(event_state);
    CUDA_TRY(refuse_in_capture(static_cast<cuda_stream *>(stream_state), "stream_wait"));
    cudaError_t error = cudaSetDevice(event->device->ordinal);
    if (error == cudaSuccess) {
        error = cudaStreamWaitEvent(static_cast<cuda_stream *>(stream_state)->handle, event->handle, 0);
    }
    return cuda_checked(event->device, "stream_wait", error);
}

pan_status cuda_synchronize_event(void *event_state) {
    const auto *event = static_cast<cuda_event *>(event_state);
    cudaError_t error = cudaSetDevice(event->device->ordinal);
    if (error == cudaSuccess) {
        error = cudaEventSynchronize(event->handle);
    }
    return cuda_checked(event->device, "event_synchronize", error);
}

pan_status cuda_elapsed(void *start_state, void *end_state, double *milliseconds) {
    const auto *start = static_cast<cuda_event *>(start_state);
    float elapsed = 0.0f;
    const cudaError_t error =
        cudaEventElapsedTime(&elapsed, start->handle, static_cast<cuda_event *>(end_state)->handle);
    *milliseconds = elapsed;
    return cuda_checked(start->device, "event_elapsed", error);
}

// Relaxed: waiting for other streams, which an upload may do, does not spoil a recording; what would is refused by name.
// Memory that the stream's earlier work uses may be freed while it records: the memory stream waits for that work here.
pan_status cuda_begin_capture(void *stream_state) {
    auto *stream = static_cast<cuda_stream *>(stream_state);
    if (stream->capturing) {
        return pan_cuda_fail(PAN_INVALID_ARGUMENT, "capture_begin: the stream is recording already");
    }
    CUDA_TRY(cuda_checked(stream->device, "capture_begin", cudaSetDevice(stream->device->ordinal)));
    CUDA_TRY(begin_cublas_capture(stream));
    std::unique_lock<std::mutex> lock(stream->device->lock);
    cudaError_t error = fence_stream(stream);
    if (error == cudaSuccess) {
        error = cudaStreamBeginCapture(stream->handle, cudaStreamCaptureModeRelaxed);
    }
    stream->capturing = error == cudaSuccess;
    lock.unlock();
    if (error != cudaSuccess) {
        release_workspace(stream->device, end_cublas_capture(stream));
        return cuda_checked(stream->device, "capture_begin", error);
    }
    count_recording(1);
    return PAN_OK;
}

pan_status cuda_end_capture(void *stream_state, void **graph_state) {
    auto *stream = static_cast<cuda_stream *>(stream_state);
    if (!stream->capturing) {
        return pan_cuda_fail(PAN_INVALID_ARGUMENT, "capture_end: the stream is not recording");
    }
    cudaGraph_t recorded = nullptr;
    cudaError_t error = end_recording(stream, &recorded);
    void *workspace = end_cublas_capture(stream);
    auto *graph = new (std::nothrow) cuda_graph{stream->device, nullptr, workspace};
    if (error == cudaSuccess && graph != nullptr) {
        error = cudaGraphInstantiate(&graph->handle, recorded, 0);
    }
    if (recorded != nullptr) {
        cudaGraphDestroy(recorded);
    }
    if (error == cudaSuccess && graph != nullptr) {
        *graph_state = graph;
        return PAN_OK;
    }
    release_workspace(stream->device, workspace);
    delete graph;
    return error != cudaSuccess ? cuda_checked(stream->device, "capture_end", error)
                                : pan_cuda_fail(PAN_OUT_OF_MEMORY, "capture_end: no memory for the graph");
}

// Ends a recording whose stream is about to go.
void abandon_capture(cuda_stream *stream) {
    cudaGraph_t recorded = nullptr;
    if (end_recording(stream, &recorded) == cudaSuccess && recorded != nullptr) {
        cudaGraphDestroy(recorded);
    }
    cudaGetLastError(); // of a recording that was spoilt
    release_workspace(stream->device, end_cublas_capture(stream));
}

pan_status cuda_launch_graph(void *graph_state, void *stream_state) {
    const auto *graph = static_cast<cuda_graph *>(graph_state);
    auto *stream = static_cast<cuda_stream *>(stream_state);
    CUDA_TRY(refuse_in_capture(stream, "graph_launch"));
    cudaError_t error = cudaSetDevice(graph->device->ordinal);
    if (error == cudaSuccess) {
        error = cudaGraphLaunch(graph->handle, stream->handle);
    }
    stream->last_op = "graph_launch";
    stream->last_rows = stream->last_channels = 1;
    return cuda_checked(graph->device, "graph_launch", error);
}

// A launch may still run: the workspace is freed behind it.
void cuda_destroy_graph(void *graph_state) {
    auto *graph = static_cast<cuda_graph *>(graph_state);
    cudaSetDevice(graph->device->ordinal);
    cudaGraphExecDestroy(graph->handle);
    release_workspace(graph->device, graph->workspace);
    cudaGetLastError(); // as above
    delete graph;
}
