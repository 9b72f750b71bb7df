/* Convolution of real signals by fast Fourier transforms, LANES channels side by side.
 *
 * A signal is a column of `points` rows, one vector of channels each; a spectrum has two vectors for each point, the
 * real and the imaginary parts. Transforms are taken in C[x] / (x^points - i): row j is multiplied by
 * w^j, w = exp(i pi / (2 points)), and then transformed as usual. A product of two such spectra belongs to
 *
 *     sum_{s + r = t} a_s b_r  +  i sum_{s + r = t + points} a_s b_r
 *
 * (row t, once the factor w^t is removed), so the real part is the causal convolution, and what a circular convolution
 * would fold back into it is the imaginary part: no padding. Spectra stay in the permuted order in which decimation in
 * frequency leaves them. Transforms go depth first, so that all stages of a part run while it is in the nearest cache.
 */
#ifndef PAN_CPU_FFT_H
#define PAN_CPU_FFT_H

#include "../core/long_conv_plan.h"
#include "tile.h"
#include "vector.h"

/* ---- powers of two, by which signals are scaled exactly ---- */

enum { EXPONENT_MIN = -126, EXPONENT_MAX = 126, EXPONENT_BIAS = 127 };

static inline vi vi_clamp(vi x, int32_t low, int32_t high) {
    const vi above = x > low;
    x = (above & x) | (~above & ((vi){} + low));
    const vi below = x < high;
    return (below & x) | (~below & ((vi){} + high));
}

/* e with 2^e <= largest < 2^(e + 1), within the range that vf_power() can invert; 0 if that is not finite. */
static inline vi vf_exponent(vf largest) {
    const vi biased = ((vi) largest >> 23) & 255;
    return vi_clamp(biased - EXPONENT_BIAS, EXPONENT_MIN, EXPONENT_MAX) & (biased != 255);
}

/* The exponent of a column of zeros: none of its products needs room. */
enum { EXPONENT_NONE = 4 * EXPONENT_MIN };

/* 2^e for e in [EXPONENT_MIN, EXPONENT_MAX]; a smaller e counts as EXPONENT_MIN. */
static inline vf vf_power(vi e) {
    return (vf) ((vi_clamp(e, EXPONENT_MIN, EXPONENT_MAX) + EXPONENT_BIAS) << 23);
}

/* 2^e for e <= EXPONENT_MAX; 0 for one below EXPONENT_MIN. */
static inline vf vf_power_or_zero(vi e) {
    return (vf) ((vi) vf_power(e) & (e >= EXPONENT_MIN));
}

/* ---- transforms ---- */

/* Floats of a spectrum. */
static inline int64_t spectrum_floats(const pan_long_conv_plan *plan) {
    return plan->points * 2 * LANES;
}

/* The first stage: z from rows * scale. The other stages are part of the functions below. */
void PAN_CONCAT(pan_fft_begin_, PAN_TIER, )(const pan_long_conv_plan *plan, const float *rows, vf scale, float *z);
#define fft_begin PAN_CONCAT(pan_fft_begin_, PAN_TIER, )

/* The last stage, which undoes the first (times `points`): rows = 2^exponent * signal of z, plus rows times `addend`
 * where that is not NULL. */
void PAN_CONCAT(pan_fft_end_, PAN_TIER, )(const pan_long_conv_plan *plan, const float *z, vi exponent, const vf *addend,
                                          float *rows);
#define fft_end PAN_CONCAT(pan_fft_end_, PAN_TIER, )

/* z after fft_begin() becomes its spectrum. */
void PAN_CONCAT(pan_fft_transform_, PAN_TIER, )(const pan_long_conv_plan *plan, float *z);
#define fft_transform PAN_CONCAT(pan_fft_transform_, PAN_TIER, )

/* A spectrum becomes what fft_end() takes. */
void PAN_CONCAT(pan_fft_restore_, PAN_TIER, )(const pan_long_conv_plan *plan, float *z);
#define fft_restore PAN_CONCAT(pan_fft_restore_, PAN_TIER, )

/* z after fft_begin() becomes what fft_end() takes to give the convolution with the signal whose spectrum is h. */
void PAN_CONCAT(pan_fft_convolve_, PAN_TIER, )(const pan_long_conv_plan *plan, const float *h, float *z);
#define fft_convolve PAN_CONCAT(pan_fft_convolve_, PAN_TIER, )

/* The products of a convolution's gradient; x and g come from fft_begin(). */
typedef struct fft_gradient {
    const float *h; /* spectrum of the filter */
    float *x;       /* becomes the convolution of h and x if `convolve`; NULL if neither that nor `sum` is wanted */
    float *g;       /* becomes the correlation of g with h if `correlate` */
    float *sum;     /* spectrum: sum * keep + (correlation of g with x) * add; may be NULL */
    bool convolve;
    bool correlate;
    vf keep;
    vf add;
} fft_gradient;

void PAN_CONCAT(pan_fft_differentiate_, PAN_TIER, )(const pan_long_conv_plan *plan, const fft_gradient *gradient);
#define fft_differentiate PAN_CONCAT(pan_fft_differentiate_, PAN_TIER, )

#endif
