/* The long convolution in the time domain. An output is the sum of its own terms in an order that its position alone
 * determines: later inputs do not take part, not even as zeros times something. */
#include "long_conv_column.h"

/* Outputs and taps of a block in registers; and taps that are summed before they join the total, which keeps the
 * rounding errors of long filters small. */
enum { BLOCK_OUTPUTS = COLUMN_PADDING, BLOCK_TAPS = 4, CHUNK_TAPS = 128 };

/* sum[i] += h[j] x[BLOCK_TAPS-1 + i - j] for all outputs i and taps j of a block: each row of x is loaded once. */
PAN_INLINE void add_block(const float *x, const float *h, vf sum[BLOCK_OUTPUTS]) {
    vf tap[BLOCK_TAPS];
    for (int j = 0; j < BLOCK_TAPS; j++) {
        tap[j] = vf_load(h + j * LANES);
    }
#pragma GCC unroll 16
    for (int r = 0; r < BLOCK_OUTPUTS + BLOCK_TAPS - 1; r++) {
        const vf row = vf_load(x + r * LANES);
#pragma GCC unroll 4
        for (int j = 0; j < BLOCK_TAPS; j++) {
            const int i = r + j - (BLOCK_TAPS - 1);
            if (i >= 0 && i < BLOCK_OUTPUTS) {
                sum[i] += tap[j] * row;
            }
        }
    }
}

/* Adds a tap to the outputs t, t+1, ... that have it. */
PAN_INLINE void add_tap(const float *x, vf tap, int64_t t, int64_t j, vf sum[BLOCK_OUTPUTS]) {
#pragma GCC unroll 8
    for (int i = 0; i < BLOCK_OUTPUTS; i++) {
        if (t + i >= j) {
            sum[i] += tap * vf_load(x + (t + i - j) * LANES);
        }
    }
}

void direct_convolve(const float *x, const float *h, int64_t taps, tile_range outputs, float *y) {
    for (int64_t t = outputs.begin; t < outputs.end; t += BLOCK_OUTPUTS) {
        vf total[BLOCK_OUTPUTS] = {0};
        const int64_t common = min_i64(taps, t + 1) / BLOCK_TAPS * BLOCK_TAPS;
        for (int64_t chunk = 0; chunk < common; chunk += CHUNK_TAPS) {
            vf sum[BLOCK_OUTPUTS] = {0};
            for (int64_t j = chunk; j < min_i64(common, chunk + CHUNK_TAPS); j += BLOCK_TAPS) {
                add_block(x + (t - j - (BLOCK_TAPS - 1)) * LANES, h + j * LANES, sum);
            }
            for (int i = 0; i < BLOCK_OUTPUTS; i++) {
                total[i] += sum[i];
            }
        }
        for (int64_t j = common; j < min_i64(taps, t + BLOCK_OUTPUTS); j++) {
            add_tap(x, vf_load(h + j * LANES), t, j, total);
        }
        for (int64_t i = 0; i < min_i64(BLOCK_OUTPUTS, outputs.end - t); i++) {
            vf_store(y + (t + i) * LANES, total[i]);
        }
    }
}
