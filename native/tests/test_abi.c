/* Bad input to every function of the interface gives a status and a text, and no crash. */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "test_abi_ops.h"

/* A call that must fail with a text that names the function. */
#define REFUSED(function, expected, call)                                                                       \
    do {                                                                                                        \
        pan_status refused = (call);                                                                            \
        CHECK(refused == (expected), "%s: %s", #call, pan_status_name(refused));                                \
        CHECK(strncmp(pan_last_error(), function, strlen(function)) == 0, "%s: '%s'", #call, pan_last_error()); \
    } while (0)

static const pan_device_options GOOD = {
    .struct_size = sizeof(pan_device_options), .backend = PAN_BACKEND_CPU, .threads = 1};

static void check_open(void) {
    static const struct {
        uint32_t struct_size;
        pan_backend backend;
        int32_t index, threads;
        pan_isa isa;
        pan_status expected;
    } bad[] = {
        {0, PAN_BACKEND_CPU, 0, 1, PAN_ISA_BEST, PAN_INVALID_ARGUMENT},
        {sizeof(pan_device_options) + 8, PAN_BACKEND_CPU, 0, 1, PAN_ISA_BEST, PAN_INVALID_ARGUMENT},
        {sizeof(pan_device_options), -1, 0, 1, PAN_ISA_BEST, PAN_INVALID_ARGUMENT},
        {sizeof(pan_device_options), PAN_BACKEND_COUNT, 0, 1, PAN_ISA_BEST, PAN_INVALID_ARGUMENT},
        {sizeof(pan_device_options), PAN_BACKEND_CPU, 1, 1, PAN_ISA_BEST, PAN_NO_DEVICE},
        {sizeof(pan_device_options), PAN_BACKEND_REFERENCE, -1, 1, PAN_ISA_BEST, PAN_NO_DEVICE},
        {sizeof(pan_device_options), PAN_BACKEND_CPU, 0, -1, PAN_ISA_BEST, PAN_INVALID_ARGUMENT},
        {sizeof(pan_device_options), PAN_BACKEND_CPU, 0, 1025, PAN_ISA_BEST, PAN_INVALID_ARGUMENT},
        {sizeof(pan_device_options), PAN_BACKEND_CPU, 0, 1, -1, PAN_INVALID_ARGUMENT},
        {sizeof(pan_device_options), PAN_BACKEND_CPU, 0, 1, PAN_ISA_AVX512 + 1, PAN_INVALID_ARGUMENT},
    };
    pan_device *device = NULL;
    for (int i = 0; i < COUNT(bad); i++) {
        pan_device_options options = {.struct_size = bad[i].struct_size,
                                      .backend = bad[i].backend,
                                      .index = bad[i].index,
                                      .threads = bad[i].threads,
                                      .isa = bad[i].isa};
        REFUSED("device_open", bad[i].expected, pan_device_open(&options, &device));
        CHECK(device == NULL, "options %d: a failing device_open wrote the device", i);
    }
    REFUSED("device_open", PAN_INVALID_ARGUMENT, pan_device_open(NULL, &device));
    REFUSED("device_open", PAN_INVALID_ARGUMENT, pan_device_open(&GOOD, NULL));
}

static void check_queries(pan_device *device) {
    pan_device_info info = {.struct_size = sizeof info};
    REFUSED("device_query", PAN_INVALID_ARGUMENT, pan_device_query(NULL, &info));
    REFUSED("device_query", PAN_INVALID_ARGUMENT, pan_device_query(device, NULL));
    info.struct_size = 4;
    REFUSED("device_query", PAN_INVALID_ARGUMENT, pan_device_query(device, &info));
    REFUSED("backend_status", PAN_INVALID_ARGUMENT, pan_backend_status(-1));
    REFUSED("backend_status", PAN_INVALID_ARGUMENT, pan_backend_status(PAN_BACKEND_COUNT));
    CHECK(pan_op_supported(PAN_BACKEND_COUNT, 0) == 0 && pan_op_supported(-1, 0) == 0 &&
              pan_op_supported(PAN_BACKEND_CPU, -1) == 0 && pan_op_supported(PAN_BACKEND_CPU, pan_op_count()) == 0,
          "ops out of range are supported");
}

/* Limits are the CPU's; nobody else is asked to measure them. */
static void check_measure(pan_device *device) {
    double rate = -1.0;
    REFUSED("device_measure", PAN_INVALID_ARGUMENT, pan_device_measure(NULL, PAN_CEILING_FMA, &rate));
    REFUSED("device_measure", PAN_INVALID_ARGUMENT, pan_device_measure(device, PAN_CEILING_FMA, NULL));
    REFUSED("device_measure", PAN_INVALID_ARGUMENT, pan_device_measure(device, -1, &rate));
    REFUSED("device_measure", PAN_INVALID_ARGUMENT, pan_device_measure(device, PAN_CEILING_COUNT, &rate));
    pan_device_info info = {.struct_size = sizeof info};
    CHECK_OK(pan_device_query(device, &info));
    if (info.backend != PAN_BACKEND_CPU) {
        REFUSED("device_measure", PAN_UNSUPPORTED, pan_device_measure(device, PAN_CEILING_FMA, &rate));
        CHECK(rate == -1.0, "a refused device_measure wrote %g", rate);
        return;
    }
    CHECK_OK(pan_device_measure(device, PAN_CEILING_FMA, &rate));
    CHECK(rate > 1e6 && rate < 1e15, "%g operations a second", rate);
}

static void check_memory(pan_device *device) {
    void *address = &address, *unchanged = &address;
    static const int64_t sizes[] = {0, -1, INT64_MIN, INT64_MAX};
    for (int i = 0; i < COUNT(sizes); i++) {
        REFUSED("memory_allocate", PAN_INVALID_ARGUMENT, pan_memory_allocate(device, sizes[i], &address));
    }
    REFUSED("memory_allocate", PAN_INVALID_ARGUMENT, pan_memory_allocate(NULL, 8, &address));
    REFUSED("memory_allocate", PAN_INVALID_ARGUMENT, pan_memory_allocate(device, 8, NULL));
    REFUSED("memory_free", PAN_INVALID_ARGUMENT, pan_memory_free(device, NULL));
    REFUSED("memory_free", PAN_INVALID_ARGUMENT, pan_memory_free(NULL, address));
    CHECK(address == unchanged, "a failing memory_allocate wrote the address");
}

/* Memory of odd sizes is aligned and can be written to its end. */
static void check_alignment(const target *target) {
    static const int64_t sizes[] = {1, 63, 64, 65, 4096, (2 << 20) + 1};
    for (int i = 0; i < COUNT(sizes); i++) {
        void *address = NULL;
        unsigned char last = 1;
        CHECK_OK(pan_memory_allocate(target->device, sizes[i], &address));
        CHECK((uintptr_t) address % PAN_ALIGNMENT == 0, "%s: %lld bytes at %p", target->name, (long long) sizes[i],
              address);
        CHECK_OK(pan_zero(target->stream, address, sizes[i]));
        CHECK_OK(pan_copy_to_host(target->stream, &last, (unsigned char *) address + sizes[i] - 1, 1));
        CHECK(last == 0, "%s: the last of %lld bytes is %d, not 0", target->name, (long long) sizes[i], last);
        CHECK_OK(pan_memory_free(target->device, address));
    }
}

typedef struct two_blocks {
    unsigned char a[16], b[16];
} two_blocks;

/* `d` lies on the device. */
static void refuse_copies(pan_stream *stream, two_blocks *d) {
    unsigned char host[16] = {0};
    REFUSED("copy_to_device", PAN_INVALID_ARGUMENT, pan_copy_to_device(NULL, d->a, host, 4));
    REFUSED("copy_to_device", PAN_INVALID_ARGUMENT, pan_copy_to_device(stream, NULL, host, 4));
    REFUSED("copy_to_device", PAN_INVALID_ARGUMENT, pan_copy_to_device(stream, d->a, NULL, 4));
    REFUSED("copy_to_device", PAN_INVALID_ARGUMENT, pan_copy_to_device(stream, d->a, host, -1));
    REFUSED("copy_to_host", PAN_INVALID_ARGUMENT, pan_copy_to_host(NULL, host, d->b, 4));
    REFUSED("copy_to_host", PAN_INVALID_ARGUMENT, pan_copy_to_host(stream, NULL, d->b, 4));
    REFUSED("copy_to_host", PAN_INVALID_ARGUMENT, pan_copy_to_host(stream, host, NULL, 4));
    REFUSED("copy_to_host", PAN_INVALID_ARGUMENT, pan_copy_to_host(stream, host, d->b, INT64_MIN));
    REFUSED("copy", PAN_INVALID_ARGUMENT, pan_copy(NULL, d->a, d->b, 4));
    REFUSED("copy", PAN_INVALID_ARGUMENT, pan_copy(stream, NULL, d->b, 4));
    REFUSED("copy", PAN_INVALID_ARGUMENT, pan_copy(stream, d->a, NULL, 4));
    REFUSED("copy", PAN_INVALID_ARGUMENT, pan_copy(stream, d->a, d->b, -1));
    REFUSED("zero", PAN_INVALID_ARGUMENT, pan_zero(NULL, d->a, 4));
    REFUSED("zero", PAN_INVALID_ARGUMENT, pan_zero(stream, NULL, 4));
    REFUSED("zero", PAN_INVALID_ARGUMENT, pan_zero(stream, d->a, -1));
    CHECK(host[0] == 0, "a refused copy copied");
}

static void check_copies(const target *target) {
    two_blocks h = {.a = {1, 2, 3}};
    two_blocks *d = copy_in(target, &h, sizeof h);
    refuse_copies(target->stream, d);
    CHECK_OK(pan_copy_to_host(target->stream, &h, d, sizeof h));
    CHECK(h.a[0] == 1 && h.b[0] == 0, "%s: a refused copy copied", target->name);
    CHECK_OK(pan_copy_to_device(target->stream, NULL, NULL, 0));
    CHECK_OK(pan_copy_to_host(target->stream, NULL, NULL, 0));
    CHECK_OK(pan_copy(target->stream, NULL, NULL, 0));
    CHECK_OK(pan_zero(target->stream, NULL, 0));
    CHECK_OK(pan_copy(target->stream, d->b, d->a, sizeof h.a));
    CHECK_OK(pan_zero(target->stream, d->b + 1, 2));
    copy_out(target, d, &h, sizeof h);
    CHECK(h.a[1] == 2 && h.b[0] == 1 && h.b[3] == 0, "%s: a copy did not copy", target->name);
    CHECK(h.b[1] == 0 && h.b[2] == 0, "%s: zero did not zero", target->name);
}

/* A device with streams or memory alive does not close. */
static void check_lifetimes(const pan_device_options *options) {
    pan_device *device = NULL;
    pan_stream *stream = NULL;
    void *address = NULL;
    CHECK_OK(pan_device_open(options, &device));
    CHECK_OK(pan_stream_create(device, &stream));
    REFUSED("device_close", PAN_INVALID_ARGUMENT, pan_device_close(device));
    CHECK_OK(pan_memory_allocate(device, 100, &address));
    CHECK_OK(pan_stream_synchronize(stream));
    CHECK_OK(pan_stream_destroy(stream));
    REFUSED("device_close", PAN_INVALID_ARGUMENT, pan_device_close(device));
    pan_device_info info = {.struct_size = sizeof info};
    CHECK_OK(pan_device_query(device, &info));
    CHECK(info.live_allocations == 1, "%lld live allocations", (long long) info.live_allocations);
    CHECK_OK(pan_memory_free(device, address));
    CHECK_OK(pan_device_close(device));
    REFUSED("device_close", PAN_INVALID_ARGUMENT, pan_device_close(NULL));
}

static void check_streams(pan_device *device) {
    pan_stream *stream = NULL;
    REFUSED("stream_create", PAN_INVALID_ARGUMENT, pan_stream_create(NULL, &stream));
    REFUSED("stream_create", PAN_INVALID_ARGUMENT, pan_stream_create(device, NULL));
    REFUSED("stream_destroy", PAN_INVALID_ARGUMENT, pan_stream_destroy(NULL));
    REFUSED("stream_synchronize", PAN_INVALID_ARGUMENT, pan_stream_synchronize(NULL));
    CHECK(stream == NULL, "a failing stream_create wrote the stream");
}

int main(void) {
    CHECK(strcmp(pan_last_error(), "") == 0, "an error before any call: %s", pan_last_error());
    check_open();
    target target = tests_cuda_alone() ? open_target(PAN_BACKEND_CUDA, PAN_ISA_BEST, 0)
                                       : open_target(PAN_BACKEND_CPU, PAN_ISA_BEST, 2);
    check_queries(target.device);
    check_measure(target.device);
    check_memory(target.device);
    check_alignment(&target);
    check_copies(&target);
    check_streams(target.device);
    close_target(&target);
    check_lifetimes(&target.options);
    check_ops();
    return report();
}
