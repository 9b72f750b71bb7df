/* Cases of the ops that make implicit filters. */
#include "cases.h"

#define UNUSED_WORKSPACE \
    (void) workspace;    \
    (void) bytes

/* ---- features of the position ---- */

static void prepare_features(call *call, int variant) {
    static const int64_t bands[] = {1, 2, 3, 16, 33, 64, 7};
    pan_positional_features_desc *desc = DESC(call, pan_positional_features_desc);
    *desc = (pan_positional_features_desc){
        .struct_size = sizeof *desc, .length = ragged(variant, 0), .bands = bands[variant % COUNT(bands)]};
    call->work = 100.0 * (double) (desc->length * desc->bands);
    add_rows(call, "z", OUTPUT, desc->length, 2 * desc->bands + 1, 2 * desc->bands + 1);
}

static pan_status invoke_features(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                  int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_positional_features(stream, desc, a[0]);
}

/* ---- sine layer ---- */

static pan_sine_layer_desc *sine_layer_desc(call *call, int variant) {
    int64_t rows = ragged(variant, 0);
    pan_sine_layer_desc *desc = DESC(call, pan_sine_layer_desc);
    *desc = (pan_sine_layer_desc){
        .struct_size = sizeof *desc, .rows = rows, .channels = at_most(ragged(variant, 1), 40000 / rows)};
    call->work = 20.0 * (double) (rows * desc->channels);
    return desc;
}

static void prepare_sine_layer_forward(call *call, int variant) {
    const pan_sine_layer_desc *desc = sine_layer_desc(call, variant);
    add_rows(call, "x", INPUT, desc->rows, desc->channels, desc->channels);
    scale_values(call, add_vector(call, "frequency", INPUT, desc->channels), variant % 2 ? 2.0 : 1.0);
    add_rows(call, "y", OUTPUT, desc->rows, desc->channels, desc->channels);
}

static pan_status invoke_sine_layer_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                            int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_sine_layer_forward(stream, desc, a[0], a[1], a[2]);
}

static void prepare_sine_layer_backward(call *call, int variant) {
    const pan_sine_layer_desc *desc = sine_layer_desc(call, variant);
    relate(call, add_rows(call, "x", INPUT, desc->rows, desc->channels, desc->channels), VALUE_OF, 0);
    relate(call, add_vector(call, "frequency", INPUT, desc->channels), VALUE_OF, 1);
    relate(call, add_rows(call, "dy", INPUT, desc->rows, desc->channels, desc->channels), COTANGENT_OF, 2);
    int dx = add_rows(call, "dx", OUTPUT, desc->rows, desc->channels, desc->channels);
    int dfrequency = add_vector(call, "dfrequency", ADDED, desc->channels);
    relate(call, dx, GRADIENT_OF, 0);
    relate(call, dfrequency, GRADIENT_OF, 1);
    make_optional(call, dx, variant % 7 != 3);
    make_optional(call, dfrequency, variant % 7 != 4);
}

static pan_status invoke_sine_layer_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                             int64_t bytes) {
    return pan_sine_layer_backward(stream, desc, a[0], a[1], a[2], a[3], a[4], workspace, bytes);
}

static pan_status sine_layer_backward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_sine_layer_backward_workspace_size(stream, desc, bytes);
}

#define SINE_LAYER_FIELDS \
    { FIELD(pan_sine_layer_desc, rows, FIELD_SIZE), FIELD(pan_sine_layer_desc, channels, FIELD_SIZE) }

/* ---- decay ---- */

static pan_exponential_modulation_desc *modulation_desc(call *call, int variant) {
    int64_t length = ragged(variant, 0);
    pan_exponential_modulation_desc *desc = DESC(call, pan_exponential_modulation_desc);
    *desc = (pan_exponential_modulation_desc){.struct_size = sizeof *desc,
                                              .length = length,
                                              .channels = at_most(ragged(variant, 1), 40000 / length),
                                              .time_step = variant % 4 == 3 ? 0.0 : 1.0 / (double) length,
                                              .shift = variant % 3 == 0 ? 0.0 : 0.05};
    call->work = 20.0 * (double) (length * desc->channels);
    return desc;
}

static void prepare_modulation(call *call, int variant) {
    const pan_exponential_modulation_desc *desc = modulation_desc(call, variant);
    add_rows(call, "x", INPUT, desc->length, desc->channels, desc->channels);
    /* Some so steep that the window underflows. */
    scale_values(call, add_vector(call, "rate", INPUT, desc->channels), variant % 5 == 2 ? 200.0 : 8.0);
    add_rows(call, "y", OUTPUT, desc->length, desc->channels, desc->channels);
}

static void prepare_modulation_adjoint(call *call, int variant) {
    const pan_exponential_modulation_desc *desc = modulation_desc(call, variant);
    relate(call, add_rows(call, "dy", INPUT, desc->length, desc->channels, desc->channels), COTANGENT_OF, 2);
    relate(call, add_vector(call, "rate", INPUT, desc->channels), VALUE_OF, 1);
    relate(call, add_rows(call, "dx", OUTPUT, desc->length, desc->channels, desc->channels), GRADIENT_OF, 0);
}

static pan_status invoke_modulation(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                    int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_exponential_modulation(stream, desc, a[0], a[1], a[2]);
}

#define MODULATION_FIELDS                                                \
    {                                                                    \
        FIELD(pan_exponential_modulation_desc, length, FIELD_SIZE),      \
            FIELD(pan_exponential_modulation_desc, channels, FIELD_SIZE) \
    }

enum { FEATURES, SINE_LAYER, SINE_LAYER_BACKWARD, MODULATION, MODULATION_ADJOINT, END };

const op_case FILTER_CASES[] = {
    [FEATURES] = {.op = "positional_features",
                  .variants = 2 * SIZE_COUNT,
                  .tolerance = 1e-7,
                  .prepare = prepare_features,
                  .invoke = invoke_features,
                  .desc_size = sizeof(pan_positional_features_desc),
                  .no_dtype = true,
                  .fields = {FIELD_RESERVED(pan_positional_features_desc),
                             FIELD(pan_positional_features_desc, length, FIELD_SIZE),
                             FIELD(pan_positional_features_desc, bands, FIELD_SIZE)}},
    [SINE_LAYER] = {.op = "sine_layer_forward",
                    .variants = 2 * SIZE_COUNT,
                    .tolerance = 1e-6,
                    .prepare = prepare_sine_layer_forward,
                    .invoke = invoke_sine_layer_forward,
                    .aliases = {{2, 0}},
                    .desc_size = sizeof(pan_sine_layer_desc),
                    .fields = SINE_LAYER_FIELDS},
    [SINE_LAYER_BACKWARD] = {.op = "sine_layer_backward",
                             .variants = 2 * SIZE_COUNT,
                             .tolerance = 1e-6,
                             .prepare = prepare_sine_layer_backward,
                             .invoke = invoke_sine_layer_backward,
                             .workspace = sine_layer_backward_workspace,
                             .forward = &FILTER_CASES[SINE_LAYER],
                             .aliases = {{3, 2}},
                             .desc_size = sizeof(pan_sine_layer_desc),
                             .fields = SINE_LAYER_FIELDS},
    [MODULATION] = {.op = "exponential_modulation",
                    .variants = 2 * SIZE_COUNT,
                    .tolerance = 1e-6,
                    .prepare = prepare_modulation,
                    .invoke = invoke_modulation,
                    .aliases = {{2, 0}},
                    .desc_size = sizeof(pan_exponential_modulation_desc),
                    .fields = MODULATION_FIELDS},
    [MODULATION_ADJOINT] = {.op = "exponential_modulation",
                            .title = "exponential modulation as its own adjoint",
                            .variants = 2 * SIZE_COUNT,
                            .tolerance = 1e-6,
                            .prepare = prepare_modulation_adjoint,
                            .invoke = invoke_modulation,
                            .forward = &FILTER_CASES[MODULATION],
                            .aliases = {{2, 0}},
                            .desc_size = sizeof(pan_exponential_modulation_desc),
                            .fields = MODULATION_FIELDS},
    [END] = {0},
};
