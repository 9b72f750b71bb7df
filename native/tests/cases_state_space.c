/* Cases of the ops that make and apply the filters of state spaces. */
#include <math.h>

#include "cases.h"

#define UNUSED_WORKSPACE \
    (void) workspace;    \
    (void) bytes

/* ---- diagonal ---- */

static pan_diagonal_ssm_desc *diagonal_desc(call *call, int variant) {
    int64_t modes = at_most(ragged(variant, 1), 100);
    int64_t heads = at_most(ragged(variant, 0), 3000 / modes);
    pan_diagonal_ssm_desc *desc = DESC(call, pan_diagonal_ssm_desc);
    *desc = (pan_diagonal_ssm_desc){.struct_size = sizeof *desc,
                                    .heads = heads,
                                    .modes = modes,
                                    .length = at_most(ragged(variant, 2), 300000 / (heads * modes))};
    call->work = 100.0 * (double) (heads * modes * desc->length);
    return desc;
}

/* Values for which modes turn and decay at different speeds, a few times over the given number of positions: finite
 * differences need functions that are smooth on the scale of their steps. */
static void scale_mode_values(call *call, int log_dt, int64_t length) {
    block *dt = &call->blocks[call->views[log_dt].block];
    for (int64_t i = 0; i < dt->count; i++) {
        dt->values[i] = (float) (0.5 * dt->values[i] - log(8.0 + (double) length));
    }
    scale_values(call, log_dt + 1, 0.5);
    scale_values(call, log_dt + 2, 8.0);
}

/* The five arrays of parameters, from view `first` on. */
static int add_parameters(call *call, int64_t heads, int64_t modes) {
    int first = add_vector(call, "log_dt", INPUT, heads);
    add_rows(call, "a_real_log", INPUT, heads, modes, modes);
    add_rows(call, "a_imag", INPUT, heads, modes, modes);
    add_rows(call, "b", INPUT, heads, 2 * modes, 2 * modes);
    add_rows(call, "c", INPUT, heads, 2 * modes, 2 * modes);
    return first;
}

static void prepare_diagonal_forward(call *call, int variant) {
    const pan_diagonal_ssm_desc *desc = diagonal_desc(call, variant);
    scale_mode_values(call, add_parameters(call, desc->heads, desc->modes), desc->length);
    add_rows(call, "filter", OUTPUT, desc->length, desc->heads, desc->heads);
}

static pan_status invoke_diagonal_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                          int64_t bytes) {
    return pan_diagonal_ssm_forward(stream, desc, a[0], a[1], a[2], a[3], a[4], a[5], workspace, bytes);
}

static pan_status diagonal_forward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_diagonal_ssm_forward_workspace_size(stream, desc, bytes);
}

static void prepare_diagonal_backward(call *call, int variant) {
    const pan_diagonal_ssm_desc *desc = diagonal_desc(call, variant);
    const int64_t heads = desc->heads, modes = desc->modes;
    int first = add_parameters(call, heads, modes);
    for (int i = 0; i < 5; i++) {
        relate(call, first + i, VALUE_OF, i);
    }
    relate(call, add_rows(call, "dfilter", INPUT, desc->length, heads, heads), COTANGENT_OF, 5);
    int gradient = add_vector(call, "dlog_dt", ADDED, heads);
    add_rows(call, "da_real_log", ADDED, heads, modes, modes);
    add_rows(call, "da_imag", ADDED, heads, modes, modes);
    add_rows(call, "db", ADDED, heads, 2 * modes, 2 * modes);
    add_rows(call, "dc", ADDED, heads, 2 * modes, 2 * modes);
    for (int i = 0; i < 5; i++) {
        relate(call, gradient + i, GRADIENT_OF, i);
        make_optional(call, gradient + i, variant % 8 != i + 3);
    }
}

static pan_status invoke_diagonal_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                           int64_t bytes) {
    return pan_diagonal_ssm_backward(stream, desc, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10],
                                     workspace, bytes);
}

static pan_status diagonal_backward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_diagonal_ssm_backward_workspace_size(stream, desc, bytes);
}

#define DIAGONAL_FIELDS                                                                                       \
    {                                                                                                         \
        FIELD_RESERVED(pan_diagonal_ssm_desc), FIELD(pan_diagonal_ssm_desc, heads, FIELD_SIZE),               \
            FIELD(pan_diagonal_ssm_desc, modes, FIELD_SIZE), FIELD(pan_diagonal_ssm_desc, length, FIELD_SIZE) \
    }

/* ---- diagonal, as a recurrence ---- */

static void prepare_diagonal_scan(call *call, int variant) {
    static const int64_t batches[] = {1, 2, 3}, repetitions[] = {1, 4, 3, 1, 9};
    const int64_t batch = batches[variant % COUNT(batches)], repeats = repetitions[variant % COUNT(repetitions)];
    const int64_t modes = at_most(ragged(variant, 1), 100);
    const int64_t heads = at_most(ragged(variant, 0), 1000 / (modes * repeats) + 1);
    pan_diagonal_ssm_scan_desc *desc = DESC(call, pan_diagonal_ssm_scan_desc);
    *desc = (pan_diagonal_ssm_scan_desc){.struct_size = sizeof *desc,
                                         .batch = batch,
                                         .length = at_most(ragged(variant, 2), 100000 / (modes * repeats * heads)),
                                         .heads = heads,
                                         .repeats = repeats,
                                         .modes = modes};
    const int64_t channels = heads * repeats;
    add_rows(call, "u", INPUT, batch * desc->length, channels, channels);
    scale_mode_values(call, add_parameters(call, heads, modes), desc->length);
    add_rows(call, "state", ADDED, batch * channels, 2 * modes, 2 * modes);
    add_rows(call, "y", OUTPUT, batch * desc->length, channels, channels);
    call->work = 100.0 * (double) (batch * desc->length * channels * modes);
}

static pan_status invoke_diagonal_scan(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                       int64_t bytes) {
    return pan_diagonal_ssm_scan(stream, desc, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], workspace, bytes);
}

static pan_status diagonal_scan_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_diagonal_ssm_scan_workspace_size(stream, desc, bytes);
}

/* ---- shift ---- */

static pan_shift_ssm_desc *shift_desc(call *call, int variant) {
    int64_t length = ragged(variant, 0);
    int64_t state_size = at_most(ragged(variant, 1), 300000 / length);
    pan_shift_ssm_desc *desc = DESC(call, pan_shift_ssm_desc);
    *desc = (pan_shift_ssm_desc){.struct_size = sizeof *desc, .state_size = state_size, .length = length};
    desc->channels = at_most(ragged(variant, 2), 300000 / (length * state_size) + 1);
    call->work = (double) (desc->channels * length * state_size);
    return desc;
}

static void prepare_shift_forward(call *call, int variant) {
    const pan_shift_ssm_desc *desc = shift_desc(call, variant);
    add_rows(call, "b", INPUT, desc->channels, desc->state_size, desc->state_size);
    add_rows(call, "c", INPUT, desc->channels, desc->state_size, desc->state_size);
    add_rows(call, "filter", OUTPUT, desc->length, desc->channels, desc->channels);
}

static pan_status invoke_shift_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                       int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_shift_ssm_forward(stream, desc, a[0], a[1], a[2]);
}

static void prepare_shift_backward(call *call, int variant) {
    const pan_shift_ssm_desc *desc = shift_desc(call, variant);
    relate(call, add_rows(call, "b", INPUT, desc->channels, desc->state_size, desc->state_size), VALUE_OF, 0);
    relate(call, add_rows(call, "c", INPUT, desc->channels, desc->state_size, desc->state_size), VALUE_OF, 1);
    relate(call, add_rows(call, "dfilter", INPUT, desc->length, desc->channels, desc->channels), COTANGENT_OF, 2);
    int db = add_rows(call, "db", ADDED, desc->channels, desc->state_size, desc->state_size);
    int dc = add_rows(call, "dc", ADDED, desc->channels, desc->state_size, desc->state_size);
    relate(call, db, GRADIENT_OF, 0);
    relate(call, dc, GRADIENT_OF, 1);
    make_optional(call, db, variant % 7 != 3);
    make_optional(call, dc, variant % 7 != 4);
}

static pan_status invoke_shift_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                        int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_shift_ssm_backward(stream, desc, a[0], a[1], a[2], a[3], a[4]);
}

#define SHIFT_FIELDS                                                                                         \
    {                                                                                                        \
        FIELD_RESERVED(pan_shift_ssm_desc), FIELD(pan_shift_ssm_desc, channels, FIELD_SIZE),                 \
            FIELD(pan_shift_ssm_desc, state_size, FIELD_SIZE), FIELD(pan_shift_ssm_desc, length, FIELD_SIZE) \
    }

enum { DIAGONAL, DIAGONAL_BACKWARD, DIAGONAL_SCAN, SHIFT, SHIFT_BACKWARD, END };

const op_case STATE_SPACE_CASES[] = {
    [DIAGONAL] = {.op = "diagonal_ssm_forward",
                  .variants = 2 * SIZE_COUNT,
                  .tolerance = 1e-6,
                  .prepare = prepare_diagonal_forward,
                  .invoke = invoke_diagonal_forward,
                  .workspace = diagonal_forward_workspace,
                  .desc_size = sizeof(pan_diagonal_ssm_desc),
                  .no_dtype = true,
                  .fields = DIAGONAL_FIELDS},
    [DIAGONAL_BACKWARD] = {.op = "diagonal_ssm_backward",
                           .variants = 2 * SIZE_COUNT,
                           .tolerance = 1e-6,
                           .prepare = prepare_diagonal_backward,
                           .invoke = invoke_diagonal_backward,
                           .workspace = diagonal_backward_workspace,
                           .forward = &STATE_SPACE_CASES[DIAGONAL],
                           .desc_size = sizeof(pan_diagonal_ssm_desc),
                           .no_dtype = true,
                           .fields = DIAGONAL_FIELDS},
    [DIAGONAL_SCAN] = {.op = "diagonal_ssm_scan",
                       .variants = 2 * SIZE_COUNT,
                       .tolerance = 1e-6,
                       .prepare = prepare_diagonal_scan,
                       .invoke = invoke_diagonal_scan,
                       .workspace = diagonal_scan_workspace,
                       .aliases = {{7, 0}},
                       .desc_size = sizeof(pan_diagonal_ssm_scan_desc),
                       .fields = {FIELD(pan_diagonal_ssm_scan_desc, batch, FIELD_SIZE),
                                  FIELD(pan_diagonal_ssm_scan_desc, length, FIELD_SIZE),
                                  FIELD(pan_diagonal_ssm_scan_desc, heads, FIELD_SIZE),
                                  FIELD(pan_diagonal_ssm_scan_desc, repeats, FIELD_SIZE),
                                  FIELD(pan_diagonal_ssm_scan_desc, modes, FIELD_SIZE)}},
    [SHIFT] = {.op = "shift_ssm_forward",
               .variants = 2 * SIZE_COUNT,
               .tolerance = 1e-6,
               .prepare = prepare_shift_forward,
               .invoke = invoke_shift_forward,
               .desc_size = sizeof(pan_shift_ssm_desc),
               .no_dtype = true,
               .fields = SHIFT_FIELDS},
    [SHIFT_BACKWARD] = {.op = "shift_ssm_backward",
                        .variants = 2 * SIZE_COUNT,
                        .tolerance = 1e-6,
                        .prepare = prepare_shift_backward,
                        .invoke = invoke_shift_backward,
                        .forward = &STATE_SPACE_CASES[SHIFT],
                        .desc_size = sizeof(pan_shift_ssm_desc),
                        .no_dtype = true,
                        .fields = SHIFT_FIELDS},
    [END] = {0},
};
