/* The driver of the CPU backends: host memory, and streams on which work is done when the call returns. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "backend.h"
#include "status.h"

/* From this size on the kernel is asked for huge pages: a page fault costs more than copying the page. */
enum { HUGE_PAGE = 2 << 20 };

static pan_status open_host(const pan_device_options *options, void **state, pan_device_info *info) {
    (void) options;
    (void) info;
    *state = NULL;
    return PAN_OK;
}

static void close_host(void *state) {
    (void) state;
}

static pan_status allocate(void *state, int64_t bytes, void **address) {
    (void) state;
    size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : PAN_ALIGNMENT;
    if (posix_memalign(address, alignment, (size_t) bytes) != 0) {
        return pan_fail(PAN_OUT_OF_MEMORY, "memory_allocate: no %lld bytes of host memory", (long long) bytes);
    }
    if (bytes >= HUGE_PAGE) {
        madvise(*address, (size_t) bytes, MADV_HUGEPAGE);
    }
    return PAN_OK;
}

static pan_status release(void *state, void *address) {
    (void) state;
    free(address);
    return PAN_OK;
}

static pan_status create_stream(void *state, void **stream_state) {
    (void) state;
    *stream_state = NULL;
    return PAN_OK;
}

/* There is never work to wait for. */
static pan_status synchronize(void *stream_state) {
    (void) stream_state;
    return PAN_OK;
}

static pan_status copy(void *stream_state, void *target, const void *source, int64_t bytes) {
    (void) stream_state;
    if (bytes > 0) {
        memmove(target, source, (size_t) bytes);
    }
    return PAN_OK;
}

static pan_status zero(void *stream_state, void *target, int64_t bytes) {
    (void) stream_state;
    if (bytes > 0) {
        memset(target, 0, (size_t) bytes);
    }
    return PAN_OK;
}

static pan_status count_host(int32_t *devices) {
    *devices = 1;
    return PAN_OK;
}

/* Work is done when it is given, so a mark is a time. */
static pan_status create_event(void *state, void **event_state) {
    (void) state;
    *event_state = calloc(1, sizeof(struct timespec));
    return *event_state == NULL ? pan_fail(PAN_OUT_OF_MEMORY, "event_create: no memory for the event") : PAN_OK;
}

static void destroy_event(void *event_state) {
    free(event_state);
}

static pan_status record_event(void *event_state, void *stream_state) {
    (void) stream_state;
    clock_gettime(CLOCK_MONOTONIC, event_state);
    return PAN_OK;
}

static pan_status wait_event(void *stream_state, void *event_state) {
    (void) stream_state;
    (void) event_state;
    return PAN_OK;
}

static pan_status elapsed(void *start_state, void *end_state, double *milliseconds) {
    const struct timespec *start = start_state, *end = end_state;
    *milliseconds = 1e3 * (double) (end->tv_sec - start->tv_sec) + 1e-6 * (double) (end->tv_nsec - start->tv_nsec);
    return PAN_OK;
}

const pan_driver *pan_host_driver(void) {
    static const pan_driver driver = {
        .open = open_host,
        .close = close_host,
        .allocate = allocate,
        .release = release,
        .write = copy,
        .create_stream = create_stream,
        .destroy_stream = synchronize,
        .synchronize = synchronize,
        .copy_to_device = copy,
        .copy_to_host = copy,
        .copy = copy,
        .zero = zero,
        .count = count_host,
        .gemm_name = pan_gemm_name,
        .create_event = create_event,
        .destroy_event = destroy_event,
        .record_event = record_event,
        .wait_event = wait_event,
        .synchronize_event = synchronize,
        .elapsed = elapsed,
    };
    return &driver;
}
