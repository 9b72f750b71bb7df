/* Cases of the long convolution. A call makes the plan, prepares the filter, and convolves or differentiates. */
#include <stdlib.h>

#include "cases.h"

static pan_long_conv_desc *long_conv_desc(call *call, int variant) {
    const int64_t length = ragged(variant, 0), taps = ragged(variant, 1);
    const int64_t channels = at_most(ragged(variant, 2), length > 100 ? 17 : 65);
    const int64_t batch = at_most(ragged(variant, 3), length > 100 ? 2 : 7);
    const bool packed = variant % 2 == 1;
    const bool taps_first = variant % 4 >= 2;
    pan_long_conv_desc *desc = DESC(call, pan_long_conv_desc);
    *desc = (pan_long_conv_desc){.struct_size = sizeof *desc,
                                 .method = variant % (PAN_CONV_FFT + 1),
                                 .batch = batch,
                                 .length = length,
                                 .channels = channels,
                                 .taps = taps,
                                 .h_channel_stride = taps_first ? 1 : taps + variant % 3,
                                 .h_tap_stride = taps_first ? channels + variant % 3 : 1,
                                 .u_stride = packed ? 3 * channels : channels,
                                 .pre_stride = packed ? 3 * channels : channels,
                                 .post_stride = packed ? 3 * channels : channels,
                                 .y_stride = variant % 5 == 0 ? channels + 3 : channels};
    call->work = (double) (batch * channels * length * (taps < length ? taps : length));
    return desc;
}

static int add_filter(call *call, const char *name, role role) {
    const pan_long_conv_desc *desc = DESC(call, pan_long_conv_desc);
    const int64_t size[] = {desc->channels, desc->taps};
    const int64_t stride[] = {desc->h_channel_stride, desc->h_tap_stride};
    const int64_t last = (size[0] - 1) * stride[0] + (size[1] - 1) * stride[1];
    return add_window(call, name, role, add_block(call, REAL, last + 1), 0, 2, size, stride);
}

/* u, pre and post, or their gradients: three arrays, or one that holds the three side by side at each position. */
static int add_signals(call *call, const char *const *names, role role, int variant) {
    const pan_long_conv_desc *desc = DESC(call, pan_long_conv_desc);
    const int64_t rows = desc->batch * desc->length;
    const bool packed = desc->u_stride > desc->channels;
    const int block = packed ? add_block(call, REAL, rows * desc->u_stride) : -1;
    for (int i = 0; i < 3; i++) {
        if (packed) {
            add_window(call, names[i], role, block, i * desc->channels, 2, (const int64_t[]){rows, desc->channels},
                       (const int64_t[]){desc->u_stride, 1});
        } else {
            add_rows(call, names[i], role, rows, desc->channels, desc->u_stride);
        }
    }
    const int first = call->view_count - 3;
    make_optional(call, first + 1, variant % 3 != 1);
    make_optional(call, first + 2, variant % 3 != 2);
    return first;
}

static int add_skip(call *call, const char *name, role role, int variant) {
    const int skip = add_vector(call, name, role, DESC(call, pan_long_conv_desc)->channels);
    make_optional(call, skip, variant % 4 != 3);
    return skip;
}

enum { H, U, PRE, POST, SKIP, Y };

static void add_inputs(call *call, int variant) {
    call->views[add_filter(call, "h", INPUT)].detached = true;
    add_signals(call, (const char *const[]){"u", "pre", "post"}, INPUT, variant);
    add_skip(call, "skip", INPUT, variant);
}

static void prepare_forward(call *call, int variant) {
    const pan_long_conv_desc *desc = long_conv_desc(call, variant);
    add_inputs(call, variant);
    add_rows(call, "y", OUTPUT, desc->batch * desc->length, desc->channels, desc->y_stride);
}

/* A plan and a filter prepared for it. */
typedef struct prepared {
    pan_long_conv_plan *plan;
    void *spectrum;
    void *workspace;
} prepared;

static pan_status prepare_filter(pan_stream *stream, pan_device *device, const void *desc, const void *h,
                                 prepared *made) {
    int64_t spectrum_bytes = 0, workspace_bytes = 0;
    pan_status status = pan_long_conv_plan_create(device, desc, &made->plan);
    if (status == PAN_OK) {
        status = pan_long_conv_spectrum_size(stream, made->plan, &spectrum_bytes);
    }
    if (status == PAN_OK) {
        status = pan_long_conv_prepare_workspace_size(stream, made->plan, &workspace_bytes);
    }
    if (status == PAN_OK) {
        status = pan_memory_allocate(device, spectrum_bytes, &made->spectrum);
    }
    if (status == PAN_OK && workspace_bytes > 0) {
        status = pan_memory_allocate(device, workspace_bytes, &made->workspace);
    }
    if (status == PAN_OK) {
        status = pan_long_conv_prepare(stream, made->plan, h, made->spectrum, made->workspace, workspace_bytes);
    }
    return status;
}

static void free_prepared(pan_stream *stream, pan_device *device, prepared *made) {
    if (stream != NULL) {
        CHECK_OK(pan_stream_synchronize(stream));
    }
    void *const memory[] = {made->spectrum, made->workspace};
    for (int i = 0; i < COUNT(memory); i++) {
        if (memory[i] != NULL) {
            CHECK_OK(pan_memory_free(device, memory[i]));
        }
    }
    if (made->plan != NULL) {
        CHECK_OK(pan_long_conv_plan_destroy(made->plan));
    }
}

static pan_status invoke_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace, int64_t bytes) {
    pan_device *device = device_of(stream);
    prepared made = {0};
    pan_status status = prepare_filter(stream, device, desc, a[H], &made);
    if (status == PAN_OK) {
        status = pan_long_conv_forward(stream, made.plan, made.spectrum, a[U], a[PRE], a[POST], a[SKIP], a[Y],
                                       workspace, bytes);
    }
    free_prepared(stream, device, &made);
    return status;
}

typedef pan_status size_query(pan_stream *stream, const pan_long_conv_plan *plan, int64_t *bytes);

static pan_status query(size_query *size, pan_stream *stream, const void *desc, int64_t *bytes) {
    pan_long_conv_plan *plan = NULL;
    pan_status status = pan_long_conv_plan_create(device_of(stream), desc, &plan);
    if (status == PAN_OK) {
        status = size(stream, plan, bytes);
        CHECK_OK(pan_long_conv_plan_destroy(plan));
    }
    return status;
}

static pan_status forward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return query(pan_long_conv_forward_workspace_size, stream, desc, bytes);
}

enum { DY = Y, DU, DPRE, DPOST, DH, DSKIP };

static void prepare_backward(call *call, int variant) {
    const pan_long_conv_desc *desc = long_conv_desc(call, variant);
    add_inputs(call, variant);
    relate(call, add_rows(call, "dy", INPUT, desc->batch * desc->length, desc->channels, desc->y_stride), COTANGENT_OF,
           Y);
    add_signals(call, (const char *const[]){"du", "dpre", "dpost"}, OUTPUT, variant);
    call->views[add_filter(call, "dh", ADDED)].detached = true;
    add_skip(call, "dskip", ADDED, variant);
    make_optional(call, DU, variant % 7 != 3);
    make_optional(call, DH, variant % 7 != 5);
    static const int gradient[] = {DH, DU, DPRE, DPOST, DSKIP};
    for (int v = H; v <= SKIP; v++) {
        relate(call, v, VALUE_OF, v);
        relate(call, gradient[v], GRADIENT_OF, v);
    }
}

static pan_status invoke_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                  int64_t bytes) {
    pan_device *device = device_of(stream);
    prepared made = {0};
    pan_status status = prepare_filter(stream, device, desc, a[H], &made);
    if (status == PAN_OK) {
        status = pan_long_conv_backward(stream, made.plan, made.spectrum, a[U], a[PRE], a[POST], a[SKIP], a[DY], a[DU],
                                        a[DPRE], a[DPOST], a[DH], a[DSKIP], workspace, bytes);
    }
    free_prepared(stream, device, &made);
    return status;
}

static pan_status backward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return query(pan_long_conv_backward_workspace_size, stream, desc, bytes);
}

#define LONG_CONV_FIELDS                                                                                         \
    {                                                                                                            \
        FIELD_RESERVED(pan_long_conv_desc), FIELD_ENUM(pan_long_conv_desc, method, PAN_CONV_FFT + 1),            \
            FIELD(pan_long_conv_desc, batch, FIELD_SIZE), FIELD(pan_long_conv_desc, length, FIELD_SIZE),         \
            FIELD(pan_long_conv_desc, channels, FIELD_SIZE), FIELD(pan_long_conv_desc, taps, FIELD_SIZE),        \
            FIELD(pan_long_conv_desc, u_stride, FIELD_STRIDE), FIELD(pan_long_conv_desc, y_stride, FIELD_STRIDE) \
    }

const op_case LONG_CONV_CASES[] = {{.op = "long_conv_forward",
                                    .also = "long_conv_prepare",
                                    .error_prefix = "long_conv_",
                                    .variants = SIZE_COUNT,
                                    .tolerance = 2e-6,
                                    .prepare = prepare_forward,
                                    .invoke = invoke_forward,
                                    .workspace = forward_workspace,
                                    .aliases = {{Y, U}},
                                    .desc_size = sizeof(pan_long_conv_desc),
                                    .fields = LONG_CONV_FIELDS},
                                   {.op = "long_conv_backward",
                                    .error_prefix = "long_conv_",
                                    .variants = SIZE_COUNT,
                                    .tolerance = 2e-6,
                                    .prepare = prepare_backward,
                                    .invoke = invoke_backward,
                                    .workspace = backward_workspace,
                                    .forward = &LONG_CONV_CASES[0],
                                    .aliases = {{DU, DY}},
                                    .desc_size = sizeof(pan_long_conv_desc),
                                    .fields = LONG_CONV_FIELDS},
                                   {0}};
