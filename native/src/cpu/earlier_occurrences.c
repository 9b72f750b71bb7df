/* How often a position's token has occurred before it.
 *
 * A few positions look through what came before them, a vector at a time. Many are sorted together by (token, position), so
 * that equal tokens lie side by side in the order of their positions. A task is a sequence. */
#include "tile.h"

enum {
    SCANS = 128 /* that many positions are looked up in the time of one pass of the sort */
};

typedef struct count_job {
    const pan_earlier_occurrences_desc *desc;
    const int32_t *ids;
    float *y;
    uint64_t *entries; /* (batch, 2, length), if positions are sorted */
} count_job;

static int64_t passes(int64_t length) {
    int64_t count = 0;
    for (int64_t run = 1; run < length; run *= 2) {
        count++;
    }
    return count;
}

static bool is_sorted(const pan_earlier_occurrences_desc *desc) {
    return desc->count > SCANS * passes(desc->length);
}

static void scan_positions(const int32_t *ids, int64_t first, int64_t end, float *y) {
    for (int64_t t = first; t < end; t++) {
        int32_t earlier = 0;
        for (int64_t s = 0; s < t; s++) {
            earlier += ids[s] == ids[t];
        }
        y[t - first] = (float) earlier;
    }
}

/* Merges two neighbouring ascending runs. */
static void merge(const uint64_t *from, int64_t begin, int64_t middle, int64_t end, uint64_t *to) {
    int64_t left = begin, right = middle;
    for (int64_t i = begin; i < end; i++) {
        const bool take_left = right == end || (left < middle && from[left] < from[right]);
        to[i] = from[take_left ? left : right];
        left += take_left;
        right += !take_left;
    }
}

/* Where the ascending entries are, one of the two arrays. */
static const uint64_t *sort(uint64_t *entries, uint64_t *other, int64_t length) {
    for (int64_t run = 1; run < length; run *= 2) {
        for (int64_t begin = 0; begin < length; begin += 2 * run) {
            const int64_t middle = min_i64(begin + run, length);
            merge(entries, begin, middle, min_i64(middle + run, length), other);
        }
        uint64_t *sorted = other;
        other = entries;
        entries = sorted;
    }
    return entries;
}

static void sort_positions(const int32_t *ids, int64_t length, int64_t first, uint64_t *entries, float *y) {
    for (int64_t t = 0; t < length; t++) {
        entries[t] = (uint64_t) (uint32_t) ids[t] << 32 | (uint64_t) t;
    }
    const uint64_t *sorted = sort(entries, entries + length, length);
    int64_t begin = 0; /* of the token's entries */
    for (int64_t i = 0; i < length; i++) {
        begin = sorted[i] >> 32 == sorted[begin] >> 32 ? begin : i;
        const int64_t t = (int64_t) (uint32_t) sorted[i];
        if (t >= first) {
            y[t - first] = (float) (i - begin);
        }
    }
}

static void count_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const count_job *job = context;
    const int64_t length = job->desc->length, first = length - job->desc->count;
    const int32_t *ids = job->ids + task * job->desc->ids_stride;
    float *y = job->y + task * job->desc->count;
    if (is_sorted(job->desc)) {
        sort_positions(ids, length, first, job->entries + 2 * task * length, y);
    } else {
        scan_positions(ids, first, length, y);
    }
}

pan_status PAN_BODY(earlier_occurrences_workspace_size)(pan_stream *stream, const pan_earlier_occurrences_desc *desc,
                                                        int64_t *bytes) {
    (void) stream;
    *bytes = is_sorted(desc) ? 2 * desc->batch * desc->length * (int64_t) sizeof(uint64_t) : 0;
    return PAN_OK;
}

pan_status PAN_BODY(earlier_occurrences)(pan_stream *stream, const pan_earlier_occurrences_desc *desc,
                                         const int32_t *ids, void *y, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    count_job job = {.desc = desc, .ids = ids, .y = y, .entries = workspace};
    pan_parallel(stream->device->pool, desc->batch, count_task, &job);
    return PAN_OK;
}
