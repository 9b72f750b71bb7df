/* Values at the edge: NaN and infinities, huge logits, rows without labels, single tokens. On every backend. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static void fill(float *values, int64_t count, uint64_t seed, double scale) {
    generator random = {.state = seed};
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float) (scale * next_normal(&random));
    }
}

static bool all_zero(const float *values, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (values[i] != 0.0f) {
            return false;
        }
    }
    return true;
}

static bool all_finite(const float *values, int64_t count) {
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

/* ---- implicit filters ---- */

/* Products far beyond what a polynomial serves, and those that are not finite. */
static void check_sine_layer(const target *target) {
    static const float xs[] = {0.5f, -3.0f, 1e4f, 1048576.0f, -1.5e6f, 1e9f, 3e38f, INFINITY, NAN, 0.0f, -0.0f, 1e-42f};
    enum { N = COUNT(xs) };
    struct {
        float x[N], frequency[N], y[N], dx[N], dy[N];
    } h = {0}, *d;
    memcpy(h.x, xs, sizeof xs);
    for (int i = 0; i < N; i++) {
        h.frequency[i] = 14.25f;
        h.dy[i] = 1.0f;
    }
    pan_sine_layer_desc desc = {.struct_size = sizeof desc, .dtype = PAN_F32, .rows = 1, .channels = N};
    int64_t bytes = 0;
    d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_sine_layer_forward(target->stream, &desc, d->x, d->frequency, d->y));
    CHECK_OK(pan_sine_layer_backward_workspace_size(target->stream, &desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(pan_sine_layer_backward(target->stream, &desc, d->x, d->frequency, d->dy, d->dx, NULL, workspace, bytes));
    free_memory(target, workspace);
    copy_out(target, d, &h, sizeof h);
    for (int i = 0; i < N; i++) {
        double phase = (double) h.frequency[i] * xs[i];
        bool number = isfinite(phase);
        CHECK(number ? fabs(h.y[i] - sin(phase)) <= 1e-6 : isnan(h.y[i]), "%s: the sine of %g is %g", target->name,
              phase, (double) h.y[i]);
        CHECK(number ? fabs(h.dx[i] - h.frequency[i] * cos(phase)) <= 2e-5 : isnan(h.dx[i]),
              "%s: its slope at %g is %g", target->name, phase, (double) h.dx[i]);
    }
}

enum { MODULATION_LENGTH = 40, MODULATION_CHANNELS = 5, MODULATION_SIZE = MODULATION_LENGTH * MODULATION_CHANNELS };

typedef struct modulation {
    float rates[MODULATION_CHANNELS], x[MODULATION_SIZE], y[MODULATION_SIZE];
} modulation;

/* `d` lies on the device. */
static void check_bad_modulation(const target *target, modulation *d) {
    static const double bad[] = {-1e-9, NAN, INFINITY};
    for (int i = 0; i < 2 * COUNT(bad); i++) {
        const bool shift = i >= COUNT(bad);
        const double value = bad[i % COUNT(bad)];
        if (shift && value < 0.0) {
            continue; /* a shift may be negative */
        }
        pan_exponential_modulation_desc desc = {.struct_size = sizeof desc,
                                                .dtype = PAN_F32,
                                                .length = MODULATION_LENGTH,
                                                .channels = MODULATION_CHANNELS,
                                                .time_step = shift ? 0.25 : value,
                                                .shift = shift ? value : 0.0};
        CHECK(pan_exponential_modulation(target->stream, &desc, d->x, d->rates, d->y) == PAN_INVALID_ARGUMENT,
              "%s: %s %g is accepted", target->name, shift ? "shift" : "time_step", value);
    }
}

static void check_modulation(const target *target) {
    modulation h = {.rates = {0.0f, 1.0f, -70.0f, 1e30f, INFINITY}};
    pan_exponential_modulation_desc desc = {.struct_size = sizeof desc,
                                            .dtype = PAN_F32,
                                            .length = MODULATION_LENGTH,
                                            .channels = MODULATION_CHANNELS,
                                            .time_step = 0.25};
    for (int i = 0; i < MODULATION_SIZE; i++) {
        h.x[i] = 3.0f;
    }
    modulation *d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_exponential_modulation(target->stream, &desc, d->x, d->rates, d->y));
    check_bad_modulation(target, d);
    copy_out(target, d, &h, sizeof h);
    for (int i = 0; i < MODULATION_SIZE; i++) {
        double rate = fabs((double) h.rates[i % MODULATION_CHANNELS]);
        double expected = 3.0 * exp(-(i / MODULATION_CHANNELS) * 0.25 * rate);
        bool near = fabs(h.y[i] - expected) <= 1e-6 * expected + 1e-44;
        CHECK(isnan(expected) ? isnan(h.y[i]) : near, "%s: element %d is %g, not %g", target->name, i, (double) h.y[i],
              expected);
    }
}

/* ---- element-wise functions and sums ---- */

static const float ACTIVATION_INPUTS[] = {0.0f,   -0.0f,  1e-30f, -1e-30f,  1e-42f, 9.0f,  -9.0f,
                                          20.0f,  -20.0f, 90.0f,  -90.0f,   1e4f,   -1e4f, 1e10f,
                                          -1e10f, 3e38f,  -3e38f, INFINITY, NAN};
enum { INPUTS = COUNT(ACTIVATION_INPUTS) };

/* What an activation is far to the left and right, or, of_x, what f(x) / x is. */
typedef struct activation_limits {
    pan_activation kind;
    double low, high;
    bool of_x;
} activation_limits;

static void check_activation(const target *target, const activation_limits *limits) {
    struct {
        float x[INPUTS], y[INPUTS], dx[INPUTS], dy[INPUTS];
    } h = {0}, *d;
    memcpy(h.x, ACTIVATION_INPUTS, sizeof h.x);
    for (int k = 0; k < INPUTS; k++) {
        h.dy[k] = 1.0f;
    }
    pan_activation_desc desc = {.struct_size = sizeof desc, .dtype = PAN_F32, .kind = limits->kind, .count = INPUTS};
    d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_activation_forward(target->stream, &desc, d->x, d->y));
    CHECK_OK(pan_activation_backward(target->stream, &desc, d->x, d->dy, d->dx));
    copy_out(target, d, &h, sizeof h);
    for (int k = 0; k < INPUTS; k++) {
        double x = h.x[k], y = h.y[k], dx = h.dx[k];
        if (isnan(x)) {
            CHECK(isnan(y) && isnan(dx), "%s: activation %d of NaN is a number", target->name, limits->kind);
        } else if (isfinite(x) && fabs(x) > 50.0) {
            double share = x > 0.0 ? limits->high : limits->low;
            double expected = limits->of_x ? (share == 0.0 ? 0.0 : x) : share;
            CHECK(fabs(y - expected) <= 1e-6 * fabs(expected) + 1e-15, "%s: activation %d of %g is %g", target->name,
                  limits->kind, x, y);
            double slope = limits->of_x ? share : 0.0;
            CHECK(fabs(dx - slope) <= 1e-6, "%s: derivative of activation %d at %g is %g", target->name, limits->kind,
                  x, dx);
        }
    }
}

/* Functions of which f64 knows every f32 value: what that rounds to, infinities, NaN and subnormal numbers included. */
typedef struct plain_function {
    pan_activation kind;
    double (*value)(double x);
} plain_function;

static double elu_plus_one(double x) {
    return x > 0.0 ? x + 1.0 : exp(x);
}

static double square(double x) {
    return x * x;
}

static double relu_squared(double x) {
    return x < 0.0 ? 0.0 : x * x;
}

static double softplus(double x) {
    return log1p(exp(-fabs(x))) + (x > 0.0 ? x : 0.0);
}

static double log_sigmoid(double x) {
    return -softplus(-x);
}

static void check_plain_function(const target *target, const plain_function *function) {
    struct {
        float x[INPUTS], y[INPUTS];
    } h = {0}, *d;
    memcpy(h.x, ACTIVATION_INPUTS, sizeof h.x);
    pan_activation_desc desc = {.struct_size = sizeof desc, .dtype = PAN_F32, .kind = function->kind, .count = INPUTS};
    d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_activation_forward(target->stream, &desc, d->x, d->y));
    copy_out(target, d, &h, sizeof h);
    for (int k = 0; k < INPUTS; k++) {
        const float expected = (float) function->value(h.x[k]);
        const bool near = fabs((double) h.y[k] - expected) <= 1e-6 * fabs(expected) + 1e-44;
        CHECK(isnan(expected) ? isnan(h.y[k]) : h.y[k] == expected || near, "%s: activation %d of %g is %g, not %g",
              target->name, function->kind, (double) h.x[k], (double) h.y[k], (double) expected);
    }
}

static void check_activations(const target *target) {
    static const plain_function functions[] = {{PAN_ACTIVATION_EXP, exp},
                                               {PAN_ACTIVATION_LOG, log},
                                               {PAN_ACTIVATION_TANH, tanh},
                                               {PAN_ACTIVATION_SOFTPLUS, softplus},
                                               {PAN_ACTIVATION_LOG_SIGMOID, log_sigmoid},
                                               {PAN_ACTIVATION_ELU_PLUS_ONE, elu_plus_one},
                                               {PAN_ACTIVATION_SQUARE, square},
                                               {PAN_ACTIVATION_RELU_SQUARED, relu_squared}};
    for (int i = 0; i < COUNT(functions); i++) {
        check_plain_function(target, &functions[i]);
    }
    static const activation_limits limits[] = {
        {PAN_ACTIVATION_SIGMOID, 0.0, 1.0, false},  {PAN_ACTIVATION_GELU, 0.0, 1.0, true},
        {PAN_ACTIVATION_GELU_TANH, 0.0, 1.0, true}, {PAN_ACTIVATION_SILU, 0.0, 1.0, true},
        {PAN_ACTIVATION_RELU, 0.0, 1.0, true},      {PAN_ACTIVATION_TANH, -1.0, 1.0, false},
        {PAN_ACTIVATION_SOFTPLUS, 0.0, 1.0, true},  {PAN_ACTIVATION_LOG_SIGMOID, 1.0, 0.0, true}};
    for (int i = 0; i < COUNT(limits); i++) {
        check_activation(target, &limits[i]);
    }
}

/* Row-wise ops keep a NaN in its row. */
static void check_rows_apart(const target *target) {
    enum { R = 5, C = 33, BAD = 2 };
    struct {
        float x[R * C], y[R * C], weight[C], mean[R], rstd[R];
    } h = {0}, *d;
    fill(h.x, R * C, 5, 1.0);
    fill(h.weight, C, 6, 1.0);
    h.x[BAD * C + 32] = NAN;
    pan_norm_desc norm = {
        .struct_size = sizeof norm, .dtype = PAN_F32, .epsilon = 1e-5f, .rows = R, .channels = C, .stride = C};
    pan_softmax_desc softmax = {.struct_size = sizeof softmax, .dtype = PAN_F32, .rows = R, .columns = C};
    for (int op = 0; op < 3; op++) {
        norm.kind = op == 1 ? PAN_NORM_RMS : PAN_NORM_LAYER;
        d = copy_in(target, &h, sizeof h);
        CHECK_OK(op == 2 ? pan_softmax_forward(target->stream, &softmax, d->x, d->y)
                         : pan_norm_forward(target->stream, &norm, d->x, NULL, d->weight, NULL, NULL, d->y,
                                            op == 0 ? d->mean : NULL, d->rstd));
        copy_out(target, d, &h, sizeof h);
        for (int i = 0; i < R * C; i++) {
            CHECK(isnan(h.y[i]) == (i / C == BAD), "%s: op %d: element %d is %g with a NaN in row %d", target->name, op,
                  i, (double) h.y[i], BAD);
        }
    }
}

/* A sum that f32 partial sums lose: 2^24 + 1 + 1 + ... */
static void check_long_sum(const target *target) {
    enum { N = 4096 };
    struct {
        float x[N], y;
    } h = {0}, *d;
    for (int i = 0; i < N; i++) {
        h.x[i] = i == 0 ? 16777216.0f : 1.0f;
    }
    pan_reduce_desc desc = {
        .struct_size = sizeof desc, .dtype = PAN_F32, .kind = PAN_REDUCE_SUM, .outer = 1, .count = N, .inner = 1};
    int64_t bytes = 0;
    d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_reduce_forward_workspace_size(target->stream, &desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(pan_reduce_forward(target->stream, &desc, d->x, &d->y, workspace, bytes));
    free_memory(target, workspace);
    copy_out(target, d, &h, sizeof h);
    CHECK(h.y == (float) (16777216.0 + N - 1), "%s: the sum is %.9g", target->name, (double) h.y);
}

/* The first of equal values is the largest, and the first NaN if there is one; wherever lanes end. */
static void check_maximum(const target *target, int64_t inner) {
    enum { N = 41 * 19 };
    static const float ties[] = {2.0f, 7.0f, -INFINITY, INFINITY, NAN};
    const int64_t count = 41, outer = inner == 1 ? 19 : 1;
    struct {
        float x[N], y[N], dy[N], dx[N];
    } h, *d;
    for (int t = 0; t < COUNT(ties); t++) {
        for (int64_t k = 0; k < count; k++) {
            for (int64_t i = 0; i < 19; i++) {
                const bool tied = k == i + 3 || k == i + 20 || k == 40;
                const float other = ties[t] == -INFINITY ? -INFINITY : (float) (-i - k);
                h.x[inner == 1 ? i * count + k : k * inner + i] = tied ? ties[t] : other;
                h.dy[i] = (float) (i + 1);
            }
        }
        pan_reduce_desc desc = {.struct_size = sizeof desc,
                                .dtype = PAN_F32,
                                .kind = PAN_REDUCE_MAX,
                                .outer = outer,
                                .count = count,
                                .inner = inner};
        int64_t bytes = 0;
        d = copy_in(target, &h, sizeof h);
        CHECK_OK(pan_reduce_forward_workspace_size(target->stream, &desc, &bytes));
        void *workspace = new_memory(target, bytes);
        CHECK_OK(pan_reduce_forward(target->stream, &desc, d->x, d->y, workspace, bytes));
        free_memory(target, workspace);
        CHECK_OK(pan_reduce_backward(target->stream, &desc, d->x, d->dy, d->dx));
        copy_out(target, d, &h, sizeof h);
        for (int64_t i = 0; i < 19; i++) {
            CHECK(isnan(ties[t]) ? isnan(h.y[i]) : h.y[i] == ties[t], "%s: the maximum is %g, not %g", target->name,
                  (double) h.y[i], (double) ties[t]);
            for (int64_t k = 0; k < count; k++) {
                const float slope = h.dx[inner == 1 ? i * count + k : k * inner + i];
                const bool first = k == (ties[t] == -INFINITY ? 0 : i + 3);
                CHECK(slope == (first ? (float) (i + 1) : 0.0f), "%s: maximum %g, entry %d of %d: gradient %g",
                      target->name, (double) ties[t], (int) k, (int) i, (double) slope);
            }
        }
    }
}

/* A NaN in either operand is the maximum; of equal operands the first gets the gradient. */
static void check_larger(const target *target) {
    enum { N = 21 };
    struct {
        float a[N], b[N], y[N], dy[N], da[N], db[N];
    } h, *d;
    for (int i = 0; i < N; i++) {
        h.a[i] = i % 4 == 0 ? NAN : (float) i;
        h.b[i] = i % 4 == 1 ? NAN : (float) (i % 4 == 2 ? i : 10);
        h.dy[i] = 3.0f;
    }
    pan_arithmetic_desc desc = {.struct_size = sizeof desc,
                                .dtype = PAN_F32,
                                .kind = PAN_MAXIMUM,
                                .rank = 1,
                                .shape = {N},
                                .a_stride = {1},
                                .b_stride = {1}};
    d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_arithmetic_forward(target->stream, &desc, d->a, d->b, d->y));
    CHECK_OK(pan_arithmetic_backward(target->stream, &desc, d->a, d->b, d->dy, d->da, d->db));
    copy_out(target, d, &h, sizeof h);
    for (int i = 0; i < N; i++) {
        const bool nan = i % 4 < 2;
        const float expected = (float) (i % 4 == 2 || i > 10 ? i : 10);
        CHECK(nan ? isnan(h.y[i]) : h.y[i] == expected, "%s: the larger of %g and %g is %g", target->name,
              (double) h.a[i], (double) h.b[i], (double) h.y[i]);
        CHECK(h.da[i] == (h.a[i] >= h.b[i] ? 3.0f : 0.0f) && h.da[i] + h.db[i] == 3.0f,
              "%s: gradients of the larger of %g and %g are %g and %g", target->name, (double) h.a[i], (double) h.b[i],
              (double) h.da[i], (double) h.db[i]);
    }
}

/* A NaN and what comes after it are NaN; no bit of an earlier sum changes, nor of its neighbours'. */
static void check_cumulative_sum(const target *target, int64_t inner) {
    enum { ENTRIES = 90, SUMS = 38, N = ENTRIES * SUMS, BAD = 40 };
    struct {
        float x[N], y[N];
    } clean, h, *d;
    for (int32_t reverse = 0; reverse < 2; reverse++) {
        pan_cumulative_sum_desc desc = {.struct_size = sizeof desc,
                                        .dtype = PAN_F32,
                                        .reverse = reverse,
                                        .outer = SUMS / inner,
                                        .count = ENTRIES,
                                        .inner = inner};
        fill(clean.x, N, 8, 1.0);
        h = clean;
        const int64_t at = (desc.outer / 2 * ENTRIES + BAD) * inner + inner / 2;
        h.x[at] = NAN;
        d = copy_in(target, &clean, sizeof clean);
        CHECK_OK(pan_cumulative_sum(target->stream, &desc, d->x, d->y));
        copy_out(target, d, &clean, sizeof clean);
        d = copy_in(target, &h, sizeof h);
        CHECK_OK(pan_cumulative_sum(target->stream, &desc, d->x, d->y));
        copy_out(target, d, &h, sizeof h);
        for (int64_t i = 0; i < N; i++) {
            const int64_t k = i / inner % ENTRIES;
            const bool same_sum = i % inner == at % inner && i / inner / ENTRIES == at / inner / ENTRIES;
            const bool reached = same_sum && (reverse ? k <= BAD : k >= BAD);
            CHECK(reached ? isnan(h.y[i]) : memcmp(&h.y[i], &clean.y[i], sizeof(float)) == 0,
                  "%s: a NaN at %d of a cumulative sum gives %g at %d", target->name, (int) at, (double) h.y[i],
                  (int) i);
        }
    }
}

/* What lies in front of the sequence is left out and not multiplied by zero; a NaN reaches the next position alone. */
static void check_token_shift(const target *target) {
    enum { B = 2, L = 5, C = 19, N = B * L * C, BAD = (L + 2) * C + 7 };
    struct {
        float x[N], mix[C], y[N], dy[N], dx[N];
    } h = {0}, *d;
    fill(h.x, N, 9, 1.0);
    fill(h.dy, N, 10, 1.0);
    for (int c = 0; c < C; c++) {
        h.mix[c] = c == 3 ? INFINITY : 0.25f;
    }
    h.x[BAD] = NAN;
    h.dy[BAD] = NAN;
    pan_token_shift_desc desc = {.struct_size = sizeof desc, .dtype = PAN_F32, .batch = B, .length = L, .channels = C};
    int64_t bytes = 0;
    d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_token_shift_forward(target->stream, &desc, d->x, d->mix, NULL, d->y));
    CHECK_OK(pan_token_shift_backward_workspace_size(target->stream, &desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(pan_token_shift_backward(target->stream, &desc, d->x, d->mix, d->dy, d->dx, NULL, workspace, bytes));
    free_memory(target, workspace);
    copy_out(target, d, &h, sizeof h);
    for (int i = 0; i < N; i++) {
        const int t = i / C % L;
        if (i % C == 3) {
            CHECK(t > 0 || isinf(h.y[i]), "%s: the first position is %g", target->name, (double) h.y[i]);
            CHECK(t < L - 1 || isinf(h.dx[i]), "%s: the last gradient is %g", target->name, (double) h.dx[i]);
            continue;
        }
        CHECK(isnan(h.y[i]) == (i == BAD || i == BAD + C), "%s: y[%d] is %g", target->name, i, (double) h.y[i]);
        CHECK(isnan(h.dx[i]) == (i == BAD || i == BAD - C), "%s: dx[%d] is %g", target->name, i, (double) h.dx[i]);
    }
}

/* A NaN reaches the outputs of its channel from its position on, and no other bit; one in a channel's rate reaches
 * all of the channel but its first outputs. */
enum { SCAN_BATCH = 2, SCAN_LENGTH = 40, SCAN_CHANNELS = 19, SCAN_STATES = 5 };
enum { SCAN_ROWS = SCAN_BATCH * SCAN_LENGTH, SCAN_INPUTS = SCAN_ROWS * SCAN_CHANNELS };

typedef struct scan_arrays {
    float x[SCAN_INPUTS], delta[SCAN_INPUTS], b[SCAN_ROWS * SCAN_STATES], c[SCAN_ROWS * SCAN_STATES];
    float rates[SCAN_CHANNELS * SCAN_STATES], y[SCAN_INPUTS];
} scan_arrays;

static void run_wkv(const target *target, scan_arrays *d) {
    const pan_wkv_desc desc = {.struct_size = sizeof desc,
                               .dtype = PAN_F32,
                               .batch = SCAN_BATCH,
                               .length = SCAN_LENGTH,
                               .channels = SCAN_CHANNELS};
    CHECK_OK(pan_wkv_forward(target->stream, &desc, d->x, d->delta, d->rates, d->c, NULL, d->y, NULL));
}

static void run_selective_scan(const target *target, scan_arrays *d) {
    const pan_selective_scan_desc desc = {.struct_size = sizeof desc,
                                          .dtype = PAN_F32,
                                          .batch = SCAN_BATCH,
                                          .length = SCAN_LENGTH,
                                          .channels = SCAN_CHANNELS,
                                          .state_size = SCAN_STATES,
                                          .u_stride = SCAN_CHANNELS,
                                          .delta_stride = SCAN_CHANNELS,
                                          .b_stride = SCAN_STATES,
                                          .c_stride = SCAN_STATES,
                                          .y_stride = SCAN_CHANNELS};
    int64_t bytes = 0;
    CHECK_OK(pan_selective_scan_forward_workspace_size(target->stream, &desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(pan_selective_scan_forward(target->stream, &desc, d->x, d->delta, d->rates, d->b, d->c, NULL, NULL, NULL,
                                        NULL, d->y, NULL, NULL, workspace, bytes));
    CHECK_OK(pan_stream_synchronize(target->stream));
    free_memory(target, workspace);
}

typedef void run_scan(const target *target, scan_arrays *d);

static void check_scan(const target *target, const char *name, run_scan *run, int64_t rates_of_channel) {
    enum { EXAMPLE = 1, POSITION = 21, CHANNEL = 17 };
    scan_arrays clean, h, *d;
    fill((float *) &clean, sizeof clean / sizeof(float), 11, 1.0);
    for (int what = 0; what < 3; what++) {
        h = clean;
        const int at = (EXAMPLE * SCAN_LENGTH + POSITION) * SCAN_CHANNELS + CHANNEL;
        *(what == 0 ? &h.x[at] : what == 1 ? &h.delta[at] : &h.rates[CHANNEL * rates_of_channel]) = NAN;
        scan_arrays expected = clean;
        d = copy_in(target, &expected, sizeof expected);
        run(target, d);
        copy_out(target, d, &expected, sizeof expected);
        d = copy_in(target, &h, sizeof h);
        run(target, d);
        copy_out(target, d, &h, sizeof h);
        for (int i = 0; i < SCAN_INPUTS; i++) {
            const int t = i / SCAN_CHANNELS % SCAN_LENGTH, example = i / SCAN_CHANNELS / SCAN_LENGTH;
            const bool reached = i % SCAN_CHANNELS == CHANNEL && (what == 2 || (example == EXAMPLE && t >= POSITION));
            if (what == 2 && i % SCAN_CHANNELS == CHANNEL && t == 0) {
                continue; /* nothing has decayed yet */
            }
            CHECK(reached ? isnan(h.y[i]) : memcmp(&h.y[i], &expected.y[i], sizeof(float)) == 0,
                  "%s, %s: a NaN in array %d gives %g at %d", target->name, name, what, (double) h.y[i], i);
        }
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
        for (int64_t taps = 1; taps <= MOST_TAPS; taps = taps < 6 ? taps + 1 : taps + 47) {
            check_short_conv_reach(target, taps);
            check_short_conv_begin(target, taps);
        }
        check_sine_layer(target);
        check_modulation(target);
        check_activations(target);
        check_rows_apart(target);
        check_long_sum(target);
        check_maximum(target, 1);
        check_maximum(target, 19);
        check_larger(target);
        check_cumulative_sum(target, 1);
        check_cumulative_sum(target, 38);
        check_token_shift(target);
        check_scan(target, "wkv", run_wkv, 1);
        check_scan(target, "selective_scan", run_selective_scan, SCAN_STATES);
    }
    close_targets(targets, count);
    return report();
}
