/* Events and recorded graphs: what is common to all backends. */
#include <stdlib.h>

#include "backend.h"
#include "status.h"

static pan_status check_present(const char *op, const char *first, const void *first_value, const char *second,
                                const void *second_value) {
    if (first_value == NULL || second_value == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s is NULL", op, first_value == NULL ? first : second);
    }
    return PAN_OK;
}

static pan_status check_same_device(const char *op, const char *what, const pan_device *device,
                                    const pan_device *other) {
    if (device != other) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s belongs to another device (%s, not %s)", op, what,
                        other->info.name, device->info.name);
    }
    return PAN_OK;
}

/* Another thread may have recorded the event. */
static int32_t is_marked(const pan_event *event) {
    return __atomic_load_n(&event->marked, __ATOMIC_ACQUIRE);
}

pan_status pan_event_create(pan_device *device, pan_event **event) {
    PAN_TRY(check_present("event_create", "device", device, "event", event));
    pan_event *created = calloc(1, sizeof *created);
    if (created == NULL) {
        return pan_fail(PAN_OUT_OF_MEMORY, "event_create: no memory for the event");
    }
    created->device = device;
    pan_status status = device->driver->create_event(device->state, &created->state);
    if (status != PAN_OK) {
        free(created);
        return status;
    }
    __atomic_add_fetch(&device->live_events, 1, __ATOMIC_ACQ_REL);
    *event = created;
    return PAN_OK;
}

pan_status pan_event_destroy(pan_event *event) {
    PAN_TRY(check_present("event_destroy", "event", event, "event", event));
    event->device->driver->destroy_event(event->state);
    __atomic_sub_fetch(&event->device->live_events, 1, __ATOMIC_ACQ_REL);
    free(event);
    return PAN_OK;
}

pan_status pan_event_record(pan_event *event, pan_stream *stream) {
    PAN_TRY(check_present("event_record", "event", event, "stream", stream));
    PAN_TRY(check_same_device("event_record", "the event", stream->device, event->device));
    PAN_TRY(event->device->driver->record_event(event->state, stream->state));
    __atomic_store_n(&event->marked, 1, __ATOMIC_RELEASE);
    return PAN_OK;
}

pan_status pan_stream_wait(pan_stream *stream, pan_event *event) {
    PAN_TRY(check_present("stream_wait", "stream", stream, "event", event));
    PAN_TRY(check_same_device("stream_wait", "the event", stream->device, event->device));
    return is_marked(event) ? event->device->driver->wait_event(stream->state, event->state) : PAN_OK;
}

pan_status pan_event_synchronize(pan_event *event) {
    PAN_TRY(check_present("event_synchronize", "event", event, "event", event));
    return is_marked(event) ? event->device->driver->synchronize_event(event->state) : PAN_OK;
}

pan_status pan_event_elapsed(pan_event *start, pan_event *end, double *milliseconds) {
    PAN_TRY(check_present("event_elapsed", "start", start, "end", end));
    PAN_TRY(check_present("event_elapsed", "milliseconds", milliseconds, "milliseconds", milliseconds));
    PAN_TRY(check_same_device("event_elapsed", "end", start->device, end->device));
    if (!is_marked(start) || !is_marked(end)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "event_elapsed: %s was not recorded", is_marked(start) ? "end" : "start");
    }
    PAN_TRY(pan_event_synchronize(start));
    PAN_TRY(pan_event_synchronize(end));
    return start->device->driver->elapsed(start->state, end->state, milliseconds);
}

pan_status pan_capture_begin(pan_stream *stream) {
    PAN_TRY(check_present("capture_begin", "stream", stream, "stream", stream));
    if (stream->device->driver->begin_capture == NULL) {
        return pan_fail(PAN_UNSUPPORTED, "capture_begin: device %s does its work at once and records none",
                        stream->device->info.name);
    }
    return stream->device->driver->begin_capture(stream->state);
}

pan_status pan_capture_end(pan_stream *stream, pan_graph **graph) {
    PAN_TRY(check_present("capture_end", "stream", stream, "graph", graph));
    if (stream->device->driver->end_capture == NULL) {
        return pan_fail(PAN_UNSUPPORTED, "capture_end: device %s records no work", stream->device->info.name);
    }
    pan_graph *ended = calloc(1, sizeof *ended);
    void *state = NULL;
    /* Also without memory for the graph: the stream must not stay in the recording. */
    pan_status status = stream->device->driver->end_capture(stream->state, &state);
    if (status == PAN_OK && ended == NULL) {
        stream->device->driver->destroy_graph(state);
        status = pan_fail(PAN_OUT_OF_MEMORY, "capture_end: no memory for the graph");
    }
    if (status != PAN_OK) {
        free(ended);
        return status;
    }
    ended->device = stream->device;
    ended->state = state;
    __atomic_add_fetch(&stream->device->live_events, 1, __ATOMIC_ACQ_REL);
    *graph = ended;
    return PAN_OK;
}

pan_status pan_graph_launch(pan_graph *graph, pan_stream *stream) {
    PAN_TRY(check_present("graph_launch", "graph", graph, "stream", stream));
    PAN_TRY(check_same_device("graph_launch", "the graph", stream->device, graph->device));
    return graph->device->driver->launch_graph(graph->state, stream->state);
}

pan_status pan_graph_destroy(pan_graph *graph) {
    PAN_TRY(check_present("graph_destroy", "graph", graph, "graph", graph));
    graph->device->driver->destroy_graph(graph->state);
    __atomic_sub_fetch(&graph->device->live_events, 1, __ATOMIC_ACQ_REL);
    free(graph);
    return PAN_OK;
}
