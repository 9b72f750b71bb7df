/* Public functions of the long convolution: plans, prepared filters, forward and backward. */
#include "long_conv_plan.h"

#include <math.h>
#include <stdlib.h>

#include "front.h"

/* ---- plans ---- */

static pan_status check_filter_layout(const char *op, const pan_long_conv_desc *desc) {
    PAN_TRY(pan_check_size(op, "h_channel_stride", desc->h_channel_stride));
    PAN_TRY(pan_check_size(op, "h_tap_stride", desc->h_tap_stride));
    const bool channels_first = desc->h_tap_stride == 1 && desc->h_channel_stride >= desc->taps;
    const bool taps_first = desc->h_channel_stride == 1 && desc->h_tap_stride >= desc->channels;
    if (!channels_first && !taps_first) {
        return pan_fail(PAN_INVALID_ARGUMENT,
                        "%s: h_channel_stride is %lld and h_tap_stride %lld; expected h_tap_stride 1 and "
                        "h_channel_stride >= taps, or h_channel_stride 1 and h_tap_stride >= channels",
                        op, (long long) desc->h_channel_stride, (long long) desc->h_tap_stride);
    }
    return pan_check_extent(op, "h", channels_first ? desc->channels : desc->taps,
                            channels_first ? desc->h_channel_stride : desc->h_tap_stride);
}

static pan_status check_long_conv(const char *op, const pan_stream *stream, const pan_long_conv_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_reserved(op, desc->reserved));
    PAN_TRY(pan_check_kind(op, "method", desc->method, PAN_CONV_FFT + 1));
    PAN_TRY(pan_check_size(op, "batch", desc->batch));
    PAN_TRY(pan_check_size(op, "length", desc->length));
    PAN_TRY(pan_check_size(op, "channels", desc->channels));
    PAN_TRY(pan_check_size(op, "taps", desc->taps));
    PAN_TRY(check_filter_layout(op, desc));
    PAN_TRY(pan_check_stride(op, "u_stride", desc->u_stride, desc->channels));
    PAN_TRY(pan_check_stride(op, "y_stride", desc->y_stride, desc->channels));
    const int64_t rows = pan_product(desc->batch, desc->length, 1);
    if (rows < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the number of positions overflows", op);
    }
    PAN_TRY(pan_check_extent(op, "u", rows, desc->u_stride));
    return pan_check_extent(op, "y", rows, desc->y_stride);
}

/* cos and sin of pi * numerator / denominator in [0, 2 pi), from an angle in [0, pi / 4] so that both are as exact as
 * the library's functions near 0. */
static void unit_root(int64_t numerator, int64_t denominator, float root[2]) {
    static const double PI = 3.14159265358979323846;
    const int64_t quarters = 2 * numerator / denominator;
    const int64_t rest = 2 * numerator - quarters * denominator; /* of a right angle, rest / denominator */
    const bool mirrored = 2 * rest > denominator;
    const double angle = PI / 2 * (double) (mirrored ? denominator - rest : rest) / (double) denominator;
    const double c = mirrored ? sin(angle) : cos(angle);
    const double s = mirrored ? cos(angle) : sin(angle);
    const double turned[4][2] = {{c, s}, {-s, c}, {-c, -s}, {s, -c}};
    root[0] = (float) turned[quarters % 4][0];
    root[1] = (float) turned[quarters % 4][1];
}

/* Copies to new memory of the device. */
static pan_status upload(pan_device *device, const void *host, int64_t bytes, void **address) {
    PAN_TRY(device->driver->allocate(device->state, bytes, address));
    pan_status status = device->driver->write(device->state, *address, host, bytes);
    if (status != PAN_OK) {
        device->driver->release(device->state, *address);
    }
    return status;
}

static pan_status make_tables(const char *op, pan_long_conv_plan *plan) {
    const int64_t points = plan->points;
    const int64_t bytes = points * 4 * (int64_t) sizeof(float);
    float *twist = malloc((size_t) bytes);
    if (twist == NULL) {
        return pan_fail(PAN_OUT_OF_MEMORY, "%s: no memory for the tables", op);
    }
    float *twiddle = twist + 2 * points;
    for (int64_t j = 0; j < points; j++) {
        unit_root(j, 2 * points, twist + 2 * j);
        unit_root(2 * j, points, twiddle + 2 * j);
        twiddle[2 * j + 1] = -twiddle[2 * j + 1];
    }
    void *placed = NULL;
    pan_status status = upload(plan->device, twist, bytes, &placed);
    free(twist);
    if (status == PAN_OK) {
        plan->twist = placed;
        plan->twiddle = plan->twist + 2 * points;
    }
    return status;
}

/* Up to how many taps the direct form is the faster one: a transform of more points costs more for each of them. On the
 * CPU as measured (docs/kernels.md); on CUDA, where it has not been, by the arithmetic: a sum of so many terms costs less
 * than the passes of a transform over memory. */
static int64_t crossover(const pan_device *device, int64_t length) {
    if (device->info.backend == PAN_BACKEND_CUDA) {
        return 128;
    }
    return length <= 512 ? 64 : length <= 2048 ? 96 : 192;
}

/* The reference backends follow the formula; others take the method that was asked for or is the faster one. */
static pan_conv_method choose_method(const pan_device *device, const pan_long_conv_desc *desc, int64_t taps) {
    if (device->info.backend != PAN_BACKEND_CPU && device->info.backend != PAN_BACKEND_CUDA) {
        return PAN_CONV_DIRECT;
    }
    if (desc->method != PAN_CONV_AUTO) {
        return desc->method;
    }
    return taps <= crossover(device, desc->length) ? PAN_CONV_DIRECT : PAN_CONV_FFT;
}

static pan_status make_plan(const char *op, pan_device *device, const pan_long_conv_desc *desc,
                            pan_long_conv_plan **plan) {
    pan_long_conv_plan *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return pan_fail(PAN_OUT_OF_MEMORY, "%s: no memory for the plan", op);
    }
    made->device = device;
    made->desc = *desc;
    made->taps = desc->taps < desc->length ? desc->taps : desc->length;
    made->method = choose_method(device, desc, made->taps);
    if (made->method == PAN_CONV_FFT) {
        made->points = 8;
        while (made->points < desc->length) {
            made->points *= 2;
        }
        pan_status status = make_tables(op, made);
        if (status != PAN_OK) {
            free(made);
            return status;
        }
    }
    __atomic_add_fetch(&device->live_plans, 1, __ATOMIC_ACQ_REL);
    *plan = made;
    return PAN_OK;
}

pan_status pan_long_conv_plan_create(pan_device *device, const pan_long_conv_desc *desc, pan_long_conv_plan **plan) {
    static const char op[] = "long_conv_plan_create";
    if (device == NULL || desc == NULL || plan == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s is NULL", op,
                        device == NULL ? "device"
                        : desc == NULL ? "desc"
                                       : "plan");
    }
    if ((uintptr_t) desc % _Alignof(int64_t) != 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: desc is misaligned", op);
    }
    if (device->ops->long_conv_forward == NULL) {
        return pan_fail(PAN_UNSUPPORTED, "%s: device %s has no such kernel", op, device->info.name);
    }
    const pan_stream probe = {.device = device};
    PAN_TRY(check_long_conv(op, &probe, desc));
    return make_plan(op, device, desc, plan);
}

pan_status pan_long_conv_plan_destroy(pan_long_conv_plan *plan) {
    if (plan == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "long_conv_plan_destroy: plan is NULL");
    }
    pan_status status = PAN_OK;
    if (plan->twist != NULL) {
        status = plan->device->driver->release(plan->device->state, (void *) plan->twist);
    }
    __atomic_sub_fetch(&plan->device->live_plans, 1, __ATOMIC_ACQ_REL);
    free(plan);
    return status;
}

pan_status pan_long_conv_plan_method(const pan_long_conv_plan *plan, pan_conv_method *method) {
    if (plan == NULL || method == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "long_conv_plan_method: %s is NULL", plan == NULL ? "plan" : "method");
    }
    *method = plan->method;
    return PAN_OK;
}

/* ---- ops ---- */

static pan_status check_plan(const char *op, const pan_stream *stream, const pan_long_conv_plan *plan) {
    if (stream == NULL || plan == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s is NULL", op, stream == NULL ? "stream" : "plan");
    }
    if (stream->device != plan->device) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: plan was made for another device (%s)", op, plan->device->info.name);
    }
    return PAN_OK;
}

/* As PAN_FRONT, with the plan's descriptor. */
#define PLAN_FRONT(slot)                          \
    PAN_TRY(check_plan(#slot, stream, plan));     \
    const pan_long_conv_desc *desc = &plan->desc; \
    PAN_FRONT(slot)

#define PLAN_SIZE(slot)                                                 \
    PLAN_FRONT(slot)                                                    \
    if (bytes == NULL) {                                                \
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: bytes is NULL", op); \
    }                                                                   \
    return ops->slot(stream, plan, bytes);

#define PLAN_WORKSPACE(query)                   \
    int64_t needed = 0;                         \
    PAN_TRY(ops->query(stream, plan, &needed)); \
    PAN_TRY(pan_check_workspace(op, workspace, workspace_bytes, needed));

static pan_array filter_array(const pan_stream *stream, const pan_long_conv_desc *desc, const char *name,
                              const float *address, int32_t flags) {
    const int64_t element = pan_real_bytes(stream);
    return (pan_array){.name = name,
                       .address = address,
                       .bytes = desc->h_tap_stride == 1 && desc->h_channel_stride >= desc->taps
                                    ? pan_extent(desc->channels, desc->h_channel_stride, desc->taps, element)
                                    : pan_extent(desc->taps, desc->h_tap_stride, desc->channels, element),
                       .flags = flags};
}

/* A signal, which may be a column range of a packed array. */
static pan_array signal_array(const pan_long_conv_desc *desc, const char *name, const void *address, int64_t stride,
                              int32_t flags) {
    const int64_t element = pan_element_bytes(desc->dtype);
    if (address == NULL) {
        return (pan_array){.name = name, .flags = flags};
    }
    return (pan_array){.name = name,
                       .address = address,
                       .bytes = pan_extent(desc->batch * desc->length, stride, desc->channels, element),
                       .flags = flags,
                       .stride = stride * element,
                       .row = desc->channels * element};
}

static pan_array spectrum_array(const void *spectrum, int64_t bytes, int32_t flags) {
    return (pan_array){
        .name = "spectrum", .address = spectrum, .bytes = bytes, .flags = flags, .alignment = PAN_ALIGNMENT};
}

static pan_status check_gates(const char *op, const pan_long_conv_desc *desc, const void *pre, const void *post) {
    const int64_t rows = desc->batch * desc->length;
    if (pre != NULL) {
        PAN_TRY(pan_check_stride(op, "pre_stride", desc->pre_stride, desc->channels));
        PAN_TRY(pan_check_extent(op, "pre", rows, desc->pre_stride));
    }
    if (post != NULL) {
        PAN_TRY(pan_check_stride(op, "post_stride", desc->post_stride, desc->channels));
        PAN_TRY(pan_check_extent(op, "post", rows, desc->post_stride));
    }
    return PAN_OK;
}

pan_status pan_long_conv_spectrum_size(pan_stream *stream, const pan_long_conv_plan *plan,
                                       int64_t *bytes){PLAN_SIZE(long_conv_spectrum_size)}

pan_status pan_long_conv_prepare_workspace_size(pan_stream *stream, const pan_long_conv_plan *plan,
                                                int64_t *bytes){PLAN_SIZE(long_conv_prepare_workspace_size)}

pan_status pan_long_conv_prepare(pan_stream *stream, const pan_long_conv_plan *plan, const float *h, void *spectrum,
                                 void *workspace, int64_t workspace_bytes) {
    PLAN_FRONT(long_conv_prepare)
    PLAN_WORKSPACE(long_conv_prepare_workspace_size)
    int64_t bytes = 0;
    PAN_TRY(ops->long_conv_spectrum_size(stream, plan, &bytes));
    const pan_array arrays[] = {
        filter_array(stream, desc, "h", h, PAN_ARRAY_INPUT),
        spectrum_array(spectrum, bytes, PAN_ARRAY_OUTPUT),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_real_bytes(stream)));
    return ops->long_conv_prepare(stream, plan, h, spectrum, workspace, workspace_bytes);
}

pan_status pan_long_conv_forward_workspace_size(pan_stream *stream, const pan_long_conv_plan *plan,
                                                int64_t *bytes){PLAN_SIZE(long_conv_forward_workspace_size)}

pan_status pan_long_conv_forward(pan_stream *stream, const pan_long_conv_plan *plan, const void *spectrum,
                                 const void *u, const void *pre, const void *post, const float *skip, void *y,
                                 void *workspace, int64_t workspace_bytes) {
    PLAN_FRONT(long_conv_forward)
    PAN_TRY(check_gates(op, desc, pre, post));
    PLAN_WORKSPACE(long_conv_forward_workspace_size)
    int64_t bytes = 0;
    PAN_TRY(ops->long_conv_spectrum_size(stream, plan, &bytes));
    pan_array arrays[] = {
        spectrum_array(spectrum, bytes, PAN_ARRAY_INPUT),
        signal_array(desc, "u", u, desc->u_stride, PAN_ARRAY_INPUT),
        signal_array(desc, "pre", pre, desc->pre_stride, PAN_ARRAY_OPTIONAL),
        signal_array(desc, "post", post, desc->post_stride, PAN_ARRAY_OPTIONAL),
        PAN_OPTIONAL_INPUT(skip, desc->channels * pan_real_bytes(stream)),
        signal_array(desc, "y", y, desc->y_stride, PAN_ARRAY_OUTPUT),
        PAN_WORKSPACE,
    };
    arrays[5].may_alias[0] = desc->u_stride == desc->y_stride ? "u" : NULL;
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->long_conv_forward(stream, plan, spectrum, u, pre, post, skip, y, workspace, workspace_bytes);
}

pan_status pan_long_conv_backward_workspace_size(pan_stream *stream, const pan_long_conv_plan *plan,
                                                 int64_t *bytes){PLAN_SIZE(long_conv_backward_workspace_size)}

pan_status
    pan_long_conv_backward(pan_stream *stream, const pan_long_conv_plan *plan, const void *spectrum, const void *u,
                           const void *pre, const void *post, const float *skip, const void *dy, void *du, void *dpre,
                           void *dpost, float *dh, float *dskip, void *workspace, int64_t workspace_bytes) {
    PLAN_FRONT(long_conv_backward)
    PAN_TRY(check_gates(op, desc, pre, post));
    if ((dpre != NULL && pre == NULL) || (dpost != NULL && post == NULL)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s is given but %s is NULL", op,
                        dpre != NULL && pre == NULL ? "dpre" : "dpost", dpre != NULL && pre == NULL ? "pre" : "post");
    }
    PLAN_WORKSPACE(long_conv_backward_workspace_size)
    int64_t bytes = 0;
    PAN_TRY(ops->long_conv_spectrum_size(stream, plan, &bytes));
    pan_array arrays[] = {
        spectrum_array(spectrum, bytes, PAN_ARRAY_INPUT),
        signal_array(desc, "u", u, desc->u_stride, PAN_ARRAY_INPUT),
        signal_array(desc, "pre", pre, desc->pre_stride, PAN_ARRAY_OPTIONAL),
        signal_array(desc, "post", post, desc->post_stride, PAN_ARRAY_OPTIONAL),
        PAN_OPTIONAL_INPUT(skip, desc->channels * pan_real_bytes(stream)),
        signal_array(desc, "dy", dy, desc->y_stride, PAN_ARRAY_INPUT),
        signal_array(desc, "du", du, desc->u_stride, PAN_ARRAY_OUTPUT | PAN_ARRAY_OPTIONAL),
        signal_array(desc, "dpre", dpre, desc->pre_stride, PAN_ARRAY_OUTPUT | PAN_ARRAY_OPTIONAL),
        signal_array(desc, "dpost", dpost, desc->post_stride, PAN_ARRAY_OUTPUT | PAN_ARRAY_OPTIONAL),
        filter_array(stream, desc, "dh", dh, PAN_ARRAY_OUTPUT | PAN_ARRAY_OPTIONAL),
        PAN_OPTIONAL_OUTPUT(dskip, desc->channels * pan_real_bytes(stream)),
        PAN_WORKSPACE,
    };
    arrays[6].may_alias[0] = desc->u_stride == desc->y_stride ? "dy" : NULL;
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->long_conv_backward(stream, plan, spectrum, u, pre, post, skip, dy, du, dpre, dpost, dh, dskip,
                                   workspace, workspace_bytes);
}
