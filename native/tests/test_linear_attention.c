/* Linear attention beyond single calls: what reaches which positions, going on from a state, and long sequences. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { BATCH = 2, HEADS = 2, LENGTH = 300, FEATURE_DIM = 6, VALUE_DIM = 9 };
enum { FEATURE_WIDTH = HEADS * FEATURE_DIM, VALUE_WIDTH = HEADS * VALUE_DIM, POSITIONS = BATCH * LENGTH };
enum { FEATURES = POSITIONS * FEATURE_WIDTH, VALUES = POSITIONS * VALUE_WIDTH };
enum { MOST_STATE = BATCH * HEADS * (1 + FEATURE_DIM + FEATURE_DIM * (FEATURE_DIM + 1) / 2) * (VALUE_DIM + 1) };
static const double TOLERANCE = 1e-5; /* of max |a - b| / max |b| */

typedef struct linear {
    pan_linear_attention_desc desc;
    float q[FEATURES], k[FEATURES], v[VALUES], o[VALUES], denominator[BATCH * HEADS * LENGTH], d_o[VALUES];
    float dq[FEATURES], dk[FEATURES], dv[VALUES], state[MOST_STATE];
} linear;

static pan_linear_attention_desc desc_of(pan_feature_map features, int64_t batch, int64_t length) {
    const pan_head_layout queries = {length * FEATURE_WIDTH, FEATURE_WIDTH, FEATURE_DIM};
    const pan_head_layout values = {length * VALUE_WIDTH, VALUE_WIDTH, VALUE_DIM};
    return (pan_linear_attention_desc){.struct_size = sizeof(pan_linear_attention_desc),
                                       .dtype = PAN_F32,
                                       .features = features,
                                       .normalised = 1,
                                       .epsilon = 1e-12f,
                                       .batch = batch,
                                       .heads = HEADS,
                                       .length = length,
                                       .feature_dim = FEATURE_DIM,
                                       .value_dim = VALUE_DIM,
                                       .q = queries,
                                       .k = queries,
                                       .v = values,
                                       .o = values};
}

/* Positive queries and keys, which are features as well as what features are made of. */
static void fill(float *values, int64_t count, uint64_t seed, bool positive) {
    generator random = {seed};
    for (int64_t i = 0; i < count; i++) {
        const float x = (float) next_normal(&random);
        values[i] = positive ? fabsf(x) : x;
    }
}

static linear *new_linear(pan_feature_map features) {
    linear *made = allocate(1, sizeof *made);
    made->desc = desc_of(features, BATCH, LENGTH);
    fill(made->q, FEATURES, 1, true);
    fill(made->k, FEATURES, 2, true);
    fill(made->v, VALUES, 3, false);
    fill(made->d_o, VALUES, 4, false);
    return made;
}

static void forward(const target *target, const pan_linear_attention_desc *desc, const float *q, const float *k,
                    const float *v, const float *initial, float *o, float *denominator, float *final) {
    int64_t bytes = 0;
    CHECK_OK(pan_linear_attention_forward_workspace_size(target->stream, desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(
        pan_linear_attention_forward(target->stream, desc, q, k, v, initial, o, denominator, final, workspace, bytes));
    free_memory(target, workspace);
}

static void run(const target *target, linear *a) {
    int64_t bytes = 0;
    linear *d = copy_in(target, a, sizeof *a);
    forward(target, &a->desc, d->q, d->k, d->v, NULL, d->o, d->denominator, d->state);
    CHECK_OK(pan_linear_attention_backward_workspace_size(target->stream, &a->desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(pan_linear_attention_backward(target->stream, &a->desc, d->q, d->k, d->v, d->o, d->denominator, d->d_o,
                                           d->dq, d->dk, d->dv, workspace, bytes));
    free_memory(target, workspace);
    copy_out(target, d, a, sizeof *a);
}

/* Whether rows [begin, end) of an example have the same bits in both. */
static bool same_rows(const float *a, const float *b, int64_t width, int64_t example, int64_t begin, int64_t end) {
    const int64_t first = (example * LENGTH + begin) * width;
    return memcmp(a + first, b + first, (size_t) ((end - begin) * width) * sizeof *a) == 0;
}

/* What one position of one example holds reaches the outputs from there on, and the gradients up to there, of this
 * example: nothing else changes in any bit. */
static void check_reach(const target *target, pan_feature_map features, int64_t position, float value) {
    enum { BAD = 1 };
    linear *clean = new_linear(features), *a = new_linear(features);
    run(target, clean);
    const int64_t row = BAD * LENGTH + position;
    a->q[row * FEATURE_WIDTH] = a->k[row * FEATURE_WIDTH] = a->v[row * VALUE_WIDTH] = value;
    run(target, a);
    CHECK(same_rows(a->o, clean->o, VALUE_WIDTH, BAD, 0, position),
          "%s, features %d: %g at position %d reaches earlier outputs", target->name, features, (double) value,
          (int) position);
    CHECK(!same_rows(a->o, clean->o, VALUE_WIDTH, BAD, position, position + 1) &&
              !same_rows(a->o, clean->o, VALUE_WIDTH, BAD, LENGTH - 1, LENGTH),
          "%s, features %d: %g at position %d does not reach its output", target->name, features, (double) value,
          (int) position);
    CHECK(same_rows(a->dq, clean->dq, FEATURE_WIDTH, BAD, 0, position),
          "%s, features %d: %g at position %d reaches earlier dq", target->name, features, (double) value,
          (int) position);
    CHECK(same_rows(a->o, clean->o, VALUE_WIDTH, 1 - BAD, 0, LENGTH) &&
              same_rows(a->dk, clean->dk, FEATURE_WIDTH, 1 - BAD, 0, LENGTH) &&
              same_rows(a->dv, clean->dv, VALUE_WIDTH, 1 - BAD, 0, LENGTH),
          "%s, features %d: %g reaches another example", target->name, features, (double) value);
    memcpy(a, clean, sizeof *a);
    a->d_o[row * VALUE_WIDTH] = value;
    run(target, a);
    CHECK(same_rows(a->dk, clean->dk, FEATURE_WIDTH, BAD, position + 1, LENGTH) &&
              same_rows(a->dv, clean->dv, VALUE_WIDTH, BAD, position + 1, LENGTH) &&
              same_rows(a->dq, clean->dq, FEATURE_WIDTH, BAD, 0, position),
          "%s, features %d: %g in d_o at position %d reaches gradients that do not depend on it", target->name,
          features, (double) value, (int) position);
    CHECK(!same_rows(a->dv, clean->dv, VALUE_WIDTH, BAD, 0, 1), "%s, features %d: %g in d_o does not reach dv",
          target->name, features, (double) value);
    free(a);
    free(clean);
}

static double relative_error_of(const float *a, const float *b, int64_t count) {
    double difference = 0.0, largest = 0.0;
    for (int64_t i = 0; i < count; i++) {
        difference = fmax(difference, fabs((double) a[i] - b[i]));
        largest = fmax(largest, fabs((double) b[i]));
    }
    return difference / largest;
}

/* One sequence in parts, each from the state that the one before left, against the whole. */
static void check_parts(const target *target, pan_feature_map features, int64_t first, int64_t step) {
    linear *whole = new_linear(features), *parts = new_linear(features);
    run(target, whole);
    linear *d = copy_in(target, parts, sizeof *parts);
    const pan_linear_attention_desc all = whole->desc;
    for (int64_t begin = 0; begin < LENGTH;) {
        const int64_t most = begin == 0 ? first : step;
        const int64_t count = begin + most < LENGTH ? most : LENGTH - begin;
        pan_linear_attention_desc desc = desc_of(features, BATCH, count);
        desc.q = all.q;
        desc.k = all.k;
        desc.v = all.v;
        desc.o = all.o;
        forward(target, &desc, d->q + begin * FEATURE_WIDTH, d->k + begin * FEATURE_WIDTH, d->v + begin * VALUE_WIDTH,
                begin == 0 ? NULL : d->state, d->o + begin * VALUE_WIDTH, d->denominator, d->state);
        begin += count;
    }
    copy_out(target, d, parts, sizeof *parts);
    const double outputs = relative_error_of(parts->o, whole->o, VALUES);
    const double state = relative_error_of(parts->state, whole->state, MOST_STATE);
    CHECK(outputs <= TOLERANCE && state <= TOLERANCE,
          "%s, features %d: in parts of %d and then %d outputs differ by %.3g, the state by %.3g", target->name,
          features, (int) first, (int) step, outputs, state);
    free(parts);
    free(whole);
}

/* A denominator of 16384 terms, and gradients of as many. */
static void check_long(const target *target) {
    enum { LONG = 16384 };
    const int64_t rows = LONG * VALUE_WIDTH;
    float *x = allocate(4 * rows, sizeof *x);
    fill(x, 4 * rows, 5, false);
    float *d = copy_in(target, x, 4 * rows * (int64_t) sizeof *x);
    float *denominator = new_memory(target, HEADS * LONG * (int64_t) sizeof(float));
    const pan_linear_attention_desc desc = desc_of(PAN_FEATURES_TAYLOR, 1, LONG);
    forward(target, &desc, d, d + rows, d + 2 * rows, NULL, d + 3 * rows, denominator, NULL);
    free_memory(target, denominator);
    copy_out(target, d, x, 4 * rows * (int64_t) sizeof *x);
    double largest = 0.0;
    bool finite = true;
    for (int64_t i = 0; i < rows; i++) {
        finite &= isfinite(x[3 * rows + i]) != 0;
        largest = i < rows / 2 ? largest : fmax(largest, fabs((double) x[3 * rows + i]));
    }
    CHECK(finite && largest < 1.0, "%s: averages of over 8192 values are up to %g%s", target->name, largest,
          finite ? "" : ", some are not finite");
    free(x);
}

int main(void) {
    target targets[MAX_TARGETS];
    const int count = open_targets(targets);
    for (int t = 0; t < count; t++) {
        for (pan_feature_map features = 0; features < PAN_FEATURES_COUNT; features++) {
            check_reach(&targets[t], features, 40, NAN);
            check_reach(&targets[t], features, 150, NAN);
            check_reach(&targets[t], features, 255, 1e20f);
            check_parts(&targets[t], features, 1, 1);
            check_parts(&targets[t], features, 77, 200);
        }
        if (targets[t].options.backend == PAN_BACKEND_CPU) {
            check_long(&targets[t]);
        }
    }
    close_targets(targets, count);
    return report();
}
