/* Attention by blocks beyond single values: what a query does not see has no influence in any bit, whatever it is, and
 * queries without keys have none either. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { BATCH = 2, HEADS = 4, KEY_HEADS = 2, GROUP = HEADS / KEY_HEADS, LENGTH = 140, HEAD_DIM = 12 };
enum { QUERY_WIDTH = HEADS * HEAD_DIM, KEY_WIDTH = KEY_HEADS * HEAD_DIM };
enum { QUERIES = BATCH * LENGTH * QUERY_WIDTH, KEYS = BATCH * LENGTH * KEY_WIDTH, ROWS = BATCH * HEADS * LENGTH };
enum { MOST_SLOTS = 6, MOST_ENTRIES = BATCH * KEY_HEADS * LENGTH * MOST_SLOTS };

typedef struct sparse {
    pan_sparse_attention_desc desc;
    int32_t blocks[MOST_ENTRIES];
    float q[QUERIES], k[KEYS], v[KEYS], d_o[QUERIES], d_lse[ROWS];
    float o[QUERIES], lse[ROWS], dq[QUERIES], dk[KEYS], dv[KEYS];
} sparse;

/* What queries see. */
typedef struct seen_by {
    int64_t window, globals, slots, block_size, queries;
} seen_by;

static const seen_by PATTERNS[] = {
    {31, 0, 0, 0, 0}, {0, 3, 0, 0, 0},   {1, 0, 0, 0, 0},  {64, 2, 5, 32, 1},
    {0, 0, 6, 1, 1},  {0, 0, 3, 16, 16}, {17, 0, 4, 4, 1}, {0, 5, 2, 100, 7},
};

static void fill(float *values, int64_t count, uint64_t seed) {
    generator random = {seed};
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float) next_normal(&random);
    }
}

/* Different blocks, some ahead of their queries, some none, and some lists without any. */
static void fill_lists(sparse *a, const seen_by *by) {
    generator random = {11};
    const int64_t blocks = (LENGTH + by->block_size - 1) / by->block_size;
    const int64_t lists = BATCH * KEY_HEADS * ((LENGTH + by->queries - 1) / by->queries);
    for (int64_t i = 0; i < lists; i++) {
        int32_t *list = a->blocks + i * by->slots;
        for (int64_t slot = 0; slot < by->slots; slot++) {
            list[slot] =
                i % 9 == 4 || next_bits(&random) % 4 == 0 ? -1 : (int32_t) (next_bits(&random) % (uint64_t) blocks);
            for (int64_t other = 0; other < slot; other++) {
                list[slot] = list[slot] == list[other] ? -1 : list[slot];
            }
        }
    }
}

static sparse *new_sparse(const seen_by *by) {
    sparse *made = allocate(1, sizeof *made);
    const pan_head_layout queries = {LENGTH * QUERY_WIDTH, QUERY_WIDTH, HEAD_DIM};
    const pan_head_layout keys = {LENGTH * KEY_WIDTH, KEY_WIDTH, HEAD_DIM};
    made->desc = (pan_sparse_attention_desc){.struct_size = sizeof made->desc,
                                             .dtype = PAN_F32,
                                             .scale = 0.3f,
                                             .batch = BATCH,
                                             .heads = HEADS,
                                             .kv_heads = KEY_HEADS,
                                             .length = LENGTH,
                                             .head_dim = HEAD_DIM,
                                             .window = by->window,
                                             .globals = by->globals,
                                             .q = queries,
                                             .k = keys,
                                             .v = keys,
                                             .o = queries};
    if (by->slots > 0) {
        made->desc.lists = (pan_block_lists){by->slots, by->block_size, by->queries, BATCH, KEY_HEADS};
        fill_lists(made, by);
    }
    fill(made->q, QUERIES, 1);
    fill(made->k, KEYS, 2);
    fill(made->v, KEYS, 3);
    fill(made->d_o, QUERIES, 4);
    fill(made->d_lse, ROWS, 5);
    return made;
}

static bool sees(const sparse *a, int64_t b, int64_t key_head, int64_t t, int64_t s) {
    const pan_block_lists *lists = &a->desc.lists;
    bool listed = false;
    for (int64_t slot = 0; slot < lists->slots; slot++) {
        const int64_t of_head = (LENGTH + lists->queries - 1) / lists->queries;
        const int64_t list = (b * KEY_HEADS + key_head) * of_head + t / lists->queries;
        listed |= a->blocks[list * lists->slots + slot] == s / lists->block_size;
    }
    return s <= t && (listed || t - s < a->desc.window || s < a->desc.globals);
}

static bool sees_any(const sparse *a, int64_t b, int64_t key_head, int64_t t) {
    bool any = false;
    for (int64_t s = 0; s <= t; s++) {
        any |= sees(a, b, key_head, t, s);
    }
    return any;
}

static void run(const target *target, sparse *a) {
    int64_t forward_bytes = 0, backward_bytes = 0;
    CHECK_OK(pan_sparse_attention_forward_workspace_size(target->stream, &a->desc, &forward_bytes));
    CHECK_OK(pan_sparse_attention_backward_workspace_size(target->stream, &a->desc, &backward_bytes));
    const int64_t bytes = forward_bytes > backward_bytes ? forward_bytes : backward_bytes;
    void *workspace = new_memory(target, bytes);
    sparse *d = copy_in(target, a, sizeof *a);
    const int32_t *blocks = a->desc.lists.slots > 0 ? d->blocks : NULL;
    CHECK_OK(pan_sparse_attention_forward(target->stream, &a->desc, blocks, d->q, d->k, d->v, d->o, d->lse, workspace,
                                          bytes));
    CHECK_OK(pan_sparse_attention_backward(target->stream, &a->desc, blocks, d->q, d->k, d->v, d->o, d->lse, d->d_o,
                                           d->d_lse, d->dq, d->dk, d->dv, workspace, bytes));
    copy_out(target, d, a, sizeof *a);
    free_memory(target, workspace);
}

/* Whether a head's row of an array is the same to the last bit. */
static bool same_row(const float *a, const float *b, int64_t heads, int64_t batch, int64_t t, int64_t h) {
    const int64_t at = ((batch * LENGTH + t) * heads + h) * HEAD_DIM;
    return memcmp(a + at, b + at, HEAD_DIM * sizeof *a) == 0;
}

/* A key and value that are no numbers reach the queries that see them, and these alone. */
static void check_bad_key(const target *target, const seen_by *by, int64_t key) {
    enum { B = 1, KEY_HEAD = 1 };
    sparse *clean = new_sparse(by), *bad = new_sparse(by);
    for (int64_t c = 0; c < HEAD_DIM; c++) {
        const int64_t at = ((B * LENGTH + key) * KEY_HEADS + KEY_HEAD) * HEAD_DIM + c;
        bad->k[at] = c % 3 == 0 ? INFINITY : NAN;
        bad->v[at] = NAN;
    }
    run(target, clean);
    run(target, bad);
    for (int64_t row = 0; row < BATCH * HEADS * LENGTH; row++) {
        const int64_t b = row / HEADS / LENGTH, t = row / HEADS % LENGTH, h = row % HEADS;
        const bool reached = b == B && h / GROUP == KEY_HEAD && sees(clean, b, KEY_HEAD, t, key);
        CHECK(same_row(bad->o, clean->o, HEADS, b, t, h) != reached &&
                  same_row(bad->dq, clean->dq, HEADS, b, t, h) != reached,
              "%s, window %lld, %lld blocks of %lld: key %lld, which is no number, %s query (%lld, %lld, %lld)",
              target->name, (long long) by->window, (long long) by->slots, (long long) by->block_size, (long long) key,
              reached ? "does not reach" : "reaches", (long long) b, (long long) t, (long long) h);
    }
    free(clean);
    free(bad);
}

/* A gradient that is no number reaches the keys that its query sees, and these alone. */
static void check_bad_gradient(const target *target, const seen_by *by, int64_t query, bool of_lse) {
    enum { B = 0, HEAD = 3 };
    sparse *clean = new_sparse(by), *bad = new_sparse(by);
    if (of_lse) {
        bad->d_lse[(B * HEADS + HEAD) * LENGTH + query] = NAN;
    } else {
        bad->d_o[((B * LENGTH + query) * HEADS + HEAD) * HEAD_DIM + 1] = NAN;
    }
    run(target, clean);
    run(target, bad);
    for (int64_t row = 0; row < BATCH * KEY_HEADS * LENGTH; row++) {
        const int64_t b = row / KEY_HEADS / LENGTH, s = row / KEY_HEADS % LENGTH, h = row % KEY_HEADS;
        const bool reached = b == B && h == HEAD / GROUP && sees(clean, b, h, query, s);
        CHECK(same_row(bad->dk, clean->dk, KEY_HEADS, b, s, h) != reached,
              "%s, window %lld, %lld blocks of %lld: the gradient of query %lld, which is no number, %s dk[%lld]",
              target->name, (long long) by->window, (long long) by->slots, (long long) by->block_size,
              (long long) query, reached ? "does not reach" : "reaches", (long long) s);
        CHECK(same_row(bad->dv, clean->dv, KEY_HEADS, b, s, h) != (reached && !of_lse),
              "%s, %lld blocks of %lld: the gradient of query %lld and dv[%lld]", target->name, (long long) by->slots,
              (long long) by->block_size, (long long) query, (long long) s);
    }
    free(clean);
    free(bad);
}

/* What queries without keys get does not count, be it no number; they have zeros and -infinity. */
static void check_queries_without_keys(const target *target, const seen_by *by) {
    sparse *clean = new_sparse(by), *bad = new_sparse(by);
    int64_t without = 0;
    for (int64_t row = 0; row < BATCH * HEADS * LENGTH; row++) {
        const int64_t b = row / HEADS / LENGTH, t = row / HEADS % LENGTH, h = row % HEADS;
        if (!sees_any(clean, b, h / GROUP, t)) {
            without++;
            bad->d_o[row * HEAD_DIM] = NAN;
            bad->d_lse[(b * HEADS + h) * LENGTH + t] = NAN;
            bad->q[row * HEAD_DIM] = NAN;
        }
    }
    run(target, clean);
    run(target, bad);
    CHECK(memcmp(bad->dk, clean->dk, sizeof bad->dk) == 0 && memcmp(bad->dv, clean->dv, sizeof bad->dv) == 0,
          "%s, window %lld, %lld blocks of %lld: queries without keys reach some", target->name, (long long) by->window,
          (long long) by->slots, (long long) by->block_size);
    for (int64_t row = 0; row < BATCH * HEADS * LENGTH; row++) {
        const int64_t b = row / HEADS / LENGTH, t = row / HEADS % LENGTH, h = row % HEADS;
        const float *o = bad->o + row * HEAD_DIM, *dq = bad->dq + row * HEAD_DIM;
        const float lse = bad->lse[(b * HEADS + h) * LENGTH + t];
        const bool any = sees_any(clean, b, h / GROUP, t);
        bool zero = true;
        for (int64_t c = 0; c < HEAD_DIM; c++) {
            zero &= o[c] == 0.0f && dq[c] == 0.0f;
        }
        CHECK(any ? isfinite(lse) != 0 : zero && lse == -INFINITY, "%s: lse of query %lld is %g", target->name,
              (long long) t, (double) lse);
    }
    CHECK(by->slots == 0 || by->window > 0 || by->globals > 0 || without > 0, "every query has keys");
    free(clean);
    free(bad);
}

/* Blocks ahead of a query, and what others see anyway, change nothing. */
static void check_idle_entries(const target *target, const seen_by *by) {
    sparse *clean = new_sparse(by), *more = new_sparse(by);
    const int64_t lists = BATCH * KEY_HEADS * ((LENGTH + by->queries - 1) / by->queries);
    const int64_t last_block = (LENGTH - 1) / by->block_size;
    int64_t changed = 0;
    for (int64_t i = 0; i < lists; i++) {
        const int64_t last_query = (i % (lists / BATCH / KEY_HEADS) + 1) * by->queries - 1;
        bool there = last_query >= last_block * by->block_size;
        for (int64_t slot = 0; slot < by->slots; slot++) {
            there |= more->blocks[i * by->slots + slot] == last_block;
        }
        for (int64_t slot = 0; slot < by->slots && !there; slot++) {
            if (more->blocks[i * by->slots + slot] == -1) {
                more->blocks[i * by->slots + slot] = (int32_t) last_block;
                there = true;
                changed++;
            }
        }
    }
    run(target, clean);
    run(target, more);
    CHECK(changed > 0 && memcmp(clean->o, more->o, sizeof clean->o) == 0 &&
              memcmp(clean->lse, more->lse, sizeof clean->lse) == 0 &&
              memcmp(clean->dq, more->dq, sizeof clean->dq) == 0 &&
              memcmp(clean->dk, more->dk, sizeof clean->dk) == 0 && memcmp(clean->dv, more->dv, sizeof clean->dv) == 0,
          "%s, %lld blocks of %lld: %lld blocks ahead of their queries changed something", target->name,
          (long long) by->slots, (long long) by->block_size, (long long) changed);
    free(clean);
    free(more);
}

/* Scores far beyond what exp() can take. */
static void check_large_scores(const target *target, const seen_by *by) {
    sparse *a = new_sparse(by);
    for (int64_t i = 0; i < QUERIES; i++) {
        a->q[i] *= 3000.0f;
    }
    run(target, a);
    bool finite = true;
    for (int64_t i = 0; i < QUERIES; i++) {
        finite &= isfinite(a->o[i]) && isfinite(a->dq[i]);
    }
    for (int64_t i = 0; i < KEYS; i++) {
        finite &= isfinite(a->dk[i]) && isfinite(a->dv[i]);
    }
    CHECK(finite, "%s, window %lld, %lld blocks of %lld: large scores give what is not finite", target->name,
          (long long) by->window, (long long) by->slots, (long long) by->block_size);
    free(a);
}

/* A set without keys: its output does not count, be it no number, and gets no gradient. */
static void check_merge(const target *target) {
    enum { COUNT_OF_ROWS = 70, SIZE = COUNT_OF_ROWS * HEAD_DIM };
    typedef struct merge {
        float o[2][SIZE], lse[2][COUNT_OF_ROWS], merged[SIZE], merged_lse[COUNT_OF_ROWS];
        float d_o[SIZE], d_lse[COUNT_OF_ROWS], d_part[2][SIZE], d_part_lse[2][COUNT_OF_ROWS];
    } merge;
    const pan_attention_merge_desc desc = {sizeof desc, PAN_F32, 1, COUNT_OF_ROWS, 1, HEAD_DIM};
    merge *a = allocate(1, sizeof *a);
    fill(a->o[0], SIZE, 1);
    fill(a->o[1], SIZE, 2);
    fill(a->d_o, SIZE, 3);
    fill(a->d_lse, COUNT_OF_ROWS, 4);
    for (int64_t t = 0; t < COUNT_OF_ROWS; t++) {
        for (int64_t part = 0; part < 2; part++) {
            const bool none = (t >> part & 1) != 0;
            a->lse[part][t] = none ? -INFINITY : (float) t;
            a->o[part][t * HEAD_DIM] = none ? NAN : a->o[part][t * HEAD_DIM];
        }
    }
    merge *d = copy_in(target, a, sizeof *a);
    CHECK_OK(pan_attention_merge_forward(target->stream, &desc, d->o[0], d->lse[0], d->o[1], d->lse[1], d->merged,
                                         d->merged_lse));
    CHECK_OK(pan_attention_merge_backward(target->stream, &desc, d->o[0], d->lse[0], d->o[1], d->lse[1], d->merged,
                                          d->merged_lse, d->d_o, d->d_lse, d->d_part[0], d->d_part_lse[0], d->d_part[1],
                                          d->d_part_lse[1]));
    copy_out(target, d, a, sizeof *a);
    for (int64_t t = 0; t < COUNT_OF_ROWS; t++) {
        for (int64_t part = 0; part < 2; part++) {
            const bool none = (t >> part & 1) != 0, other = (t >> (1 - part) & 1) != 0;
            bool zero = a->d_part_lse[part][t] == 0.0f, whole = a->d_part_lse[part][t] == a->d_lse[t];
            for (int64_t c = t * HEAD_DIM; c < (t + 1) * HEAD_DIM; c++) {
                zero &= a->d_part[part][c] == 0.0f && isfinite(a->merged[c]);
                whole &= a->d_part[part][c] == a->d_o[c] && a->merged[c] == a->o[part][c];
            }
            CHECK(none ? zero : !other || whole, "%s: part %lld of query %lld", target->name, (long long) part,
                  (long long) t);
        }
    }
    free(a);
}

int main(void) {
    static const int64_t positions[2][2] = {{0, 100}, {63, 139}};
    target targets[MAX_TARGETS];
    const int count = open_targets(targets);
    for (int i = 0; i < count; i++) {
        for (int pattern = 0; pattern < COUNT(PATTERNS); pattern++) {
            const seen_by *by = &PATTERNS[pattern];
            for (int p = tests_cuda_alone() ? 1 : 0; p < 2; p++) { /* the emulator is slow */
                check_bad_key(&targets[i], by, positions[pattern % 2][p]);
                check_bad_gradient(&targets[i], by, positions[pattern % 2][p], (pattern + p) % 2 == 0);
            }
            check_queries_without_keys(&targets[i], by);
            check_large_scores(&targets[i], by);
            if (by->slots > 0) {
                check_idle_entries(&targets[i], by);
            }
        }
        check_merge(&targets[i]);
    }
    close_targets(targets, count);
    return report();
}
