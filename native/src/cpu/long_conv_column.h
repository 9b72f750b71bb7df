/* What the long convolution's forward and backward share.
 *
 * Work goes by columns: one example and a block of LANES channels, copied from the strided arrays to dense rows of one
 * vector each. Nothing crosses from one lane to another, so neither examples nor channels depend on each other. */
#ifndef PAN_CPU_LONG_CONV_COLUMN_H
#define PAN_CPU_LONG_CONV_COLUMN_H

#include "fft.h"

/* Rows of zeros behind a column, for loops over blocks of rows. */
enum { COLUMN_PADDING = 8 };
/* Elements of a task: a convolution costs many operations for each. */
enum { COLUMN_TASK_ELEMENTS = TILE_ELEMENTS / 4 };

static inline int64_t channel_blocks(const pan_long_conv_plan *plan) {
    return ceil_div(plan->desc.channels, LANES);
}

/* Channels of a block that exist. */
static inline int64_t block_lanes(const pan_long_conv_plan *plan, int64_t block) {
    return min_i64(LANES, plan->desc.channels - block * LANES);
}

static inline int64_t column_rows(const pan_long_conv_plan *plan) {
    return plan->method == PAN_CONV_FFT ? plan->points : plan->desc.length + COLUMN_PADDING;
}

static inline int64_t column_floats(const pan_long_conv_plan *plan) {
    return column_rows(plan) * LANES;
}

/* Floats that a column is convolved in: its spectrum, or a second column. */
static inline int64_t product_floats(const pan_long_conv_plan *plan) {
    return plan->method == PAN_CONV_FFT ? spectrum_floats(plan) : column_floats(plan);
}

/* Floats of a filter block as it is prepared, and as its gradient is summed: its spectrum, or its taps. */
static inline int64_t filter_floats(const pan_long_conv_plan *plan) {
    return plan->method == PAN_CONV_FFT ? spectrum_floats(plan) : plan->taps * LANES;
}

static inline const float *filter_block(const pan_long_conv_plan *plan, const void *spectrum, int64_t block) {
    return (const float *) spectrum + block * filter_floats(plan);
}

/* By FFT a row of exponents follows the spectra: the power of two that a column of that block lacks in the end. */
static inline float *filter_exponents(const pan_long_conv_plan *plan, const void *spectrum, int64_t block) {
    return (float *) spectrum + channel_blocks(plan) * filter_floats(plan) + block * LANES;
}

/* Examples of a task. */
static inline int64_t task_examples(const pan_long_conv_plan *plan) {
    const int64_t examples = COLUMN_TASK_ELEMENTS / (plan->desc.length * LANES);
    return examples > 1 ? examples : 1;
}

/* A strided array, seen from the first row of a column; address NULL: ones. */
typedef struct column_view {
    float *address;
    int64_t stride;
} column_view;

static inline column_view view_column(const pan_long_conv_plan *plan, const void *array, int64_t stride,
                                      int64_t example, int64_t block) {
    const int64_t first = example * plan->desc.length * stride + block * LANES;
    return (column_view){array == NULL ? NULL : (float *) array + first, stride};
}

static inline vf view_row(column_view view, int64_t t, int64_t lanes) {
    return vf_load_first(view.address + t * view.stride, lanes);
}

/* column = a * b, padded with zeros; the largest magnitude of each lane is returned. */
static inline vf gather_column(const pan_long_conv_plan *plan, column_view a, column_view b, int64_t lanes,
                               float *column) {
    const int64_t length = plan->desc.length;
    const vi magnitude = (vi){} + 0x7fffffff;
    vf largest = {0};
    for (int64_t t = 0; t < length; t++) {
        vf x = view_row(a, t, lanes);
        if (b.address != NULL) {
            x *= view_row(b, t, lanes);
        }
        largest = vf_max((vf) ((vi) x & magnitude), largest);
        vf_store(column + t * LANES, x);
    }
    memset(column + length * LANES, 0, (size_t) ((column_rows(plan) - length) * LANES) * sizeof *column);
    return largest;
}

static inline int32_t points_exponent(const pan_long_conv_plan *plan) {
    return 63 - __builtin_clzll((unsigned long long) plan->points);
}

/* y[t] = sum_{j < taps, j <= t} h[j] x[t-j] for the outputs of a range, in the time domain. x has COLUMN_PADDING rows
 * behind the range, of any finite value; y must not be x. */
void PAN_CONCAT(pan_direct_convolve_, PAN_TIER, )(const float *x, const float *h, int64_t taps, tile_range outputs,
                                                  float *y);
#define direct_convolve PAN_CONCAT(pan_direct_convolve_, PAN_TIER, )

#endif
