/* The filter of a diagonal state space, and the same model as a recurrence. */
#include "real.h"

#include "../core/diagonal_ssm.h"

typedef struct parameters {
    int64_t modes;
    const real *log_dt;
    const real *a_real_log;
    const real *a_imag;
    const real *b;
    const real *c;
} parameters;

/* Of mode n of head h. */
static pan_ssm_parameters mode_parameters(const parameters *p, int64_t h, int64_t n) {
    const int64_t i = h * p->modes + n;
    return (pan_ssm_parameters){.log_dt = p->log_dt[h],
                                .a_real_log = p->a_real_log[i],
                                .a_imag = p->a_imag[i],
                                .b = {p->b[2 * i], p->b[2 * i + 1]},
                                .c = {p->c[2 * i], p->c[2 * i + 1]}};
}

static pan_ssm_mode mode_of(const parameters *p, int64_t h, int64_t n) {
    const pan_ssm_parameters mode = mode_parameters(p, h, n);
    return pan_ssm_discretize(&mode);
}

static pan_status no_workspace(int64_t *bytes) {
    *bytes = 0;
    return PAN_OK;
}

pan_status PAN_BODY(diagonal_ssm_forward_workspace_size)(pan_stream *stream, const pan_diagonal_ssm_desc *desc,
                                                         int64_t *bytes) {
    (void) stream;
    (void) desc;
    return no_workspace(bytes);
}

/* Cbar Abar^l by squaring. */
static pan_complex term(const pan_ssm_mode *mode, int64_t l) {
    pan_complex result = mode->coefficient;
    for (pan_complex square = mode->ratio; l > 0; l /= 2) {
        result = l % 2 == 1 ? pan_complex_multiply(result, square) : result;
        square = pan_complex_multiply(square, square);
    }
    return result;
}

pan_status PAN_BODY(diagonal_ssm_forward)(pan_stream *stream, const pan_diagonal_ssm_desc *desc, const float *log_dt,
                                          const float *a_real_log, const float *a_imag, const float *b, const float *c,
                                          float *filter, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace;
    (void) workspace_bytes;
    const parameters p = {desc->modes, REAL(log_dt), REAL(a_real_log), REAL(a_imag), REAL(b), REAL(c)};
    for (int64_t l = 0; l < desc->length; l++) {
        for (int64_t h = 0; h < desc->heads; h++) {
            double sum = 0.0;
            for (int64_t n = 0; n < desc->modes; n++) {
                const pan_ssm_mode mode = mode_of(&p, h, n);
                sum += 2.0 * term(&mode, l).re;
            }
            REAL_OUT(filter)[l * desc->heads + h] = (real) sum;
        }
    }
    return PAN_OK;
}

pan_status PAN_BODY(diagonal_ssm_backward_workspace_size)(pan_stream *stream, const pan_diagonal_ssm_desc *desc,
                                                          int64_t *bytes) {
    (void) stream;
    (void) desc;
    return no_workspace(bytes);
}

/* What a mode adds to the gradients, from column h of dfilter. */
static pan_ssm_parameters mode_gradient(const pan_diagonal_ssm_desc *desc, const pan_ssm_parameters *p,
                                        const real *dfilter) {
    const pan_ssm_mode mode = pan_ssm_discretize(p);
    pan_complex power = {1.0, 0.0}, powers = {0.0, 0.0}, slopes = {0.0, 0.0};
    for (int64_t l = 0; l < desc->length; l++) {
        const double now = dfilter[l * desc->heads];
        const double next = l + 1 < desc->length ? dfilter[(l + 1) * desc->heads] : 0.0;
        powers = pan_complex_add(powers, pan_complex_scale(power, now));
        slopes = pan_complex_add(slopes, pan_complex_scale(power, (double) (l + 1) * next));
        power = pan_complex_multiply(power, mode.ratio);
    }
    return pan_ssm_gradient(p, powers, slopes);
}

pan_status PAN_BODY(diagonal_ssm_backward)(pan_stream *stream, const pan_diagonal_ssm_desc *desc, const float *log_dt,
                                           const float *a_real_log, const float *a_imag, const float *b, const float *c,
                                           const float *dfilter, float *dlog_dt, float *da_real_log, float *da_imag,
                                           float *db, float *dc, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace;
    (void) workspace_bytes;
    const parameters p = {desc->modes, REAL(log_dt), REAL(a_real_log), REAL(a_imag), REAL(b), REAL(c)};
    for (int64_t h = 0; h < desc->heads; h++) {
        double log_dt_sum = 0.0;
        for (int64_t n = 0; n < desc->modes; n++) {
            const pan_ssm_parameters mode = mode_parameters(&p, h, n);
            const pan_ssm_parameters gradient = mode_gradient(desc, &mode, REAL(dfilter) + h);
            const int64_t i = h * desc->modes + n;
            log_dt_sum += gradient.log_dt;
            add_to(da_real_log, i, gradient.a_real_log);
            add_to(da_imag, i, gradient.a_imag);
            add_to(db, 2 * i, gradient.b.re);
            add_to(db, 2 * i + 1, gradient.b.im);
            add_to(dc, 2 * i, gradient.c.re);
            add_to(dc, 2 * i + 1, gradient.c.im);
        }
        add_to(dlog_dt, h, log_dt_sum);
    }
    return PAN_OK;
}

pan_status PAN_BODY(diagonal_ssm_scan_workspace_size)(pan_stream *stream, const pan_diagonal_ssm_scan_desc *desc,
                                                      int64_t *bytes) {
    (void) stream;
    (void) desc;
    *bytes = desc->modes * (int64_t) sizeof(pan_complex);
    return PAN_OK;
}

/* Channel `channel` of an example, at `states` its state. */
static void scan_channel(const pan_diagonal_ssm_scan_desc *desc, const parameters *p, int64_t channel, const real *u,
                         real *y, pan_complex *states) {
    const int64_t channels = desc->repeats * desc->heads;
    for (int64_t t = 0; t < desc->length; t++) {
        const double input = u[t * channels + channel];
        double sum = 0.0;
        for (int64_t n = 0; n < desc->modes; n++) {
            const pan_ssm_mode mode = mode_of(p, channel % desc->heads, n);
            states[n] = pan_complex_multiply(mode.ratio, states[n]);
            states[n].re += input;
            sum += 2.0 * pan_complex_multiply(mode.coefficient, states[n]).re;
        }
        y[t * channels + channel] = (real) sum;
    }
}

pan_status PAN_BODY(diagonal_ssm_scan)(pan_stream *stream, const pan_diagonal_ssm_scan_desc *desc, const void *u,
                                       const float *log_dt, const float *a_real_log, const float *a_imag,
                                       const float *b, const float *c, float *state, void *y, void *workspace,
                                       int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    const parameters p = {desc->modes, REAL(log_dt), REAL(a_real_log), REAL(a_imag), REAL(b), REAL(c)};
    const int64_t channels = desc->repeats * desc->heads;
    pan_complex *states = workspace;
    for (int64_t i = 0; i < desc->batch * channels; i++) {
        const int64_t first = i / channels * desc->length * channels;
        real *kept = REAL_OUT(state) + i * 2 * desc->modes;
        for (int64_t n = 0; n < desc->modes; n++) {
            states[n] = (pan_complex){kept[2 * n], kept[2 * n + 1]};
        }
        scan_channel(desc, &p, i % channels, (const real *) u + first, (real *) y + first, states);
        for (int64_t n = 0; n < desc->modes; n++) {
            kept[2 * n] = (real) states[n].re;
            kept[2 * n + 1] = (real) states[n].im;
        }
    }
    return PAN_OK;
}
