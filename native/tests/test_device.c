/* Devices, their streams, events, recordings and memory, on every backend. */
#include <stdio.h>
#include <stdlib.h>

#include "test_device.h"

/* ---- how many devices there are, and what they are called ---- */

static void check_device_index(pan_backend backend, int32_t index) {
    const pan_device_options options = {.struct_size = sizeof options, .backend = backend, .index = index};
    char number[16];
    pan_device *device = NULL;
    snprintf(number, sizeof number, "%d", index);
    REFUSED(PAN_NO_DEVICE, number, pan_device_open(&options, &device));
    CHECK(device == NULL, "backend %d: device %d, which is not there, was opened", backend, index);
}

static void check_counts(void) {
    for (pan_backend backend = 0; backend < PAN_BACKEND_COUNT; backend++) {
        int32_t count = -7;
        CHECK_OK(pan_device_count(backend, &count));
        if (pan_backend_status(backend) != PAN_OK) {
            CHECK(backend == PAN_BACKEND_CUDA && count == 0, "backend %d cannot be used and has %d devices", backend,
                  count);
            continue;
        }
        CHECK(backend == PAN_BACKEND_CUDA ? count > 0 : count == 1, "backend %d has %d devices", backend, count);
        const int32_t absent[] = {-1, INT32_MIN, count, INT32_MAX};
        for (int i = 0; i < COUNT(absent); i++) {
            check_device_index(backend, absent[i]);
        }
    }
    int32_t count = 0;
    REFUSED(PAN_INVALID_ARGUMENT, "device_count: count", pan_device_count(PAN_BACKEND_CPU, NULL));
    REFUSED(PAN_INVALID_ARGUMENT, "device_count: backend", pan_device_count(-1, &count));
    REFUSED(PAN_INVALID_ARGUMENT, "device_count: backend", pan_device_count(PAN_BACKEND_COUNT, &count));
}

static bool begins_with(const char *text, const char *beginning) {
    return text != NULL && strncmp(text, beginning, strlen(beginning)) == 0;
}

static void check_gemm_name(const target *target) {
    const char *name = pan_device_gemm_name(target->device), *choice = getenv("PANTHERA_CUBLAS");
    const bool off = choice != NULL && strcmp(choice, "off") == 0;
    const bool right = target->options.backend != PAN_BACKEND_CUDA
                           ? name != NULL && strcmp(name, pan_gemm_name()) == 0
                           : begins_with(name, "Panthera") || (!off && begins_with(name, "cuBLAS "));
    CHECK(right, "%s computes products by '%s'", target->name, name == NULL ? "NULL" : name);
    CHECK(pan_device_gemm_name(NULL) == NULL, "no device computes products");
}

static void check_info(const target *target) {
    pan_device_info info = {.struct_size = sizeof info};
    const bool cuda = target->options.backend == PAN_BACKEND_CUDA;
    CHECK_OK(pan_device_query(target->device, &info));
    CHECK(info.backend == target->options.backend && info.index == 0 && info.total_bytes > 0 && info.name[0] != '\0',
          "%s: backend %d, index %d, %lld bytes", target->name, info.backend, info.index, (long long) info.total_bytes);
    CHECK(cuda ? info.compute_capability >= 80 && info.isa == 0 : info.compute_capability == 0,
          "%s: compute capability %d, tier %d", target->name, info.compute_capability, info.isa);
}

/* ---- devices beside each other ---- */

static float sum_on(const target *target) {
    enum { N = 1000 };
    struct {
        float x[N], y;
    } h = {0}, *d;
    for (int i = 0; i < N; i++) {
        h.x[i] = (float) (i % 10);
    }
    const pan_reduce_desc desc = {
        .struct_size = sizeof desc, .dtype = PAN_F32, .kind = PAN_REDUCE_SUM, .outer = 1, .count = N, .inner = 1};
    int64_t bytes = 0;
    d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_reduce_forward_workspace_size(target->stream, &desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(pan_reduce_forward(target->stream, &desc, d->x, &d->y, workspace, bytes));
    free_memory(target, workspace);
    copy_out(target, d, &h, sizeof h);
    return h.y;
}

/* Every device of a backend works, and each while the others are open. */
static void check_every_device(const target *target) {
    enum { MOST = 8 };
    int32_t count = 0;
    struct target others[MOST];
    CHECK_OK(pan_device_count(target->options.backend, &count));
    count = count < MOST ? count : MOST;
    for (int32_t i = 0; i < count; i++) {
        others[i] = *target;
        others[i].options.index = i;
        CHECK_OK(pan_device_open(&others[i].options, &others[i].device));
        CHECK_OK(pan_stream_create(others[i].device, &others[i].stream));
        pan_device_info info = {.struct_size = sizeof info};
        CHECK_OK(pan_device_query(others[i].device, &info));
        CHECK(info.index == i, "device %d of %s says that it is device %d", i, target->name, info.index);
    }
    for (int32_t i = count - 1; i >= 0; i--) {
        const float sum = sum_on(&others[i]);
        CHECK(sum == 4500.0f, "device %d of %s sums to %g", i, target->name, (double) sum);
    }
    for (int32_t i = 0; i < count; i++) {
        CHECK_OK(pan_stream_destroy(others[i].stream));
        CHECK_OK(pan_device_close(others[i].device));
    }
}

/* A device that is refused to close can be used on. */
static void check_close(const target *target) {
    struct target other = open_target(target->options.backend, target->options.isa, target->options.threads);
    REFUSED(PAN_INVALID_ARGUMENT, "1 streams, 0 allocations", pan_device_close(other.device));
    void *memory = new_memory(&other, 100);
    REFUSED(PAN_INVALID_ARGUMENT, "1 streams, 1 allocations", pan_device_close(other.device));
    CHECK(sum_on(&other) == 4500.0f, "%s: another sum after a refused device_close", target->name);
    free_memory(&other, memory);
    close_target(&other);
}

/* ---- all of it ---- */

static void check_device(const target *target) {
    check_gemm_name(target);
    check_info(target);
    check_every_device(target);
    check_close(target);
    check_events(target);
    check_uploads(target);
    check_reuse(target, 1 << 20, 3);
    if (target->options.backend == PAN_BACKEND_CUDA) {
        check_captures(target);
        check_training_graph(target);
        check_reports(target);
    } else {
        check_no_capture(target);
    }
    CHECK_OK(pan_stream_synchronize(target->stream));
}

int main(void) {
    target targets[MAX_TARGETS];
    check_counts();
    const int count = open_targets(targets);
    for (int t = 0; t < count; t++) {
        check_device(&targets[t]);
    }
    close_targets(targets, count);
    return report();
}
