/* Recordings: what may be part of one, where their graphs run, and the errors of both. */
#include "test_device.h"

enum { ROWS = 6, CHANNELS = 33, COUNT_OF_VALUES = ROWS * CHANNELS };

/* y = 2 x, of which the recording makes a copy. */
typedef struct work {
    float x[COUNT_OF_VALUES], y[COUNT_OF_VALUES], copy[COUNT_OF_VALUES];
} work;

static const pan_arithmetic_desc DOUBLED = {.struct_size = sizeof DOUBLED,
                                            .dtype = PAN_F32,
                                            .kind = PAN_ADD,
                                            .rank = 1,
                                            .shape = {COUNT_OF_VALUES},
                                            .a_stride = {1},
                                            .b_stride = {1}};

static void give_work(pan_stream *stream, work *d) {
    CHECK_OK(pan_zero(stream, d->copy, sizeof d->copy));
    CHECK_OK(pan_arithmetic_forward(stream, &DOUBLED, d->x, d->x, d->y));
    CHECK_OK(pan_copy(stream, d->copy, d->y, sizeof d->y));
}

static pan_graph *record(pan_stream *stream, work *d) {
    pan_graph *graph = NULL;
    CHECK_OK(pan_capture_begin(stream));
    give_work(stream, d);
    CHECK_OK(pan_capture_end(stream, &graph));
    return graph;
}

/* The graph's work on a stream, with the value `x` in all of its input. */
static void check_launch(const target *target, pan_graph *graph, pan_stream *stream, work *d, float x,
                         const char *what) {
    static work h;
    for (int i = 0; i < COUNT_OF_VALUES; i++) {
        h.x[i] = x;
    }
    CHECK_OK(pan_copy_to_device(stream, d->x, h.x, sizeof h.x));
    CHECK_OK(pan_graph_launch(graph, stream));
    CHECK_OK(pan_copy_to_host(stream, &h, d, sizeof h));
    for (int i = 0; i < COUNT_OF_VALUES; i++) {
        CHECK(h.y[i] == 2.0f * x && h.copy[i] == 2.0f * x, "%s: %s: result %d is %g, its copy %g, not %g", target->name,
              what, i, (double) h.y[i], (double) h.copy[i], 2.0 * (double) x);
    }
}

/* Nothing is done while it is recorded; a graph runs again and again. */
static void check_deferred(const target *target) {
    work h = {0}, *d = copy_in(target, &h, sizeof h);
    memset(h.y, 0x55, sizeof h.y);
    CHECK_OK(pan_copy_to_device(target->stream, d, &h, sizeof h));
    give_work(target->stream, d); /* so that nothing is loaded for the first time in the recording */
    CHECK_OK(pan_copy_to_device(target->stream, d, &h, sizeof h));
    work found;
    pan_graph *graph = record(target->stream, d);
    CHECK_OK(pan_copy_to_host(target->stream, &found, d, sizeof found));
    CHECK(memcmp(&found, &h, sizeof h) == 0, "%s: recorded work was done", target->name);
    for (int i = 1; i < 6; i++) {
        check_launch(target, graph, target->stream, d, (float) i, "a repetition");
    }
    CHECK_OK(pan_graph_destroy(graph));
    free_memory(target, d);
}

/* What waits for the stream, copies from the host or launches a graph is refused, and spoils nothing. */
static void check_refused_calls(const target *target) {
    work h = {0}, *d = copy_in(target, &h, sizeof h);
    pan_graph *graph = NULL, *earlier = record(target->stream, d);
    CHECK_OK(pan_capture_begin(target->stream));
    REFUSED(PAN_INVALID_ARGUMENT, "capture_begin", pan_capture_begin(target->stream));
    REFUSED(PAN_INVALID_ARGUMENT, "copy_to_host", pan_copy_to_host(target->stream, &h, d, sizeof h));
    give_work(target->stream, d);
    REFUSED(PAN_INVALID_ARGUMENT, "graph_launch", pan_graph_launch(earlier, target->stream));
    REFUSED(PAN_INVALID_ARGUMENT, "copy_to_device", pan_copy_to_device(target->stream, d, &h, sizeof h));
    REFUSED(PAN_INVALID_ARGUMENT, "stream_synchronize", pan_stream_synchronize(target->stream));
    CHECK_OK(pan_capture_end(target->stream, &graph));
    CHECK_OK(pan_stream_synchronize(target->stream));
    check_launch(target, graph, target->stream, d, 3.0f, "a recording with refused calls");
    CHECK_OK(pan_graph_destroy(earlier));
    CHECK_OK(pan_graph_destroy(graph));
    free_memory(target, d);
}

static void check_ends(const target *target) {
    pan_graph *graph = NULL;
    REFUSED(PAN_INVALID_ARGUMENT, "capture_end", pan_capture_end(target->stream, &graph));
    CHECK_OK(pan_capture_begin(target->stream));
    REFUSED(PAN_INVALID_ARGUMENT, "capture_end: graph", pan_capture_end(target->stream, NULL));
    REFUSED(PAN_INVALID_ARGUMENT, "capture_end: stream", pan_capture_end(NULL, &graph));
    CHECK(graph == NULL, "%s: a failing capture_end wrote the graph", target->name);
    CHECK_OK(pan_capture_end(target->stream, &graph));
    REFUSED(PAN_INVALID_ARGUMENT, "capture_end", pan_capture_end(target->stream, &graph));
    /* Of no work at all. */
    CHECK_OK(pan_graph_launch(graph, target->stream));
    CHECK_OK(pan_stream_synchronize(target->stream));
    CHECK_OK(pan_graph_destroy(graph));
}

static void check_null(const target *target) {
    pan_graph *graph = NULL;
    REFUSED(PAN_INVALID_ARGUMENT, "capture_begin: stream", pan_capture_begin(NULL));
    REFUSED(PAN_INVALID_ARGUMENT, "graph_launch: graph", pan_graph_launch(NULL, target->stream));
    REFUSED(PAN_INVALID_ARGUMENT, "graph_destroy: graph", pan_graph_destroy(NULL));
    CHECK_OK(pan_capture_begin(target->stream));
    CHECK_OK(pan_capture_end(target->stream, &graph));
    REFUSED(PAN_INVALID_ARGUMENT, "graph_launch: stream", pan_graph_launch(graph, NULL));
    CHECK_OK(pan_graph_destroy(graph));
}

/* A graph outlives the stream that recorded it and runs on the others of its device, whichever of them are left. */
static void check_other_streams(const target *target) {
    work h = {0}, *d = copy_in(target, &h, sizeof h);
    pan_stream *recorder = NULL, *second = NULL;
    CHECK_OK(pan_stream_synchronize(target->stream));
    CHECK_OK(pan_stream_create(target->device, &recorder));
    pan_graph *graph = record(recorder, d);
    check_launch(target, graph, recorder, d, 1.0f, "on the stream that recorded");
    CHECK_OK(pan_stream_create(target->device, &second));
    check_launch(target, graph, second, d, 2.0f, "on a second stream");
    CHECK_OK(pan_stream_destroy(recorder));
    check_launch(target, graph, second, d, 3.0f, "after the recording stream's end");
    CHECK_OK(pan_stream_destroy(second));
    check_launch(target, graph, target->stream, d, 4.0f, "after a second stream's end");
    CHECK_OK(pan_graph_destroy(graph));
    free_memory(target, d);
}

/* What makes and frees things of the same GPU, and what waits on other streams, does not spoil a recording. */
static void check_beside(const target *target) {
    work h = {0}, *d = copy_in(target, &h, sizeof h), *freed = copy_in(target, &h, sizeof h);
    pan_long_conv_desc desc = {.struct_size = sizeof desc,
                               .dtype = PAN_F32,
                               .method = PAN_CONV_FFT,
                               .batch = 1,
                               .length = 500,
                               .channels = 1,
                               .taps = 500,
                               .h_channel_stride = 500,
                               .h_tap_stride = 1,
                               .u_stride = 1,
                               .y_stride = 1};
    pan_long_conv_plan *plan = NULL;
    pan_stream *second = NULL;
    pan_graph *graph = NULL, *earlier = record(target->stream, d);
    give_work(target->stream, freed);
    CHECK_OK(pan_capture_begin(target->stream));
    give_work(target->stream, d);
    free_memory(target, freed);
    CHECK_OK(pan_long_conv_plan_create(target->device, &desc, &plan));
    CHECK_OK(pan_long_conv_plan_destroy(plan));
    CHECK_OK(pan_stream_create(target->device, &second));
    CHECK_OK(pan_copy_to_device(second, d, &h, sizeof h));
    CHECK_OK(pan_stream_synchronize(second));
    CHECK_OK(pan_stream_destroy(second));
    CHECK_OK(pan_graph_destroy(earlier));
    struct target other = open_target(PAN_BACKEND_CUDA, PAN_ISA_BEST, 0);
    free_memory(&other, copy_in(&other, &h, sizeof h));
    close_target(&other);
    CHECK_OK(pan_capture_end(target->stream, &graph));
    check_launch(target, graph, target->stream, d, 5.0f, "recorded beside other work");
    CHECK_OK(pan_graph_destroy(graph));
    free_memory(target, d);
}

static void check_other_device(const target *target) {
    struct target other = open_target(PAN_BACKEND_CUDA, PAN_ISA_BEST, 0);
    work h = {0}, *d = copy_in(target, &h, sizeof h);
    pan_graph *graph = record(target->stream, d);
    REFUSED(PAN_INVALID_ARGUMENT, "another device", pan_graph_launch(graph, other.stream));
    CHECK_OK(pan_graph_destroy(graph));
    close_target(&other);
    free_memory(target, d);
}

/* A graph alone keeps a device open. */
static void check_lifetime(const target *target) {
    pan_device *device = NULL;
    pan_stream *stream = NULL;
    pan_graph *graph = NULL;
    CHECK_OK(pan_device_open(&target->options, &device));
    CHECK_OK(pan_stream_create(device, &stream));
    CHECK_OK(pan_capture_begin(stream));
    CHECK_OK(pan_capture_end(stream, &graph));
    CHECK_OK(pan_stream_destroy(stream));
    REFUSED(PAN_INVALID_ARGUMENT, "1 events or graphs", pan_device_close(device));
    CHECK_OK(pan_graph_destroy(graph));
    CHECK_OK(pan_device_close(device));
}

void check_captures(const target *target) {
    check_deferred(target);
    check_refused_calls(target);
    check_ends(target);
    check_null(target);
    check_other_streams(target);
    check_beside(target);
    check_other_device(target);
    check_lifetime(target);
}

void check_no_capture(const target *target) {
    pan_graph *graph = NULL;
    REFUSED(PAN_UNSUPPORTED, "capture_begin", pan_capture_begin(target->stream));
    REFUSED(PAN_UNSUPPORTED, "capture_end", pan_capture_end(target->stream, &graph));
    REFUSED(PAN_INVALID_ARGUMENT, "capture_begin: stream", pan_capture_begin(NULL));
    REFUSED(PAN_INVALID_ARGUMENT, "graph_launch: graph", pan_graph_launch(NULL, target->stream));
    REFUSED(PAN_INVALID_ARGUMENT, "graph_destroy: graph", pan_graph_destroy(NULL));
    CHECK(graph == NULL, "%s: a refused capture_end wrote the graph", target->name);
}
