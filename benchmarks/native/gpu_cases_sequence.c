/* Work along sequences: convolutions and their filters; and the loss. */
#include <math.h>
#include <stddef.h>

#include "gpu_cases.h"

/* ---- short convolution ---- */

enum { SHORT_X, SHORT_WEIGHT, SHORT_BIAS, SHORT_Y, SHORT_DY, SHORT_DX, SHORT_DWEIGHT, SHORT_DBIAS };

static pan_status short_conv_forward(const work *w, const place *p) {
    return pan_short_conv_forward(p->stream, &w->desc.short_conv, p->at[SHORT_X], p->at[SHORT_WEIGHT],
                                  p->at[SHORT_BIAS], p->at[SHORT_Y]);
}

static pan_status short_conv_backward_size(const work *w, const place *p, int64_t *bytes) {
    return pan_short_conv_backward_workspace_size(p->stream, &w->desc.short_conv, bytes);
}

static pan_status short_conv_backward(const work *w, const place *p) {
    return pan_short_conv_backward(p->stream, &w->desc.short_conv, p->at[SHORT_X], p->at[SHORT_WEIGHT], p->at[SHORT_DY],
                                   p->at[SHORT_DX], p->at[SHORT_DWEIGHT], p->at[SHORT_DBIAS], p->workspace,
                                   p->workspace_bytes);
}

work short_conv_work(int64_t batch, int64_t length, int64_t channels, int64_t taps) {
    work w = {.family = "short_conv"};
    w.desc.short_conv = (pan_short_conv_desc){.struct_size = sizeof w.desc.short_conv,
                                              .batch = batch,
                                              .length = length,
                                              .channels = channels,
                                              .taps = taps,
                                              .x_stride = channels,
                                              .y_stride = channels};
    add_size(&w, "batch", batch);
    add_size(&w, "length", length);
    add_size(&w, "channels", channels);
    add_size(&w, "taps", taps);
    const int64_t count = batch * length * channels;
    add_array(&w, "x", FILL_NOISE, count);
    add_array(&w, "weight", FILL_NOISE, channels * taps);
    add_array(&w, "bias", FILL_NOISE, channels);
    add_array(&w, "y", FILL_OUTPUT, count);
    add_array(&w, "dy", FILL_NOISE, count);
    add_array(&w, "dx", FILL_OUTPUT, count);
    add_array(&w, "dweight", FILL_SUM, channels * taps);
    add_array(&w, "dbias", FILL_SUM, channels);
    const double flops = 2.0 * (double) count * (double) taps;
    add_call(&w,
             (call){"short_conv_forward", "forward", short_conv_forward, NULL, FLOAT * 2.0 * (double) count, flops});
    add_call(&w, (call){"short_conv_backward", "backward", short_conv_backward, short_conv_backward_size,
                        FLOAT * 3.0 * (double) count, 2.0 * flops});
    return w;
}

/* ---- long convolution ---- */

enum {
    LONG_H,
    LONG_SPECTRUM,
    LONG_U,
    LONG_PRE,
    LONG_POST,
    LONG_SKIP,
    LONG_Y,
    LONG_DY,
    LONG_DU,
    LONG_DPRE,
    LONG_DPOST,
    LONG_DH,
    LONG_DSKIP
};

static bool is_gated(const work *w) {
    return w->arrays[LONG_PRE].count > 1;
}

static pan_status long_conv_prepare_size(const work *w, const place *p, int64_t *bytes) {
    (void) w;
    return pan_long_conv_prepare_workspace_size(p->stream, p->plan, bytes);
}

static pan_status long_conv_prepare(const work *w, const place *p) {
    (void) w;
    return pan_long_conv_prepare(p->stream, p->plan, p->at[LONG_H], p->at[LONG_SPECTRUM], p->workspace,
                                 p->workspace_bytes);
}

static pan_status long_conv_forward_size(const work *w, const place *p, int64_t *bytes) {
    (void) w;
    return pan_long_conv_forward_workspace_size(p->stream, p->plan, bytes);
}

static pan_status long_conv_forward(const work *w, const place *p) {
    const bool gated = is_gated(w);
    return pan_long_conv_forward(p->stream, p->plan, p->at[LONG_SPECTRUM], p->at[LONG_U],
                                 gated ? p->at[LONG_PRE] : NULL, gated ? p->at[LONG_POST] : NULL, p->at[LONG_SKIP],
                                 p->at[LONG_Y], p->workspace, p->workspace_bytes);
}

static pan_status long_conv_backward_size(const work *w, const place *p, int64_t *bytes) {
    (void) w;
    return pan_long_conv_backward_workspace_size(p->stream, p->plan, bytes);
}

static pan_status long_conv_backward(const work *w, const place *p) {
    const bool gated = is_gated(w);
    return pan_long_conv_backward(p->stream, p->plan, p->at[LONG_SPECTRUM], p->at[LONG_U],
                                  gated ? p->at[LONG_PRE] : NULL, gated ? p->at[LONG_POST] : NULL, p->at[LONG_SKIP],
                                  p->at[LONG_DY], p->at[LONG_DU], gated ? p->at[LONG_DPRE] : NULL,
                                  gated ? p->at[LONG_DPOST] : NULL, p->at[LONG_DH], p->at[LONG_DSKIP], p->workspace,
                                  p->workspace_bytes);
}

/* Multiplications and additions of a complex transform of as many points. */
static double transform_flops(int64_t length) {
    double points = 8.0;
    while (points < (double) length) {
        points *= 2.0;
    }
    return 5.0 * points * log2(points);
}

work long_conv_work(int64_t batch, int64_t length, int64_t channels, int64_t taps, pan_conv_method method, bool gated) {
    work w = {.family = "long_conv", .has_plan = true};
    w.desc.long_conv = (pan_long_conv_desc){.struct_size = sizeof w.desc.long_conv,
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
                                            .y_stride = channels};
    add_size(&w, "batch", batch);
    add_size(&w, "length", length);
    add_size(&w, "channels", channels);
    add_size(&w, "taps", taps);
    add_size(&w, "method", method);
    add_size(&w, "gated", gated);
    const int64_t count = batch * length * channels, gate = gated ? count : 1;
    add_array(&w, "h", FILL_NOISE, channels * taps);
    add_array(&w, "spectrum", FILL_OPAQUE, 0); /* the plan knows */
    add_array(&w, "u", FILL_NOISE, count);
    add_array(&w, "pre", FILL_NOISE, gate);
    add_array(&w, "post", FILL_NOISE, gate);
    add_array(&w, "skip", FILL_NOISE, channels);
    add_array(&w, "y", FILL_OUTPUT, count);
    add_array(&w, "dy", FILL_NOISE, count);
    add_array(&w, "du", FILL_OUTPUT, count);
    add_array(&w, "dpre", gated ? FILL_OUTPUT : FILL_SUM, gate);
    add_array(&w, "dpost", gated ? FILL_OUTPUT : FILL_SUM, gate);
    add_array(&w, "dh", FILL_SUM, channels * taps);
    add_array(&w, "dskip", FILL_SUM, channels);
    const double columns = product(batch, channels), extra = gated ? 2.0 : 0.0;
    const int64_t reaching = taps < length ? taps : length;
    const double one =
        method == PAN_CONV_FFT
            ? columns * transform_flops(length)
            : 2.0 * columns * ((double) reaching * (double) length - product(reaching, reaching - 1) / 2.0);
    /* By FFT two transforms forward; backward two to the spectra and one or two back. Directly one sum forward and two
     * or three backward. */
    const bool fft = method == PAN_CONV_FFT;
    add_call(&w, (call){"long_conv_prepare", "prepare", long_conv_prepare, long_conv_prepare_size,
                        FLOAT * 2.0 * product(channels, taps), 0.0});
    add_call(&w, (call){"long_conv_forward", "forward", long_conv_forward, long_conv_forward_size,
                        FLOAT * (2.0 + extra) * (double) count, (fft ? 2.0 : 1.0) * one});
    add_call(&w, (call){"long_conv_backward", "backward", long_conv_backward, long_conv_backward_size,
                        FLOAT * (3.0 + 2.0 * extra) * (double) count, (fft ? 3.0 : 2.0) * one + (gated ? one : 0.0)});
    return w;
}

/* ---- implicit filters ---- */

enum { FEATURES_Z };

static pan_status positional_features(const work *w, const place *p) {
    return pan_positional_features(p->stream, &w->desc.features, p->at[FEATURES_Z]);
}

work features_work(int64_t length, int64_t bands) {
    work w = {.family = "positional_features"};
    w.desc.features =
        (pan_positional_features_desc){.struct_size = sizeof w.desc.features, .length = length, .bands = bands};
    add_size(&w, "length", length);
    add_size(&w, "bands", bands);
    add_array(&w, "z", FILL_OUTPUT, length * (2 * bands + 1));
    add_call(&w, (call){"positional_features", "forward", positional_features, NULL,
                        FLOAT * product(length, 2 * bands + 1), 0.0});
    return w;
}

enum { SINE_X, SINE_FREQUENCY, SINE_Y, SINE_DY, SINE_DX, SINE_DFREQUENCY };

static pan_status sine_forward(const work *w, const place *p) {
    return pan_sine_layer_forward(p->stream, &w->desc.sine, p->at[SINE_X], p->at[SINE_FREQUENCY], p->at[SINE_Y]);
}

static pan_status sine_backward_size(const work *w, const place *p, int64_t *bytes) {
    return pan_sine_layer_backward_workspace_size(p->stream, &w->desc.sine, bytes);
}

static pan_status sine_backward(const work *w, const place *p) {
    return pan_sine_layer_backward(p->stream, &w->desc.sine, p->at[SINE_X], p->at[SINE_FREQUENCY], p->at[SINE_DY],
                                   p->at[SINE_DX], p->at[SINE_DFREQUENCY], p->workspace, p->workspace_bytes);
}

work sine_work(int64_t rows, int64_t channels) {
    work w = {.family = "sine_layer"};
    w.desc.sine = (pan_sine_layer_desc){.struct_size = sizeof w.desc.sine, .rows = rows, .channels = channels};
    add_size(&w, "rows", rows);
    add_size(&w, "channels", channels);
    const int64_t count = rows * channels;
    add_array(&w, "x", FILL_NOISE, count);
    add_array(&w, "frequency", FILL_POSITIVE, channels);
    add_array(&w, "y", FILL_OUTPUT, count);
    add_array(&w, "dy", FILL_NOISE, count);
    add_array(&w, "dx", FILL_OUTPUT, count);
    add_array(&w, "dfrequency", FILL_SUM, channels);
    add_call(&w, (call){"sine_layer_forward", "forward", sine_forward, NULL, FLOAT * 2.0 * (double) count, 0.0});
    add_call(&w, (call){"sine_layer_backward", "backward", sine_backward, sine_backward_size,
                        FLOAT * 3.0 * (double) count, 0.0});
    return w;
}

enum { MODULATION_X, MODULATION_RATE, MODULATION_Y };

static pan_status exponential_modulation(const work *w, const place *p) {
    return pan_exponential_modulation(p->stream, &w->desc.modulation, p->at[MODULATION_X], p->at[MODULATION_RATE],
                                      p->at[MODULATION_Y]);
}

work modulation_work(int64_t length, int64_t channels) {
    work w = {.family = "exponential_modulation"};
    w.desc.modulation = (pan_exponential_modulation_desc){.struct_size = sizeof w.desc.modulation,
                                                          .length = length,
                                                          .channels = channels,
                                                          .time_step = 1.0 / (double) length,
                                                          .shift = 0.05};
    add_size(&w, "length", length);
    add_size(&w, "channels", channels);
    add_array(&w, "x", FILL_NOISE, length * channels);
    add_array(&w, "rate", FILL_POSITIVE, channels);
    add_array(&w, "y", FILL_OUTPUT, length * channels);
    add_call(&w, (call){"exponential_modulation", "forward", exponential_modulation, NULL,
                        FLOAT * 2.0 * product(length, channels), 0.0});
    return w;
}

/* ---- vocabulary loss ---- */

enum {
    VOCABULARY_HIDDEN,
    VOCABULARY_WEIGHT,
    VOCABULARY_LABELS,
    VOCABULARY_LOSS,
    VOCABULARY_COUNT,
    VOCABULARY_ROW_LOSS,
    VOCABULARY_LSE,
    VOCABULARY_ARG_MAX,
    VOCABULARY_DLOSS,
    VOCABULARY_DHIDDEN,
    VOCABULARY_DWEIGHT
};

static pan_status vocabulary_forward_size(const work *w, const place *p, int64_t *bytes) {
    return pan_vocabulary_loss_forward_workspace_size(p->stream, &w->desc.vocabulary, bytes);
}

static pan_status vocabulary_forward(const work *w, const place *p) {
    return pan_vocabulary_loss_forward(p->stream, &w->desc.vocabulary, p->at[VOCABULARY_HIDDEN],
                                       p->at[VOCABULARY_WEIGHT], p->at[VOCABULARY_LABELS], p->at[VOCABULARY_LOSS],
                                       p->at[VOCABULARY_COUNT], p->at[VOCABULARY_ROW_LOSS], p->at[VOCABULARY_LSE],
                                       p->at[VOCABULARY_ARG_MAX], p->workspace, p->workspace_bytes);
}

static pan_status vocabulary_backward_size(const work *w, const place *p, int64_t *bytes) {
    return pan_vocabulary_loss_backward_workspace_size(p->stream, &w->desc.vocabulary, bytes);
}

static pan_status vocabulary_backward(const work *w, const place *p) {
    return pan_vocabulary_loss_backward(p->stream, &w->desc.vocabulary, p->at[VOCABULARY_HIDDEN],
                                        p->at[VOCABULARY_WEIGHT], p->at[VOCABULARY_LABELS], p->at[VOCABULARY_COUNT],
                                        p->at[VOCABULARY_LSE], p->at[VOCABULARY_DLOSS], p->at[VOCABULARY_DHIDDEN],
                                        p->at[VOCABULARY_DWEIGHT], p->workspace, p->workspace_bytes);
}

work vocabulary_work(int64_t rows, int64_t channels, int64_t vocab, int64_t period) {
    static const float one = 1.0f;
    work w = {.family = "vocabulary_loss"};
    w.desc.vocabulary = (pan_vocabulary_loss_desc){.struct_size = sizeof w.desc.vocabulary,
                                                   .rows = rows,
                                                   .channels = channels,
                                                   .vocab_size = vocab,
                                                   .hidden_stride = channels};
    add_size(&w, "rows", rows);
    add_size(&w, "channels", channels);
    add_size(&w, "vocab", vocab);
    add_size(&w, "label_period", period);
    add_array(&w, "hidden", FILL_NOISE, rows * channels);
    add_array(&w, "weight", FILL_NOISE, vocab * channels);
    add_labels(&w, rows, vocab, period);
    add_array(&w, "loss", FILL_OUTPUT, 1);
    add_array(&w, "labelled_count", FILL_INTEGERS, 1);
    add_array(&w, "row_loss", FILL_OUTPUT, rows);
    add_array(&w, "lse", FILL_OUTPUT, rows);
    add_array(&w, "arg_max", FILL_INTEGERS, rows);
    add_bytes(&w, "dloss", &one, sizeof one);
    add_array(&w, "dhidden", FILL_OUTPUT, rows * channels);
    add_array(&w, "dweight", FILL_SUM, vocab * channels);
    const double labelled = (double) ((rows + period - 1) / period);
    const double hidden = labelled * (double) channels, weight = product(vocab, channels);
    const double flops = 2.0 * hidden * (double) vocab;
    add_call(&w, (call){"vocabulary_loss_forward", "forward", vocabulary_forward, vocabulary_forward_size,
                        FLOAT * (hidden + weight + 4.0 * (double) rows), flops});
    add_call(&w, (call){"vocabulary_loss_backward", "backward", vocabulary_backward, vocabulary_backward_size,
                        FLOAT * (hidden + product(rows, channels) + 3.0 * weight + 2.0 * (double) rows), 2.0 * flops});
    return w;
}
