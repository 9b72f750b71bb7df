/* Accuracy, isolation, causality and plans of the long convolution, beyond what is checked of every op. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

/* One convolution with all of its arrays, in double: what a device computes is converted. */
typedef struct conv {
    pan_long_conv_desc desc;
    int64_t signal; /* elements of u and of the arrays like it */
    double *h, *u, *pre, *post, *skip, *dy;
    double *y, *du, *dpre, *dpost, *dh, *dskip;
} conv;

enum { INPUTS = 6, RESULTS = 6 };

static double **array_of(conv *c, int i) {
    double **arrays[] = {&c->h, &c->u,  &c->pre,  &c->post,  &c->skip, &c->dy,
                         &c->y, &c->du, &c->dpre, &c->dpost, &c->dh,   &c->dskip};
    return arrays[i];
}

static const char *const NAMES[] = {"h", "u", "pre", "post", "skip", "dy", "y", "du", "dpre", "dpost", "dh", "dskip"};

static int64_t array_count(const conv *c, int i) {
    const bool filter = i == 0 || i == 10;
    const bool vector = i == 4 || i == 11;
    return filter ? c->desc.channels * c->desc.taps : vector ? c->desc.channels : c->signal;
}

static conv new_conv(int64_t batch, int64_t length, int64_t channels, int64_t taps, pan_conv_method method) {
    conv c = {.desc = {.struct_size = sizeof c.desc,
                       .method = method,
                       .batch = batch,
                       .length = length,
                       .channels = channels,
                       .taps = taps,
                       .h_channel_stride = taps,
                       .h_tap_stride = 1,
                       .u_stride = channels,
                       .pre_stride = channels,
                       .post_stride = channels,
                       .y_stride = channels},
              .signal = batch * length * channels};
    generator random = {17};
    for (int i = 0; i < INPUTS + RESULTS; i++) {
        *array_of(&c, i) = allocate(array_count(&c, i), sizeof(double));
        for (int64_t k = 0; i < INPUTS && k < array_count(&c, i); k++) {
            (*array_of(&c, i))[k] = next_normal(&random);
        }
    }
    return c;
}

static void free_conv(conv *c) {
    for (int i = 0; i < INPUTS + RESULTS; i++) {
        free(*array_of(c, i));
    }
}

/* Leaves an optional input, and the gradient that belongs to it, away. */
static void leave_out(double **input, double **gradient) {
    free(*input);
    free(*gradient);
    *input = NULL;
    *gradient = NULL;
}

static void *to_device(const target *target, const double *values, int64_t count) {
    void *memory = NULL;
    if (values == NULL) {
        return NULL;
    }
    CHECK_OK(pan_memory_allocate(target->device, count * target->real_bytes, &memory));
    float *narrow = allocate(count, sizeof *narrow);
    for (int64_t i = 0; i < count; i++) {
        narrow[i] = (float) values[i];
    }
    CHECK_OK(pan_copy_to_device(target->stream, memory, target->real_bytes == 8 ? (const void *) values : narrow,
                                count * target->real_bytes));
    CHECK_OK(pan_stream_synchronize(target->stream));
    free(narrow);
    return memory;
}

static void to_host(const target *target, const void *memory, double *values, int64_t count) {
    void *raw = allocate(count, target->real_bytes);
    CHECK_OK(pan_copy_to_host(target->stream, raw, memory, count * target->real_bytes));
    CHECK_OK(pan_stream_synchronize(target->stream));
    for (int64_t i = 0; i < count; i++) {
        values[i] = target->real_bytes == 8 ? ((double *) raw)[i] : (double) ((float *) raw)[i];
    }
    free(raw);
}

static void *scratch(const target *target, int64_t bytes) {
    void *memory = NULL;
    if (bytes > 0) {
        CHECK_OK(pan_memory_allocate(target->device, bytes, &memory));
    }
    return memory;
}

/* Fills in the results. */
static void run(const target *target, conv *c) {
    pan_stream *stream = target->stream;
    c->desc.dtype = target->dtype;
    void *a[INPUTS + RESULTS];
    for (int i = 0; i < INPUTS + RESULTS; i++) {
        if (i >= INPUTS && *array_of(c, i) != NULL) {
            memset(*array_of(c, i), 0, (size_t) array_count(c, i) * sizeof(double));
        }
        a[i] = to_device(target, *array_of(c, i), array_count(c, i));
    }
    pan_long_conv_plan *plan = NULL;
    CHECK_OK(pan_long_conv_plan_create(target->device, &c->desc, &plan));
    int64_t spectrum_bytes = 0, prepare_bytes = 0, forward_bytes = 0, backward_bytes = 0;
    CHECK_OK(pan_long_conv_spectrum_size(stream, plan, &spectrum_bytes));
    CHECK_OK(pan_long_conv_prepare_workspace_size(stream, plan, &prepare_bytes));
    CHECK_OK(pan_long_conv_forward_workspace_size(stream, plan, &forward_bytes));
    CHECK_OK(pan_long_conv_backward_workspace_size(stream, plan, &backward_bytes));
    void *memory[] = {scratch(target, spectrum_bytes), scratch(target, prepare_bytes), scratch(target, forward_bytes),
                      scratch(target, backward_bytes)};
    CHECK_OK(pan_long_conv_prepare(stream, plan, a[0], memory[0], memory[1], prepare_bytes));
    CHECK_OK(pan_long_conv_forward(stream, plan, memory[0], a[1], a[2], a[3], a[4], a[6], memory[2], forward_bytes));
    CHECK_OK(pan_long_conv_backward(stream, plan, memory[0], a[1], a[2], a[3], a[4], a[5], a[7], a[8], a[9], a[10],
                                    a[11], memory[3], backward_bytes));
    for (int i = INPUTS; i < INPUTS + RESULTS; i++) {
        if (a[i] != NULL) {
            to_host(target, a[i], *array_of(c, i), array_count(c, i));
        }
    }
    for (int i = 0; i < INPUTS + RESULTS; i++) {
        if (a[i] != NULL) {
            CHECK_OK(pan_memory_free(target->device, a[i]));
        }
    }
    for (int i = 0; i < COUNT(memory); i++) {
        if (memory[i] != NULL) {
            CHECK_OK(pan_memory_free(target->device, memory[i]));
        }
    }
    CHECK_OK(pan_long_conv_plan_destroy(plan));
}

/* ---- accuracy ---- */

static const double TOLERANCE = 1e-5; /* of max |a - b| / max |b| */

static void compare(const char *what, const target *target, conv *result, conv *expected) {
    for (int i = INPUTS; i < INPUTS + RESULTS; i++) {
        const double *a = *array_of(result, i), *b = *array_of(expected, i);
        double error = 0.0, largest = 0.0;
        for (int64_t k = 0; a != NULL && k < array_count(result, i); k++) {
            error = fmax(error, fabs(a[k] - b[k]));
            largest = fmax(largest, fabs(b[k]));
            error = isnan(a[k]) && !isnan(b[k]) ? INFINITY : error;
        }
        CHECK(error <= TOLERANCE * largest, "%s, %s: %s is off by %.2g of %.3g", what, target->name, NAMES[i], error,
              largest);
    }
}

typedef enum signal_kind { NOISE, CONSTANT, ALTERNATING, IMPULSE, SIGNALS } signal_kind;

static double signal_value(signal_kind kind, int64_t t, double noise) {
    switch (kind) {
    case CONSTANT: return 1.0;
    case ALTERNATING: return t % 2 ? -1.0 : 1.0;
    case IMPULSE: return t == 0 ? 1.0 : 0.0;
    default: return noise;
    }
}

static void set_signal(conv *c, signal_kind kind) {
    for (int64_t i = 0; i < c->signal; i++) {
        c->u[i] = signal_value(kind, i / c->desc.channels % c->desc.length, c->u[i]);
    }
}

static void check_length(const target *reference, const target *target, int64_t length, int64_t taps, signal_kind kind,
                         pan_conv_method method) {
    char what[120];
    snprintf(what, sizeof what, "length %lld, taps %lld, signal %d, method %d", (long long) length, (long long) taps,
             kind, method);
    const int64_t channels = length > 10000 ? 1 : length > 1000 ? 2 : 3, batch = length > 1000 ? 1 : 2;
    conv expected = new_conv(batch, length, channels, taps, method);
    conv result = new_conv(batch, length, channels, taps, method);
    set_signal(&expected, kind);
    set_signal(&result, kind);
    if (length > 1000) {
        conv *const both[] = {&expected, &result};
        for (int i = 0; i < 2; i++) { /* half of the reference's quadratic work */
            leave_out(&both[i]->post, &both[i]->dpost);
        }
    }
    run(reference, &expected);
    run(target, &result);
    compare(what, target, &result, &expected);
    free_conv(&expected);
    free_conv(&result);
}

static void check_lengths(const target *reference, const target *target) {
    static const int64_t lengths[] = {1, 2, 3, 5, 31, 32, 33, 100, 127, 1000, 1021};
    for (int i = 0; i < COUNT(lengths); i++) {
        const int64_t length = lengths[i];
        const int64_t taps[] = {length, 1, length / 3 + 1, 2 * length + 3};
        for (int t = 0; t < COUNT(taps); t++) {
            for (signal_kind kind = NOISE; kind < SIGNALS; kind++) {
                check_length(reference, target, length, taps[t], kind, PAN_CONV_FFT);
                check_length(reference, target, length, taps[t], kind, PAN_CONV_DIRECT);
            }
        }
    }
    for (signal_kind kind = NOISE; kind < SIGNALS; kind++) {
        check_length(reference, target, 4097, 4097, kind, PAN_CONV_FFT);
    }
    check_length(reference, target, 4097, 70, NOISE, PAN_CONV_FFT);
    check_length(reference, target, 16384, 16384, NOISE, PAN_CONV_FFT);
}

/* The formulas of the header at one position: y, du, dpre, dpost and dh there. */
static void results_at(const conv *c, int64_t i, double expected[5]) {
    const int64_t length = c->desc.length;
    double v = c->skip[0] * c->pre[i] * c->u[i], dx = c->skip[0] * c->post[i] * c->dy[i], dh = 0.0;
    for (int64_t j = 0; j <= i; j++) {
        v += c->h[j] * c->pre[i - j] * c->u[i - j];
    }
    for (int64_t t = i; t < length; t++) {
        dx += c->h[t - i] * c->post[t] * c->dy[t];
        dh += c->post[t] * c->dy[t] * c->pre[t - i] * c->u[t - i];
    }
    const double values[] = {c->post[i] * v, c->pre[i] * dx, c->u[i] * dx, c->dy[i] * v, dh};
    memcpy(expected, values, sizeof values);
}

/* At 65536 a few positions are enough: a reference of all of them would take minutes. */
static void check_longest(const target *target, signal_kind kind, pan_conv_method method) {
    const int64_t length = 65536;
    conv c = new_conv(1, length, 1, length, method);
    set_signal(&c, kind);
    run(target, &c);
    const double *const results[] = {c.y, c.du, c.dpre, c.dpost, c.dh};
    double error[COUNT(results)] = {0}, largest[COUNT(results)] = {0}, dskip = 0.0, dskip_terms = 0.0;
    for (int64_t t = 0; t < length; t++) {
        for (int r = 0; r < COUNT(results); r++) {
            largest[r] = fmax(largest[r], fabs(results[r][t]));
        }
        dskip += c.post[t] * c.dy[t] * c.pre[t] * c.u[t];
        dskip_terms += fabs(c.post[t] * c.dy[t] * c.pre[t] * c.u[t]);
    }
    for (int64_t t = 0; t < length; t += t < 64 || t > length - 64 ? 1 : 997) {
        double expected[COUNT(results)];
        results_at(&c, t, expected);
        for (int r = 0; r < COUNT(results); r++) {
            const double off = fabs(results[r][t] - expected[r]);
            error[r] = off <= error[r] ? error[r] : off; /* NaN stays */
        }
    }
    for (int r = 0; r < COUNT(results); r++) {
        CHECK(error[r] <= TOLERANCE * largest[r], "length 65536, signal %d, method %d, %s: %s is off by %.2g of %.3g",
              kind, method, target->name, ((const char *const[]){"y", "du", "dpre", "dpost", "dh"})[r], error[r],
              largest[r]);
    }
    CHECK(fabs(c.dskip[0] - dskip) <= 1e-6 * dskip_terms,
          "length 65536, signal %d, method %d, %s: dskip is %.9g, not %.9g", kind, method, target->name, c.dskip[0],
          dskip);
    free_conv(&c);
}

static void check_scales(const target *reference, const target *target, pan_conv_method method) {
    static const double scale[][2] = {{1e-40, 1.0}, {1.0, 1e-40}, {1e30, 1e-20}, {1e-30, 1e30}, {1e38, 1.0}};
    for (int i = 0; i < COUNT(scale); i++) {
        conv result = new_conv(2, 100, 3, 100, method), expected = new_conv(2, 100, 3, 100, method);
        conv *const both[] = {&expected, &result};
        for (int k = 0; k < 2; k++) {
            conv *c = both[k];
            for (int64_t e = 0; e < c->signal; e++) {
                c->u[e] = (float) (c->u[e] * scale[i][0] * 0.01);
            }
            for (int64_t e = 0; e < c->desc.channels * c->desc.taps; e++) {
                c->h[e] = (float) (c->h[e] * scale[i][1]);
            }
            for (int64_t e = 0; e < c->desc.channels; e++) {
                c->skip[e] = 0.0;
            }
            free(c->dpre); /* of the order of u dx, which need not fit a float */
            c->dpre = NULL;
        }
        run(reference, &expected);
        run(target, &result);
        for (int r = INPUTS; r < INPUTS + RESULTS; r++) {
            const double *a = *array_of(&result, r), *b = *array_of(&expected, r);
            double error = 0.0, largest = 0.0;
            for (int64_t k = 0; a != NULL && k < array_count(&result, r); k++) {
                error = fmax(error, fabs(a[k] - b[k]));
                largest = fmax(largest, fabs(b[k]));
            }
            /* Below the normal floats each of the 100 terms is rounded to a multiple of 2^-149. */
            CHECK(error <= fmax(TOLERANCE * largest, 0x1p-143),
                  "signal x %g, filter x %g, method %d, %s: %s off by "
                  "%.2g of %.3g",
                  scale[i][0], scale[i][1], method, target->name, NAMES[r], error, largest);
        }
        free_conv(&result);
        free_conv(&expected);
    }
}

/* ---- isolation and causality ---- */

static void check_isolation(const target *target, pan_conv_method method) {
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    const int64_t batch = 3, length = 100, channels = 19;
    for (int i = 0; i < COUNT(bad); i++) {
        conv clean = new_conv(batch, length, channels, length, method);
        conv dirty = new_conv(batch, length, channels, length, method);
        const int64_t example = 1, channel = 4, at = (example * length + 50) * channels + channel;
        dirty.u[at] = bad[i];
        dirty.dy[at + channels] = bad[i];
        run(target, &clean);
        run(target, &dirty);
        for (int r = INPUTS; r < INPUTS + 4; r++) {
            for (int64_t e = 0; e < clean.signal; e++) {
                const bool touched = e / (length * channels) == example && e % channels == channel;
                const double a = (*array_of(&dirty, r))[e], b = (*array_of(&clean, r))[e];
                CHECK(touched || a == b, "%g in one example, method %d, %s: %s[%lld] changed from %g to %g", bad[i],
                      method, target->name, NAMES[r], (long long) e, b, a);
            }
        }
        for (int64_t e = 0; e < channels * length; e++) {
            CHECK(e / length == channel || dirty.dh[e] == clean.dh[e], "%g in one channel, method %d, %s: dh[%lld]",
                  bad[i], method, target->name, (long long) e);
        }
        free_conv(&clean);
        free_conv(&dirty);
    }
}

static void check_causality(const target *target, pan_conv_method method) {
    const int64_t length = 1000, channels = 5, at = 600;
    conv before = new_conv(1, length, channels, length, method);
    conv after = new_conv(1, length, channels, length, method);
    for (int64_t k = 0; k < channels; k++) {
        after.u[at * channels + k] += 1.0;
    }
    run(target, &before);
    run(target, &after);
    double largest = 0.0, change = 0.0;
    for (int64_t e = 0; e < before.signal; e++) {
        largest = fmax(largest, fabs(before.y[e]));
        change = e < at * channels ? fmax(change, fabs(after.y[e] - before.y[e])) : change;
    }
    CHECK(change <= (method == PAN_CONV_DIRECT ? 0.0 : 2e-6 * largest),
          "a later input changes an output by %.2g of %.3g, method %d, %s", change, largest, method, target->name);
    free_conv(&before);
    free_conv(&after);
}

/* What is not finite reaches by sums the results that it is a term of, and no other. */
static void check_reach(const target *target) {
    enum { LENGTH = 100, TAPS = 30, CHANNELS = 5, CHANNEL = 2, AT = 40, LATE_TAP = 20 };
    conv clean = new_conv(1, LENGTH, CHANNELS, TAPS, PAN_CONV_DIRECT);
    conv input = new_conv(1, LENGTH, CHANNELS, TAPS, PAN_CONV_DIRECT);
    conv gradient = new_conv(1, LENGTH, CHANNELS, TAPS, PAN_CONV_DIRECT);
    conv tap = new_conv(1, LENGTH, CHANNELS, TAPS, PAN_CONV_DIRECT);
    input.u[AT * CHANNELS + CHANNEL] = NAN;
    gradient.dy[AT * CHANNELS + CHANNEL] = INFINITY;
    tap.h[CHANNEL * TAPS + LATE_TAP] = INFINITY;
    conv *const all[] = {&clean, &input, &gradient, &tap};
    for (int i = 0; i < COUNT(all); i++) {
        run(target, all[i]);
    }
    for (int64_t e = 0; e < clean.signal; e++) {
        const int64_t t = e / CHANNELS;
        const bool here = e % CHANNELS == CHANNEL;
        CHECK(here && t >= AT && t < AT + TAPS ? !isfinite(input.y[e]) : input.y[e] == clean.y[e],
              "%s: y[%lld] is %g with a NaN in u at %d", target->name, (long long) e, input.y[e], AT);
        CHECK(here && t <= AT && t > AT - TAPS ? !isfinite(gradient.du[e]) : gradient.du[e] == clean.du[e],
              "%s: du[%lld] is %g with an infinity in dy at %d", target->name, (long long) e, gradient.du[e], AT);
        CHECK(here && t >= LATE_TAP ? !isfinite(tap.y[e]) : tap.y[e] == clean.y[e],
              "%s: y[%lld] is %g with an infinite tap %d", target->name, (long long) e, tap.y[e], LATE_TAP);
    }
    for (int i = 0; i < COUNT(all); i++) {
        free_conv(all[i]);
    }
}

/* Columns of zeros, whatever they meet, neither add to the gradient of the filter nor cost it digits. */
static void check_zero_columns(const target *reference, const target *target, int64_t batch) {
    const int64_t length = 100;
    conv expected = new_conv(batch, length, 1, length, PAN_CONV_FFT),
         result = new_conv(batch, length, 1, length, PAN_CONV_FFT);
    conv *const both[] = {&expected, &result};
    for (int i = 0; i < 2; i++) {
        conv *c = both[i];
        leave_out(&c->pre, &c->dpre);
        leave_out(&c->post, &c->dpost);
        for (int64_t e = 0; e < c->signal; e++) {
            const bool last = e / length == batch - 1;
            c->u[e] = last ? 0.0 : 0x1p-66 * c->u[e];
            c->dy[e] = (last ? 0x1p125 : 0x1p-66) * c->dy[e];
        }
        leave_out(&c->skip, &c->dskip);
        free(c->du); /* does not fit a float */
        c->du = NULL;
    }
    run(reference, &expected);
    run(target, &result);
    compare("zeros beside small numbers", target, &result, &expected);
    free_conv(&expected);
    free_conv(&result);
}

static void check_negative_zero(const target *target) {
    conv c = new_conv(1, 40, 3, 40, PAN_CONV_FFT);
    for (int64_t e = 0; e < c.signal; e++) {
        c.u[e] = -0.0;
    }
    run(target, &c);
    for (int64_t e = 0; e < c.signal; e++) {
        CHECK(c.y[e] == 0.0 && c.dpre[e] == 0.0, "-0 convolved is %g, %s", c.y[e], target->name);
    }
    free_conv(&c);
}

/* ---- plans ---- */

static void expect_bad(const target *target, const char *what, pan_long_conv_desc desc) {
    pan_long_conv_plan *plan = NULL;
    CHECK(pan_long_conv_plan_create(target->device, &desc, &plan) == PAN_INVALID_ARGUMENT, "%s is accepted", what);
    CHECK(plan == NULL, "%s gives a plan", what);
}

static void check_plans(const target *other, const target *target) {
    const conv c = new_conv(2, 50, 3, 7, PAN_CONV_AUTO);
    pan_long_conv_desc desc = c.desc;
    desc.dtype = target->dtype;
    pan_long_conv_desc bad = desc;
    bad.h_channel_stride = 6;
    expect_bad(target, "a channel stride less than the taps", bad);
    bad = desc;
    bad.h_channel_stride = 7;
    bad.h_tap_stride = 2;
    expect_bad(target, "a filter layout without a stride of 1", bad);
    bad = desc;
    bad.struct_size--;
    expect_bad(target, "another struct_size", bad);
    bad = desc;
    bad.batch = INT64_C(1) << 40;
    bad.length = INT64_C(1) << 40;
    expect_bad(target, "a size that overflows", bad);

    pan_long_conv_plan *plan = NULL;
    CHECK(pan_long_conv_plan_create(NULL, &desc, &plan) == PAN_INVALID_ARGUMENT, "no device");
    CHECK(pan_long_conv_plan_create(target->device, &desc, NULL) == PAN_INVALID_ARGUMENT, "nowhere to put a plan");
    CHECK(pan_long_conv_plan_destroy(NULL) == PAN_INVALID_ARGUMENT, "no plan");
    CHECK_OK(pan_long_conv_plan_create(target->device, &desc, &plan));
    int64_t bytes = 0;
    CHECK(pan_long_conv_spectrum_size(other->stream, plan, &bytes) == PAN_INVALID_ARGUMENT, "a plan of %s serves %s",
          target->name, other->name);
    CHECK(pan_device_close(target->device) == PAN_INVALID_ARGUMENT, "a device closes before its plans");
    pan_conv_method method = PAN_CONV_AUTO;
    CHECK_OK(pan_long_conv_plan_method(plan, &method));
    CHECK(method == PAN_CONV_DIRECT, "7 taps take method %d", method);

    /* Arguments that the descriptor alone does not condemn. */
    float *array = NULL;
    CHECK_OK(pan_memory_allocate(target->device, 1 << 20, (void **) &array));
    CHECK_OK(pan_long_conv_forward_workspace_size(target->stream, plan, &bytes));
    char *workspace = (char *) (array + 200000);
    CHECK(bytes < 200000, "the workspace does not fit");
    CHECK(pan_long_conv_forward(target->stream, plan, (char *) array + 4, array + 1000, NULL, NULL, NULL, array + 2000,
                                workspace, bytes) == PAN_INVALID_ARGUMENT,
          "a misaligned spectrum");
    CHECK(pan_long_conv_backward(target->stream, plan, array, array + 1000, NULL, NULL, NULL, array + 2000,
                                 array + 3000, array + 4000, NULL, NULL, NULL, workspace,
                                 200000) == PAN_INVALID_ARGUMENT,
          "dpre without pre");
    CHECK_OK(pan_memory_free(target->device, array));
    CHECK_OK(pan_long_conv_plan_destroy(plan));

    desc.taps = desc.h_channel_stride = 50000;
    desc.length = 50000;
    CHECK_OK(pan_long_conv_plan_create(target->device, &desc, &plan));
    CHECK_OK(pan_long_conv_plan_method(plan, &method));
    CHECK(method == PAN_CONV_FFT, "50000 taps take method %d", method);
    CHECK_OK(pan_long_conv_plan_destroy(plan));
    desc.taps = desc.h_channel_stride = 150; /* short beside the length, long in itself */
    CHECK_OK(pan_long_conv_plan_create(target->device, &desc, &plan));
    CHECK_OK(pan_long_conv_plan_method(plan, &method));
    CHECK(method == PAN_CONV_DIRECT, "150 taps at length 50000 take method %d", method);
    CHECK_OK(pan_long_conv_plan_destroy(plan));
    desc.length = 150;
    CHECK_OK(pan_long_conv_plan_create(target->device, &desc, &plan));
    CHECK_OK(pan_long_conv_plan_method(plan, &method));
    CHECK(method == PAN_CONV_FFT, "150 taps at length 150 take method %d", method);
    CHECK_OK(pan_long_conv_plan_destroy(plan));
    conv copy = c;
    free_conv(&copy);
}

/* Everything but plans, on a device that can be slower than the others are. */
static void check_device(const target *reference, const target *target, bool slow) {
    for (signal_kind kind = NOISE; kind < (slow ? NOISE + 1 : SIGNALS); kind++) {
        check_longest(target, kind, PAN_CONV_FFT);
    }
    for (pan_conv_method method = PAN_CONV_DIRECT; method <= PAN_CONV_FFT; method++) {
        check_scales(reference, target, method);
        check_isolation(target, method);
        check_causality(target, method);
    }
    check_reach(target);
    check_zero_columns(reference, target, 2);
    check_zero_columns(reference, target, 200);
    check_negative_zero(target);
}

static void check_cuda(const target *reference) {
    target cuda = open_target(PAN_BACKEND_CUDA, PAN_ISA_BEST, 0);
    check_lengths(reference, &cuda);
    check_device(reference, &cuda, true);
    close_target(&cuda);
}

static void check_cpu(const target *reference) {
    target best = open_target(PAN_BACKEND_CPU, PAN_ISA_BEST, 2);
    check_lengths(reference, &best);
    for (pan_isa isa = PAN_ISA_BASELINE; isa <= pan_isa_available(); isa++) {
        target tier = open_target(PAN_BACKEND_CPU, isa, 2);
        check_device(reference, &tier, false);
        close_target(&tier);
    }
    check_longest(&best, NOISE, PAN_CONV_DIRECT);
    target other = open_target(PAN_BACKEND_CPU, PAN_ISA_BEST, 1);
    check_plans(&other, &best);
    close_target(&other);
    close_target(&best);
}

int main(void) {
    target reference = open_target(PAN_BACKEND_REFERENCE_F64, PAN_ISA_BEST, 1);
    if (tests_cuda_alone()) {
        check_cuda(&reference);
    } else {
        check_cpu(&reference);
    }
    close_target(&reference);
    return report();
}
