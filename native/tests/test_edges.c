/* Values at the edge: NaN and infinities, huge logits, rows without labels, single tokens. On every backend. */
#include "test_edges.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void fill(float *values, int64_t count, uint64_t seed, double scale) {
    generator random = {.state = seed};
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float) (scale * next_normal(&random));
    }
}

bool all_zero(const float *values, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (values[i] != 0.0f) {
            return false;
        }
    }
    return true;
}

bool all_finite(const float *values, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) {
            return false;
        }
    }
    return true;
}

/* ---- vocabulary loss ---- */

enum { ROWS = 37, CHANNELS = 19, VOCAB = 301 };

/* A call of the vocabulary loss and of its gradient. */
typedef struct vocabulary {
    pan_vocabulary_loss_desc desc;
    float hidden[ROWS * CHANNELS], weight[VOCAB * CHANNELS];
    int32_t labels[ROWS], labelled_count, arg_max[ROWS];
    float loss, dloss, row_loss[ROWS], lse[ROWS];
    float dhidden[ROWS * CHANNELS], dweight[VOCAB * CHANNELS];
} vocabulary;

static vocabulary *new_vocabulary(int64_t rows, int64_t vocab_size, double logit_deviation) {
    vocabulary *made = allocate(1, sizeof *made);
    made->desc = (pan_vocabulary_loss_desc){.struct_size = sizeof made->desc,
                                            .dtype = PAN_F32,
                                            .rows = rows,
                                            .channels = CHANNELS,
                                            .vocab_size = vocab_size,
                                            .hidden_stride = CHANNELS};
    fill(made->hidden, ROWS * CHANNELS, 1, 1.0);
    fill(made->weight, VOCAB * CHANNELS, 2, logit_deviation / sqrt(CHANNELS));
    for (int64_t r = 0; r < rows; r++) {
        made->labels[r] = (int32_t) (r * 31 % vocab_size);
    }
    return made;
}

/* Both passes in one call give the same bits: there is one chunk of rows. */
static void check_one_call(const target *target, const vocabulary *v) {
    int64_t bytes = 0;
    vocabulary *once = allocate(1, sizeof *once);
    memcpy(once, v, sizeof *once);
    fill(once->dhidden, ROWS * CHANNELS, 3, 1.0);
    memset(once->dweight, 0, sizeof once->dweight);
    vocabulary *d = copy_in(target, once, sizeof *once);
    CHECK_OK(pan_vocabulary_loss_with_gradient_workspace_size(target->stream, &v->desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(pan_vocabulary_loss_with_gradient(target->stream, &v->desc, d->hidden, d->weight, d->labels, &d->dloss,
                                               &d->loss, &d->labelled_count, d->row_loss, d->lse, d->arg_max,
                                               d->dhidden, d->dweight, workspace, bytes));
    free_memory(target, workspace);
    copy_out(target, d, once, sizeof *once);
    CHECK(memcmp(once, v, sizeof *v) == 0, "%s: the vocabulary loss with its gradient differs from the two calls",
          target->name);
    free(once);
}

static void run_vocabulary(const target *target, vocabulary *v) {
    int64_t bytes = 0;
    fill(v->dhidden, ROWS * CHANNELS, 3, 1.0);
    memset(v->dweight, 0, sizeof v->dweight);
    v->dloss = 1.0f;
    vocabulary *d = copy_in(target, v, sizeof *v);
    CHECK_OK(pan_vocabulary_loss_forward_workspace_size(target->stream, &v->desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(pan_vocabulary_loss_forward(target->stream, &v->desc, d->hidden, d->weight, d->labels, &d->loss,
                                         &d->labelled_count, d->row_loss, d->lse, d->arg_max, workspace, bytes));
    free_memory(target, workspace);
    CHECK_OK(pan_vocabulary_loss_backward_workspace_size(target->stream, &v->desc, &bytes));
    workspace = new_memory(target, bytes);
    CHECK_OK(pan_vocabulary_loss_backward(target->stream, &v->desc, d->hidden, d->weight, d->labels, &d->labelled_count,
                                          d->lse, &d->dloss, d->dhidden, d->dweight, workspace, bytes));
    free_memory(target, workspace);
    copy_out(target, d, v, sizeof *v);
    check_one_call(target, v);
}

static void check_nothing_labelled(const target *target) {
    vocabulary *v = new_vocabulary(ROWS, VOCAB, 1.0);
    for (int r = 0; r < ROWS; r++) {
        v->labels[r] = PAN_IGNORE_LABEL;
    }
    run_vocabulary(target, v);
    CHECK(v->loss == 0.0f && v->labelled_count == 0, "%s: loss %g of %d rows", target->name, (double) v->loss,
          v->labelled_count);
    CHECK(all_zero(v->row_loss, ROWS) && all_zero(v->lse, ROWS), "%s: row_loss or lse without labels", target->name);
    CHECK(all_zero(v->dhidden, ROWS * CHANNELS) && all_zero(v->dweight, VOCAB * CHANNELS),
          "%s: gradients without labels", target->name);
    free(v);
}

static void check_huge_logits(const target *target) {
    vocabulary *v = new_vocabulary(ROWS, VOCAB, 200.0);
    run_vocabulary(target, v);
    double total = 0.0;
    for (int r = 0; r < ROWS; r++) {
        double largest = -INFINITY, label = 0.0, sum = 0.0, z[VOCAB];
        for (int t = 0; t < VOCAB; t++) {
            z[t] = 0.0;
            for (int c = 0; c < CHANNELS; c++) {
                z[t] += (double) v->hidden[r * CHANNELS + c] * v->weight[t * CHANNELS + c];
            }
            largest = fmax(largest, z[t]);
            label = t == v->labels[r] ? z[t] : label;
        }
        for (int t = 0; t < VOCAB; t++) {
            sum += exp(z[t] - largest);
        }
        total += largest + log(sum) - label;
    }
    CHECK(fabs(v->loss - total / ROWS) < 1e-5 * total / ROWS, "%s: the loss of huge logits is %.8g, not %.8g",
          target->name, (double) v->loss, total / ROWS);
    CHECK(all_finite(v->dhidden, ROWS * CHANNELS) && all_finite(v->dweight, VOCAB * CHANNELS),
          "%s: gradients of huge logits are not finite", target->name);
    free(v);
}

static void check_single_token(const target *target) {
    vocabulary *v = new_vocabulary(1, 1, 1.0);
    run_vocabulary(target, v);
    CHECK(fabs(v->loss) < 1e-6 && v->arg_max[0] == 0 && v->labelled_count == 1,
          "%s: one token: loss %g, arg_max %d, %d rows", target->name, (double) v->loss, v->arg_max[0],
          v->labelled_count);
    free(v);
}

/* Equal logits: the smallest index wins, wherever tiles and lanes end. */
static void check_ties(const target *target) {
    vocabulary *v = new_vocabulary(ROWS, VOCAB, 1.0);
    for (int t = 0; t < VOCAB; t++) {
        memcpy(v->weight + t * CHANNELS, v->weight + (t < 5 ? 0 : 5) * CHANNELS, CHANNELS * sizeof(float));
    }
    run_vocabulary(target, v);
    for (int r = 0; r < ROWS; r++) {
        CHECK(v->arg_max[r] == 0 || v->arg_max[r] == 5, "%s: arg_max of equal logits is %d, not the smallest index",
              target->name, v->arg_max[r]);
    }
    free(v);
}

/* A NaN in one hidden row reaches that row's results, the mean, and dweight; no other row. */
static void check_nan_row(const target *target) {
    enum { BAD = 11 };
    vocabulary *clean = new_vocabulary(ROWS, VOCAB, 1.0), *v = new_vocabulary(ROWS, VOCAB, 1.0);
    run_vocabulary(target, clean);
    v->hidden[BAD * CHANNELS + 3] = NAN;
    run_vocabulary(target, v);
    CHECK(isnan(v->loss) && isnan(v->row_loss[BAD]) && isnan(v->lse[BAD]), "%s: a NaN row has a finite loss",
          target->name);
    CHECK(v->arg_max[BAD] >= 0 && v->arg_max[BAD] < VOCAB, "%s: arg_max of a NaN row is %d", target->name,
          v->arg_max[BAD]);
    for (int r = 0; r < ROWS; r++) {
        bool same = v->row_loss[r] == clean->row_loss[r] && v->lse[r] == clean->lse[r] &&
                    v->arg_max[r] == clean->arg_max[r] &&
                    memcmp(v->dhidden + r * CHANNELS, clean->dhidden + r * CHANNELS, CHANNELS * sizeof(float)) == 0;
        CHECK(same || r == BAD, "%s: a NaN in row %d changed row %d", target->name, BAD, r);
    }
    free(v);
    free(clean);
}

/* ---- attention ---- */

enum { BATCH = 3, HEADS = 2, LENGTH = 70, HEAD_DIM = 12, WIDTH = HEADS * HEAD_DIM };
enum { EXAMPLE = LENGTH * WIDTH, SIZE = BATCH * EXAMPLE };

typedef struct attention {
    pan_attention_desc desc;
    float q[SIZE], k[SIZE], v[SIZE], o[SIZE], lse[BATCH * HEADS * LENGTH];
    float d_o[SIZE], dq[SIZE], dk[SIZE], dv[SIZE];
} attention;

static attention *new_attention(double score_scale) {
    attention *made = allocate(1, sizeof *made);
    pan_head_layout layout = {EXAMPLE, WIDTH, HEAD_DIM};
    made->desc = (pan_attention_desc){.struct_size = sizeof made->desc,
                                      .dtype = PAN_F32,
                                      .scale = 0.25f,
                                      .batch = BATCH,
                                      .heads = HEADS,
                                      .length = LENGTH,
                                      .head_dim = HEAD_DIM,
                                      .q = layout,
                                      .k = layout,
                                      .v = layout,
                                      .o = layout};
    fill(made->q, SIZE, 1, score_scale);
    fill(made->k, SIZE, 2, score_scale);
    fill(made->v, SIZE, 3, 1.0);
    fill(made->d_o, SIZE, 4, 1.0);
    return made;
}

static void run_attention(const target *target, attention *a) {
    int64_t bytes = 0;
    attention *d = copy_in(target, a, sizeof *a);
    CHECK_OK(pan_attention_forward_workspace_size(target->stream, &a->desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(
        pan_attention_forward(target->stream, &a->desc, NULL, NULL, d->q, d->k, d->v, d->o, d->lse, workspace, bytes));
    free_memory(target, workspace);
    CHECK_OK(pan_attention_backward_workspace_size(target->stream, &a->desc, &bytes));
    workspace = new_memory(target, bytes);
    CHECK_OK(pan_attention_backward(target->stream, &a->desc, NULL, NULL, d->q, d->k, d->v, d->o, d->lse, d->d_o, d->dq,
                                    d->dk, d->dv, workspace, bytes));
    free_memory(target, workspace);
    copy_out(target, d, a, sizeof *a);
}

/* An example's results have the same bits whatever its neighbours hold. */
static void check_nan_example(const target *target) {
    enum { BAD = 1, POSITION = 40 };
    attention *clean = new_attention(1.0), *a = new_attention(1.0);
    run_attention(target, clean);
    a->v[BAD * EXAMPLE + POSITION * WIDTH] = NAN;
    a->k[BAD * EXAMPLE + POSITION * WIDTH] = NAN;
    run_attention(target, a);
    float *const results[][2] = {{a->o, clean->o}, {a->dq, clean->dq}, {a->dk, clean->dk}, {a->dv, clean->dv}};
    for (int i = 0; i < COUNT(results); i++) {
        for (int b = 0; b < BATCH; b++) {
            bool same = memcmp(results[i][0] + b * EXAMPLE, results[i][1] + b * EXAMPLE, EXAMPLE * sizeof(float)) == 0;
            CHECK(same == (b != BAD), "%s: a NaN in example %d %s result %d of example %d", target->name, BAD,
                  same ? "did not reach" : "changed", i, b);
        }
    }
    size_t before = (size_t) POSITION * WIDTH * sizeof(float);
    CHECK(memcmp(a->o + BAD * EXAMPLE, clean->o + BAD * EXAMPLE, before) == 0,
          "%s: a NaN changed outputs of earlier positions", target->name);
    free(a);
    free(clean);
}

/* A score of -inf has weight 0; positions that see no such key are untouched. */
static void check_masked_score(const target *target) {
    enum { KEY = 7 };
    attention *a = new_attention(1.0), *without = new_attention(1.0);
    for (int64_t t = 0; t < BATCH * LENGTH; t++) {
        for (int h = 0; h < HEADS; h++) {
            float *q = a->q + t * WIDTH + h * HEAD_DIM, *k = a->k + t * WIDTH + h * HEAD_DIM;
            q[0] = 1.0f;
            k[0] = t % LENGTH == KEY ? -INFINITY : 0.0f;
        }
    }
    memcpy(without->q, a->q, sizeof a->q);
    memcpy(without->k, a->k, sizeof a->k);
    for (int64_t t = KEY; t < BATCH * LENGTH; t += LENGTH) {
        for (int h = 0; h < HEADS; h++) {
            without->k[t * WIDTH + h * HEAD_DIM] = -3e8f; /* exp underflows to 0 */
        }
    }
    run_attention(target, a);
    run_attention(target, without);
    CHECK(all_finite(a->o, SIZE) && all_finite(a->lse, BATCH * HEADS * LENGTH),
          "%s: a score of -inf gives results that are not finite", target->name);
    CHECK(memcmp(a->o, without->o, sizeof a->o) == 0, "%s: a score of -inf has weight", target->name);
    free(a);
    free(without);
}

/* Scores whose exponentials overflow without the maximum taken out: one key has nearly all the weight. */
static void check_large_scores(const target *target) {
    attention *a = new_attention(60.0);
    run_attention(target, a);
    CHECK(all_finite(a->o, SIZE) && all_finite(a->lse, BATCH * HEADS * LENGTH) && all_finite(a->dq, SIZE) &&
              all_finite(a->dk, SIZE) && all_finite(a->dv, SIZE),
          "%s: large scores give results that are not finite", target->name);
    double largest = 0.0, value = 0.0;
    for (int i = 0; i < SIZE; i++) {
        largest = fmax(largest, fabs(a->o[i]));
        value = fmax(value, fabs(a->v[i]));
    }
    CHECK(largest <= value * (1.0 + 1e-6), "%s: an average of values is larger than all of them", target->name);
    free(a);
}

/* ---- short convolution ---- */

enum { CONV_BATCH = 3, CONV_LENGTH = 80, CONV_CHANNELS = 21, MOST_TAPS = 100 };
enum { CONV_EXAMPLE = CONV_LENGTH * CONV_CHANNELS, CONV_SIZE = CONV_BATCH * CONV_EXAMPLE };

typedef struct short_conv {
    pan_short_conv_desc desc;
    float x[CONV_SIZE], weight[CONV_CHANNELS * MOST_TAPS], bias[CONV_CHANNELS], y[CONV_SIZE];
    float dy[CONV_SIZE], dx[CONV_SIZE], dweight[CONV_CHANNELS * MOST_TAPS], dbias[CONV_CHANNELS];
} short_conv;

static short_conv *new_short_conv(int64_t taps) {
    short_conv *made = allocate(1, sizeof *made);
    made->desc = (pan_short_conv_desc){.struct_size = sizeof made->desc,
                                       .dtype = PAN_F32,
                                       .batch = CONV_BATCH,
                                       .length = CONV_LENGTH,
                                       .channels = CONV_CHANNELS,
                                       .taps = taps,
                                       .x_stride = CONV_CHANNELS,
                                       .y_stride = CONV_CHANNELS};
    fill(made->x, CONV_SIZE, 1, 1.0);
    fill(made->weight, CONV_CHANNELS * taps, 2, 1.0);
    fill(made->bias, CONV_CHANNELS, 3, 1.0);
    fill(made->dy, CONV_SIZE, 4, 1.0);
    return made;
}

static void run_short_conv(const target *target, short_conv *s) {
    int64_t bytes = 0;
    short_conv *d = copy_in(target, s, sizeof *s);
    CHECK_OK(pan_short_conv_forward(target->stream, &s->desc, d->x, d->weight, d->bias, d->y));
    CHECK_OK(pan_short_conv_backward_workspace_size(target->stream, &s->desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(pan_short_conv_backward(target->stream, &s->desc, d->x, d->weight, d->dy, d->dx, d->dweight, d->dbias,
                                     workspace, bytes));
    free_memory(target, workspace);
    copy_out(target, d, s, sizeof *s);
}

/* A NaN reaches the positions that see it, in its channel of its example, and changes no bit of any other. */
static void check_short_conv_reach(const target *target, int64_t taps) {
    enum { EXAMPLE_AT = 1, POSITION = 40, CHANNEL = 17, AT = EXAMPLE_AT * CONV_LENGTH + POSITION };
    short_conv *clean = new_short_conv(taps), *s = new_short_conv(taps);
    run_short_conv(target, clean);
    s->x[AT * CONV_CHANNELS + CHANNEL] = NAN;
    s->dy[AT * CONV_CHANNELS + CHANNEL] = NAN;
    run_short_conv(target, s);
    for (int i = 0; i < CONV_SIZE; i++) {
        int t = i / CONV_CHANNELS % CONV_LENGTH;
        bool here = i / CONV_EXAMPLE == EXAMPLE_AT && i % CONV_CHANNELS == CHANNEL;
        bool later = here && t >= POSITION && t < POSITION + taps;
        bool earlier = here && t <= POSITION && t > POSITION - taps;
        CHECK(later ? isnan(s->y[i]) : memcmp(&s->y[i], &clean->y[i], sizeof(float)) == 0,
              "%s, %d taps: y[%d] is %g with a NaN at %d", target->name, (int) taps, i, (double) s->y[i],
              AT * CONV_CHANNELS + CHANNEL);
        CHECK(earlier ? isnan(s->dx[i]) : memcmp(&s->dx[i], &clean->dx[i], sizeof(float)) == 0,
              "%s, %d taps: dx[%d] is %g with a NaN at %d", target->name, (int) taps, i, (double) s->dx[i],
              AT * CONV_CHANNELS + CHANNEL);
    }
    for (int c = 0; c < CONV_CHANNELS; c++) {
        CHECK(isnan(s->dbias[c]) == (c == CHANNEL), "%s: dbias[%d] is %g", target->name, c, (double) s->dbias[c]);
    }
    free(s);
    free(clean);
}

/* What lies in front of the sequence is left out and not multiplied by zero. */
static void check_short_conv_begin(const target *target, int64_t taps) {
    short_conv *s = new_short_conv(taps);
    for (int c = 0; c < CONV_CHANNELS; c++) {
        s->weight[c * taps] = INFINITY; /* the oldest tap */
    }
    for (int b = 0; b < CONV_BATCH; b++) {
        s->dy[b * CONV_EXAMPLE] = INFINITY; /* the first position, which meets the newest tap alone */
    }
    run_short_conv(target, s);
    for (int i = 0; i < CONV_SIZE; i++) {
        int64_t t = i / CONV_CHANNELS % CONV_LENGTH;
        CHECK(isfinite(s->y[i]) == (t < taps - 1), "%s, %d taps: y[%d] is %g", target->name, (int) taps, i,
              (double) s->y[i]);
    }
    for (int64_t i = 0; i < CONV_CHANNELS * taps; i++) {
        CHECK(isfinite(s->dweight[i]) == (i != taps - 1), "%s, %d taps: dweight[%d] is %g", target->name, (int) taps,
              (int) i, (double) s->dweight[i]);
    }
    free(s);
}

/* Of equal elements the first are chosen, 0 and -0 being equal; a NaN and -infinity never are. */
static void check_top_k_mask(const target *target) {
    enum { R = 6, C = 8, LONG = 5000 };
    static const float rows[R][C] = {{3, 1, 3, 2, 3, 0, 3, 1},
                                     {-0.0f, 0, -0.0f, 0, -1, -2, -3, -4},
                                     {NAN, 1, NAN, 2, NAN, 3, NAN, 4},
                                     {-INFINITY, -1, -INFINITY, -INFINITY, -2, NAN, -INFINITY, -INFINITY},
                                     {1, INFINITY, 2, INFINITY, -3, 1e-45f, -1e-45f, 0},
                                     {-5, -4, -3, -2, -1, -6, -7, -8}};
    static const float expected[R][C] = {{1, 0, 1, 0, 1, 0, 0, 0}, {1, 1, 1, 0, 0, 0, 0, 0}, {0, 0, 0, 1, 0, 1, 0, 1},
                                         {0, 1, 0, 0, 1, 0, 0, 0}, {0, 1, 1, 1, 0, 0, 0, 0}, {0, 0, 1, 1, 1, 0, 0, 0}};
    struct {
        float x[R * C], y[R * C], equal[LONG], chosen[LONG];
    } h = {0}, *d;
    memcpy(h.x, rows, sizeof rows);
    d = copy_in(target, &h, sizeof h);
    pan_top_k_mask_desc desc = {.struct_size = sizeof desc, .dtype = PAN_F32, .rows = R, .columns = C, .k = 3};
    CHECK_OK(pan_top_k_mask(target->stream, &desc, d->x, d->y));
    desc =
        (pan_top_k_mask_desc){.struct_size = sizeof desc, .dtype = PAN_F32, .rows = 1, .columns = LONG, .k = LONG / 2};
    CHECK_OK(pan_top_k_mask(target->stream, &desc, d->equal, d->chosen));
    copy_out(target, d, &h, sizeof h);
    for (int i = 0; i < R * C; i++) {
        CHECK(h.y[i] == expected[i / C][i % C], "%s: the 3 largest of row %d: element %d is %g", target->name, i / C,
              i % C, (double) h.y[i]);
    }
    for (int i = 0; i < LONG; i++) {
        CHECK(h.chosen[i] == (i < LONG / 2 ? 1.0f : 0.0f), "%s: of %d equal ones number %d is %g", target->name, LONG,
              i, (double) h.chosen[i]);
    }
}

int main(void) {
    target targets[MAX_TARGETS];
    int count = open_targets(targets);
    for (int t = 0; t < count; t++) {
        const target *target = &targets[t];
        check_nothing_labelled(target);
        check_huge_logits(target);
        check_single_token(target);
        check_ties(target);
        check_nan_row(target);
        check_nan_example(target);
        check_masked_score(target);
        check_large_scores(target);
        check_top_k_mask(target);
        for (int64_t taps = 1; taps <= MOST_TAPS; taps = taps < 6 ? taps + 1 : taps + 47) {
            check_short_conv_reach(target, taps);
            check_short_conv_begin(target, taps);
        }
        check_elements(target);
        check_sums_and_systems(target);
    }
    close_targets(targets, count);
    return report();
}
