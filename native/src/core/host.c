/* The driver of the CPU backends: host memory, and streams on which work is done when the call returns. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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

static void destroy_stream(void *stream_state) {
    (void) stream_state;
}

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

const pan_driver *pan_host_driver(void) {
    static const pan_driver driver = {
        .open = open_host,
        .close = close_host,
        .allocate = allocate,
        .release = release,
        .create_stream = create_stream,
        .destroy_stream = destroy_stream,
        .synchronize = synchronize,
        .copy_to_device = copy,
        .copy_to_host = copy,
        .copy = copy,
        .zero = zero,
    };
    return &driver;
}
