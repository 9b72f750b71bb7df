/* What a backend is to the rest of the library: a table of op bodies and a few device functions. */
#ifndef PAN_CORE_BACKEND_H
#define PAN_CORE_BACKEND_H

#include "panthera.h"

/* One slot per op-table line, typed by the prototype: a body with another signature does not compile. An empty slot
 * is an op that the backend lacks. Bodies are called with arguments that the front functions have checked. */
typedef struct pan_ops {
#define PAN_OP(name) __typeof__(pan_##name) *name;
#define PAN_SIZE(name) __typeof__(pan_##name) *name;
#include "ops.def"
#undef PAN_OP
#undef PAN_SIZE
} pan_ops;

/* Memory and ordering of one kind of device. `state` is what open() returned; a stream's is what create_stream() did. */
typedef struct pan_driver {
    pan_status (*open)(const pan_device_options *options, void **state, pan_device_info *info);
    void (*close)(void *state);
    pan_status (*allocate)(void *state, int64_t bytes, void **address);
    pan_status (*release)(void *state, void *address);
    pan_status (*write)(void *state, void *target, const void *source, int64_t bytes); /* done on return; no stream's */
    pan_status (*create_stream)(void *state, void **stream_state);
    pan_status (*destroy_stream)(void *stream_state); /* after its work is done; whatever the status, it is gone */
    pan_status (*synchronize)(void *stream_state);
    pan_status (*copy_to_device)(void *stream_state, void *target, const void *source, int64_t bytes);
    pan_status (*copy_to_host)(void *stream_state, void *target, const void *source, int64_t bytes);
    pan_status (*copy)(void *stream_state, void *target, const void *source, int64_t bytes);
    pan_status (*zero)(void *stream_state, void *target, int64_t bytes);
    pan_status (*count)(int32_t *devices);
    const char *(*gemm_name)(void);
    pan_status (*create_event)(void *state, void **event_state);
    void (*destroy_event)(void *event_state);
    pan_status (*record_event)(void *event_state, void *stream_state);
    pan_status (*wait_event)(void *stream_state, void *event_state);
    pan_status (*synchronize_event)(void *event_state);
    pan_status (*elapsed)(void *start_state, void *end_state, double *milliseconds);
    pan_status (*begin_capture)(void *stream_state); /* this and the following: NULL where nothing can be recorded */
    pan_status (*end_capture)(void *stream_state, void **graph_state);
    pan_status (*launch_graph)(void *graph_state, void *stream_state);
    void (*destroy_graph)(void *graph_state);
} pan_driver;

struct pan_pool;

struct pan_device {
    const pan_driver *driver;
    const pan_ops *ops;
    void *state;
    struct pan_pool *pool; /* CPU backends: the workers */
    pan_device_info info;
    int32_t live_allocations; /* atomic */
    int32_t live_streams;     /* atomic */
    int32_t live_plans;       /* atomic */
    int32_t live_events;      /* atomic; graphs too */
};

struct pan_stream {
    pan_device *device;
    void *state;
};

struct pan_event {
    pan_device *device;
    void *state;
    int32_t marked; /* atomic */
};

struct pan_graph {
    pan_device *device;
    void *state;
};

/* Tables of the CPU library's own backends; pan_cpu_ops() is NULL for a tier that was not compiled. */
const pan_ops *pan_cpu_ops(pan_isa isa);
const pan_ops *pan_reference_ops(void);
const pan_ops *pan_reference_f64_ops(void);
const pan_driver *pan_host_driver(void);

/* The CUDA library beside this one, opened on first use; NULL with the reason in pan_last_error() if it cannot be. */
const pan_driver *pan_cuda_driver(void);
const pan_ops *pan_cuda_ops(void);

#endif
