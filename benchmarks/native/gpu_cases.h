/* What the cases are made with, and the makers of all. */
#ifndef PANTHERA_GPU_CASES_H
#define PANTHERA_GPU_CASES_H

#include "gpu_bench.h"

enum { FLOAT = 4 }; /* bytes of one */

/* Every period-th label is in [0, limit), the others are ignored. */
int add_labels(work *work, int64_t count, int64_t limit, int64_t period);

/* 0, period, 2 period and so on. */
int add_steps(work *work, const char *name, int64_t count, int64_t period);

/* Bytes as they are; they must outlive the work. */
int add_bytes(work *work, const char *name, const void *bytes, int64_t count);

/* a b, which may exceed an int64_t. */
double product(int64_t a, int64_t b);

/* gpu_cases_rows.c */
work embedding_work(int64_t batch, int64_t length, int64_t channels, int64_t vocab);
work norm_work(int64_t rows, int64_t channels);
work gelu_work(int64_t count);
work scale_rows_work(int64_t rows, int64_t channels);
work swiglu_work(int64_t rows, int64_t channels);
work dropout_work(int64_t rows, int64_t channels);
work softmax_work(int64_t rows, int64_t columns);
work reduce_work(const char *family, pan_reduction kind, int64_t count, int64_t inner);
work adamw_work(int64_t count);

/* gpu_cases_attention.c */
work attention_work(int64_t batch, int64_t heads, int64_t length, int64_t head_dim, int64_t window);
/* Every period-th position is a query. */
work listed_attention_work(int64_t batch, int64_t heads, int64_t length, int64_t head_dim, int64_t window,
                           int64_t period);

/* gpu_cases_sequence.c */
work short_conv_work(int64_t batch, int64_t length, int64_t channels, int64_t taps);
work features_work(int64_t length, int64_t bands);
work sine_work(int64_t rows, int64_t channels);
work modulation_work(int64_t length, int64_t channels);
work vocabulary_work(int64_t rows, int64_t channels, int64_t vocab, int64_t period);

#endif
