/* Cases of the RWKV-4 recurrence. */
#include <math.h>

#include "cases.h"

/* Usual keys and decays, and those that ask the most of the running maximum. */
enum { USUAL, LARGE_KEYS, SLOW_DECAY, FAST_DECAY, KINDS };

static pan_wkv_desc *wkv_desc(call *call, int variant) {
    int64_t batch = at_most(ragged(variant, 3), 7), length = ragged(variant, 0);
    int64_t channels = at_most(ragged(variant, 1), 40000 / (batch * length));
    pan_wkv_desc *desc = DESC(call, pan_wkv_desc);
    *desc = (pan_wkv_desc){.struct_size = sizeof *desc, .batch = batch, .length = length, .channels = channels};
    call->work = 100.0 * (double) (batch * length * channels);
    return desc;
}

static double *values_of(call *call, int view) {
    return call->blocks[call->views[view].block].values;
}

static void add_inputs(call *call, int variant) {
    const pan_wkv_desc *desc = wkv_desc(call, variant);
    const int64_t rows = desc->batch * desc->length;
    const int kind = variant % KINDS;
    int k = add_rows(call, "k", INPUT, rows, desc->channels, desc->channels);
    scale_values(call, k, kind == LARGE_KEYS ? 8.0 : 1.0);
    add_rows(call, "v", INPUT, rows, desc->channels, desc->channels);
    double *decay = values_of(call, add_vector(call, "decay", INPUT, desc->channels));
    for (int64_t c = 0; c < desc->channels; c++) {
        decay[c] = (float) (decay[c] + (kind == SLOW_DECAY ? -6.0 : kind == FAST_DECAY ? 3.0 : -1.0));
    }
    add_vector(call, "first", INPUT, desc->channels);
}

/* What it can be: a positive denominator, or zeros where nothing has come yet. */
static void add_initial_state(call *call, bool present) {
    const pan_wkv_desc *desc = DESC(call, pan_wkv_desc);
    int view = add_rows(call, "initial_state", INPUT, desc->batch, 3 * desc->channels, 3 * desc->channels);
    double *state = values_of(call, view);
    for (int64_t i = 0; i < desc->batch * desc->channels; i++) {
        double *column = state + i / desc->channels * 3 * desc->channels + i % desc->channels;
        column[desc->channels] = (float) (1.0 + fabs(column[desc->channels]));
        column[2 * desc->channels] = (float) (10.0 * column[2 * desc->channels]);
        if (next_bits(&call->random) % 4 == 0) {
            column[0] = column[desc->channels] = column[2 * desc->channels] = 0.0;
        }
    }
    make_optional(call, view, present);
}

static void add_outputs(call *call, bool final_state) {
    const pan_wkv_desc *desc = DESC(call, pan_wkv_desc);
    add_rows(call, "y", OUTPUT, desc->batch * desc->length, desc->channels, desc->channels);
    int view = add_rows(call, "final_state", OUTPUT, desc->batch, 3 * desc->channels, 3 * desc->channels);
    make_optional(call, view, final_state);
}

static void prepare_wkv_forward(call *call, int variant) {
    add_inputs(call, variant);
    add_initial_state(call, false);
    add_outputs(call, variant % 2 == 1);
}

static void prepare_from_state(call *call, int variant) {
    add_inputs(call, variant);
    add_initial_state(call, true);
    add_outputs(call, variant % 3 != 0);
}

/* Keys that are far apart, positions without any weight, the first ones of some examples among them, decays that overflow and that vanish. */
static void spoil_inputs(call *call) {
    const pan_wkv_desc *desc = DESC(call, pan_wkv_desc);
    double *k = values_of(call, 0), *decay = values_of(call, 2);
    scale_values(call, 0, 40.0);
    for (int64_t row = 0; row < desc->batch * desc->length; row++) {
        for (int64_t c = 0; c < desc->channels; c++) {
            if (next_bits(&call->random) % 3 == 0 || row % desc->length < c % 5) {
                k[row * desc->channels + c] = -INFINITY;
            }
        }
    }
    for (int64_t c = 0; c < desc->channels; c++) {
        static const double extremes[] = {100.0, 10.0, -200.0, 60.0};
        decay[c] = c % 2 ? decay[c] : extremes[c / 2 % COUNT(extremes)];
    }
}

static void prepare_extreme_forward(call *call, int variant) {
    add_inputs(call, variant);
    spoil_inputs(call);
    add_initial_state(call, variant % 2 == 1);
    add_outputs(call, false);
}

static pan_status invoke_wkv_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                     int64_t bytes) {
    (void) workspace;
    (void) bytes;
    return pan_wkv_forward(stream, desc, a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
}

enum { K, V, DECAY, FIRST, DY, DK, DV, DDECAY, DFIRST, Y = 5 };

static void add_gradients(call *call, int variant) {
    const pan_wkv_desc *desc = DESC(call, pan_wkv_desc);
    const int64_t rows = desc->batch * desc->length;
    add_rows(call, "dy", INPUT, rows, desc->channels, desc->channels);
    make_optional(call, add_rows(call, "dk", OUTPUT, rows, desc->channels, desc->channels), variant % 7 != 3);
    make_optional(call, add_rows(call, "dv", OUTPUT, rows, desc->channels, desc->channels), variant % 7 != 4);
    make_optional(call, add_vector(call, "ddecay", ADDED, desc->channels), variant % 7 != 5);
    make_optional(call, add_vector(call, "dfirst", ADDED, desc->channels), variant % 7 != 6);
}

static void prepare_wkv_backward(call *call, int variant) {
    add_inputs(call, variant);
    add_gradients(call, variant);
    for (int i = K; i <= FIRST; i++) {
        relate(call, i, VALUE_OF, i);
        relate(call, DK + i, GRADIENT_OF, i);
    }
    relate(call, DY, COTANGENT_OF, Y);
}

static void prepare_extreme_backward(call *call, int variant) {
    add_inputs(call, variant);
    spoil_inputs(call);
    add_gradients(call, variant);
}

static pan_status invoke_wkv_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                      int64_t bytes) {
    return pan_wkv_backward(stream, desc, a[K], a[V], a[DECAY], a[FIRST], a[DY], a[DK], a[DV], a[DDECAY], a[DFIRST],
                            workspace, bytes);
}

static pan_status wkv_backward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_wkv_backward_workspace_size(stream, desc, bytes);
}

/* A difference of values and of means of them, times gradients: nothing is left of it where one position has all the
 * weight. */
static double wkv_backward_cancelling(const call *call, int view) {
    return view == DK || view == DFIRST ? largest_value(call, DY) * largest_value(call, V) : 0.0;
}

#define WKV_FIELDS                                                                       \
    {                                                                                    \
        FIELD(pan_wkv_desc, batch, FIELD_SIZE), FIELD(pan_wkv_desc, length, FIELD_SIZE), \
            FIELD(pan_wkv_desc, channels, FIELD_SIZE)                                    \
    }

enum { WKV, WKV_BACKWARD, FROM_STATE, EXTREME, EXTREME_BACKWARD, END };

const op_case WKV_CASES[] = {
    [WKV] = {.op = "wkv_forward",
             .variants = 2 * SIZE_COUNT,
             .tolerance = 2e-6,
             .prepare = prepare_wkv_forward,
             .invoke = invoke_wkv_forward,
             .desc_size = sizeof(pan_wkv_desc),
             .fields = WKV_FIELDS},
    [WKV_BACKWARD] = {.op = "wkv_backward",
                      .variants = 2 * SIZE_COUNT,
                      .tolerance = 1e-5,
                      .cancelling = wkv_backward_cancelling,
                      .prepare = prepare_wkv_backward,
                      .invoke = invoke_wkv_backward,
                      .workspace = wkv_backward_workspace,
                      .forward = &WKV_CASES[WKV],
                      .desc_size = sizeof(pan_wkv_desc),
                      .fields = WKV_FIELDS},
    [FROM_STATE] = {.op = "wkv_forward",
                    .title = "wkv_forward from a state",
                    .variants = 2 * SIZE_COUNT,
                    .tolerance = 2e-6,
                    .prepare = prepare_from_state,
                    .invoke = invoke_wkv_forward,
                    .aliases = {{6, 4}},
                    .desc_size = sizeof(pan_wkv_desc),
                    .fields = WKV_FIELDS},
    [EXTREME] = {.op = "wkv_forward",
                 .title = "wkv_forward of extreme exponents",
                 .variants = SIZE_COUNT,
                 .tolerance = 2e-6,
                 .prepare = prepare_extreme_forward,
                 .invoke = invoke_wkv_forward,
                 .desc_size = sizeof(pan_wkv_desc),
                 .fields = WKV_FIELDS},
    [EXTREME_BACKWARD] = {.op = "wkv_backward",
                          .title = "wkv_backward of extreme exponents",
                          .variants = SIZE_COUNT,
                          .tolerance = 1e-5,
                          .cancelling = wkv_backward_cancelling,
                          .prepare = prepare_extreme_backward,
                          .invoke = invoke_wkv_backward,
                          .workspace = wkv_backward_workspace,
                          .desc_size = sizeof(pan_wkv_desc),
                          .fields = WKV_FIELDS},
    [END] = {0},
};
