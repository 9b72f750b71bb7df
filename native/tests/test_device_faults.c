/* What CUDA devices do when something is missing or breaks. The argument says what; an environment variable of the CUDA
 * emulator, or of the library, makes it happen (CMakeLists.txt). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "test_device.h"

enum { ROWS = 16, CHANNELS = 33, SIZE = ROWS * CHANNELS };
static const char SHAPE[] = "16 x 33";

static pan_device_options cuda_options(void) {
    return (pan_device_options){.struct_size = sizeof(pan_device_options), .backend = PAN_BACKEND_CUDA};
}

static const pan_dropout_desc DROPOUT = {.struct_size = sizeof DROPOUT,
                                         .dtype = PAN_F32,
                                         .probability = 0.5f,
                                         .rows = ROWS,
                                         .channels = CHANNELS,
                                         .rows_per_example = 1};

typedef struct work {
    pan_random_state random;
    float x[SIZE], y[SIZE];
} work;

static pan_status give_work(pan_stream *stream, work *d) {
    return pan_dropout(stream, &DROPOUT, &d->random, d->x, d->y);
}

/* ---- memory ---- */

static bool names_number(const char *text, int64_t number) {
    char digits[32];
    snprintf(digits, sizeof digits, " %" PRId64 " ", number);
    return strstr(text, digits) != NULL;
}

/* `used`: what the test has on the device. */
static void check_too_much(const target *target, int64_t bytes, int64_t used) {
    pan_device_info info = {.struct_size = sizeof info};
    void *unchanged = NULL;
    CHECK_OK(pan_device_query(target->device, &info));
    REFUSED(PAN_OUT_OF_MEMORY, "memory_allocate", pan_memory_allocate(target->device, bytes, &unchanged));
    CHECK(unchanged == NULL, "%s: a failing memory_allocate wrote the address", target->name);
    CHECK(names_number(pan_last_error(), bytes) && names_number(pan_last_error(), info.total_bytes - used) &&
              names_number(pan_last_error(), info.total_bytes),
          "%s: %" PRId64 " bytes were asked for and %" PRId64 " of %" PRId64 " are free: '%s'", target->name, bytes,
          info.total_bytes - used, info.total_bytes, pan_last_error());
    pan_device_info after = {.struct_size = sizeof after};
    CHECK_OK(pan_device_query(target->device, &after));
    CHECK(after.live_allocations == info.live_allocations, "%s: a failing memory_allocate counts", target->name);
}

static void check_works(const target *target) {
    static work h;
    for (int i = 0; i < SIZE; i++) {
        h.x[i] = 1.0f;
    }
    work *d = copy_in(target, &h, sizeof h);
    CHECK_OK(give_work(target->stream, d));
    copy_out(target, d, &h, sizeof h);
    int kept = 0, odd = 0;
    for (int i = 0; i < SIZE; i++) {
        kept += h.y[i] == 2.0f;
        odd += h.y[i] != 2.0f && h.y[i] != 0.0f;
    }
    CHECK(odd == 0 && kept > SIZE / 4 && kept < SIZE * 3 / 4, "%s: dropout kept %d of %d and has %d odd results",
          target->name, kept, SIZE, odd);
}

static void check_memory(void) {
    target target = open_target(PAN_BACKEND_CUDA, PAN_ISA_BEST, 0);
    pan_device_info info = {.struct_size = sizeof info};
    CHECK_OK(pan_device_query(target.device, &info));
    const int64_t most = info.total_bytes / 8 * 5, less = info.total_bytes / 4;
    check_too_much(&target, info.total_bytes + 1, 0);
    void *first = new_memory(&target, most);
    check_too_much(&target, most, most);
    check_works(&target); /* the failure was no launch's */
    void *second = new_memory(&target, less);
    check_too_much(&target, less, most + less);
    free_memory(&target, first);
    first = new_memory(&target, most);
    free_memory(&target, second);
    free_memory(&target, first);
    free_memory(&target, new_memory(&target, info.total_bytes));
    check_works(&target);
    close_target(&target);
}

/* Memory that is too small for two blocks at once, of which one is given on and on. */
static void check_reused_memory(void) {
    target target = open_target(PAN_BACKEND_CUDA, PAN_ISA_BEST, 0);
    pan_device_info info = {.struct_size = sizeof info};
    CHECK_OK(pan_device_query(target.device, &info));
    check_reuse(&target, info.total_bytes / 5 * 2, 6);
    close_target(&target);
}

/* Too little memory for what a stream needs: the device remains, and can be closed. */
static void check_stream_memory(void) {
    const pan_device_options options = cuda_options();
    pan_device *device = NULL;
    pan_stream *stream = NULL;
    void *memory = NULL;
    CHECK_OK(pan_device_open(&options, &device));
    for (int i = 0; i < 2; i++) {
        REFUSED(PAN_OUT_OF_MEMORY, "stream_create", pan_stream_create(device, &stream));
        CHECK(stream == NULL, "a failing stream_create wrote the stream");
    }
    CHECK_OK(pan_memory_allocate(device, 1 << 10, &memory));
    CHECK_OK(pan_memory_free(device, memory));
    CHECK_OK(pan_device_close(device));
}

/* ---- a device that is lost ---- */

/* All that can be alive on a device. */
typedef struct inventory {
    target target;
    pan_stream *other;
    pan_event *start, *end;
    pan_graph *graph;
    pan_long_conv_plan *plan;
    work *work; /* on the device */
} inventory;

static pan_long_conv_desc describe_convolution(void) {
    return (pan_long_conv_desc){.struct_size = sizeof(pan_long_conv_desc),
                                .method = PAN_CONV_FFT,
                                .batch = 1,
                                .length = 64,
                                .channels = 2,
                                .taps = 64,
                                .h_channel_stride = 64,
                                .h_tap_stride = 1,
                                .u_stride = 2,
                                .pre_stride = 2,
                                .post_stride = 2,
                                .y_stride = 2};
}

static inventory new_inventory(void) {
    static const work zeros;
    const pan_long_conv_desc desc = describe_convolution();
    inventory made = {.target = open_target(PAN_BACKEND_CUDA, PAN_ISA_BEST, 0)};
    pan_device *device = made.target.device;
    pan_stream *stream = made.target.stream;
    made.work = copy_in(&made.target, &zeros, sizeof zeros);
    CHECK_OK(pan_stream_create(device, &made.other));
    CHECK_OK(pan_event_create(device, &made.start));
    CHECK_OK(pan_event_create(device, &made.end));
    CHECK_OK(pan_event_record(made.start, stream));
    CHECK_OK(pan_event_record(made.end, stream));
    CHECK_OK(pan_long_conv_plan_create(device, &desc, &made.plan));
    CHECK_OK(pan_stream_synchronize(stream));
    CHECK_OK(pan_capture_begin(stream));
    CHECK_OK(give_work(stream, made.work));
    CHECK_OK(pan_capture_end(stream, &made.graph));
    return made;
}

/* A device may refuse the work that breaks it, or any after, already when it is given. */
static void lose_device(const inventory *i, bool by_graph) {
    enum { MOST = 32 };
    pan_status status = PAN_OK;
    for (int n = 0; n < MOST && status == PAN_OK; n++) {
        status = by_graph ? pan_graph_launch(i->graph, i->target.stream) : give_work(i->target.stream, i->work);
    }
    CHECK(status == PAN_OK || status == PAN_DEVICE_ERROR, "work on a device that breaks: %s", pan_status_name(status));
    CHECK(status == PAN_OK || strstr(pan_last_error(), by_graph ? "graph_launch" : "dropout") != NULL,
          "work on a device that breaks: '%s'", pan_last_error());
}

/* The first call that waits tells what the stream had been given last. */
static void check_first_text(const char *call, pan_status status, bool by_graph) {
    const char *text = pan_last_error();
    CHECK(status == PAN_DEVICE_ERROR, "%s on a lost device: %s", call, pan_status_name(status));
    CHECK(strncmp(text, call, strlen(call)) == 0, "%s on a lost device: '%s'", call, text);
    CHECK(by_graph ? strstr(text, "graph_launch") != NULL
                   : strstr(text, "dropout") != NULL && strstr(text, SHAPE) != NULL,
          "%s on a lost device names neither op nor shape: '%s'", call, text);
    CHECK(strchr(text, '\n') == NULL, "%s on a lost device: more than a line: '%s'", call, text);
}

#define LOST(part, call) REFUSED(PAN_DEVICE_ERROR, part, call)

static void check_later_calls(const inventory *i) {
    static work host;
    pan_stream *stream = i->target.stream, *made = NULL;
    pan_event *event = NULL;
    pan_long_conv_plan *plan = NULL;
    const pan_long_conv_desc desc = describe_convolution();
    void *memory = NULL;
    double milliseconds;
    LOST("stream_synchronize", pan_stream_synchronize(stream));
    LOST("stream_synchronize", pan_stream_synchronize(i->other));
    LOST("copy_to_host", pan_copy_to_host(stream, &host, i->work, sizeof host));
    LOST("copy_to_device", pan_copy_to_device(stream, i->work, &host, sizeof host));
    LOST("copy", pan_copy(stream, i->work->y, i->work->x, sizeof host.x));
    LOST("zero", pan_zero(stream, i->work->y, sizeof host.y));
    LOST("dropout", give_work(stream, i->work));
    LOST("dropout", give_work(i->other, i->work));
    LOST("event_record", pan_event_record(i->end, stream));
    LOST("event_synchronize", pan_event_synchronize(i->end));
    LOST("event_", pan_event_elapsed(i->start, i->end, &milliseconds));
    LOST("stream_wait", pan_stream_wait(i->other, i->end));
    LOST("capture_begin", pan_capture_begin(stream));
    LOST("graph_launch", pan_graph_launch(i->graph, stream));
    LOST("memory_allocate", pan_memory_allocate(i->target.device, 100, &memory));
    LOST("stream_create", pan_stream_create(i->target.device, &made));
    LOST("event_create", pan_event_create(i->target.device, &event));
    LOST("", pan_long_conv_plan_create(i->target.device, &desc, &plan));
    CHECK(memory == NULL && made == NULL && event == NULL && plan == NULL, "a lost device gave something");
}

/* A stream tells of the loss once more; it is gone nevertheless, or the device would not close. */
static void destroy_stream(pan_stream *stream) {
    const pan_status status = pan_stream_destroy(stream);
    CHECK(status == PAN_OK || status == PAN_DEVICE_ERROR, "stream_destroy on a lost device: %s: %s",
          pan_status_name(status), pan_last_error());
}

static void destroy_inventory(inventory *i) {
    CHECK_OK(pan_long_conv_plan_destroy(i->plan));
    CHECK_OK(pan_memory_free(i->target.device, i->work));
    CHECK_OK(pan_graph_destroy(i->graph));
    CHECK_OK(pan_event_destroy(i->start));
    CHECK_OK(pan_event_destroy(i->end));
    destroy_stream(i->other);
    forget_stream(i->target.stream);
    destroy_stream(i->target.stream);
    CHECK_OK(pan_device_close(i->target.device));
}

static void check_no_new_device(void) {
    const pan_device_options options = cuda_options();
    pan_device *device = NULL;
    LOST("device_open", pan_device_open(&options, &device));
    CHECK(device == NULL, "a lost device was opened again");
}

typedef enum first_call { SYNCHRONIZE, COPY_TO_HOST, NO_CALL } first_call;

static void check_lost(first_call first, bool by_graph) {
    static work host;
    inventory i = new_inventory();
    lose_device(&i, by_graph);
    if (first == SYNCHRONIZE) {
        check_first_text("stream_synchronize", pan_stream_synchronize(i.target.stream), by_graph);
    } else if (first == COPY_TO_HOST) {
        check_first_text("copy_to_host", pan_copy_to_host(i.target.stream, &host, i.work, sizeof host), by_graph);
    }
    if (first != NO_CALL) {
        check_later_calls(&i);
    }
    destroy_inventory(&i);
    check_no_new_device();
}

static void check_lost_synchronize(void) {
    check_lost(SYNCHRONIZE, false);
}

static void check_lost_copy(void) {
    check_lost(COPY_TO_HOST, false);
}

static void check_lost_graph(void) {
    check_lost(SYNCHRONIZE, true);
}

/* Nobody asks after the work before all is destroyed. */
static void check_lost_unnoticed(void) {
    check_lost(NO_CALL, false);
}

/* ---- what is not there ---- */

static void expect_no_device(const char *reason) {
    const pan_device_options options = cuda_options();
    pan_device *device = NULL;
    int32_t count = -7;
    REFUSED(PAN_NO_DEVICE, reason, pan_backend_status(PAN_BACKEND_CUDA));
    CHECK(strlen(pan_last_error()) > 20 && strchr(pan_last_error(), '\n') == NULL, "no reason in one line: '%s'",
          pan_last_error());
    REFUSED(PAN_NO_DEVICE, reason, pan_device_open(&options, &device));
    CHECK_OK(pan_device_count(PAN_BACKEND_CUDA, &count));
    CHECK(device == NULL && count == 0, "%d devices without a device", count);
    for (int32_t op = 0; op < pan_op_count(); op++) {
        CHECK(pan_op_supported(PAN_BACKEND_CUDA, op) == 0, "%s without a device", pan_op_name(op));
    }
    target cpu = open_target(PAN_BACKEND_CPU, PAN_ISA_BEST, 1); /* needs none */
    close_target(&cpu);
}

static void check_no_device(void) {
    expect_no_device("no usable NVIDIA device");
}

static void check_old_driver(void) {
    expect_no_device("driver is too old: install one for CUDA 13.0 or later");
}

/* PANTHERA_CUBLAS names a library that is none. */
static void check_no_cublas(void) {
    const pan_device_options options = cuda_options();
    const char *path = getenv("PANTHERA_CUBLAS");
    pan_device *device = NULL;
    pan_stream *stream = NULL;
    if (!CHECK(path != NULL, "PANTHERA_CUBLAS is not set")) {
        return;
    }
    CHECK_OK(pan_device_open(&options, &device));
    for (int i = 0; i < 2; i++) {
        REFUSED(PAN_INVALID_ARGUMENT, path, pan_stream_create(device, &stream));
        CHECK(strstr(pan_last_error(), "PANTHERA_CUBLAS") != NULL && strchr(pan_last_error(), '\n') == NULL,
              "no cuBLAS: '%s'", pan_last_error());
    }
    CHECK(stream == NULL, "a failing stream_create wrote the stream");
    CHECK_OK(pan_device_close(device));
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*check)(void);
    } faults[] = {
        {"memory", check_memory},
        {"reuse", check_reused_memory},
        {"stream_memory", check_stream_memory},
        {"lost", check_lost_synchronize},
        {"lost_copy", check_lost_copy},
        {"lost_graph", check_lost_graph},
        {"lost_unnoticed", check_lost_unnoticed},
        {"no_device", check_no_device},
        {"old_driver", check_old_driver},
        {"no_cublas", check_no_cublas},
    };
    for (int i = 0; i < COUNT(faults); i++) {
        if (argc == 2 && strcmp(argv[1], faults[i].name) == 0) {
            faults[i].check();
            return report();
        }
    }
    fprintf(stderr, "usage: test_device_faults FAULT, a name that main() lists\n");
    return EXIT_FAILURE;
}
