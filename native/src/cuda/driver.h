// The functions of core/backend.h other than ops, by file.
#ifndef PAN_CUDA_DRIVER_H
#define PAN_CUDA_DRIVER_H

#include "cuda_device.h"

// memory.cu
pan_status open_memory(cuda_device *device);
void close_memory(cuda_device *device);
pan_status cuda_allocate(void *state, int64_t bytes, void **address);
pan_status cuda_release(void *state, void *address);
// Lets what the memory stream does from now on wait for the stream's work so far; under the device's lock.
cudaError_t fence_stream(const cuda_stream *stream);
pan_status cuda_write(void *state, void *target, const void *source, int64_t bytes);

// stream.cu
pan_status cuda_create_stream(void *state, void **stream_state);
pan_status cuda_destroy_stream(void *stream_state);
pan_status cuda_synchronize(void *stream_state);
pan_status cuda_copy_to_device(void *stream_state, void *target, const void *source, int64_t bytes);
pan_status cuda_copy_to_host(void *stream_state, void *target, const void *source, int64_t bytes);
pan_status cuda_copy(void *stream_state, void *target, const void *source, int64_t bytes);
pan_status cuda_zero(void *stream_state, void *target, int64_t bytes);

// event.cu
pan_status cuda_create_event(void *state, void **event_state);
void cuda_destroy_event(void *event_state);
pan_status cuda_record_event(void *event_state, void *stream_state);
pan_status cuda_wait_event(void *stream_state, void *event_state);
pan_status cuda_synchronize_event(void *event_state);
pan_status cuda_elapsed(void *start_state, void *end_state, double *milliseconds);
pan_status cuda_begin_capture(void *stream_state);
pan_status cuda_end_capture(void *stream_state, void **graph_state);
pan_status cuda_launch_graph(void *graph_state, void *stream_state);
void cuda_destroy_graph(void *graph_state);
void abandon_capture(cuda_stream *stream);

// parts.cu
pan_status take_parts(cuda_device *device, stream_parts **parts);
void give_back_parts(stream_parts *parts);
void drop_idle_parts(int ordinal); // unless something records
void count_recording(int change);

// cublas.cu: products of the stream by cuBLAS, where the library is there.
pan_status open_cublas(cuda_stream *stream);
void close_cublas(cuda_stream *stream);
void destroy_cublas(void *handle);
// Around a recording; what the end returns is the graph's, to be freed with cuda_release(), and may be NULL.
pan_status begin_cublas_capture(cuda_stream *stream);
void *end_cublas_capture(cuda_stream *stream);
const char *cuda_gemm_name();

#endif
