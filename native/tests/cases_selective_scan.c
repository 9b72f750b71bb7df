/* Cases of the selective scan. */
#include "cases.h"

/* What a call of the slow reference may cost: more than a chunk of positions, than a block of channels or than the states
 * that are held, though not all at a time. */
enum { MOST_UPDATES = 60000 };

static pan_selective_scan_desc *scan_desc(call *call, int variant) {
    const int64_t length = at_most(ragged(variant, 0), 257), channels = at_most(ragged(variant, 1), 257);
    const int64_t states = at_most(ragged(variant, 2), MOST_UPDATES / (length * channels) + 1);
    const int64_t batch = at_most(ragged(variant, 3), MOST_UPDATES / (length * channels * states) + 1);
    pan_selective_scan_desc *desc = DESC(call, pan_selective_scan_desc);
    *desc = (pan_selective_scan_desc){.struct_size = sizeof *desc,
                                      .batch = batch,
                                      .length = length,
                                      .channels = channels,
                                      .state_size = states,
                                      .u_stride = variant % 3 == 1 ? 2 * channels : channels,
                                      .delta_stride = variant % 4 == 2 ? channels + 3 : channels,
                                      .b_stride = variant % 2 == 0 ? 2 * states + 1 : states,
                                      .c_stride = variant % 2 == 0 ? 2 * states + 1 : states,
                                      .z_stride = variant % 3 == 1 ? 2 * channels : channels,
                                      .y_stride = variant % 5 == 3 ? channels + 1 : channels};
    call->work = (double) (batch * length * channels * states);
    return desc;
}

/* Two arrays of a descriptor's positions, or both in one array, side by side behind some other columns. */
static void add_pair(call *call, const char *const *names, role role, int64_t columns, int64_t stride) {
    const pan_selective_scan_desc *desc = DESC(call, pan_selective_scan_desc);
    const int64_t rows = desc->batch * desc->length, size[] = {rows, columns};
    const int block = stride == columns ? -1 : add_block(call, REAL, rows * stride);
    for (int i = 0; i < 2; i++) {
        if (block < 0) {
            add_rows(call, names[i], role, rows, columns, stride);
        } else {
            add_window(call, names[i], role, block, stride - (2 - i) * columns, 2, size, (const int64_t[]){stride, 1});
        }
    }
}

enum { U, Z, DELTA, B, C, A_LOG, SKIP, BIAS, INITIAL, Y, CHECKPOINTS, FINAL };

static void add_inputs(call *call, int variant) {
    const pan_selective_scan_desc *desc = DESC(call, pan_selective_scan_desc);
    const int64_t rows = desc->batch * desc->length, channels = desc->channels;
    add_pair(call, (const char *const[]){"u", "z"}, INPUT, channels, desc->u_stride);
    add_rows(call, "delta", INPUT, rows, channels, desc->delta_stride);
    add_pair(call, (const char *const[]){"b", "c"}, INPUT, desc->state_size, desc->b_stride);
    add_rows(call, "a_log", INPUT, channels, desc->state_size, desc->state_size);
    add_vector(call, "skip", INPUT, channels);
    add_vector(call, "delta_bias", INPUT, channels);
    make_optional(call, Z, variant % 4 != 3);
    make_optional(call, SKIP, variant % 5 != 2);
    make_optional(call, BIAS, variant % 5 != 4);
    scale_values(call, DELTA, variant % 6 == 5 ? 20.0 : 1.0); /* steps of nearly 0 and large ones */
}

static int64_t state_count(const pan_selective_scan_desc *desc) {
    return desc->batch * desc->state_size * desc->channels;
}

static int64_t checkpoint_count(const pan_selective_scan_desc *desc) {
    return (desc->length + 15) / 16 * state_count(desc);
}

static void add_outputs(call *call, int variant) {
    const pan_selective_scan_desc *desc = DESC(call, pan_selective_scan_desc);
    add_rows(call, "y", OUTPUT, desc->batch * desc->length, desc->channels, desc->y_stride);
    make_optional(call, add_vector(call, "checkpoints", OUTPUT, checkpoint_count(desc)), true);
    make_optional(call, add_vector(call, "final_state", OUTPUT, state_count(desc)), variant % 3 == 0);
}

static void prepare_forward(call *call, int variant) {
    const pan_selective_scan_desc *desc = scan_desc(call, variant);
    add_inputs(call, variant);
    make_optional(call, add_vector(call, "initial_state", INPUT, state_count(desc)), false);
    add_outputs(call, variant);
}

/* As prepare_forward, from a state and without anything for backward. */
static void prepare_continuation(call *call, int variant) {
    const pan_selective_scan_desc *desc = scan_desc(call, variant);
    add_inputs(call, variant);
    make_optional(call, add_vector(call, "initial_state", INPUT, state_count(desc)), true);
    add_outputs(call, variant);
    make_optional(call, CHECKPOINTS, false);
}

static pan_status invoke_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace, int64_t bytes) {
    return pan_selective_scan_forward(stream, desc, a[U], a[DELTA], a[A_LOG], a[B], a[C], a[SKIP], a[BIAS], a[Z],
                                      a[INITIAL], a[Y], a[CHECKPOINTS], a[FINAL], workspace, bytes);
}

static pan_status forward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_selective_scan_forward_workspace_size(stream, desc, bytes);
}

enum { KEPT = INITIAL, DY, DU, DZ, DDELTA, DB, DC, DA_LOG, DSKIP, DBIAS };

static void prepare_backward(call *call, int variant) {
    const pan_selective_scan_desc *desc = scan_desc(call, variant);
    const int64_t rows = desc->batch * desc->length, channels = desc->channels;
    add_inputs(call, variant);
    relate(call, add_vector(call, "checkpoints", INPUT, checkpoint_count(desc)), VALUE_OF, CHECKPOINTS);
    relate(call, add_rows(call, "dy", INPUT, rows, channels, desc->y_stride), COTANGENT_OF, Y);
    add_pair(call, (const char *const[]){"du", "dz"}, OUTPUT, channels, desc->u_stride);
    add_rows(call, "ddelta", OUTPUT, rows, channels, desc->delta_stride);
    add_pair(call, (const char *const[]){"db", "dc"}, OUTPUT, desc->state_size, desc->b_stride);
    add_rows(call, "da_log", ADDED, channels, desc->state_size, desc->state_size);
    add_vector(call, "dskip", ADDED, channels);
    add_vector(call, "ddelta_bias", ADDED, channels);
    make_optional(call, DZ, variant % 4 != 3);
    make_optional(call, DSKIP, variant % 7 != 3);
    make_optional(call, DBIAS, variant % 7 != 5);
    for (int v = U; v <= BIAS; v++) {
        relate(call, v, VALUE_OF, v);
        relate(call, DU + v, GRADIENT_OF, v);
    }
}

static pan_status invoke_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                  int64_t bytes) {
    return pan_selective_scan_backward(stream, desc, a[U], a[DELTA], a[A_LOG], a[B], a[C], a[SKIP], a[BIAS], a[Z],
                                       a[KEPT], a[DY], a[DU], a[DDELTA], a[DA_LOG], a[DB], a[DC], a[DSKIP], a[DBIAS],
                                       a[DZ], workspace, bytes);
}

static pan_status backward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_selective_scan_backward_workspace_size(stream, desc, bytes);
}

/* Without z_stride, which does not count where z is absent, as in a query. */
#define SCAN_FIELDS                                                                                            \
    {                                                                                                          \
        FIELD(pan_selective_scan_desc, batch, FIELD_SIZE), FIELD(pan_selective_scan_desc, length, FIELD_SIZE), \
            FIELD(pan_selective_scan_desc, channels, FIELD_SIZE),                                              \
            FIELD(pan_selective_scan_desc, state_size, FIELD_SIZE),                                            \
            FIELD(pan_selective_scan_desc, u_stride, FIELD_STRIDE),                                            \
            FIELD(pan_selective_scan_desc, delta_stride, FIELD_STRIDE),                                        \
            FIELD(pan_selective_scan_desc, b_stride, FIELD_STRIDE),                                            \
            FIELD(pan_selective_scan_desc, c_stride, FIELD_STRIDE),                                            \
            FIELD(pan_selective_scan_desc, y_stride, FIELD_STRIDE)                                             \
    }

const op_case SELECTIVE_SCAN_CASES[] = {{.op = "selective_scan_forward",
                                         .variants = 3 * SIZE_COUNT,
                                         .tolerance = 2e-6,
                                         .prepare = prepare_forward,
                                         .invoke = invoke_forward,
                                         .workspace = forward_workspace,
                                         .desc_size = sizeof(pan_selective_scan_desc),
                                         .fields = SCAN_FIELDS},
                                        {.op = "selective_scan_forward",
                                         .title = "selective_scan_forward from a state",
                                         .variants = 2 * SIZE_COUNT,
                                         .tolerance = 2e-6,
                                         .prepare = prepare_continuation,
                                         .invoke = invoke_forward,
                                         .workspace = forward_workspace,
                                         .aliases = {{FINAL, INITIAL}},
                                         .desc_size = sizeof(pan_selective_scan_desc),
                                         .fields = SCAN_FIELDS},
                                        {.op = "selective_scan_backward",
                                         .variants = 2 * SIZE_COUNT,
                                         .tolerance = 5e-6,
                                         .prepare = prepare_backward,
                                         .invoke = invoke_backward,
                                         .workspace = backward_workspace,
                                         .forward = &SELECTIVE_SCAN_CASES[0],
                                         .desc_size = sizeof(pan_selective_scan_desc),
                                         .fields = SCAN_FIELDS},
                                        {0}};
