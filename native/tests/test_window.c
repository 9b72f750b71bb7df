/* Sliding-window attention: what lies outside a window has no influence, whatever it is. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { HEADS = 2, LENGTH = 300, HEAD_DIM = 12, WIDTH = HEADS * HEAD_DIM, SIZE = LENGTH * WIDTH };

typedef struct attention {
    pan_attention_desc desc;
    float q[SIZE], k[SIZE], v[SIZE], d_o[SIZE];
    float o[SIZE], lse[HEADS * LENGTH], dq[SIZE], dk[SIZE], dv[SIZE];
} attention;

static attention *new_attention(int64_t window) {
    attention *made = allocate(1, sizeof *made);
    const pan_head_layout layout = {SIZE, WIDTH, HEAD_DIM};
    made->desc = (pan_attention_desc){.struct_size = sizeof made->desc,
                                      .dtype = PAN_F32,
                                      .scale = 0.3f,
                                      .batch = 1,
                                      .heads = HEADS,
                                      .length = LENGTH,
                                      .head_dim = HEAD_DIM,
                                      .window = window,
                                      .q = layout,
                                      .k = layout,
                                      .v = layout,
                                      .o = layout};
    generator random = {5};
    float *const inputs[] = {made->q, made->k, made->v, made->d_o};
    for (int i = 0; i < COUNT(inputs); i++) {
        for (int64_t e = 0; e < SIZE; e++) {
            inputs[i][e] = (float) next_normal(&random);
        }
    }
    return made;
}

static void run(const target *target, attention *a) {
    int64_t forward_bytes = 0, backward_bytes = 0;
    CHECK_OK(pan_attention_forward_workspace_size(target->stream, &a->desc, &forward_bytes));
    CHECK_OK(pan_attention_backward_workspace_size(target->stream, &a->desc, &backward_bytes));
    const int64_t bytes = forward_bytes > backward_bytes ? forward_bytes : backward_bytes;
    void *workspace = new_memory(target, bytes);
    attention *d = copy_in(target, a, sizeof *a);
    CHECK_OK(
        pan_attention_forward(target->stream, &a->desc, NULL, NULL, d->q, d->k, d->v, d->o, d->lse, workspace, bytes));
    CHECK_OK(pan_attention_backward(target->stream, &a->desc, NULL, NULL, d->q, d->k, d->v, d->o, d->lse, d->d_o, d->dq,
                                    d->dk, d->dv, workspace, bytes));
    copy_out(target, d, a, sizeof *a);
    free_memory(target, workspace);
}

/* Whether the rows outside [begin, end) are the same to the last bit, and those inside are not all. */
static void check_rows(const target *target, const char *name, int64_t window, const float *a, const float *b,
                       int64_t begin, int64_t end) {
    bool same_inside = true;
    for (int64_t t = 0; t < LENGTH; t++) {
        const bool same = memcmp(a + t * WIDTH, b + t * WIDTH, WIDTH * sizeof(float)) == 0;
        if (t >= begin && t < end) {
            same_inside &= same;
        } else {
            CHECK(same, "%s, window %lld: row %lld of %s changed", target->name, (long long) window, (long long) t,
                  name);
        }
    }
    CHECK(!same_inside, "%s, window %lld: no row of %s changed", target->name, (long long) window, name);
}

/* A key and value that are NaN reach the queries that see them, and these alone. */
static void check_bad_key(const target *target, int64_t window, int64_t key) {
    attention *clean = new_attention(window), *bad = new_attention(window);
    for (int64_t c = 0; c < WIDTH; c++) {
        bad->v[key * WIDTH + c] = NAN;
        bad->k[key * WIDTH + c] = c % HEAD_DIM == 0 ? INFINITY : NAN;
    }
    run(target, clean);
    run(target, bad);
    const int64_t end = key + window < LENGTH ? key + window : LENGTH;
    check_rows(target, "o", window, bad->o, clean->o, key, end);
    check_rows(target, "dq", window, bad->dq, clean->dq, key, end);
    free(clean);
    free(bad);
}

/* A gradient that is NaN reaches the keys that its query sees, and these alone. */
static void check_bad_gradient(const target *target, int64_t window, int64_t query) {
    attention *clean = new_attention(window), *bad = new_attention(window);
    for (int64_t c = 0; c < WIDTH; c++) {
        bad->d_o[query * WIDTH + c] = NAN;
    }
    run(target, clean);
    run(target, bad);
    const int64_t begin = query >= window ? query - window + 1 : 0;
    check_rows(target, "dv", window, bad->dv, clean->dv, begin, query + 1);
    check_rows(target, "dk", window, bad->dk, clean->dk, begin, query + 1);
    check_rows(target, "dq", window, bad->dq, clean->dq, query, query + 1);
    free(clean);
    free(bad);
}

/* A window as long as the sequence is none. */
static void check_wide_window(const target *target) {
    attention *full = new_attention(0);
    run(target, full);
    for (int64_t window = LENGTH; window < 3 * LENGTH; window += LENGTH) {
        attention *wide = new_attention(window);
        run(target, wide);
        CHECK(memcmp(wide->o, full->o, sizeof full->o) == 0 && memcmp(wide->dq, full->dq, sizeof full->dq) == 0 &&
                  memcmp(wide->dk, full->dk, sizeof full->dk) == 0 && memcmp(wide->dv, full->dv, sizeof full->dv) == 0,
              "%s: a window of %lld is not the full attention", target->name, (long long) window);
        free(wide);
    }
    free(full);
}

int main(void) {
    static const int64_t windows[] = {1, 2, 31, 64, 65, 129, 200, 299};
    static const int64_t positions[] = {0, 63, 64, 130, 299};
    target targets[MAX_TARGETS];
    const int count = open_targets(targets);
    for (int i = 0; i < count; i++) {
        for (int w = 0; w < COUNT(windows); w++) {
            for (int p = 0; p < COUNT(positions); p++) {
                check_bad_key(&targets[i], windows[w], positions[p]);
                check_bad_gradient(&targets[i], windows[w], positions[p]);
            }
        }
        check_wide_window(&targets[i]);
    }
    close_targets(targets, count);
    return report();
}
