/* Events: marks in streams, what waits for them, the device's clock. */
#include "test_device.h"

enum { BYTES = 1 << 20 };

static pan_event *new_event(const target *target) {
    pan_event *event = NULL;
    CHECK_OK(pan_event_create(target->device, &event));
    return event;
}

static void check_no_mark(const target *target) {
    pan_event *start = new_event(target), *end = new_event(target);
    double milliseconds = -7.0;
    CHECK_OK(pan_event_synchronize(start));
    CHECK_OK(pan_stream_wait(target->stream, start));
    REFUSED(PAN_INVALID_ARGUMENT, "event_elapsed: start", pan_event_elapsed(start, end, &milliseconds));
    CHECK_OK(pan_event_record(start, target->stream));
    REFUSED(PAN_INVALID_ARGUMENT, "event_elapsed: end", pan_event_elapsed(start, end, &milliseconds));
    REFUSED(PAN_INVALID_ARGUMENT, "event_elapsed: start", pan_event_elapsed(end, start, &milliseconds));
    CHECK(milliseconds == -7.0, "%s: a refused event_elapsed wrote %g", target->name, milliseconds);
    CHECK_OK(pan_event_destroy(end));
    CHECK_OK(pan_event_destroy(start));
}

static void check_clock(const target *target) {
    pan_event *start = new_event(target), *end = new_event(target);
    void *memory = new_memory(target, BYTES);
    double once = -1.0, again = -1.0, none = -1.0;
    CHECK_OK(pan_event_record(start, target->stream));
    CHECK_OK(pan_zero(target->stream, memory, BYTES));
    CHECK_OK(pan_event_record(end, target->stream));
    CHECK_OK(pan_event_elapsed(start, end, &once));
    CHECK(once >= 0.0 && once < 60e3, "%s: work took %g ms", target->name, once);
    CHECK_OK(pan_zero(target->stream, memory, BYTES));
    CHECK_OK(pan_event_record(end, target->stream)); /* in place of the earlier mark */
    CHECK_OK(pan_event_synchronize(end));
    CHECK_OK(pan_event_elapsed(start, end, &again));
    CHECK(again >= once, "%s: %g ms to a mark behind one at %g ms", target->name, again, once);
    CHECK_OK(pan_event_elapsed(start, start, &none));
    CHECK(none == 0.0, "%s: %g ms from a mark to itself", target->name, none);
    free_memory(target, memory);
    CHECK_OK(pan_event_destroy(end));
    CHECK_OK(pan_event_destroy(start));
}

/* Work of one stream is seen by another that waits for its mark; the event outlives the stream. */
static void check_wait(const target *target) {
    static unsigned char host[BYTES], found[BYTES];
    pan_stream *first = NULL;
    pan_event *event = new_event(target);
    unsigned char *a = new_memory(target, BYTES), *b = new_memory(target, BYTES);
    CHECK_OK(pan_stream_create(target->device, &first));
    memset(host, 0x3c, sizeof host);
    memset(found, 0, sizeof found);
    CHECK_OK(pan_zero(first, b, BYTES));
    CHECK_OK(pan_copy_to_device(first, a, host, BYTES));
    CHECK_OK(pan_copy(first, b, a, BYTES));
    CHECK_OK(pan_event_record(event, first));
    CHECK_OK(pan_stream_wait(target->stream, event));
    CHECK_OK(pan_copy_to_host(target->stream, found, b, BYTES));
    CHECK(memcmp(found, host, BYTES) == 0, "%s: a stream did not wait for another's mark", target->name);
    CHECK_OK(pan_stream_destroy(first));
    CHECK_OK(pan_event_synchronize(event));
    CHECK_OK(pan_stream_wait(target->stream, event));
    CHECK_OK(pan_stream_synchronize(target->stream));
    CHECK_OK(pan_event_destroy(event));
    free_memory(target, a);
    free_memory(target, b);
}

static void check_null(const target *target) {
    pan_event *event = new_event(target), *unchanged = NULL;
    double milliseconds;
    REFUSED(PAN_INVALID_ARGUMENT, "event_create: device", pan_event_create(NULL, &unchanged));
    REFUSED(PAN_INVALID_ARGUMENT, "event_create: event", pan_event_create(target->device, NULL));
    CHECK(unchanged == NULL, "%s: a failing event_create wrote the event", target->name);
    REFUSED(PAN_INVALID_ARGUMENT, "event_destroy: event", pan_event_destroy(NULL));
    REFUSED(PAN_INVALID_ARGUMENT, "event_record: event", pan_event_record(NULL, target->stream));
    REFUSED(PAN_INVALID_ARGUMENT, "event_record: stream", pan_event_record(event, NULL));
    REFUSED(PAN_INVALID_ARGUMENT, "stream_wait: stream", pan_stream_wait(NULL, event));
    REFUSED(PAN_INVALID_ARGUMENT, "stream_wait: event", pan_stream_wait(target->stream, NULL));
    REFUSED(PAN_INVALID_ARGUMENT, "event_synchronize: event", pan_event_synchronize(NULL));
    CHECK_OK(pan_event_record(event, target->stream));
    REFUSED(PAN_INVALID_ARGUMENT, "event_elapsed: start", pan_event_elapsed(NULL, event, &milliseconds));
    REFUSED(PAN_INVALID_ARGUMENT, "event_elapsed: end", pan_event_elapsed(event, NULL, &milliseconds));
    REFUSED(PAN_INVALID_ARGUMENT, "event_elapsed: milliseconds", pan_event_elapsed(event, event, NULL));
    CHECK_OK(pan_event_destroy(event));
}

/* Another device of the same backend, which may be the same machine. */
static void check_other_device(const target *target) {
    struct target other = open_target(target->options.backend, target->options.isa, target->options.threads);
    pan_event *event = new_event(target), *foreign = new_event(&other);
    double milliseconds;
    REFUSED(PAN_INVALID_ARGUMENT, "another device", pan_event_record(foreign, target->stream));
    CHECK_OK(pan_event_record(foreign, other.stream));
    CHECK_OK(pan_event_record(event, target->stream));
    REFUSED(PAN_INVALID_ARGUMENT, "another device", pan_stream_wait(target->stream, foreign));
    REFUSED(PAN_INVALID_ARGUMENT, "another device", pan_event_elapsed(event, foreign, &milliseconds));
    REFUSED(PAN_INVALID_ARGUMENT, "still alive", pan_device_close(other.device));
    CHECK_OK(pan_event_destroy(foreign));
    CHECK_OK(pan_event_destroy(event));
    close_target(&other);
}

/* An event alone keeps a device open, marked or not. */
static void check_lifetime(const target *target) {
    for (int marked = 0; marked < 2; marked++) {
        pan_device *device = NULL;
        pan_stream *stream = NULL;
        pan_event *event = NULL;
        CHECK_OK(pan_device_open(&target->options, &device));
        CHECK_OK(pan_event_create(device, &event));
        CHECK_OK(pan_stream_create(device, &stream));
        CHECK_OK(marked ? pan_event_record(event, stream) : PAN_OK);
        CHECK_OK(pan_stream_destroy(stream));
        REFUSED(PAN_INVALID_ARGUMENT, "1 events", pan_device_close(device));
        CHECK_OK(pan_event_synchronize(event));
        CHECK_OK(pan_event_destroy(event));
        CHECK_OK(pan_device_close(device));
    }
}

void check_events(const target *target) {
    check_no_mark(target);
    check_clock(target);
    check_wait(target);
    check_null(target);
    check_other_device(target);
    check_lifetime(target);
}
