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
    if (cudaSetDevice(event->device->ordinal) == cudaSuccess) {
        cudaEventDestroy(event->handle);
    }
    cudaGetLastError();
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
pan_status cuda_begin_capture(void *stream_state) {
    auto *stream = static_cast<cuda_stream *>(stream_state);
    if (stream->capturing) {
        return pan_cuda_fail(PAN_INVALID_ARGUMENT, "capture_begin: the stream is recording already");
    }
    std::lock_guard<std::mutex> lock(stream->device->lock);
    CUDA_TRY(cuda_checked(stream->device, "capture_begin", cudaSetDevice(stream->device->ordinal)));
    CUDA_TRY(begin_cublas_capture(stream));
    const cudaError_t error = cudaStreamBeginCapture(stream->handle, cudaStreamCaptureModeRelaxed);
    if (error != cudaSuccess) {
        cudaFree(end_cublas_capture(stream));
        return cuda_checked(stream->device, "capture_begin", error);
    }
    stream->capturing = true;
    return PAN_OK;
}

pan_status cuda_end_capture(void *stream_state, void **graph_state) {
    auto *stream = static_cast<cuda_stream *>(stream_state);
    if (!stream->capturing) {
        return pan_cuda_fail(PAN_INVALID_ARGUMENT, "capture_end: the stream is not recording");
    }
    std::lock_guard<std::mutex> lock(stream->device->lock);
    stream->capturing = false;
    cudaGraph_t recorded = nullptr;
    cudaError_t error = cudaSetDevice(stream->device->ordinal);
    if (error == cudaSuccess) {
        error = cudaStreamEndCapture(stream->handle, &recorded);
    }
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
    cudaFree(workspace);
    delete graph;
    return error != cudaSuccess ? cuda_checked(stream->device, "capture_end", error)
                                : pan_cuda_fail(PAN_OUT_OF_MEMORY, "capture_end: no memory for the graph");
}

// Ends a recording whose stream is about to go.
void abandon_capture(cuda_stream *stream) {
    cudaGraph_t recorded = nullptr;
    stream->capturing = false;
    if (cudaStreamEndCapture(stream->handle, &recorded) == cudaSuccess && recorded != nullptr) {
        cudaGraphDestroy(recorded);
    }
    cudaFree(end_cublas_capture(stream));
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

// A launch may still run: the workspace waits for it.
void cuda_destroy_graph(void *graph_state) {
    auto *graph = static_cast<cuda_graph *>(graph_state);
    if (cudaSetDevice(graph->device->ordinal) == cudaSuccess) {
        cudaGraphExecDestroy(graph->handle);
        cudaFree(graph->workspace);
    }
    cudaGetLastError();
    delete graph;
}
