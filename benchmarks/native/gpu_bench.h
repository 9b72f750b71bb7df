/* A piece of work as data: its arrays and the calls that are made on them, in order. gpu_cases*.c say what there is to
 * measure, gpu_bench.c how it is checked and timed. */
#ifndef PANTHERA_GPU_BENCH_H
#define PANTHERA_GPU_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "panthera.h"

enum { MAX_ARRAYS = 20, MAX_CALLS = 3, MAX_SIZES = 8 };

/* What an array holds before the calls. */
typedef enum fill {
    FILL_OUTPUT,   /* NaN; a call must write all of it */
    FILL_SUM,      /* zeros, to which calls add */
    FILL_NOISE,    /* uniform in [-1, 1) */
    FILL_POSITIVE, /* uniform in [0.5, 1.5) */
    FILL_INDEX,    /* int32, uniform in [0, limit) */
    FILL_LABEL,    /* int32: every period-th like FILL_INDEX, the others ignored */
    FILL_STEPS,    /* int32: 0, period, 2 period and so on */
    FILL_INTEGERS, /* int32 that a call writes and that are compared as they are */
    FILL_OPAQUE,   /* bytes that a call writes and that mean nothing to others */
    FILL_BYTES     /* as given */
} fill;

typedef struct array {
    const char *name;
    fill fill;
    int64_t count; /* of elements; of bytes for FILL_OPAQUE and FILL_BYTES */
    int64_t limit;
    int64_t period;
    const void *bytes;
} array;

/* The work's arrays and scratch memory on one device. */
typedef struct place {
    pan_device *device;
    pan_stream *stream;
    void *at[MAX_ARRAYS];
    void *workspace;
    int64_t workspace_bytes;
    pan_long_conv_plan *plan; /* of the long convolution */
} place;

struct work;
typedef pan_status run_function(const struct work *work, const place *place);
typedef pan_status size_function(const struct work *work, const place *place, int64_t *bytes);

typedef struct call {
    const char *op;   /* its name in the op table */
    const char *pass; /* forward, backward or, for what is needed once for both, prepare */
    run_function *run;
    size_function *workspace; /* NULL: takes none */
    double bytes;             /* that must be moved: each input read once, each output written once */
    double flops;             /* of products, sums and transforms that the formula needs; 0 where that is no measure */
} call;

typedef struct size {
    const char *name;
    int64_t value;
} size;

typedef struct work {
    const char *family;    /* what the peer script calls it */
    size sizes[MAX_SIZES]; /* ended by a NULL name */
    union {
        pan_linear_desc linear;
        pan_embedding_desc embedding;
        pan_norm_desc norm;
        pan_activation_desc activation;
        pan_arithmetic_desc arithmetic;
        pan_gate_desc gate;
        pan_dropout_desc dropout;
        pan_softmax_desc softmax;
        pan_attention_desc attention;
        pan_short_conv_desc short_conv;
        pan_long_conv_desc long_conv;
        pan_positional_features_desc features;
        pan_sine_layer_desc sine;
        pan_exponential_modulation_desc modulation;
        pan_vocabulary_loss_desc vocabulary;
        pan_reduce_desc reduce;
        pan_adamw_desc adamw;
    } desc;
    bool has_plan;
    int array_count;
    array arrays[MAX_ARRAYS];
    int call_count;
    call calls[MAX_CALLS];
} work;

/* Adds an array and returns its number. */
int add_array(work *work, const char *name, fill fill, int64_t count);
void add_call(work *work, call call);
void add_size(work *work, const char *name, int64_t value);

typedef void visit_work(const work *work, void *context);

/* All cases: at the sizes that are measured, or at small ones, for checks where no time counts. */
void for_each_work(bool small, visit_work *visit, void *context);

/* A matrix product as a linear layer without bias. */
work linear_work(int64_t rows, int64_t in, int64_t out);
work long_conv_work(int64_t batch, int64_t length, int64_t channels, int64_t taps, pan_conv_method method, bool gated);

#endif
