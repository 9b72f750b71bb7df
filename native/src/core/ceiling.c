/* What the machine can do at most, measured with the device's own threads. */
#define _GNU_SOURCE
#include "ceiling.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "backend.h"
#include "pool.h"
#include "status.h"

/* The best of several rounds: whatever else runs on the machine only makes them slower. */
enum { ROUNDS = 7 };
/* Tasks for each thread, so that one that starts late does less. */
enum { TASKS_PER_THREAD = 16 };
enum { FMA_TURNS = 200000 };
/* Larger than the caches together; moved in pieces that the nearest cache holds. */
enum { COPY_BYTES = 128 << 20, COPY_TILE_BYTES = 1 << 18, FRESH_TILE_BYTES = 1 << 22 };

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
}

static pan_fma_work *fma_work(pan_isa isa) {
    switch (isa) {
#if defined(__x86_64__)
    case PAN_ISA_AVX2: return pan_fma_work_avx2;
    case PAN_ISA_AVX512: return pan_fma_work_avx512;
#endif
    default: return pan_fma_work_baseline;
    }
}

typedef struct fma_job {
    pan_fma_work *work;
    double flops; /* of a task; the same of all */
} fma_job;

static void fma_task(void *context, int64_t task, int32_t worker) {
    fma_job *job = context;
    (void) worker;
    volatile float sink;
    float numbers[2] = {0.999f, 0.001f};
    const double flops = job->work(FMA_TURNS, numbers);
    sink = numbers[0];
    (void) sink;
    if (task == 0) {
        job->flops = flops;
    }
}

static pan_status measure_fma(pan_device *device, double *rate) {
    fma_job job = {.work = fma_work(device->info.isa)};
    const int64_t tasks = (int64_t) device->info.threads * TASKS_PER_THREAD;
    for (int round = 0; round < ROUNDS; round++) {
        const double start = seconds_now();
        pan_parallel(device->pool, tasks, fma_task, &job);
        const double found = job.flops * (double) tasks / (seconds_now() - start);
        *rate = found > *rate ? found : *rate;
    }
    return PAN_OK;
}

typedef struct copy_job {
    char *target;
    const char *source;
} copy_job;

static void copy_task(void *context, int64_t task, int32_t worker) {
    const copy_job *job = context;
    (void) worker;
    memcpy(job->target + task * COPY_TILE_BYTES, job->source + task * COPY_TILE_BYTES, COPY_TILE_BYTES);
}

static void *map_bytes(int64_t bytes) {
    void *address = mmap(NULL, (size_t) bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return address == MAP_FAILED ? NULL : address;
}

static pan_status measure_copy(pan_device *device, double *rate) {
    char *memory = map_bytes(2 * (int64_t) COPY_BYTES);
    if (memory == NULL) {
        return pan_fail(PAN_OUT_OF_MEMORY, "device_measure: no %lld bytes of memory", 2LL * COPY_BYTES);
    }
    madvise(memory, 2 * (size_t) COPY_BYTES, MADV_HUGEPAGE);
    memset(memory, 1, 2 * (size_t) COPY_BYTES);
    copy_job job = {.target = memory, .source = memory + COPY_BYTES};
    for (int round = 0; round < ROUNDS; round++) {
        const double start = seconds_now();
        pan_parallel(device->pool, COPY_BYTES / COPY_TILE_BYTES, copy_task, &job);
        const double found = 2.0 * COPY_BYTES / (seconds_now() - start);
        *rate = found > *rate ? found : *rate;
    }
    munmap(memory, 2 * (size_t) COPY_BYTES);
    return PAN_OK;
}

static void touch_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    memset((char *) context + task * FRESH_TILE_BYTES, 1, FRESH_TILE_BYTES);
}

static pan_status measure_fresh_pages(pan_device *device, double *rate) {
    for (int round = 0; round < ROUNDS; round++) {
        char *memory = map_bytes(COPY_BYTES);
        if (memory == NULL) {
            return pan_fail(PAN_OUT_OF_MEMORY, "device_measure: no %d bytes of memory", COPY_BYTES);
        }
        const double start = seconds_now();
        pan_parallel(device->pool, COPY_BYTES / FRESH_TILE_BYTES, touch_task, memory);
        const double found = (double) COPY_BYTES / (seconds_now() - start);
        *rate = found > *rate ? found : *rate;
        munmap(memory, COPY_BYTES);
    }
    return PAN_OK;
}

pan_status pan_device_measure(pan_device *device, pan_ceiling ceiling, double *rate) {
    if (device == NULL || rate == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "device_measure: %s is NULL", device == NULL ? "device" : "rate");
    }
    if (ceiling < 0 || ceiling >= PAN_CEILING_COUNT) {
        return pan_fail(PAN_INVALID_ARGUMENT, "device_measure: ceiling is %d; expected 0 to %d", ceiling,
                        PAN_CEILING_COUNT - 1);
    }
    if (device->info.backend != PAN_BACKEND_CPU) {
        return pan_fail(PAN_UNSUPPORTED, "device_measure: only the CPU backend measures its limits");
    }
    *rate = 0.0;
    switch (ceiling) {
    case PAN_CEILING_FMA: return measure_fma(device, rate);
    case PAN_CEILING_COPY: return measure_copy(device, rate);
    default: return measure_fresh_pages(device, rate);
    }
}
