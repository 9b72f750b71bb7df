/* Attention of listed queries: what their rows are where every position is a query, whatever else is listed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { MOST_BATCH = 3, MOST_LENGTH = 520, HEADS = 2, HEAD_DIM = 12, WIDTH = HEADS * HEAD_DIM };
enum { MOST_POSITIONS = MOST_BATCH * MOST_LENGTH, MOST_QUERIES = 2 * MOST_POSITIONS };
static const double TOLERANCE = 2e-5; /* of max |a - b| / max |b| */

typedef struct attention {
    pan_attention_desc desc;
    pan_random_state random;
    int32_t rows[MOST_QUERIES];
    float q[MOST_QUERIES * WIDTH], o[MOST_QUERIES * WIDTH], lse[MOST_QUERIES * HEADS], d_o[MOST_QUERIES * WIDTH];
    float k[MOST_POSITIONS * WIDTH], v[MOST_POSITIONS * WIDTH];
    float dq[MOST_QUERIES * WIDTH], dk[MOST_POSITIONS * WIDTH], dv[MOST_POSITIONS * WIDTH];
} attention;

/* NaN, so that what is not written shows. */
static void spoil_outputs(attention *a) {
    memset(a->o, 0xff, sizeof a->o);
    memset(a->lse, 0xff, sizeof a->lse);
    memset(a->dq, 0xff, sizeof a->dq);
    memset(a->dk, 0xff, sizeof a->dk);
    memset(a->dv, 0xff, sizeof a->dv);
}

/* Of all positions; without gradients of the output. */
static attention *new_whole(int64_t batch, int64_t length, int64_t window, float dropout) {
    attention *made = allocate(1, sizeof *made);
    const pan_head_layout layout = {length * WIDTH, WIDTH, HEAD_DIM};
    made->random = (pan_random_state){.seed = 3, .step = 4};
    made->desc = (pan_attention_desc){.struct_size = sizeof made->desc,
                                      .dtype = PAN_F32,
                                      .scale = 0.3f,
                                      .dropout_probability = dropout,
                                      .batch = batch,
                                      .heads = HEADS,
                                      .length = length,
                                      .head_dim = HEAD_DIM,
                                      .window = window,
                                      .q = layout,
                                      .k = layout,
                                      .v = layout,
                                      .o = layout};
    spoil_outputs(made);
    generator random = {5};
    float *const inputs[] = {made->q, made->k, made->v};
    for (int i = 0; i < COUNT(inputs); i++) {
        for (int64_t e = 0; e < batch * length * WIDTH; e++) {
            inputs[i][e] = (float) next_normal(&random);
        }
    }
    return made;
}

enum { ALL, TWICE, SOME, TWO_APART, LAST_OF_EACH, LATE, LISTS };

/* How often a position is listed. */
static int times_listed(const pan_attention_desc *desc, int list, int64_t row) {
    const int64_t last = desc->batch * desc->length - 1, position = row % desc->length;
    switch (list) {
    case ALL: return 1;
    case TWICE: return 2;
    case SOME: return row * 7 % 5 < 2 || row == last;
    case TWO_APART: return (row / desc->length == desc->batch - 1 && position == 0) + (row == last);
    case LAST_OF_EACH: return position == desc->length - 1;
    default: return position > desc->length / 2 || row == last;
    }
}

/* The same of listed positions, with gradients of the output, which the whole gets too. */
static attention *new_listed(attention *whole, int list) {
    attention *made = allocate(1, sizeof *made);
    generator random = {9};
    *made = *whole;
    for (int64_t row = 0; row < whole->desc.batch * whole->desc.length; row++) {
        for (int i = times_listed(&whole->desc, list, row); i > 0; i--) {
            const int64_t query = made->desc.queries++;
            made->rows[query] = (int32_t) row;
            memcpy(made->q + query * WIDTH, whole->q + row * WIDTH, WIDTH * sizeof(float));
            for (int c = 0; c < WIDTH; c++) {
                made->d_o[query * WIDTH + c] = (float) next_normal(&random);
                whole->d_o[row * WIDTH + c] += made->d_o[query * WIDTH + c];
            }
        }
    }
    return made;
}

/* Scratch memory for either pass. */
typedef struct scratch {
    void *memory;
    int64_t bytes;
} scratch;

static scratch new_scratch(const target *target, const pan_attention_desc *desc) {
    int64_t forward = 0, backward = 0;
    CHECK_OK(pan_attention_forward_workspace_size(target->stream, desc, &forward));
    CHECK_OK(pan_attention_backward_workspace_size(target->stream, desc, &backward));
    const int64_t bytes = forward > backward ? forward : backward;
    return (scratch){new_memory(target, bytes), bytes};
}

/* `d` lies on the device. */
static void forward(const target *target, const pan_attention_desc *desc, attention *d, scratch scratch) {
    CHECK_OK(pan_attention_forward(target->stream, desc, &d->random, desc->queries > 0 ? d->rows : NULL, d->q, d->k,
                                   d->v, d->o, d->lse, scratch.memory, scratch.bytes));
}

static void backward(const target *target, const pan_attention_desc *desc, attention *d, scratch scratch) {
    CHECK_OK(pan_attention_backward(target->stream, desc, &d->random, desc->queries > 0 ? d->rows : NULL, d->q, d->k,
                                    d->v, d->o, d->lse, d->d_o, d->dq, d->dk, d->dv, scratch.memory, scratch.bytes));
}

static void run(const target *target, attention *a) {
    const scratch scratch = new_scratch(target, &a->desc);
    attention *d = copy_in(target, a, sizeof *a);
    forward(target, &a->desc, d, scratch);
    backward(target, &a->desc, d, scratch);
    copy_out(target, d, a, sizeof *a);
    free_memory(target, scratch.memory);
}

/* ---- against the whole ---- */

/* Largest difference and value of two arrays. */
typedef struct difference {
    double largest, value;
} difference;

static void compare(difference *found, double a, double b) {
    found->largest = isnan(a) || isnan(b) ? INFINITY : fmax(found->largest, fabs(a - b));
    found->value = fmax(found->value, fabs(b));
}

static void check_difference(const target *target, const attention *listed, int list, const char *name,
                             difference found) {
    CHECK(found.largest <= TOLERANCE * fmax(found.value, 1e-2),
          "%s, batch %lld, length %lld, window %lld, list %d: %s is off by %g, where it is up to %g", target->name,
          (long long) listed->desc.batch, (long long) listed->desc.length, (long long) listed->desc.window, list, name,
          found.largest, found.value);
}

static void check_rows(const target *target, const attention *listed, const attention *whole, int list) {
    const pan_attention_desc *desc = &listed->desc;
    difference o = {0}, lse = {0}, dq = {0};
    double sum[WIDTH] = {0.0};
    for (int64_t i = 0; i < desc->queries; i++) {
        const int64_t row = listed->rows[i];
        for (int h = 0; h < HEADS; h++) {
            const int64_t statistic = (row / desc->length * HEADS + h) * desc->length + row % desc->length;
            compare(&lse, listed->lse[h * desc->queries + i], whole->lse[statistic]);
        }
        const bool last = i + 1 == desc->queries || listed->rows[i + 1] != row;
        for (int c = 0; c < WIDTH; c++) {
            compare(&o, listed->o[i * WIDTH + c], whole->o[row * WIDTH + c]);
            sum[c] += listed->dq[i * WIDTH + c];
            if (last) {
                compare(&dq, sum[c], whole->dq[row * WIDTH + c]);
                sum[c] = 0.0;
            }
        }
    }
    check_difference(target, listed, list, "o", o);
    check_difference(target, listed, list, "lse", lse);
    check_difference(target, listed, list, "dq", dq);
}

/* Also that sequences without queries get zeros and nothing else. */
static void check_keys(const target *target, const attention *listed, const attention *whole, int list) {
    const pan_attention_desc *desc = &listed->desc;
    difference dk = {0}, dv = {0};
    bool zeros = true;
    const int64_t sequence = desc->length * WIDTH;
    for (int64_t i = 0; i < desc->batch * sequence; i++) {
        compare(&dk, listed->dk[i], whole->dk[i]);
        compare(&dv, listed->dv[i], whole->dv[i]);
        const bool unseen = list == TWO_APART && i / sequence < desc->batch - 1;
        zeros = zeros && (!unseen || (listed->dk[i] == 0.0f && listed->dv[i] == 0.0f));
    }
    check_difference(target, listed, list, "dk", dk);
    check_difference(target, listed, list, "dv", dv);
    CHECK(zeros, "%s, length %lld: a sequence without queries has gradients", target->name, (long long) desc->length);
}

static void check_list(const target *target, int64_t length, int64_t window, float dropout, int list) {
    attention *whole = new_whole(list % 2 == 0 ? MOST_BATCH : 2, length, window, dropout);
    attention *listed = new_listed(whole, list);
    run(target, whole);
    run(target, listed);
    check_rows(target, listed, whole, list);
    check_keys(target, listed, whole, list);
    free(whole);
    free(listed);
}

static void check_against_whole(const target *target) {
    static const int64_t lengths[] = {1, 2, 63, 64, 65, 257};
    static const int64_t windows[] = {0, 1, 5, 64, 130};
    for (int w = 0; w < COUNT(windows); w++) {
        for (int l = 0; l < COUNT(lengths) * LISTS; l++) {
            if (windows[w] <= lengths[l / LISTS]) {
                check_list(target, lengths[l / LISTS], windows[w], w % 2 == 0 ? 0.25f : 0.0f, l % LISTS);
            }
        }
        /* Queries of one tile that no tile of keys is seen by all of. */
        check_list(target, MOST_LENGTH, windows[w], 0.0f, TWO_APART);
    }
}

/* ---- what is hidden ---- */

enum { LENGTH = 200, POSITIONS = 2 * LENGTH };

static bool sees(const pan_attention_desc *desc, int64_t query, int64_t key) {
    return query / LENGTH == key / LENGTH && key <= query && (desc->window == 0 || key > query - desc->window);
}

/* Whether the rows that are not `touched` have the same bits, and the others not all. */
static void check_touched(const target *target, const char *name, const float *a, const float *b, int64_t rows,
                          const bool *touched) {
    bool same_touched = true;
    for (int64_t r = 0; r < rows; r++) {
        const bool same = memcmp(a + r * WIDTH, b + r * WIDTH, WIDTH * sizeof(float)) == 0;
        same_touched = same_touched && (same || !touched[r]);
        CHECK(same || touched[r], "%s: row %lld of %s changed", target->name, (long long) r, name);
    }
    CHECK(!same_touched, "%s: no row of %s changed", target->name, name);
}

/* A key and value that are NaN reach the queries that see them, and these alone. */
static void check_bad_key(const target *target, int64_t window, int list, int64_t key) {
    attention *whole = new_whole(2, LENGTH, window, 0.0f);
    attention *clean = new_listed(whole, list), *bad = new_listed(whole, list);
    bool touched[2 * POSITIONS];
    for (int64_t i = 0; i < clean->desc.queries; i++) {
        touched[i] = sees(&clean->desc, clean->rows[i], key);
    }
    for (int64_t c = 0; c < WIDTH; c++) {
        bad->v[key * WIDTH + c] = NAN;
        bad->k[key * WIDTH + c] = c % HEAD_DIM == 0 ? INFINITY : NAN;
    }
    run(target, clean);
    run(target, bad);
    check_touched(target, "o", bad->o, clean->o, clean->desc.queries, touched);
    check_touched(target, "dq", bad->dq, clean->dq, clean->desc.queries, touched);
    free(whole);
    free(clean);
    free(bad);
}

/* A query and a gradient that are NaN reach their own row and the keys that the query sees, and these alone. */
static void check_bad_query(const target *target, int64_t window, int list, int64_t query) {
    attention *whole = new_whole(2, LENGTH, window, 0.0f);
    attention *clean = new_listed(whole, list), *bad = new_listed(whole, list);
    bool own[2 * POSITIONS] = {false}, seen[POSITIONS];
    own[query] = true;
    for (int64_t key = 0; key < POSITIONS; key++) {
        seen[key] = sees(&clean->desc, clean->rows[query], key);
    }
    for (int64_t c = 0; c < WIDTH; c++) {
        bad->q[query * WIDTH + c] = NAN;
        bad->d_o[query * WIDTH + c] = INFINITY;
    }
    run(target, clean);
    run(target, bad);
    check_touched(target, "o", bad->o, clean->o, clean->desc.queries, own);
    check_touched(target, "dq", bad->dq, clean->dq, clean->desc.queries, own);
    check_touched(target, "dk", bad->dk, clean->dk, POSITIONS, seen);
    check_touched(target, "dv", bad->dv, clean->dv, POSITIONS, seen);
    free(whole);
    free(clean);
    free(bad);
}

static void check_hidden(const target *target) {
    static const int64_t windows[] = {0, 3, 70};
    static const int lists[] = {TWICE, SOME, LATE};
    for (int w = 0; w < COUNT(windows); w++) {
        for (int l = 0; l < COUNT(lists); l++) {
            check_bad_key(target, windows[w], lists[l], LENGTH + LENGTH - 2);
            check_bad_key(target, windows[w], lists[l], LENGTH - 70);
            check_bad_query(target, windows[w], lists[l], 0);
            check_bad_query(target, windows[w], lists[l], 75);
        }
    }
}

/* ---- where the host cannot see the list ---- */

/* A recording takes the list, of whose length alone it knows, as it is when it is repeated. */
static void check_graph(const target *target) {
    attention *whole = new_whole(2, LENGTH, 0, 0.25f), *first = new_listed(whole, SOME),
              *other = allocate(1, sizeof *other);
    *other = *first;
    for (int64_t i = 0; i < other->desc.queries; i++) {
        other->rows[i] = (int32_t) (i < 100 ? i / 2 : 2 * LENGTH - other->desc.queries + i);
    }
    pan_graph *graph = NULL;
    const scratch scratch = new_scratch(target, &first->desc);
    attention *d = copy_in(target, first, sizeof *first);
    CHECK_OK(pan_stream_synchronize(target->stream));
    CHECK_OK(pan_capture_begin(target->stream));
    forward(target, &first->desc, d, scratch);
    backward(target, &first->desc, d, scratch);
    CHECK_OK(pan_capture_end(target->stream, &graph));
    CHECK_OK(pan_copy_to_device(target->stream, d->rows, other->rows, sizeof other->rows));
    CHECK_OK(pan_graph_launch(graph, target->stream));
    copy_out(target, d, first, sizeof *first);
    run(target, other);
    CHECK(memcmp(first, other, sizeof *first) == 0, "%s: a graph gives other results", target->name);
    CHECK_OK(pan_graph_destroy(graph));
    free_memory(target, scratch.memory);
    free(whole);
    free(first);
    free(other);
}

static void check_report(const target *target, int64_t entry, const char *call) {
    char number[32];
    snprintf(number, sizeof number, "number %lld ", (long long) entry);
    const pan_status status = pan_stream_synchronize(target->stream);
    CHECK(status == PAN_INVALID_ARGUMENT && strstr(pan_last_error(), "attention") != NULL &&
              strstr(pan_last_error(), number) != NULL,
          "%s: %s with a bad entry %lld: %s, '%s'", target->name, call, (long long) entry, pan_status_name(status),
          pan_last_error());
}

/* The calls succeed and leave other memory alone; the bad entry is reported, and forgotten then. */
static void check_bad_entry(const target *target, int64_t entry, int32_t row) {
    attention *whole = new_whole(2, LENGTH, 0, 0.0f), *good = new_listed(whole, SOME), *bad = new_listed(whole, SOME);
    bad->rows[entry] = row;
    run(target, good);
    const scratch scratch = new_scratch(target, &bad->desc);
    attention *d = copy_in(target, bad, sizeof *bad);
    forward(target, &bad->desc, d, scratch);
    check_report(target, entry, "forward");
    backward(target, &bad->desc, d, scratch);
    check_report(target, entry, "backward");
    copy_out(target, d, bad, sizeof *bad);
    free_memory(target, scratch.memory);
    const int64_t end = POSITIONS * WIDTH;
    CHECK(memcmp(bad->k, good->k, sizeof good->k) == 0 && memcmp(bad->q, good->q, sizeof good->q) == 0 &&
              memcmp(bad->dk + end, good->dk + end, sizeof good->dk - (size_t) end * sizeof(float)) == 0,
          "%s: a bad entry %lld changed other memory", target->name, (long long) entry);
    free(whole);
    free(good);
    free(bad);
}

static void check_bad_lists(const target *target) {
    static const int32_t bad[] = {-1, INT32_MIN, INT32_MAX, 2 * LENGTH};
    static const int64_t entries[] = {0, 1, 64, 100, 159};
    for (int b = 0; b < COUNT(bad); b++) {
        for (int e = 0; e < COUNT(entries); e++) {
            check_bad_entry(target, entries[e], bad[b]);
        }
    }
    check_bad_entry(target, 90, 3); /* in range, behind larger ones */
}

int main(void) {
    target targets[MAX_TARGETS];
    const int count = open_targets(targets);
    for (int i = 0; i < count; i++) {
        check_against_whole(&targets[i]);
        check_hidden(&targets[i]);
        if (targets[i].options.backend == PAN_BACKEND_CUDA) {
            check_graph(&targets[i]);
            check_bad_lists(&targets[i]);
        }
    }
    close_targets(targets, count);
    return report();
}
