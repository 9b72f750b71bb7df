/* The RWKV-4 recurrence, as a running mean of the values, which an output moves by the share that its own value has. Sums
 * of weights are relative to a running exponent. */
#include "real.h"

/* What states say where nothing has any weight. */
static const double LEAST_EXPONENT = -1e38;
/* No weight survives a decay at this rate, unless keys are as far apart. */
static const double LARGEST_RATE = 1e8;
/* By how much weights may exceed that of the exponent which they are relative to. */
static const double MARGIN = 16.0;

/* A channel of an example. */
typedef struct column {
    const real *k, *v;
    int64_t begin, step; /* of its positions in the arrays */
    double rate, first;
} column;

/* exp(decay) up to the bound; NaN for NaN. */
static double rate_of(double decay) {
    double rate = exp(decay);
    return rate > LARGEST_RATE ? LARGEST_RATE : rate;
}

static column column_at(const pan_wkv_desc *desc, const void *k, const void *v, const float *decay, const float *first,
                        int64_t example, int64_t c) {
    return (column){.k = k,
                    .v = v,
                    .begin = example * desc->length * desc->channels + c,
                    .step = desc->channels,
                    .rate = rate_of(REAL(decay)[c]),
                    .first = REAL(first)[c]};
}

/* The positions so far. */
typedef struct past {
    double mean;     /* of their values */
    double weight;   /* sum of the weights, relative to exp(exponent) */
    double exponent; /* at the next position */
    double age;      /* sum of weight * decays */
    double leaning;  /* sum of weight * decays * (value - mean) */
} past;

static past nothing(void) {
    return (past){.exponent = -INFINITY};
}

/* 0 where no position has weight. */
static double quotient(double a, double b) {
    return b == 0.0 ? 0.0 : a / b;
}

/* Which of two exponents to go on with. */
static double choose(double exponent, double other) {
    return other > exponent + MARGIN ? other : exponent;
}

/* exp(exponent - base), where both may be those of nothing */
static double weight_of(double exponent, double base) {
    return exponent == -INFINITY ? 0.0 : exp(exponent - base);
}

/* An output and what its gradient needs. */
typedef struct output {
    double mean;     /* y */
    double exponent; /* of the positions before, or its own */
    double scale;    /* 1 / (sum of the weights relative to it) */
    double shrink;   /* exp(that of the positions before - exponent) */
    double before;   /* share of the positions before */
    double own;      /* share of the position itself */
} output;

static output output_at(const column *column, const past *past, double k, double v) {
    double own_exponent = column->first + k;
    output o = {.exponent = choose(past->exponent, own_exponent)};
    o.shrink = weight_of(past->exponent, o.exponent);
    double own = weight_of(own_exponent, o.exponent);
    o.scale = quotient(1.0, o.shrink * past->weight + own);
    o.before = o.shrink * past->weight * o.scale;
    o.own = own * o.scale;
    o.mean = past->mean + o.own * (v - past->mean);
    return o;
}

static void pass(const column *column, double k, double v, past *past) {
    double decayed = past->exponent - column->rate;
    double exponent = choose(decayed, k);
    double shrink = weight_of(decayed, exponent), own = weight_of(k, exponent);
    past->age = shrink * (past->age + past->weight);
    past->weight = shrink * past->weight + own;
    double step = quotient(own, past->weight) * (v - past->mean);
    past->leaning = shrink * past->leaning - step * past->age;
    past->mean += step;
    past->exponent = exponent;
}

pan_status PAN_BODY(wkv_forward)(pan_stream *stream, const pan_wkv_desc *desc, const void *k, const void *v,
                                 const float *decay, const float *first, const float *initial_state_, void *y_,
                                 float *final_state_) {
    (void) stream;
    const real *initial_state = REAL(initial_state_);
    real *y = y_, *final_state = REAL_OUT(final_state_);
    for (int64_t i = 0; i < desc->batch * desc->channels; i++) {
        int64_t example = i / desc->channels, c = i % desc->channels;
        const column column = column_at(desc, k, v, decay, first, example, c);
        int64_t numerator = example * 3 * desc->channels + c;
        int64_t denominator = numerator + desc->channels, exponent = denominator + desc->channels;
        past past = nothing();
        if (initial_state != NULL && initial_state[denominator] != 0) {
            past.weight = initial_state[denominator];
            past.mean = initial_state[numerator] / past.weight;
            past.exponent = initial_state[exponent];
        }
        for (int64_t t = 0; t < desc->length; t++) {
            int64_t at = column.begin + t * column.step;
            y[at] = (real) output_at(&column, &past, column.k[at], column.v[at]).mean;
            pass(&column, column.k[at], column.v[at], &past);
        }
        if (final_state != NULL) {
            final_state[numerator] = (real) (past.mean * past.weight);
            final_state[denominator] = (real) past.weight;
            final_state[exponent] = (real) fmax(past.exponent, LEAST_EXPONENT);
        }
    }
    return PAN_OK;
}

pan_status PAN_BODY(wkv_backward_workspace_size)(pan_stream *stream, const pan_wkv_desc *desc, int64_t *bytes) {
    (void) stream;
    *bytes = desc->length * (int64_t) sizeof(output);
    return PAN_OK;
}

/* Gradients of a column's parameters. */
typedef struct column_gradient {
    double decay, first;
} column_gradient;

static column_gradient walk_forwards(const column *column, int64_t length, const real *dy, output *outputs) {
    column_gradient sum = {0.0, 0.0};
    past past = nothing();
    for (int64_t t = 0; t < length; t++) {
        int64_t at = column->begin + t * column->step;
        double v = column->v[at], gradient = dy[at];
        const output o = outputs[t] = output_at(column, &past, column->k[at], v);
        double step = o.own * (v - past.mean);
        sum.first += gradient * o.before * step;
        sum.decay -= column->rate * gradient * o.scale * o.shrink * (past.leaning - step * past.age);
        pass(column, column->k[at], v, &past);
    }
    return sum;
}

static void walk_backwards(const column *column, int64_t length, const real *dy, const output *outputs, real *dk,
                           real *dv) {
    /* Sums over the later outputs, of their gradients and of those times the outputs, relative to exp(exponent). */
    double gradients = 0.0, products = 0.0, exponent = -INFINITY;
    for (int64_t s = length - 1; s >= 0; s--) {
        const output *o = &outputs[s];
        int64_t at = column->begin + s * column->step;
        double v = column->v[at], own = o->own * dy[at];
        double weight = weight_of(exponent + column->k[at], 0.0);
        if (dv != NULL) {
            dv[at] = (real) (weight * gradients + own);
        }
        if (dk != NULL) {
            dk[at] = (real) (weight * (v * gradients - products) + own * (v - o->mean));
        }
        double decayed = exponent - column->rate;
        double added = o->scale == 0.0 ? -INFINITY : -o->exponent;
        exponent = choose(decayed, added);
        double shrink = weight_of(decayed, exponent), grow = weight_of(added, exponent) * o->scale * dy[at];
        gradients = shrink * gradients + grow;
        products = shrink * products + grow * o->mean;
    }
}

pan_status PAN_BODY(wkv_backward)(pan_stream *stream, const pan_wkv_desc *desc, const void *k, const void *v,
                                  const float *decay, const float *first, const void *dy, void *dk, void *dv,
                                  float *ddecay, float *dfirst, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    for (int64_t c = 0; c < desc->channels; c++) {
        column_gradient sum = {0.0, 0.0};
        for (int64_t example = 0; example < desc->batch; example++) {
            const column column = column_at(desc, k, v, decay, first, example, c);
            const column_gradient of_example = walk_forwards(&column, desc->length, dy, workspace);
            walk_backwards(&column, desc->length, dy, workspace, dk, dv);
            sum.decay += of_example.decay;
            sum.first += of_example.first;
        }
        add_to(ddecay, c, sum.decay);
        add_to(dfirst, c, sum.first);
    }
    return PAN_OK;
}
