/* Attention to pooled blocks: what is hidden from a query does not reach it in any bit; large scores; lists that only the
 * device can see. And the choice of blocks among scores that are equal or not finite. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { BATCH = 2, HEADS = 4, KEY_HEADS = 2, GROUP = HEADS / KEY_HEADS, LENGTH = 330, SLOTS = 3, LIST_QUERIES = 5 };
enum { LISTS = (LENGTH - 1) / LIST_QUERIES + 1, MOST_KEYS = LENGTH + 2, MOST_HEAD_DIM = 144 };
enum { ENTRIES = BATCH * KEY_HEADS * LISTS * SLOTS, STATISTICS = BATCH * HEADS * LENGTH };
enum { MOST_Q = STATISTICS * MOST_HEAD_DIM, MOST_K = BATCH * MOST_KEYS * KEY_HEADS * MOST_HEAD_DIM };

typedef struct pooled {
    pan_pooled_attention_desc desc;
    int32_t excluded[ENTRIES];
    float q[MOST_Q], k[MOST_K], v[MOST_K], o[MOST_Q], lse[STATISTICS], d_o[MOST_Q], d_lse[STATISTICS];
    float dq[MOST_Q], dk[MOST_K], dv[MOST_K];
} pooled;

/* What a test varies. */
typedef struct setup {
    int64_t block_size, always, head_dim;
    bool listed;
} setup;

static int64_t key_count(const pooled *p) {
    return p->desc.always + p->desc.blocks;
}

static pooled *new_pooled(setup setup) {
    pooled *made = allocate(1, sizeof *made);
    const int64_t blocks = LENGTH / setup.block_size, keys = setup.always + blocks, dim = setup.head_dim;
    const pan_head_layout q = {LENGTH * HEADS * dim, HEADS * dim, dim};
    const pan_head_layout k = {keys * KEY_HEADS * dim, KEY_HEADS * dim, dim};
    made->desc = (pan_pooled_attention_desc){.struct_size = sizeof made->desc,
                                             .dtype = PAN_F32,
                                             .scale = 0.3f,
                                             .bias = 0.7f,
                                             .batch = BATCH,
                                             .heads = HEADS,
                                             .kv_heads = KEY_HEADS,
                                             .length = LENGTH,
                                             .head_dim = dim,
                                             .always = setup.always,
                                             .blocks = blocks,
                                             .block_size = setup.block_size,
                                             .q = q,
                                             .k = k,
                                             .v = k,
                                             .o = q};
    generator random = {5};
    if (setup.listed) {
        made->desc.excluded = (pan_block_lists){SLOTS, setup.block_size, LIST_QUERIES, BATCH, KEY_HEADS};
        for (int64_t i = 0; i < ENTRIES; i += SLOTS) {
            const int64_t first = (int64_t) (next_bits(&random) % (uint64_t) blocks);
            made->excluded[i] = -1;
            made->excluded[i + 1] = (int32_t) first;
            made->excluded[i + 2] = (int32_t) ((first + 1) % blocks);
        }
    }
    float *const inputs[] = {made->q, made->d_o, made->k, made->v};
    for (int i = 0; i < COUNT(inputs); i++) {
        for (int64_t e = 0; e < (i < 2 ? STATISTICS : BATCH * keys * KEY_HEADS) * dim; e++) {
            inputs[i][e] = (float) next_normal(&random);
        }
    }
    for (int64_t e = 0; e < STATISTICS; e++) {
        made->d_lse[e] = (float) next_normal(&random);
    }
    return made;
}

static pooled *copy_of(const pooled *p) {
    pooled *made = allocate(1, sizeof *made);
    *made = *p;
    return made;
}

static void forward(const target *target, const pan_pooled_attention_desc *desc, pooled *d, void *workspace,
                    int64_t bytes) {
    CHECK_OK(pan_pooled_attention_forward(target->stream, desc, desc->excluded.slots > 0 ? d->excluded : NULL, d->q,
                                          d->k, d->v, d->o, d->lse, workspace, bytes));
}

static void backward(const target *target, const pan_pooled_attention_desc *desc, pooled *d, void *workspace,
                     int64_t bytes) {
    CHECK_OK(pan_pooled_attention_backward(target->stream, desc, desc->excluded.slots > 0 ? d->excluded : NULL, d->q,
                                           d->k, d->v, d->o, d->lse, d->d_o, d->d_lse, d->dq, d->dk, d->dv, workspace,
                                           bytes));
}

/* Enough for either pass. */
static int64_t workspace_bytes(const target *target, const pan_pooled_attention_desc *desc) {
    int64_t forward = 0, backward = 0;
    CHECK_OK(pan_pooled_attention_forward_workspace_size(target->stream, desc, &forward));
    CHECK_OK(pan_pooled_attention_backward_workspace_size(target->stream, desc, &backward));
    return forward > backward ? forward : backward;
}

static void run(const target *target, pooled *p) {
    const int64_t bytes = workspace_bytes(target, &p->desc);
    void *workspace = new_memory(target, bytes);
    pooled *d = copy_in(target, p, sizeof *p);
    forward(target, &p->desc, d, workspace, bytes);
    backward(target, &p->desc, d, workspace, bytes);
    copy_out(target, d, p, sizeof *p);
    free_memory(target, workspace);
}

/* ---- what is hidden ---- */

static bool sees(const pooled *p, int64_t b, int64_t kv_head, int64_t t, int64_t j) {
    const int64_t block = j - p->desc.always;
    if (block < 0 || (block + 1) * p->desc.block_size > t) {
        return block < 0;
    }
    const int32_t *list = p->excluded + ((b * KEY_HEADS + kv_head) * LISTS + t / LIST_QUERIES) * SLOTS;
    for (int i = 0; i < SLOTS && p->desc.excluded.slots > 0; i++) {
        if (list[i] == block) {
            return false;
        }
    }
    return true;
}

/* Whether the rows of a head that are not `touched` have the same bits, those of all other heads too, and some that is
 * touched has not. */
static void check_touched(const target *target, const pooled *p, const char *name, const float *a, const float *b,
                          int64_t rows, int64_t heads, const bool *touched) {
    const int64_t dim = p->desc.head_dim;
    bool any = false, same_touched = true;
    for (int64_t r = 0; r < BATCH * rows * heads; r++) {
        const bool same = memcmp(a + r * dim, b + r * dim, (size_t) dim * sizeof *a) == 0;
        any |= touched[r];
        same_touched &= same || !touched[r];
        CHECK(same || touched[r], "%s, block size %lld: row %lld of %s changed", target->name,
              (long long) p->desc.block_size, (long long) r, name);
    }
    CHECK(!any || !same_touched, "%s: no row of %s changed", target->name, name);
}

enum { BATCH_AT = 1, KEY_HEAD = 1 };

/* Rows of q of the head's group that see the key; and rows of k that one of these queries sees, but for the key itself. */
static void mark_of_key(const pooled *p, int64_t key, bool *queries, bool *keys) {
    for (int64_t t = 0; t < LENGTH; t++) {
        if (!sees(p, BATCH_AT, KEY_HEAD, t, key)) {
            continue;
        }
        for (int64_t h = KEY_HEAD * GROUP; h < (KEY_HEAD + 1) * GROUP; h++) {
            queries[(BATCH_AT * LENGTH + t) * HEADS + h] = true;
        }
        for (int64_t j = 0; j < key_count(p); j++) {
            if (sees(p, BATCH_AT, KEY_HEAD, t, j)) {
                keys[(BATCH_AT * key_count(p) + j) * KEY_HEADS + KEY_HEAD] = true;
            }
        }
    }
}

/* A key and value that are NaN, or infinite, reach the queries that see them, what these reach, and nothing else. */
static void check_bad_key(const target *target, const pooled *clean, int64_t key) {
    const int64_t dim = clean->desc.head_dim;
    pooled *bad = copy_of(clean);
    bool *queries = allocate(STATISTICS, sizeof *queries), *keys = allocate(MOST_K, sizeof *keys);
    const int64_t row = ((BATCH_AT * key_count(clean) + key) * KEY_HEADS + KEY_HEAD) * dim;
    for (int64_t c = 0; c < dim; c++) {
        bad->k[row + c] = c % 2 == 0 ? INFINITY : NAN;
        bad->v[row + c] = c % 3 == 0 ? -INFINITY : NAN;
    }
    mark_of_key(clean, key, queries, keys);
    run(target, bad);
    check_touched(target, clean, "o", bad->o, clean->o, LENGTH, HEADS, queries);
    check_touched(target, clean, "dq", bad->dq, clean->dq, LENGTH, HEADS, queries);
    check_touched(target, clean, "dk", bad->dk, clean->dk, key_count(clean), KEY_HEADS, keys);
    check_touched(target, clean, "dv", bad->dv, clean->dv, key_count(clean), KEY_HEADS, keys);
    for (int64_t i = 0; i < STATISTICS; i++) {
        const int64_t head = i / LENGTH, t = i % LENGTH;
        const bool touched = queries[(head / HEADS * LENGTH + t) * HEADS + head % HEADS];
        CHECK(touched || memcmp(&bad->lse[i], &clean->lse[i], sizeof(float)) == 0, "%s: lse %lld changed", target->name,
              (long long) i);
    }
    free(bad);
    free(queries);
    free(keys);
}

/* A query and a gradient that are not finite reach their own row and the keys that the query sees. */
static void check_bad_query(const target *target, const pooled *clean, int64_t t) {
    const int64_t dim = clean->desc.head_dim;
    pooled *bad = copy_of(clean);
    bool *queries = allocate(STATISTICS, sizeof *queries), *keys = allocate(MOST_K, sizeof *keys);
    const int64_t row = (BATCH_AT * LENGTH + t) * HEADS + KEY_HEAD * GROUP;
    queries[row] = true;
    for (int64_t j = 0; j < key_count(clean); j++) {
        keys[(BATCH_AT * key_count(clean) + j) * KEY_HEADS + KEY_HEAD] = sees(clean, BATCH_AT, KEY_HEAD, t, j);
    }
    for (int64_t c = 0; c < dim; c++) {
        bad->q[row * dim + c] = NAN;
        bad->d_o[row * dim + c] = INFINITY;
    }
    run(target, bad);
    const bool sees_any = clean->desc.always > 0 || t >= clean->desc.block_size;
    bool *none = allocate(STATISTICS, sizeof *none);
    check_touched(target, clean, "o", bad->o, clean->o, LENGTH, HEADS, sees_any ? queries : none);
    check_touched(target, clean, "dq", bad->dq, clean->dq, LENGTH, HEADS, sees_any ? queries : none);
    check_touched(target, clean, "dk", bad->dk, clean->dk, key_count(clean), KEY_HEADS, keys);
    check_touched(target, clean, "dv", bad->dv, clean->dv, key_count(clean), KEY_HEADS, keys);
    free(bad);
    free(queries);
    free(keys);
    free(none);
}

static void check_hidden(const target *target) {
    static const setup setups[] = {{7, 2, 12, true}, {64, 0, 12, false}, {1, 1, 5, true}, {32, 0, 144, true}};
    for (int s = 0; s < COUNT(setups); s++) {
        const setup setup = setups[s];
        pooled *clean = new_pooled(setup);
        run(target, clean);
        check_bad_key(target, clean, setup.always);
        check_bad_key(target, clean, setup.always + clean->desc.blocks / 2);
        check_bad_key(target, clean, setup.always + clean->desc.blocks - 1);
        check_bad_query(target, clean, 0);
        check_bad_query(target, clean, setup.block_size);
        check_bad_query(target, clean, 200);
        free(clean);
    }
}

/* ---- large scores ---- */

/* Where one score is far above the others, its value is the output; nothing overflows on the way. */
static void check_large(const target *target) {
    const setup setup = {7, 2, 12, false};
    pooled *p = new_pooled(setup);
    for (int64_t i = 0; i < STATISTICS * setup.head_dim; i++) {
        p->q[i] *= 1e5f;
    }
    run(target, p);
    int64_t compared = 0;
    for (int64_t row = 0; row < BATCH * LENGTH * HEADS; row++) {
        const int64_t b = row / HEADS / LENGTH, t = row / HEADS % LENGTH, kv_head = row % HEADS / GROUP;
        double best = -INFINITY, second = -INFINITY;
        int64_t winner = 0;
        for (int64_t j = 0; j < key_count(p); j++) {
            const int64_t key = ((b * key_count(p) + j) * KEY_HEADS + kv_head) * setup.head_dim;
            double x = j >= setup.always ? 0.7 : 0.0;
            for (int64_t c = 0; c < setup.head_dim; c++) {
                x += 0.3 * (double) p->q[row * setup.head_dim + c] * p->k[key + c];
            }
            if (!sees(p, b, kv_head, t, j)) {
                continue;
            }
            second = x > best ? best : x > second ? x : second;
            winner = x > best ? key : winner;
            best = x > best ? x : best;
        }
        for (int64_t c = 0; c < setup.head_dim && best - second > 1000.0; c++) {
            compared++;
            CHECK(p->o[row * setup.head_dim + c] == p->v[winner + c], "%s: row %lld is not that of its only key",
                  target->name, (long long) row);
        }
        const float lse = p->lse[(b * HEADS + row % HEADS) * LENGTH + t];
        CHECK(fabs(lse - best) <= 1e-5 * fabs(best) + 5.0, "%s: lse is %g, not %g", target->name, (double) lse, best);
    }
    CHECK(compared > STATISTICS, "%s: %lld values compared", target->name, (long long) compared);
    for (int64_t i = 0; i < STATISTICS * setup.head_dim; i++) {
        CHECK(isfinite(p->o[i]) && isfinite(p->dq[i]), "%s: a large score overflows", target->name);
    }
    free(p);
}

/* ---- where the host cannot see the lists ---- */

/* A recording takes the lists as they are when it is repeated. */
static void check_graph(const target *target) {
    const setup setup = {7, 2, 12, true};
    pooled *p = new_pooled(setup), *other = new_pooled(setup);
    for (int64_t i = 0; i < ENTRIES; i++) {
        other->excluded[i] = i % SLOTS == 0 ? (int32_t) (i / SLOTS % other->desc.blocks) : -1;
    }
    pan_graph *graph = NULL;
    const int64_t bytes = workspace_bytes(target, &p->desc);
    void *workspace = new_memory(target, bytes);
    pooled *d = copy_in(target, p, sizeof *p);
    CHECK_OK(pan_stream_synchronize(target->stream));
    CHECK_OK(pan_capture_begin(target->stream));
    forward(target, &p->desc, d, workspace, bytes);
    backward(target, &p->desc, d, workspace, bytes);
    CHECK_OK(pan_capture_end(target->stream, &graph));
    CHECK_OK(pan_copy_to_device(target->stream, d->excluded, other->excluded, sizeof other->excluded));
    CHECK_OK(pan_graph_launch(graph, target->stream));
    copy_out(target, d, p, sizeof *p);
    run(target, other);
    CHECK(memcmp(p, other, sizeof *p) == 0, "%s: a graph gives other results", target->name);
    CHECK_OK(pan_graph_destroy(graph));
    free_memory(target, workspace);
    free(p);
    free(other);
}

static void check_report(const target *target, int64_t entry) {
    char number[32];
    snprintf(number, sizeof number, "number %lld ", (long long) entry);
    const pan_status status = pan_stream_synchronize(target->stream);
    CHECK(status == PAN_INVALID_ARGUMENT && strstr(pan_last_error(), number) != NULL, "%s: a bad entry %lld: %s, '%s'",
          target->name, (long long) entry, pan_status_name(status), pan_last_error());
}

/* The calls succeed and leave other memory alone; the bad entry is reported, and forgotten then. */
static void check_bad_entry(const target *target, int64_t entry, int32_t block) {
    const setup setup = {7, 2, 12, true};
    pooled *good = new_pooled(setup), *bad = new_pooled(setup);
    bad->excluded[entry] = block;
    good->excluded[entry] = -1;
    run(target, good);
    const int64_t bytes = workspace_bytes(target, &bad->desc);
    void *workspace = new_memory(target, bytes);
    pooled *d = copy_in(target, bad, sizeof *bad);
    forward(target, &bad->desc, d, workspace, bytes);
    check_report(target, entry);
    backward(target, &bad->desc, d, workspace, bytes);
    check_report(target, entry);
    copy_out(target, d, bad, sizeof *bad);
    free_memory(target, workspace);
    bad->excluded[entry] = -1;
    CHECK(memcmp(bad, good, sizeof *bad) == 0, "%s: a bad entry %lld is not taken for none", target->name,
          (long long) entry);
    free(good);
    free(bad);
}

static void check_bad_lists(const target *target) {
    static const int32_t bad[] = {-2, INT32_MIN, INT32_MAX, (LENGTH - 1) / 7 + 1};
    static const int64_t entries[] = {0, 1, 200, ENTRIES - 1};
    for (int i = 0; i < COUNT(bad); i++) {
        check_bad_entry(target, entries[i], bad[i]);
    }
}

/* ---- the choice of blocks ---- */

enum { BLOCKS = 8, MOST_K_BLOCKS = 9 };

typedef struct choice {
    float q[BLOCKS + 1], key[BLOCKS];
    int32_t listed[(BLOCKS + 1) * MOST_K_BLOCKS];
} choice;

/* Blocks of one position with given scores; what the last query, which sees all, lists. */
static void check_choice(const target *target, const float *scores, int64_t k, float min_weight, int count,
                         const int32_t *expected) {
    choice h = {.q = {[BLOCKS] = 1.0f}};
    memcpy(h.key, scores, sizeof h.key);
    const pan_head_layout q = {BLOCKS + 1, 1, 1}, key = {BLOCKS, 1, 1};
    const pan_block_top_k_desc desc = {.struct_size = sizeof desc,
                                       .dtype = PAN_F32,
                                       .scale = 1.0f,
                                       .min_weight = min_weight,
                                       .batch = 1,
                                       .heads = 1,
                                       .kv_heads = 1,
                                       .length = BLOCKS + 1,
                                       .head_dim = 1,
                                       .blocks = BLOCKS,
                                       .block_size = 1,
                                       .k = k,
                                       .q = q,
                                       .key = key};
    int64_t bytes = 0;
    CHECK_OK(pan_block_top_k_workspace_size(target->stream, &desc, &bytes));
    void *workspace = new_memory(target, bytes);
    choice *d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_block_top_k(target->stream, &desc, d->q, d->key, d->listed, workspace, bytes));
    copy_out(target, d, &h, sizeof h);
    free_memory(target, workspace);
    for (int i = 0; i < k; i++) {
        const int32_t entry = h.listed[BLOCKS * k + i], wanted = i < count ? expected[i] : -1;
        CHECK(entry == wanted, "%s, k %lld, least weight %g: entry %d is %d instead of %d", target->name, (long long) k,
              (double) min_weight, i, entry, wanted);
    }
}

static void check_choices(const target *target) {
    static const float scores[] = {3, NAN, 3, -INFINITY, 2, -3, 3, -0.0f};
    check_choice(target, scores, 1, -1.0f, 1, (const int32_t[]){0});
    check_choice(target, scores, 2, -1.0f, 2, (const int32_t[]){0, 2});
    check_choice(target, scores, 4, -1.0f, 4, (const int32_t[]){0, 2, 4, 6});
    check_choice(target, scores, 6, -1.0f, 6, (const int32_t[]){0, 2, 4, 5, 6, 7});
    check_choice(target, scores, 9, -1.0f, 6, (const int32_t[]){0, 2, 4, 5, 6, 7});
    check_choice(target, scores, 4, 0.0f, 0, NULL); /* a sum with a NaN has no weights */
    static const float weighed[] = {0, 0, -30, 1, -20, -INFINITY, 1, -0.0f};
    check_choice(target, weighed, 8, 0.0f, 7, (const int32_t[]){0, 1, 2, 3, 4, 6, 7});
    check_choice(target, weighed, 8, 1e-10f, 6, (const int32_t[]){0, 1, 3, 4, 6, 7});
    check_choice(target, weighed, 8, 0.2f, 2, (const int32_t[]){3, 6});
    check_choice(target, weighed, 3, 1e-10f, 3, (const int32_t[]){0, 3, 6});
    static const float light[] = {-1000, -1001, -2000, -1000, -1100, -1003, -1000, -999};
    check_choice(target, light, 8, 0.1f, 4, (const int32_t[]){0, 3, 6, 7}); /* beside the dummy */
    static const float large[] = {1e30f, -1e30f, 9e29f, 0, 1e30f, 1e20f, -1e20f, 1};
    check_choice(target, large, 8, 1e-10f, 2, (const int32_t[]){0, 4});
    check_choice(target, large, 3, -1.0f, 3, (const int32_t[]){0, 2, 4});
    static const float equal[BLOCKS] = {0};
    check_choice(target, equal, 5, 1e-10f, 5, (const int32_t[]){0, 1, 2, 3, 4});
}

int main(void) {
    target targets[MAX_TARGETS];
    const int count = open_targets(targets);
    for (int i = 0; i < count; i++) {
        check_choices(&targets[i]);
        check_large(&targets[i]);
        check_hidden(&targets[i]);
        if (targets[i].options.backend == PAN_BACKEND_CUDA) {
            check_graph(&targets[i]);
            check_bad_lists(&targets[i]);
        }
    }
    close_targets(targets, count);
    return report();
}
