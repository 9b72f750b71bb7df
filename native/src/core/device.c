/* Devices, streams and memory: what is common to all backends, and the host's driver. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "check.h"
#include "gemm.h"
#include "isa.h"
#include "pool.h"
#include "status.h"

enum { MAX_THREADS = 1024 };

static int32_t available_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) {
        return CPU_COUNT(&set) < MAX_THREADS ? CPU_COUNT(&set) : MAX_THREADS;
    }
    return 1;
}

static pan_status check_open(const pan_device_options *options, pan_device **device) {
    if (options == NULL || device == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "device_open: %s is NULL", options == NULL ? "options" : "device");
    }
    if (options->struct_size != sizeof *options) {
        return pan_fail(PAN_INVALID_ARGUMENT, "device_open: struct_size is %u; this library (ABI %d) expects %zu",
                        options->struct_size, PAN_ABI_VERSION, sizeof *options);
    }
    PAN_TRY(pan_check_reserved("device_open", options->reserved));
    if (options->backend < 0 || options->backend >= PAN_BACKEND_COUNT) {
        return pan_fail(PAN_INVALID_ARGUMENT, "device_open: backend is %d; expected 0 to %d", options->backend,
                        PAN_BACKEND_COUNT - 1);
    }
    if (options->threads < 0 || options->threads > MAX_THREADS) {
        return pan_fail(PAN_INVALID_ARGUMENT, "device_open: threads is %d; expected 0 (all cores) to %d",
                        options->threads, MAX_THREADS);
    }
    if (options->backend != PAN_BACKEND_CUDA && options->index != 0) {
        return pan_fail(PAN_NO_DEVICE, "device_open: index is %d; this backend has device 0 only", options->index);
    }
    return PAN_OK;
}

static pan_status choose_ops(const pan_device_options *options, pan_device *device) {
    switch (options->backend) {
    case PAN_BACKEND_CPU: {
        pan_isa isa;
        PAN_TRY(pan_isa_choose(options->isa, &isa));
        device->info.isa = isa;
        device->ops = pan_cpu_ops(isa);
        device->driver = pan_host_driver();
        break;
    }
    case PAN_BACKEND_REFERENCE:
        device->ops = pan_reference_ops();
        device->driver = pan_host_driver();
        break;
    case PAN_BACKEND_REFERENCE_F64:
        device->ops = pan_reference_f64_ops();
        device->driver = pan_host_driver();
        break;
    default:
        device->driver = pan_cuda_driver();
        if (device->driver == NULL) {
            return PAN_NO_DEVICE;
        }
        device->ops = pan_cuda_ops();
    }
    return PAN_OK;
}

static void name_host_device(pan_device *device) {
    pan_device_info *info = &device->info;
    const char *kind = info->backend == PAN_BACKEND_CPU         ? pan_isa_name(info->isa)
                       : info->backend == PAN_BACKEND_REFERENCE ? "reference"
                                                                : "reference-f64";
    strcpy(info->name, "cpu:");
    strcat(info->name, kind);
    info->total_bytes = (int64_t) sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGE_SIZE);
}

static pan_status open_workers(const pan_device_options *options, pan_device *device) {
    if (options->backend == PAN_BACKEND_CUDA) {
        return PAN_OK;
    }
    int32_t threads = options->backend != PAN_BACKEND_CPU ? 1
                      : options->threads > 0              ? options->threads
                                                          : available_cores();
    device->pool = pan_pool_create(threads);
    if (device->pool == NULL) {
        return pan_fail(PAN_OUT_OF_MEMORY, "device_open: cannot start %d threads", threads);
    }
    device->info.threads = threads;
    name_host_device(device);
    return PAN_OK;
}

pan_status pan_device_open(const pan_device_options *options, pan_device **device) {
    PAN_TRY(check_open(options, device));
    pan_device *opened = calloc(1, sizeof *opened);
    if (opened == NULL) {
        return pan_fail(PAN_OUT_OF_MEMORY, "device_open: no memory for the device");
    }
    opened->info =
        (pan_device_info){.struct_size = sizeof opened->info, .backend = options->backend, .index = options->index};
    pan_status status = choose_ops(options, opened);
    if (status == PAN_OK) {
        status = opened->driver->open(options, &opened->state, &opened->info);
    }
    if (status == PAN_OK) {
        status = open_workers(options, opened);
        if (status != PAN_OK) {
            opened->driver->close(opened->state);
        }
    }
    if (status != PAN_OK) {
        free(opened);
        return status;
    }
    *device = opened;
    return PAN_OK;
}

pan_status pan_device_close(pan_device *device) {
    if (device == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "device_close: device is NULL");
    }
    int32_t streams = __atomic_load_n(&device->live_streams, __ATOMIC_ACQUIRE);
    int32_t allocations = __atomic_load_n(&device->live_allocations, __ATOMIC_ACQUIRE);
    int32_t plans = __atomic_load_n(&device->live_plans, __ATOMIC_ACQUIRE);
    int32_t events = __atomic_load_n(&device->live_events, __ATOMIC_ACQUIRE);
    if (streams != 0 || allocations != 0 || plans != 0 || events != 0) {
        return pan_fail(
            PAN_INVALID_ARGUMENT,
            "device_close: %d streams, %d allocations, %d plans and %d events or graphs of %s are still alive", streams,
            allocations, plans, events, device->info.name);
    }
    if (device->pool != NULL) {
        pan_pool_destroy(device->pool);
    }
    device->driver->close(device->state);
    free(device);
    return PAN_OK;
}

pan_status pan_device_query(const pan_device *device, pan_device_info *info) {
    if (device == NULL || info == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "device_query: %s is NULL", device == NULL ? "device" : "info");
    }
    if (info->struct_size != sizeof *info) {
        return pan_fail(PAN_INVALID_ARGUMENT, "device_query: struct_size is %u; this library (ABI %d) expects %zu",
                        info->struct_size, PAN_ABI_VERSION, sizeof *info);
    }
    *info = device->info;
    info->live_allocations = __atomic_load_n(&device->live_allocations, __ATOMIC_RELAXED);
    return PAN_OK;
}

const char *pan_device_gemm_name(const pan_device *device) {
    return device == NULL ? NULL : device->driver->gemm_name();
}

pan_status pan_stream_create(pan_device *device, pan_stream **stream) {
    if (device == NULL || stream == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "stream_create: %s is NULL", device == NULL ? "device" : "stream");
    }
    pan_stream *created = calloc(1, sizeof *created);
    if (created == NULL) {
        return pan_fail(PAN_OUT_OF_MEMORY, "stream_create: no memory for the stream");
    }
    created->device = device;
    pan_status status = device->driver->create_stream(device->state, &created->state);
    if (status != PAN_OK) {
        free(created);
        return status;
    }
    __atomic_add_fetch(&device->live_streams, 1, __ATOMIC_ACQ_REL);
    *stream = created;
    return PAN_OK;
}

pan_status pan_stream_destroy(pan_stream *stream) {
    if (stream == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "stream_destroy: stream is NULL");
    }
    pan_device *device = stream->device;
    pan_status status = device->driver->destroy_stream(stream->state);
    __atomic_sub_fetch(&device->live_streams, 1, __ATOMIC_ACQ_REL);
    free(stream);
    return status;
}

pan_status pan_stream_synchronize(pan_stream *stream) {
    if (stream == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "stream_synchronize: stream is NULL");
    }
    return stream->device->driver->synchronize(stream->state);
}

pan_status pan_memory_allocate(pan_device *device, int64_t bytes, void **address) {
    if (device == NULL || address == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "memory_allocate: %s is NULL", device == NULL ? "device" : "address");
    }
    PAN_TRY(pan_check_size("memory_allocate", "bytes", bytes));
    PAN_TRY(device->driver->allocate(device->state, bytes, address));
    __atomic_add_fetch(&device->live_allocations, 1, __ATOMIC_ACQ_REL);
    return PAN_OK;
}

pan_status pan_memory_free(pan_device *device, void *address) {
    if (device == NULL || address == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "memory_free: %s is NULL", device == NULL ? "device" : "address");
    }
    PAN_TRY(device->driver->release(device->state, address));
    __atomic_sub_fetch(&device->live_allocations, 1, __ATOMIC_ACQ_REL);
    return PAN_OK;
}

static pan_status check_copy(const char *op, const pan_stream *stream, const void *target, const void *source,
                             int64_t bytes) {
    if (stream == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: stream is NULL", op);
    }
    if (bytes < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: bytes is %lld; expected >= 0", op, (long long) bytes);
    }
    if (bytes > 0 && (target == NULL || source == NULL)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s is NULL", op, target == NULL ? "target" : "source");
    }
    return PAN_OK;
}

pan_status pan_copy_to_device(pan_stream *stream, void *device_address, const void *host_address, int64_t bytes) {
    PAN_TRY(check_copy("copy_to_device", stream, device_address, host_address, bytes));
    return stream->device->driver->copy_to_device(stream->state, device_address, host_address, bytes);
}

pan_status pan_copy_to_host(pan_stream *stream, void *host_address, const void *device_address, int64_t bytes) {
    PAN_TRY(check_copy("copy_to_host", stream, host_address, device_address, bytes));
    return stream->device->driver->copy_to_host(stream->state, host_address, device_address, bytes);
}

pan_status pan_copy(pan_stream *stream, void *target, const void *source, int64_t bytes) {
    PAN_TRY(check_copy("copy", stream, target, source, bytes));
    return stream->device->driver->copy(stream->state, target, source, bytes);
}

pan_status pan_zero(pan_stream *stream, void *target, int64_t bytes) {
    PAN_TRY(check_copy("zero", stream, target, target, bytes));
    return stream->device->driver->zero(stream->state, target, bytes);
}
