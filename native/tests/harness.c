#include "harness.h"

#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of many failures of one kind the first ones tell enough. */
enum { PRINTED_FAILURES = 60 };

static _Atomic int64_t checks, failures;

bool check(bool condition, const char *file, int line, const char *format, ...) {
    atomic_fetch_add(&checks, 1);
    if (!condition && atomic_fetch_add(&failures, 1) < PRINTED_FAILURES) {
        char text[1024];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        printf("%s:%d: %s\n", file, line, text);
        fflush(stdout);
    }
    return condition;
}

int report(void) {
    printf("%lld checks, %lld failures\n", (long long) checks, (long long) failures);
    return failures == 0 && checks > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

void *allocate(int64_t count, int64_t size) {
    void *memory = calloc((size_t) (count > 0 ? count : 1), (size_t) size);
    if (memory == NULL) {
        fprintf(stderr, "no memory for %lld elements\n", (long long) count);
        abort();
    }
    return memory;
}

uint64_t next_bits(generator *random) {
    uint64_t x = random->state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

double next_uniform(generator *random) {
    return (double) (next_bits(random) >> 11) * 0x1p-53;
}

double next_normal(generator *random) {
    double radius = sqrt(-2.0 * log(1.0 - next_uniform(random)));
    return (float) (radius * cos(6.283185307179586 * next_uniform(random)));
}

uint64_t hash_text(const char *text) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char) *text) * UINT64_C(1099511628211);
    }
    return hash;
}

/* Streams that are open, each with its device. */
static struct {
    const pan_stream *stream;
    pan_device *device;
} open_streams[2 * MAX_TARGETS];

pan_device *device_of(const pan_stream *stream) {
    for (int i = 0; stream != NULL && i < COUNT(open_streams); i++) {
        if (open_streams[i].stream == stream) {
            return open_streams[i].device;
        }
    }
    return NULL;
}

void remember_stream(const pan_stream *stream, pan_device *device) {
    for (int i = 0; i < COUNT(open_streams); i++) {
        if (open_streams[i].stream == NULL) {
            open_streams[i].stream = stream;
            open_streams[i].device = device;
            return;
        }
    }
    CHECK(false, "more than %d streams are open", COUNT(open_streams));
}

void forget_stream(const pan_stream *stream) {
    for (int i = 0; i < COUNT(open_streams); i++) {
        if (open_streams[i].stream == stream) {
            open_streams[i].stream = NULL;
        }
    }
}

target open_target(pan_backend backend, pan_isa isa, int32_t threads) {
    target opened = {
        .options = {.struct_size = sizeof(pan_device_options), .backend = backend, .threads = threads, .isa = isa},
        .real_bytes = backend == PAN_BACKEND_REFERENCE_F64 ? 8 : 4,
        .dtype = backend == PAN_BACKEND_REFERENCE_F64 ? PAN_F64 : PAN_F32};
    CHECK_OK(pan_device_open(&opened.options, &opened.device));
    if (opened.device != NULL) {
        pan_device_info info = {.struct_size = sizeof info};
        CHECK_OK(pan_device_query(opened.device, &info));
        snprintf(opened.name, sizeof opened.name, "%s x%d", info.name, info.threads);
        CHECK_OK(pan_stream_create(opened.device, &opened.stream));
        remember_stream(opened.stream, opened.device);
    }
    return opened;
}

void close_target(target *target) {
    if (target->device != NULL) {
        forget_stream(target->stream);
        CHECK_OK(pan_stream_destroy(target->stream));
        CHECK_OK(pan_device_close(target->device));
    }
}

static bool tests_only(const char *what) {
    const char *backend = getenv("PANTHERA_TEST_BACKEND");
    return backend != NULL && strcmp(backend, what) == 0;
}

bool tests_cuda_alone(void) {
    return tests_only("cuda");
}

int open_targets(target *targets) {
    int count = 0;
    if (tests_cuda_alone()) {
        targets[count++] = open_target(PAN_BACKEND_CUDA, PAN_ISA_BEST, 0);
        return count;
    }
    if (tests_only("threads")) {
        targets[count++] = open_target(PAN_BACKEND_CPU, PAN_ISA_BEST, 3);
        return count;
    }
    targets[count++] = open_target(PAN_BACKEND_REFERENCE, PAN_ISA_BEST, 1);
    for (pan_isa isa = PAN_ISA_BASELINE; isa <= pan_isa_available(); isa++) {
        for (int32_t threads = 1; threads <= 3; threads++) {
            targets[count++] = open_target(PAN_BACKEND_CPU, isa, threads);
        }
    }
    if (pan_backend_status(PAN_BACKEND_CUDA) == PAN_OK) {
        targets[count++] = open_target(PAN_BACKEND_CUDA, PAN_ISA_BEST, 0);
    }
    return count;
}

void close_targets(target *targets, int count) {
    for (int i = 0; i < count; i++) {
        close_target(&targets[i]);
    }
}

void *new_memory(const target *target, int64_t bytes) {
    void *memory = NULL;
    CHECK_OK(pan_memory_allocate(target->device, bytes > 0 ? bytes : 1, &memory));
    return memory;
}

void free_memory(const target *target, void *memory) {
    CHECK_OK(pan_memory_free(target->device, memory));
}

void *copy_in(const target *target, const void *host, int64_t bytes) {
    void *device = new_memory(target, bytes);
    CHECK_OK(pan_copy_to_device(target->stream, device, host, bytes));
    return device;
}

void copy_out(const target *target, void *device, void *host, int64_t bytes) {
    CHECK_OK(pan_copy_to_host(target->stream, host, device, bytes));
    free_memory(target, device);
}
