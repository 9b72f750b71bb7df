/* Copies to a device, and memory that is freed and allocated anew. */
#include <stdlib.h>

#include "test_device.h"

/* CUDA uploads in pieces of this many bytes, a ring of 16. */
static const int64_t SLOT_BYTES = 256 << 10;

static void fill_bytes(unsigned char *bytes, int64_t count, uint64_t seed) {
    generator random = {seed};
    for (int64_t i = 0; i < count; i++) {
        bytes[i] = (unsigned char) next_bits(&random);
    }
}

static int64_t first_difference(const unsigned char *a, const unsigned char *b, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (a[i] != b[i]) {
            return i;
        }
    }
    return -1;
}

/* What a stream's device holds at an address, against what it should. */
static void check_bytes(const target *target, pan_stream *stream, const void *device, const unsigned char *expected,
                        int64_t count, const char *what) {
    unsigned char *found = allocate(count, 1);
    CHECK_OK(pan_copy_to_host(stream, found, device, count));
    const int64_t at = first_difference(found, expected, count);
    CHECK(at < 0, "%s: %s: byte %lld of %lld is %d, not %d", target->name, what, (long long) at, (long long) count,
          at < 0 ? 0 : found[at], at < 0 ? 0 : expected[at]);
    free(found);
}

/* The source is written over as soon as the call returns. The target has an odd address and untouched neighbours. */
static void check_upload(const target *target, int64_t bytes) {
    const int64_t whole = bytes + 2;
    unsigned char *source = allocate(bytes, 1), *expected = allocate(whole, 1), *device = new_memory(target, whole);
    fill_bytes(source, bytes, (uint64_t) bytes);
    memcpy(expected + 1, source, (size_t) bytes);
    CHECK_OK(pan_zero(target->stream, device, whole));
    CHECK_OK(pan_copy_to_device(target->stream, device + 1, source, bytes));
    memset(source, 0xaa, (size_t) bytes);
    check_bytes(target, target->stream, device, expected, whole, "an upload");
    free_memory(target, device);
    free(source);
    free(expected);
}

static void check_small_uploads(const target *target) {
    enum { UPLOADS = 1000, MOST = 97 };
    unsigned char *expected = allocate(UPLOADS, MOST), source[MOST], *device = new_memory(target, UPLOADS * MOST);
    int64_t at = 0;
    for (int i = 0; i < UPLOADS; i++) {
        const int64_t bytes = i % MOST + 1;
        fill_bytes(source, bytes, (uint64_t) i);
        memcpy(expected + at, source, (size_t) bytes);
        CHECK_OK(pan_copy_to_device(target->stream, device + at, source, bytes));
        at += bytes;
    }
    memset(source, 0xaa, sizeof source);
    check_bytes(target, target->stream, device, expected, at, "small uploads");
    free_memory(target, device);
    free(expected);
}

/* An upload takes its turn in the stream's work. */
static void check_upload_order(const target *target) {
    enum { BYTES = 1 << 20 };
    unsigned char *first = allocate(BYTES, 1), *second = allocate(BYTES, 1);
    unsigned char *device = new_memory(target, BYTES), *copy = new_memory(target, BYTES);
    fill_bytes(first, BYTES, 1);
    fill_bytes(second, BYTES, 2);
    CHECK_OK(pan_zero(target->stream, device, BYTES));
    CHECK_OK(pan_copy_to_device(target->stream, device, first, BYTES));
    CHECK_OK(pan_copy(target->stream, copy, device, BYTES));
    CHECK_OK(pan_copy_to_device(target->stream, device, second, BYTES));
    check_bytes(target, target->stream, copy, first, BYTES, "a copy between two uploads");
    check_bytes(target, target->stream, device, second, BYTES, "the second upload");
    free_memory(target, copy);
    free_memory(target, device);
    free(first);
    free(second);
}

/* Each stream has a ring of its own. */
static void check_interleaved_uploads(const target *target) {
    enum { STREAMS = 2, PARTS = 40 };
    const int64_t part = SLOT_BYTES + 1, bytes = part * PARTS;
    pan_stream *streams[STREAMS] = {target->stream, NULL};
    unsigned char *sources[STREAMS], *devices[STREAMS];
    CHECK_OK(pan_stream_create(target->device, &streams[1]));
    for (int s = 0; s < STREAMS; s++) {
        sources[s] = allocate(bytes, 1);
        devices[s] = new_memory(target, bytes);
        fill_bytes(sources[s], bytes, 10 + (uint64_t) s);
    }
    for (int64_t i = 0; i < PARTS; i++) {
        for (int s = 0; s < STREAMS; s++) {
            CHECK_OK(pan_copy_to_device(streams[s], devices[s] + i * part, sources[s] + i * part, part));
        }
    }
    for (int s = 0; s < STREAMS; s++) {
        check_bytes(target, streams[s], devices[s], sources[s], bytes, "one of two streams' uploads");
        free_memory(target, devices[s]);
        free(sources[s]);
    }
    CHECK_OK(pan_stream_destroy(streams[1]));
}

void check_uploads(const target *target) {
    const int64_t sizes[] = {
        1, 4, SLOT_BYTES - 1, SLOT_BYTES, SLOT_BYTES + 1, 16 * SLOT_BYTES, 16 * SLOT_BYTES + 1, (9 << 20) + 3};
    for (int i = 0; i < COUNT(sizes); i++) {
        check_upload(target, sizes[i]);
    }
    check_small_uploads(target);
    check_upload_order(target);
    check_interleaved_uploads(target);
}

void check_reuse(const target *target, int64_t bytes, int rounds) {
    unsigned char *pattern = allocate(bytes, 1), *zeros = allocate(bytes, 1);
    pan_stream *other = NULL;
    CHECK_OK(pan_stream_create(target->device, &other));
    for (int i = 0; i < rounds; i++) {
        fill_bytes(pattern, bytes, 100 + (uint64_t) i);
        unsigned char *first = new_memory(target, bytes), *copy = new_memory(target, bytes);
        CHECK_OK(pan_copy_to_device(target->stream, first, pattern, bytes));
        CHECK_OK(pan_copy(target->stream, copy, first, bytes));
        free_memory(target, first);
        unsigned char *second = new_memory(target, bytes);
        CHECK_OK(pan_zero(other, second, bytes));
        check_bytes(target, target->stream, copy, pattern, bytes, "a copy of memory that was freed then");
        check_bytes(target, other, second, zeros, bytes, "memory of another stream");
        free_memory(target, copy);
        free_memory(target, second);
    }
    CHECK_OK(pan_stream_destroy(other));
    free(pattern);
    free(zeros);
}
