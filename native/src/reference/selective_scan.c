/* The selective scan. */
#include "../core/selective_scan.h"

#include <string.h>

#include "activation.h"

/* The arguments of both directions. */
typedef struct scan {
    const pan_selective_scan_desc *desc;
    const real *u;
    const real *delta;
    const real *a_log;
    const real *b;
    const real *c;
    const real *skip;
    const real *delta_bias;
    const real *z;
} scan;

static double raw_step(const scan *s, int64_t row, int64_t e) {
    return (double) s->delta[row * s->desc->delta_stride + e] + (s->delta_bias == NULL ? 0.0 : s->delta_bias[e]);
}

/* The continuous-time rate, below 0. */
static double rate(const scan *s, int64_t e, int64_t n) {
    return -exp((double) s->a_log[e * s->desc->state_size + n]);
}

static double input(const scan *s, int64_t row, int64_t e) {
    return s->u[row * s->desc->u_stride + e];
}

static double skipped(const scan *s, int64_t row, int64_t e) {
    return s->skip == NULL ? 0.0 : s->skip[e] * input(s, row, e);
}

/* The state n of channel e after a row. */
static double next_state(const scan *s, int64_t row, int64_t e, int64_t n, double state) {
    const double step = softplus(raw_step(s, row, e));
    return exp(step * rate(s, e, n)) * state + step * s->b[row * s->desc->b_stride + n] * input(s, row, e);
}

pan_status PAN_BODY(selective_scan_checkpoints_size)(pan_stream *stream, const pan_selective_scan_desc *desc,
                                                     int64_t *bytes) {
    (void) stream;
    *bytes = desc->batch * pan_scan_chunks(desc->length) * desc->state_size * desc->channels * (int64_t) sizeof(real);
    return PAN_OK;
}

/* The states of one channel. */
pan_status PAN_BODY(selective_scan_forward_workspace_size)(pan_stream *stream, const pan_selective_scan_desc *desc,
                                                           int64_t *bytes) {
    (void) stream;
    *bytes = desc->state_size * (int64_t) sizeof(double);
    return PAN_OK;
}

pan_status PAN_BODY(selective_scan_forward)(pan_stream *stream, const pan_selective_scan_desc *desc, const void *u,
                                            const void *delta, const float *a_log, const void *b, const void *c,
                                            const float *skip, const float *delta_bias, const void *z,
                                            const float *initial_state, void *y_, float *checkpoints,
                                            float *final_state, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    const scan s = {desc, u, delta, REAL(a_log), b, c, REAL(skip), REAL(delta_bias), z};
    real *y = y_, *kept = REAL_OUT(checkpoints), *last = REAL_OUT(final_state);
    const real *first = REAL(initial_state);
    double *state = workspace;
    const int64_t channels = desc->channels, states = desc->state_size, chunks = pan_scan_chunks(desc->length);
    for (int64_t example = 0; example < desc->batch; example++) {
        for (int64_t e = 0; e < channels; e++) {
            for (int64_t n = 0; n < states; n++) {
                state[n] = first == NULL ? 0.0 : first[(example * states + n) * channels + e];
            }
            for (int64_t t = 0; t < desc->length; t++) {
                const int64_t row = example * desc->length + t;
                double sum = skipped(&s, row, e);
                for (int64_t n = 0; n < states; n++) {
                    if (kept != NULL && t % PAN_SCAN_CHUNK == 0) {
                        const int64_t chunk = example * chunks + t / PAN_SCAN_CHUNK;
                        kept[(chunk * states + n) * channels + e] = (real) state[n];
                    }
                    state[n] = next_state(&s, row, e, n, state[n]);
                    sum += s.c[row * desc->c_stride + n] * state[n];
                }
                if (z != NULL) {
                    const double gate = s.z[row * desc->z_stride + e];
                    sum *= gate * sigmoid(gate);
                }
                y[row * desc->y_stride + e] = (real) sum;
            }
            for (int64_t n = 0; n < states && last != NULL; n++) {
                last[(example * states + n) * channels + e] = (real) state[n];
            }
        }
    }
    return PAN_OK;
}

/* Where the sums of backward are made, in double. */
typedef struct sums {
    double *db; /* (rows, state_size), as dc */
    double *dc;
    double *da;     /* (state_size), of one channel, as dstate */
    double *dstate; /* the gradient of the state behind the positions that are still to come */
} sums;

pan_status PAN_BODY(selective_scan_backward_workspace_size)(pan_stream *stream, const pan_selective_scan_desc *desc,
                                                            int64_t *bytes) {
    (void) stream;
    *bytes = (2 * desc->batch * desc->length + 2) * desc->state_size * (int64_t) sizeof(double);
    return PAN_OK;
}

/* What the positions of a chunk have in common for all states of a channel. */
typedef struct position {
    double step;
    double gradient; /* of the output before the gate */
    double output;   /* the output before the gate */
    double dstep;
    double dinput; /* of step * u */
} position;

static void state_gradient(const scan *s, int64_t first_row, int64_t count, int64_t e, int64_t n, double state,
                           position *at, const sums *sums) {
    const pan_selective_scan_desc *desc = s->desc;
    const double a = rate(s, e, n);
    double states[PAN_SCAN_CHUNK + 1] = {state};
    for (int64_t i = 0; i < count; i++) {
        states[i + 1] = next_state(s, first_row + i, e, n, states[i]);
        at[i].output += s->c[(first_row + i) * desc->c_stride + n] * states[i + 1];
    }
    for (int64_t i = count - 1; i >= 0; i--) {
        const int64_t row = first_row + i;
        const double decay = exp(at[i].step * a);
        const double g = sums->dstate[n] + s->c[row * desc->c_stride + n] * at[i].gradient;
        sums->dc[row * desc->state_size + n] += at[i].gradient * states[i + 1];
        sums->db[row * desc->state_size + n] += g * at[i].step * input(s, row, e);
        at[i].dinput += g * s->b[row * desc->b_stride + n];
        at[i].dstep += g * decay * states[i] * a;
        sums->da[n] += g * decay * states[i] * at[i].step;
        sums->dstate[n] = g * decay;
    }
}

typedef struct gradients {
    const real *dy;
    real *du;
    real *ddelta;
    real *dz;
} gradients;

/* The gradients at the positions of a chunk and, added to, those of the channel's skip and bias. */
static void write_positions(const scan *s, const gradients *out, int64_t first_row, int64_t count, int64_t e,
                            const position *at, double *dskip, double *dbias) {
    const pan_selective_scan_desc *desc = s->desc;
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = first_row + i;
        const double x = input(s, row, e);
        const double draw = (at[i].dstep + at[i].dinput * x) * sigmoid(raw_step(s, row, e));
        out->du[row * desc->u_stride + e] =
            (real) (at[i].dinput * at[i].step + (s->skip == NULL ? 0.0 : s->skip[e]) * at[i].gradient);
        out->ddelta[row * desc->delta_stride + e] = (real) draw;
        *dskip += at[i].gradient * x;
        *dbias += draw;
        if (s->z != NULL) {
            const double gate = s->z[row * desc->z_stride + e], open = sigmoid(gate);
            const double slope = open * (1.0 + gate * (1.0 - open));
            out->dz[row * desc->z_stride + e] = (real) (out->dy[row * desc->y_stride + e] * at[i].output * slope);
        }
    }
}

/* One channel of one example, from its last chunk to the first. */
static void channel_gradient(const scan *s, const gradients *out, const real *checkpoints, int64_t example, int64_t e,
                             const sums *sums, double *dskip, double *dbias) {
    const pan_selective_scan_desc *desc = s->desc;
    const int64_t chunks = pan_scan_chunks(desc->length);
    for (int64_t n = 0; n < desc->state_size; n++) {
        sums->dstate[n] = 0.0;
    }
    for (int64_t chunk = chunks - 1; chunk >= 0; chunk--) {
        const int64_t begin = chunk * PAN_SCAN_CHUNK, left = desc->length - begin;
        const int64_t count = left < PAN_SCAN_CHUNK ? left : PAN_SCAN_CHUNK;
        const int64_t first_row = example * desc->length + begin;
        position at[PAN_SCAN_CHUNK];
        for (int64_t i = 0; i < count; i++) {
            const int64_t row = first_row + i;
            const double gate = s->z == NULL ? 0.0 : s->z[row * desc->z_stride + e];
            at[i] =
                (position){.step = softplus(raw_step(s, row, e)),
                           .gradient = out->dy[row * desc->y_stride + e] * (s->z == NULL ? 1.0 : gate * sigmoid(gate)),
                           .output = skipped(s, row, e)};
        }
        for (int64_t n = 0; n < desc->state_size; n++) {
            const int64_t kept = ((example * chunks + chunk) * desc->state_size + n) * desc->channels + e;
            state_gradient(s, first_row, count, e, n, checkpoints[kept], at, sums);
        }
        write_positions(s, out, first_row, count, e, at, dskip, dbias);
    }
}

static void write_sums(const double *sum, int64_t rows, int64_t columns, int64_t stride, real *to) {
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t n = 0; n < columns; n++) {
            to[row * stride + n] = (real) sum[row * columns + n];
        }
    }
}

pan_status PAN_BODY(selective_scan_backward)(pan_stream *stream, const pan_selective_scan_desc *desc, const void *u,
                                             const void *delta, const float *a_log, const void *b, const void *c,
                                             const float *skip, const float *delta_bias, const void *z,
                                             const float *checkpoints, const void *dy, void *du, void *ddelta,
                                             float *da_log, void *db, void *dc, float *dskip, float *ddelta_bias,
                                             void *dz, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    const scan s = {desc, u, delta, REAL(a_log), b, c, REAL(skip), REAL(delta_bias), z};
    const gradients out = {dy, du, ddelta, dz};
    const int64_t rows = desc->batch * desc->length, states = desc->state_size;
    const sums sums = {workspace, (double *) workspace + rows * states, (double *) workspace + 2 * rows * states,
                       (double *) workspace + (2 * rows + 1) * states};
    memset(sums.db, 0, (size_t) (2 * rows * states) * sizeof(double));
    for (int64_t e = 0; e < desc->channels; e++) {
        double skip_sum = 0.0, bias_sum = 0.0;
        for (int64_t n = 0; n < states; n++) {
            sums.da[n] = 0.0;
        }
        for (int64_t example = 0; example < desc->batch; example++) {
            channel_gradient(&s, &out, REAL(checkpoints), example, e, &sums, &skip_sum, &bias_sum);
        }
        for (int64_t n = 0; n < states; n++) {
            add_to(da_log, e * states + n, sums.da[n] * rate(&s, e, n));
        }
        add_to(dskip, e, skip_sum);
        add_to(ddelta_bias, e, bias_sum);
    }
    write_sums(sums.db, rows, states, desc->b_stride, db);
    write_sums(sums.dc, rows, states, desc->c_stride, dc);
    return PAN_OK;
}
