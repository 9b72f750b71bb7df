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

static void check_alignment(pan_device *device) {
    static const int64_t sizes[] = {1, 63, 64, 65, 4096, (2 << 20) + 1};
    for (int i = 0; i < COUNT(sizes); i++) {
        void *address = NULL;
        CHECK_OK(pan_memory_allocate(device, sizes[i], &address));
        CHECK((uintptr_t) address % PAN_ALIGNMENT == 0, "%lld bytes at %p", (long long) sizes[i], address);
        memset(address, 1, (size_t) sizes[i]);
        CHECK_OK(pan_memory_free(device, address));
    }
}

static void check_copies(pan_stream *stream) {
    unsigned char a[16] = {1, 2, 3}, b[16] = {0};
    REFUSED("copy_to_device", PAN_INVALID_ARGUMENT, pan_copy_to_device(NULL, a, b, 4));
    REFUSED("copy_to_device", PAN_INVALID_ARGUMENT, pan_copy_to_device(stream, NULL, b, 4));
    REFUSED("copy_to_device", PAN_INVALID_ARGUMENT, pan_copy_to_device(stream, a, NULL, 4));
    REFUSED("copy_to_device", PAN_INVALID_ARGUMENT, pan_copy_to_device(stream, a, b, -1));
    REFUSED("copy_to_host", PAN_INVALID_ARGUMENT, pan_copy_to_host(NULL, a, b, 4));
    REFUSED("copy_to_host", PAN_INVALID_ARGUMENT, pan_copy_to_host(stream, NULL, b, 4));
    REFUSED("copy_to_host", PAN_INVALID_ARGUMENT, pan_copy_to_host(stream, a, NULL, 4));
    REFUSED("copy_to_host", PAN_INVALID_ARGUMENT, pan_copy_to_host(stream, a, b, INT64_MIN));
    REFUSED("copy", PAN_INVALID_ARGUMENT, pan_copy(NULL, a, b, 4));
    REFUSED("copy", PAN_INVALID_ARGUMENT, pan_copy(stream, NULL, b, 4));
    REFUSED("copy", PAN_INVALID_ARGUMENT, pan_copy(stream, a, NULL, 4));
    REFUSED("copy", PAN_INVALID_ARGUMENT, pan_copy(stream, a, b, -1));
    REFUSED("zero", PAN_INVALID_ARGUMENT, pan_zero(NULL, a, 4));
    REFUSED("zero", PAN_INVALID_ARGUMENT, pan_zero(stream, NULL, 4));
    REFUSED("zero", PAN_INVALID_ARGUMENT, pan_zero(stream, a, -1));
    CHECK(a[0] == 1 && b[0] == 0, "a refused copy copied");
    CHECK_OK(pan_copy(stream, NULL, NULL, 0));
    CHECK_OK(pan_zero(stream, NULL, 0));
    CHECK_OK(pan_copy(stream, b, a, sizeof a));
    CHECK(memcmp(a, b, sizeof a) == 0, "a copy did not copy");
    CHECK_OK(pan_zero(stream, b + 1, 2));
    CHECK(b[0] == 1 && b[1] == 0 && b[2] == 0, "zero did not zero");
}

/* A device with streams or memory alive does not close. */
static void check_lifetimes(void) {
    pan_device *device = NULL;
    pan_stream *stream = NULL;
    void *address = NULL;
    CHECK_OK(pan_device_open(&GOOD, &device));
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
    target cpu = open_target(PAN_BACKEND_CPU, PAN_ISA_BEST, 2);
    check_queries(cpu.device);
    check_memory(cpu.device);
    check_alignment(cpu.device);
    check_copies(cpu.stream);
    check_streams(cpu.device);
    close_target(&cpu);
    check_lifetimes();
    check_ops();
    return report();
}
