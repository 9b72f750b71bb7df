/* The RWKV-4 recurrence, as what it stands for: for every position a weighted mean over those before it. */
#include <float.h>

#include "real.h"

/* What states say where there is no weight at all, and a rate beyond which no weight survives a decay. */
static const double LEAST_EXPONENT = -1e38, LARGEST_RATE = 1e100;

/* A channel of an example. */
typedef struct column {
    const real *k, *v;
    int64_t step; /* between positions */
    double rate;
    double first;
    double numerator, denominator, exponent; /* of what came before */
} column;

static column column_at(const pan_wkv_desc *desc, const void *k, const void *v, const real *decay, const real *first,
                        int64_t example, int64_t c) {
    int64_t at = example * desc->length * desc->channels + c;
    return (column){.k = (const real *) k + at,
                    .v = (const real *) v + at,
                    .step = desc->channels,
                    .rate = fmin(exp((double) decay[c]), LARGEST_RATE),
                    .first = first[c],
                    .exponent = -INFINITY};
}

/* The exponent of position s <= t at t. */
static double exponent_at(const column *column, int64_t s, int64_t t) {
    double k = column->k[s * column->step];
    return s == t ? column->first + k : k - (double) (t - 1 - s) * column->rate;
}

/* The sums over the positions before `end`, relative to exp(exponent), as t sees them. */
static void sums_at(const column *column, int64_t end, int64_t t, double *sums) {
    double before = column->exponent - (double) t * column->rate;
    double largest = before;
    for (int64_t s = 0; s < end; s++) {
        largest = fmax(largest, exponent_at(column, s, t));
    }
    largest = fmax(largest, -DBL_MAX); /* where there is no weight */
    double weight = exp(before - largest);
    sums[0] = weight * column->numerator;
    sums[1] = weight * column->denominator;
    sums[2] = largest;
    for (int64_t s = 0; s < end; s++) {
        weight = exp(exponent_at(column, s, t) - largest);
        sums[0] += weight * column->v[s * column->step];
        sums[1] += weight;
    }
}

/* 0 where no position has weight. */
static double mean_of(const double *sums) {
    return sums[1] == 0.0 ? 0.0 : sums[0] / sums[1];
}

pan_status PAN_BODY(wkv_forward)(pan_stream *stream, const pan_wkv_desc *desc, const void *k, const void *v,
                                 const float *decay, const float *first, const float *initial_state_, void *y_,
                                 float *final_state_) {
    (void) stream;
    const real *initial_state = REAL(initial_state_);
    real *y = y_, *final_state = REAL_OUT(final_state_);
    for (int64_t i = 0; i < desc->batch * desc->channels; i++) {
        int64_t example = i / desc->channels, c = i % desc->channels;
        column column = column_at(desc, k, v, REAL(decay), REAL(first), example, c);
        int64_t state = example * 3 * desc->channels + c;
        if (initial_state != NULL) {
            column.numerator = initial_state[state];
            column.denominator = initial_state[state + desc->channels];
            column.exponent = column.denominator == 0.0 ? -INFINITY : initial_state[state + 2 * desc->channels];
        }
        double sums[3];
        for (int64_t t = 0; t < desc->length; t++) {
            sums_at(&column, t + 1, t, sums);
            y[(example * desc->length + t) * desc->channels + c] = (real) mean_of(sums);
        }
        if (final_state != NULL) {
            sums_at(&column, desc->length, desc->length, sums);
            sums[2] = fmax(sums[2], LEAST_EXPONENT);
            for (int64_t part = 0; part < 3; part++) {
                final_state[state + part * desc->channels] = (real) sums[part];
            }
        }
    }
    return PAN_OK;
}

/* What every position of a column needs of the outputs after it: in the workspace. */
typedef struct outputs {
    double *mean;     /* y */
    double *exponent; /* the largest */
    double *scale;    /* 1 / denominator */
} outputs;

pan_status PAN_BODY(wkv_backward_workspace_size)(pan_stream *stream, const pan_wkv_desc *desc, int64_t *bytes) {
    (void) stream;
    *bytes = 3 * desc->length * (int64_t) sizeof(double);
    return PAN_OK;
}

static void compute_outputs(const column *column, int64_t length, const outputs *outputs) {
    for (int64_t t = 0; t < length; t++) {
        double sums[3];
        sums_at(column, t + 1, t, sums);
        outputs->mean[t] = mean_of(sums);
        outputs->exponent[t] = sums[2];
        outputs->scale[t] = sums[1] == 0.0 ? 0.0 : 1.0 / sums[1];
    }
}

/* Gradients of a position's key and value and of the parameters. */
typedef struct gradients {
    double k, v, decay, first;
} gradients;

/* Those that position s leads to by all outputs. */
static gradients position_gradients(const column *column, int64_t length, const outputs *outputs, const real *dy,
                                    int64_t s) {
    gradients sum = {0};
    for (int64_t t = s; t < length; t++) {
        double weight = exp(exponent_at(column, s, t) - outputs->exponent[t]) * outputs->scale[t];
        double of_value = weight * dy[t * column->step];
        double of_exponent = of_value * (column->v[s * column->step] - outputs->mean[t]);
        sum.v += of_value;
        sum.k += of_exponent;
        if (s == t) {
            sum.first += of_exponent;
        } else {
            sum.decay -= of_exponent * (double) (t - 1 - s) * column->rate;
        }
    }
    return sum;
}

static void add_to(float *sums_, int64_t c, double term) {
    real *sums = REAL_OUT(sums_);
    if (sums != NULL) {
        sums[c] = (real) (sums[c] + term);
    }
}

pan_status PAN_BODY(wkv_backward)(pan_stream *stream, const pan_wkv_desc *desc, const void *k, const void *v,
                                  const float *decay, const float *first, const void *dy, void *dk_, void *dv_,
                                  float *ddecay, float *dfirst, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    real *dk = dk_, *dv = dv_;
    double *scratch = workspace;
    const outputs outputs = {scratch, scratch + desc->length, scratch + 2 * desc->length};
    for (int64_t c = 0; c < desc->channels; c++) {
        gradients sum = {0};
        for (int64_t example = 0; example < desc->batch; example++) {
            const column column = column_at(desc, k, v, REAL(decay), REAL(first), example, c);
            compute_outputs(&column, desc->length, &outputs);
            for (int64_t s = 0; s < desc->length; s++) {
                int64_t at = (example * desc->length + s) * desc->channels + c;
                const real *column_dy = (const real *) dy + example * desc->length * desc->channels + c;
                const gradients position = position_gradients(&column, desc->length, &outputs, column_dy, s);
                if (dk != NULL) {
                    dk[at] = (real) position.k;
                }
                if (dv != NULL) {
                    dv[at] = (real) position.v;
                }
                sum.decay += position.decay;
                sum.first += position.first;
            }
        }
        add_to(ddecay, c, sum.decay);
        add_to(dfirst, c, sum.first);
    }
    return PAN_OK;
}
