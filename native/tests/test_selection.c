/* Attention of chosen positions: their rows are those of attention, and nothing follows from what comes later, from what
 * is chosen later either. Which positions causal top k chooses. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../src/core/causal_top_k.h"
#include "harness.h"

enum { BATCH = 2, MOST_LENGTH = 520, HEADS = 2, HEAD_DIM = 12, WIDTH = HEADS * HEAD_DIM };
enum { MOST_POSITIONS = BATCH * MOST_LENGTH, SIZE = MOST_POSITIONS * WIDTH };
static const double TOLERANCE = 2e-5; /* of max |a - b| / max |b| */

typedef struct attention {
    pan_attention_desc desc;
    pan_random_state random;
    float chosen[MOST_POSITIONS];
    float q[SIZE], k[SIZE], v[SIZE], d_o[SIZE];
    float o[SIZE], lse[MOST_POSITIONS * HEADS], dq[SIZE], dk[SIZE], dv[SIZE];
} attention;

enum { ALL, NONE, SOME, FEW, LAST_OF_EACH, LATE, CHOICES };

static bool is_chosen(const pan_attention_desc *desc, int choice, int64_t row) {
    const int64_t position = row % desc->length;
    switch (choice) {
    case ALL: return true;
    case NONE: return false;
    case SOME: return row * 7 % 5 < 2;
    case FEW: return position % 29 == 3;
    case LAST_OF_EACH: return position == desc->length - 1;
    default: return row / desc->length == 1 && position > desc->length / 2;
    }
}

/* Outputs are NaN, so that what is not written shows. */
static attention *new_attention(int64_t length, int64_t window, float dropout, int choice) {
    attention *made = allocate(1, sizeof *made);
    const pan_head_layout layout = {length * WIDTH, WIDTH, HEAD_DIM};
    made->random = (pan_random_state){.seed = 3, .step = 4};
    made->desc = (pan_attention_desc){.struct_size = sizeof made->desc,
                                      .dtype = PAN_F32,
                                      .scale = 0.3f,
                                      .dropout_probability = dropout,
                                      .batch = BATCH,
                                      .heads = HEADS,
                                      .length = length,
                                      .head_dim = HEAD_DIM,
                                      .window = window,
                                      .q = layout,
                                      .k = layout,
                                      .v = layout,
                                      .o = layout};
    memset(made->o, 0xff, sizeof *made - offsetof(attention, o));
    generator random = {5};
    float *const inputs[] = {made->q, made->k, made->v, made->d_o};
    for (int i = 0; i < COUNT(inputs); i++) {
        for (int64_t e = 0; e < BATCH * length * WIDTH; e++) {
            inputs[i][e] = (float) next_normal(&random);
        }
    }
    for (int64_t row = 0; row < BATCH * length; row++) {
        made->chosen[row] = is_chosen(&made->desc, choice, row) ? 1.0f : 0.0f;
    }
    return made;
}

/* Scratch memory for either pass. */
typedef struct scratch {
    void *memory;
    int64_t bytes;
} scratch;

static scratch new_scratch(const target *target, const pan_attention_desc *desc) {
    int64_t bytes[4] = {0}, most = 0;
    CHECK_OK(pan_attention_forward_workspace_size(target->stream, desc, &bytes[0]));
    CHECK_OK(pan_attention_backward_workspace_size(target->stream, desc, &bytes[1]));
    CHECK_OK(pan_selected_attention_forward_workspace_size(target->stream, desc, &bytes[2]));
    CHECK_OK(pan_selected_attention_backward_workspace_size(target->stream, desc, &bytes[3]));
    for (int i = 0; i < COUNT(bytes); i++) {
        most = bytes[i] > most ? bytes[i] : most;
    }
    return (scratch){new_memory(target, most), most};
}

/* `d` lies on the device. */
static void call_selected(const target *target, const pan_attention_desc *desc, attention *d, scratch scratch) {
    CHECK_OK(pan_selected_attention_forward(target->stream, desc, &d->random, d->chosen, d->q, d->k, d->v, d->o, d->lse,
                                            scratch.memory, scratch.bytes));
    CHECK_OK(pan_selected_attention_backward(target->stream, desc, &d->random, d->chosen, d->q, d->k, d->v, d->o,
                                             d->lse, d->d_o, d->dq, d->dk, d->dv, scratch.memory, scratch.bytes));
}

static void run_selected(const target *target, attention *a) {
    const scratch scratch = new_scratch(target, &a->desc);
    attention *d = copy_in(target, a, sizeof *a);
    call_selected(target, &a->desc, d, scratch);
    copy_out(target, d, a, sizeof *a);
    free_memory(target, scratch.memory);
}

/* Attention of all positions. */
static void run_whole(const target *target, attention *a) {
    const scratch scratch = new_scratch(target, &a->desc);
    attention *d = copy_in(target, a, sizeof *a);
    CHECK_OK(pan_attention_forward(target->stream, &a->desc, &d->random, NULL, d->q, d->k, d->v, d->o, d->lse,
                                   scratch.memory, scratch.bytes));
    CHECK_OK(pan_attention_backward(target->stream, &a->desc, &d->random, NULL, d->q, d->k, d->v, d->o, d->lse, d->d_o,
                                    d->dq, d->dk, d->dv, scratch.memory, scratch.bytes));
    copy_out(target, d, a, sizeof *a);
    free_memory(target, scratch.memory);
}

/* ---- against attention of all positions ---- */

static void check_close(const target *target, const attention *selected, int choice, const char *name, const float *a,
                        const float *b, int64_t count) {
    double difference = 0.0, largest = 1e-2;
    for (int64_t i = 0; i < count; i++) {
        const bool same = a[i] == b[i];
        difference = same ? difference : isnan(a[i] - b[i]) ? INFINITY : fmax(difference, fabs((double) a[i] - b[i]));
        largest = isfinite(b[i]) ? fmax(largest, fabs(b[i])) : largest;
    }
    CHECK(difference <= TOLERANCE * largest, "%s, length %lld, window %lld, choice %d: %s is off by %g, of up to %g",
          target->name, (long long) selected->desc.length, (long long) selected->desc.window, choice, name, difference,
          largest);
}

/* What is not chosen gets no cotangent, and is then as if it were not chosen. */
static void check_choice(const target *target, int64_t length, int64_t window, float dropout, int choice) {
    attention *selected = new_attention(length, window, dropout, choice), *whole = allocate(1, sizeof *whole);
    const pan_attention_desc *desc = &selected->desc;
    *whole = *selected;
    for (int64_t row = 0; row < BATCH * length; row++) {
        for (int c = 0; c < WIDTH; c++) {
            whole->d_o[row * WIDTH + c] *= selected->chosen[row];
        }
    }
    run_selected(target, selected);
    run_whole(target, whole);
    for (int64_t row = 0; row < BATCH * length; row++) {
        for (int c = 0; c < WIDTH; c++) {
            whole->o[row * WIDTH + c] *= selected->chosen[row];
        }
        for (int h = 0; h < HEADS && selected->chosen[row] == 0.0f; h++) {
            whole->lse[(row / length * HEADS + h) * length + row % length] = -INFINITY;
        }
    }
    const int64_t count = BATCH * length * WIDTH;
    check_close(target, selected, choice, "o", selected->o, whole->o, count);
    check_close(target, selected, choice, "lse", selected->lse, whole->lse, desc->batch * HEADS * length);
    check_close(target, selected, choice, "dq", selected->dq, whole->dq, count);
    check_close(target, selected, choice, "dk", selected->dk, whole->dk, count);
    check_close(target, selected, choice, "dv", selected->dv, whole->dv, count);
    free(selected);
    free(whole);
}

static void check_against_whole(const target *target) {
    static const int64_t lengths[] = {1, 2, 17, 64, 65, 130, 257, MOST_LENGTH};
    static const int64_t windows[] = {0, 1, 5, 64, 130};
    for (int w = 0; w < COUNT(windows); w++) {
        for (int l = 0; l < COUNT(lengths) * CHOICES; l++) {
            const int64_t length = lengths[l / CHOICES];
            if (windows[w] <= length && (length < 257 || windows[w] % 2 == 0)) {
                check_choice(target, length, windows[w], w % 2 == 0 ? 0.25f : 0.0f, l % CHOICES);
            }
        }
    }
}

/* ---- no look ahead ---- */

enum { LENGTH = 300 };

static bool same_rows(const float *a, const float *b, int64_t begin, int64_t end) {
    return memcmp(a + begin * WIDTH, b + begin * WIDTH, (size_t) ((end - begin) * WIDTH) * sizeof *a) == 0;
}

/* Other later inputs, and other later choices. */
static void check_later(const target *target, int64_t window, int choice, int later_choice, int64_t from, float value) {
    attention *one = new_attention(LENGTH, window, 0.0f, choice), *other = allocate(1, sizeof *other);
    *other = *one;
    for (int64_t row = from; row < LENGTH; row++) {
        other->chosen[row] = is_chosen(&one->desc, later_choice, row) ? 1.0f : 0.0f;
        for (int c = 0; c < WIDTH; c++) {
            other->q[row * WIDTH + c] += value;
            other->k[row * WIDTH + c] -= value;
            other->v[row * WIDTH + c] = value;
        }
    }
    run_selected(target, one);
    run_selected(target, other);
    bool same_lse = true;
    for (int h = 0; h < HEADS; h++) {
        same_lse =
            same_lse && memcmp(one->lse + h * LENGTH, other->lse + h * LENGTH, (size_t) from * sizeof *one->lse) == 0;
    }
    CHECK(same_rows(one->o, other->o, 0, from) && same_lse,
          "%s, window %lld: outputs in front of %lld follow from choice %d or %d behind it", target->name,
          (long long) window, (long long) from, choice, later_choice);
    CHECK(same_rows(one->o, other->o, LENGTH, BATCH * LENGTH), "%s: another example changed", target->name);
    free(one);
    free(other);
}

static void check_look_ahead(const target *target) {
    static const int64_t places[] = {1, 17, 40, 64, 129, 257, 299};
    static const int64_t windows[] = {0, 1, 70};
    static const float values[] = {0.5f, INFINITY, NAN};
    for (int i = 0; i < COUNT(places) * CHOICES * CHOICES; i += 5) {
        const int choice = i % CHOICES, later = i / CHOICES % CHOICES;
        check_later(target, windows[i % COUNT(windows)], choice, later, places[i / CHOICES / CHOICES],
                    values[i / 2 % COUNT(values)]);
    }
}

/* ---- what does not count ---- */

/* Queries and cotangents of positions that are not chosen are not even looked at. */
static void check_unchosen(const target *target, int64_t window) {
    attention *clean = new_attention(LENGTH, window, 0.25f, SOME), *bad = allocate(1, sizeof *bad);
    *bad = *clean;
    for (int64_t row = 0; row < BATCH * LENGTH; row++) {
        for (int c = 0; c < WIDTH && clean->chosen[row] == 0.0f; c++) {
            bad->q[row * WIDTH + c] = NAN;
            bad->d_o[row * WIDTH + c] = INFINITY;
        }
    }
    run_selected(target, clean);
    run_selected(target, bad);
    CHECK(memcmp(clean->o, bad->o, sizeof *clean - offsetof(attention, o)) == 0,
          "%s: what is not chosen has an influence", target->name);
    free(clean);
    free(bad);
}

/* A key that is NaN reaches the chosen positions that see it, and these alone. */
static void check_bad_key(const target *target, int64_t window, int64_t key) {
    attention *clean = new_attention(LENGTH, window, 0.0f, SOME), *bad = allocate(1, sizeof *bad);
    *bad = *clean;
    for (int c = 0; c < WIDTH; c++) {
        bad->k[key * WIDTH + c] = bad->v[key * WIDTH + c] = NAN;
    }
    run_selected(target, clean);
    run_selected(target, bad);
    for (int64_t row = 0; row < BATCH * LENGTH; row++) {
        const bool sees = row < LENGTH && row >= key && (window == 0 || row - key < window) && clean->chosen[row] != 0;
        CHECK(same_rows(clean->o, bad->o, row, row + 1) == !sees &&
                  same_rows(clean->dq, bad->dq, row, row + 1) == !sees,
              "%s, window %lld: key %lld and row %lld", target->name, (long long) window, (long long) key,
              (long long) row);
    }
    free(clean);
    free(bad);
}

/* ---- graphs ---- */

/* What is recorded with one choice can be repeated with another. */
static void check_graph(const target *target) {
    attention *first = new_attention(LENGTH, 0, 0.25f, FEW), *other = allocate(1, sizeof *other);
    const attention *more = new_attention(LENGTH, 0, 0.25f, SOME);
    *other = *first;
    memcpy(other->chosen, more->chosen, sizeof other->chosen);
    pan_graph *graph = NULL;
    const scratch scratch = new_scratch(target, &first->desc);
    attention *d = copy_in(target, first, sizeof *first);
    CHECK_OK(pan_stream_synchronize(target->stream));
    CHECK_OK(pan_capture_begin(target->stream));
    call_selected(target, &first->desc, d, scratch);
    CHECK_OK(pan_capture_end(target->stream, &graph));
    CHECK_OK(pan_copy_to_device(target->stream, d->chosen, other->chosen, sizeof other->chosen));
    CHECK_OK(pan_graph_launch(graph, target->stream));
    copy_out(target, d, first, sizeof *first);
    run_selected(target, other);
    CHECK(memcmp(first, other, sizeof *first) == 0, "%s: a graph gives other results", target->name);
    CHECK_OK(pan_graph_destroy(graph));
    free_memory(target, scratch.memory);
    free(first);
    free(other);
    free((void *) more);
}

/* ---- causal top k ---- */

enum { SCORES = 1200 };

typedef struct choice_memory {
    float score[SCORES], chosen[SCORES];
} choice_memory;

static void choose(const target *target, int64_t length, int64_t k, choice_memory *h) {
    const pan_causal_top_k_desc desc = {.struct_size = sizeof desc, .batch = 1, .length = length, .k = k};
    int64_t bytes = 0;
    CHECK_OK(pan_causal_top_k_workspace_size(target->stream, &desc, &bytes));
    void *workspace = new_memory(target, bytes);
    memset(h->chosen, 0xff, sizeof h->chosen);
    choice_memory *d = copy_in(target, h, sizeof *h);
    CHECK_OK(pan_causal_top_k(target->stream, &desc, d->score, d->chosen, workspace, bytes));
    copy_out(target, d, h, sizeof *h);
    free_memory(target, workspace);
}

static int64_t chosen_count(const choice_memory *h, int64_t length) {
    int64_t count = 0;
    for (int64_t t = 0; t < length; t++) {
        count += h->chosen[t] == 1.0f;
    }
    return count;
}

static void check_top_k(const target *target) {
    static choice_memory rising, falling, equal, mixed, prefix;
    generator random = {11};
    for (int t = 0; t < SCORES; t++) {
        rising.score[t] = (float) t - 600.0f;
        falling.score[t] = -(float) t;
        equal.score[t] = t % 2 == 0 ? 0.0f : -0.0f;
        mixed.score[t] = t % 11 == 5 ? -INFINITY : t % 13 == 7 ? NAN : (float) round(4.0 * next_normal(&random));
    }
    static const int64_t ks[] = {0, 1, 7, 64, SCORES, 4 * SCORES};
    for (int i = 0; i < COUNT(ks); i++) {
        const int64_t k = ks[i];
        choose(target, SCORES, k, &rising);
        CHECK(chosen_count(&rising, SCORES) == SCORES, "%s, k %lld: rising scores", target->name, (long long) k);
        choose(target, SCORES, k, &falling);
        choose(target, SCORES, k, &equal);
        /* The square root of a prefix grows more slowly than the number of larger scores in front of its last one. */
        const int64_t expected = k == 0 ? 2 : k < SCORES ? k : SCORES;
        CHECK(chosen_count(&falling, SCORES) == expected && chosen_count(&equal, SCORES) == expected,
              "%s, k %lld: falling or equal scores", target->name, (long long) k);
        choose(target, SCORES, k, &mixed);
        memcpy(prefix.score, mixed.score, sizeof prefix.score);
        for (int t = 777; t < SCORES; t++) {
            prefix.score[t] = 1e30f;
        }
        choose(target, 1000, k, &prefix);
        CHECK(memcmp(prefix.chosen, mixed.chosen, 777 * sizeof(float)) == 0, "%s, k %lld: later scores have a say",
              target->name, (long long) k);
        for (int t = 0; t < SCORES && k >= SCORES; t++) {
            CHECK(mixed.chosen[t] == (mixed.score[t] > -INFINITY ? 1.0f : 0.0f), "%s: score %d is %g", target->name, t,
                  (double) mixed.score[t]);
        }
    }
}

static void check_ceil_sqrt(void) {
    for (int64_t root = 1; root <= INT64_C(1) << 20; root++) {
        const int64_t square = root * root;
        if (pan_ceil_sqrt(square) != root || (root > 1 && pan_ceil_sqrt(square - 2 * root + 2) != root) ||
            (root < INT64_C(1) << 20 && pan_ceil_sqrt(square + 1) != root + 1)) {
            CHECK(false, "the square root of about %lld, rounded up", (long long) square);
            return;
        }
    }
}

int main(void) {
    static const int64_t windows[] = {0, 1, 70};
    static const int64_t keys[] = {0, 64, 130, 299};
    target targets[MAX_TARGETS];
    const int count = open_targets(targets);
    check_ceil_sqrt();
    for (int i = 0; i < count; i++) {
        check_against_whole(&targets[i]);
        check_look_ahead(&targets[i]);
        for (int w = 0; w < COUNT(windows); w++) {
            check_unchosen(&targets[i], windows[w]);
            for (int k = 0; k < COUNT(keys); k++) {
                check_bad_key(&targets[i], windows[w], keys[k]);
            }
        }
        check_top_k(&targets[i]);
        if (targets[i].options.backend == PAN_BACKEND_CUDA) {
            check_graph(&targets[i]);
        }
    }
    close_targets(targets, count);
    return report();
}
