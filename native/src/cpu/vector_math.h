/* Elementary functions on vectors of floats, lane by lane. Errors are a few units in the last place over the whole
 * range; NaN, Inf, overflow and gradual underflow come out as in libm. Nothing here needs FMA to be accurate. */
#ifndef PAN_CPU_VECTOR_MATH_H
#define PAN_CPU_VECTOR_MATH_H

#include <math.h>

#include "vector_double.h"

/* Adding and subtracting 1.5 * 2^23 rounds a float below 2^22 to an integer, which then lies in the low bits. */
#define PAN_ROUND_F32 12582912.0f
#define PAN_ROUND_F64 6755399441055744.0 /* likewise 1.5 * 2^52 */

static inline vf vf_abs(vf x) {
    return (vf) ((vi) x & 0x7fffffff);
}

/* Whether any lane of a comparison's result is set. */
static inline int vi_any(vi mask) {
#if defined(__AVX512DQ__)
    return __builtin_ia32_cvtd2mask512(mask) != 0;
#elif defined(__AVX2__)
    return __builtin_ia32_movmskps256((vf) mask) != 0;
#elif defined(__SSE2__)
    return __builtin_ia32_movmskps((vf) mask) != 0;
#else
    int32_t any = 0;
    for (int i = 0; i < LANES; i++) {
        any |= mask[i];
    }
    return any != 0;
#endif
}

/* 2^n for -126 <= n <= 127. */
static inline vf vf_power_of_two(vi n) {
    return (vf) ((n + 127) << 23);
}

/* exp(n ln 2 + r) for integral n, given as n + PAN_ROUND_F32, and |r| <= ln 2 / 2, where exp(r) = 1 + r + r^2 P(r) with
 * P a minimax polynomial. */
static inline vf vf_exp_reduced(vf shifted_n, vf r) {
    vf p = r * 1.390130958e-3f + 8.363200352e-3f;
    p = p * r + 4.166685417e-2f;
    p = p * r + 1.666657627e-1f;
    p = p * r + 0.5f;
    p = (r * r * p + r) + 1.0f;
#if defined(__AVX512F__)
    return _mm512_scalef_ps(p, shifted_n - PAN_ROUND_F32);
#else
    /* Two steps, so that neither factor overflows and a subnormal result is rounded once. */
    const vi exponent = (vi) ((vu) shifted_n - (vu) vf_splat(PAN_ROUND_F32));
    const vi first = exponent >> 1;
    return p * vf_power_of_two(first) * vf_power_of_two(exponent - first);
#endif
}

/* exp(x + correction) for a correction far below 1, which carries what rounding cut off the argument. */
static inline vf vf_exp_corrected(vf x, vf correction) {
    /* Beyond these bounds the result is Inf or 0 anyway; a NaN passes both. */
    x = vf_max(vf_splat(-104.0f), vf_min(vf_splat(89.0f), x));
    const vf shifted = x * 1.44269504f + PAN_ROUND_F32;
    const vf n = shifted - PAN_ROUND_F32;
    /* ln 2 in two parts; the first has so few bits that its product with n is exact. */
    return vf_exp_reduced(shifted, ((x - n * 0.693359375f) + n * 2.12194440e-4f) + correction);
}

static inline vf vf_exp(vf x) {
    return vf_exp_corrected(x, vf_splat(0.0f));
}

/* exp(x) for -150 < x < 88. */
static inline vf vf_exp_double(vd x) {
    const double log2_e = 1.44269504088896340736;
    const double ln_2 = 6.93147180559945309417e-1;
    const vd n = {(x.low * log2_e + PAN_ROUND_F64) - PAN_ROUND_F64, (x.high * log2_e + PAN_ROUND_F64) - PAN_ROUND_F64};
    const vd r = {x.low - n.low * ln_2, x.high - n.high * ln_2};
    return vf_exp_reduced(vf_from_vd(n) + PAN_ROUND_F32, vf_from_vd(r));
}

/* Natural logarithm. x = 2^k (1 + f) with sqrt(1/2) < 1 + f < sqrt(2), then as FreeBSD's e_logf.c:
 * log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)) with s = f / (2 + f). */
static inline vf vf_log(vf x) {
    const vi tiny = x < 0x1p-126f;
    const vu bits = (vu) vf_select(tiny, x * 0x1p25f, x) + (0x3f800000u - 0x3f3504f3u);
    const vi exponent = (vi) (bits >> 23) - 127 - (tiny & 25);
    const vf k = __builtin_convertvector(exponent, vf);
    const vf f = (vf) ((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    const vf s = f / (f + 2.0f);
    const vf z = s * s;
    const vf w = z * z;
    const vf r = w * (w * 0.24279078841f + 0.40000972152f) + z * (w * 0.28498786688f + 0.66666662693f);
    const vf half_square = f * f * 0.5f;
    vf y = k * 6.9313812256e-01f - ((half_square - (s * (half_square + r) + k * 9.0580006145e-06f)) - f);
    y = vf_select(x > 0.0f, y, vf_select(x == 0.0f, vf_splat(-INFINITY), vf_splat(NAN)));
    return vf_select(x == INFINITY, x, y);
}

/* log(1 + u) for 0 <= u <= 1: what is lost of u in 1 + u is made up for by the first term of the series. */
static inline vf vf_log_one_plus(vf u) {
    const vf w = u + 1.0f;
    return vf_log(w) + (u - (w - 1.0f)) / w;
}

/* tanh(x) and its derivative 1 - tanh(x)^2, the latter without cancellation. */
typedef struct vf_tanh_pair {
    vf value;
    vf slope;
} vf_tanh_pair;

/* Near 0 the polynomial of Cephes' tanhf.c, where the quotient of exponentials would cancel. */
static inline vf_tanh_pair vf_tanh(vf x) {
    const vf a = vf_abs(x);
    const vf decay = vf_exp(a * -2.0f);
    const vf share = 1.0f / (decay + 1.0f);
    const vf z = x * x;
    vf p = z * -5.70498872745e-3f + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    const vf quotient = (1.0f - decay) * share;
    const vf large = vf_select(x < 0.0f, -quotient, quotient);
    return (vf_tanh_pair){vf_select(a < 0.625f, p * z * x + x, large), decay * 4.0f * share * share};
}

/* sigmoid(x) and 1 - sigmoid(x) = sigmoid(-x), both without cancellation. */
typedef struct vf_sigmoid_pair {
    vf positive;
    vf negative;
} vf_sigmoid_pair;

/* The same from the exponential of -|x|. */
static inline vf_sigmoid_pair vf_sigmoid_from_exp(vf x, vf decay) {
    const vf larger = 1.0f / (decay + 1.0f);
    const vf smaller = decay * larger;
    const vi below = x < 0.0f;
    return (vf_sigmoid_pair){vf_select(below, smaller, larger), vf_select(below, larger, smaller)};
}

static inline vf_sigmoid_pair vf_sigmoid(vf x) {
    return vf_sigmoid_from_exp(x, vf_exp(-vf_abs(x)));
}

/* The standard normal distribution function Phi(x) and exp(-x^2 / 2). */
typedef struct vf_normal {
    vf cumulative;
    vf bell;
} vf_normal;

/* With a = |x|, Phi(-a) = exp(-a^2/2) P(u) / (1 + a), u = (a - 4) / (a + 4), P a minimax polynomial on 0 <= a <= 15;
 * Phi(-15) underflows. Thus Phi has small relative error in its negative tail, where (1 + erf) / 2 would cancel. */
static inline vf_normal vf_normal_distribution(vf x) {
    vf a = vf_abs(x);
    a = vf_select(a > 15.0f, vf_splat(15.0f), a);
    /* The square in two parts, of which the first is exact: an error in the argument would be magnified by a^2 / 2. */
    const vf leading = (vf) ((vi) a & (int32_t) 0xfffff000);
    const vf bell = vf_exp_corrected(leading * leading * -0.5f, (a - leading) * (a + leading) * -0.5f);
    const vf u = (a - 4.0f) / (a + 4.0f);
    vf p = u * -7.198205276e-05f - 6.154255971e-05f;
    p = p * u + 6.922144094e-04f;
    p = p * u - 3.034412221e-04f;
    p = p * u - 5.003946833e-03f;
    p = p * u + 1.794022694e-02f;
    p = p * u - 3.219734877e-02f;
    p = p * u + 2.859996818e-02f;
    p = p * u + 1.399959996e-02f;
    p = p * u - 9.670346975e-02f;
    p = p * u + 4.720532000e-01f;
    const vf tail = bell * (p / (a + 1.0f));
    return (vf_normal){vf_select(x < 0.0f, tail, 1.0f - tail), bell};
}

/* x = n pi/2 + r with |r| <= pi/4, for |x| <= 2^20; n modulo 4 decides which function of r to take, with which sign. */
typedef struct vf_quadrant {
    vf r;
    vi n;
} vf_quadrant;

#define PAN_TRIGONOMETRIC_LIMIT 0x1p20f

static inline vd_half reduce_half(vd_half x, vd_half *n) {
    /* pi/2 in two parts; the first has 33 bits, so its product with n is exact. */
    *n = (x * 6.36619772367581382433e-01 + PAN_ROUND_F64) - PAN_ROUND_F64;
    return (x - *n * 1.57079632673412561417e+00) - *n * 6.07710050650619224932e-11;
}

static inline vf_quadrant vf_reduce_angle(vf x) {
    const vd wide = vd_from_vf(x);
    vd n;
    const vd r = {reduce_half(wide.low, &n.low), reduce_half(wide.high, &n.high)};
    const vf shifted = vf_from_vd(n) + PAN_ROUND_F32;
    return (vf_quadrant){vf_from_vd(r), (vi) shifted};
}

/* sin(r + n pi/2) by the polynomials of Cephes' sinf.c and cosf.c. */
static inline vf vf_sin_quadrant(vf r, vi n) {
    const vf z = r * r;
    const vf sine = ((z * -1.9515295891e-4f + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
    const vf tail = ((z * 2.443315711809948e-5f - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z;
    const vf cosine = (tail - 0.5f) * z + 1.0f;
    const vf magnitude = vf_select((n & 1) != 0, cosine, sine);
    return (vf) ((vi) magnitude ^ ((n & 2) << 30));
}

/* Replaces the lanes that vf_reduce_angle() cannot serve. */
static inline vf vf_replace_large(vf y, vf x, float (*function)(float)) {
    if (vi_any(~(vf_abs(x) <= PAN_TRIGONOMETRIC_LIMIT))) {
        for (int i = 0; i < LANES; i++) {
            y[i] = fabsf(x[i]) <= PAN_TRIGONOMETRIC_LIMIT ? y[i] : function(x[i]);
        }
    }
    return y;
}

static inline vf vf_sin(vf x) {
    const vf_quadrant angle = vf_reduce_angle(x);
    return vf_replace_large(vf_sin_quadrant(angle.r, angle.n), x, sinf);
}

static inline vf vf_cos(vf x) {
    const vf_quadrant angle = vf_reduce_angle(x);
    return vf_replace_large(vf_sin_quadrant(angle.r, angle.n + 1), x, cosf);
}

#endif
