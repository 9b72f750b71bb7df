/* One mode of a diagonal state space: its discretisation by the bilinear transform and the gradient of that, in double
 * and the same on every backend. */
#ifndef PAN_CORE_DIAGONAL_SSM_H
#define PAN_CORE_DIAGONAL_SSM_H

#include <math.h>

#include "shared_function.h"

typedef struct pan_complex {
    double re;
    double im;
} pan_complex;

PAN_SHARED_FUNCTION pan_complex pan_complex_of(double re, double im) {
    pan_complex z;
    z.re = re;
    z.im = im;
    return z;
}

PAN_SHARED_FUNCTION pan_complex pan_complex_add(pan_complex a, pan_complex b) {
    return pan_complex_of(a.re + b.re, a.im + b.im);
}

PAN_SHARED_FUNCTION pan_complex pan_complex_scale(pan_complex a, double factor) {
    return pan_complex_of(a.re * factor, a.im * factor);
}

PAN_SHARED_FUNCTION pan_complex pan_complex_multiply(pan_complex a, pan_complex b) {
    return pan_complex_of(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);
}

/* The parameters of a mode. */
typedef struct pan_ssm_parameters {
    double log_dt;
    double a_real_log;
    double a_imag;
    pan_complex b;
    pan_complex c;
} pan_ssm_parameters;

/* With w = dt A / 2: Abar = (1 + w) / (1 - w) and Cbar = b c dt / (1 - w). */
typedef struct pan_ssm_mode {
    pan_complex ratio;       /* Abar */
    pan_complex coefficient; /* Cbar */
    pan_complex half_step;   /* w */
    pan_complex inverse;     /* 1 / (1 - w) */
    double dt;
} pan_ssm_mode;

PAN_SHARED_FUNCTION pan_ssm_mode pan_ssm_discretize(const pan_ssm_parameters *p) {
    pan_ssm_mode mode;
    mode.dt = exp(p->log_dt);
    mode.half_step = pan_complex_of(-0.5 * mode.dt * exp(p->a_real_log), 0.5 * mode.dt * p->a_imag);
    const double re = 1.0 - mode.half_step.re, im = -mode.half_step.im;
    const double norm = re * re + im * im;
    mode.inverse = pan_complex_of(re / norm, -im / norm);
    mode.ratio = pan_complex_multiply(pan_complex_of(1.0 + mode.half_step.re, mode.half_step.im), mode.inverse);
    mode.coefficient = pan_complex_scale(pan_complex_multiply(pan_complex_multiply(p->b, p->c), mode.inverse), mode.dt);
    return mode;
}

/* What a mode adds to the gradient of its parameters, from the sums over the taps
 *
 *     powers = sum_l dfilter[l] Abar^l      slopes = sum_l dfilter[l] l Abar^(l-1)
 *
 * The filter is 2 Re of a holomorphic function, so with complex factors g for which its change is Re(g dz):
 * g(Cbar) = 2 powers and g(Abar) = 2 Cbar slopes; further dAbar / dw = 2 / (1 - w)^2 and dCbar / dw = Cbar / (1 - w). */
PAN_SHARED_FUNCTION pan_ssm_parameters pan_ssm_gradient(const pan_ssm_parameters *p, pan_complex powers,
                                                        pan_complex slopes) {
    const pan_ssm_mode mode = pan_ssm_discretize(p);
    const pan_complex of_coefficient = pan_complex_scale(powers, 2.0);
    const pan_complex of_ratio = pan_complex_scale(pan_complex_multiply(mode.coefficient, slopes), 2.0);
    const pan_complex scaled = pan_complex_multiply(of_coefficient, mode.coefficient);
    const pan_complex through_ratio = pan_complex_multiply(pan_complex_scale(of_ratio, 2.0), mode.inverse);
    const pan_complex of_half_step = pan_complex_multiply(pan_complex_add(through_ratio, scaled), mode.inverse);
    const pan_complex of_product =
        pan_complex_scale(pan_complex_multiply(of_coefficient, mode.inverse), mode.dt); /* of b c */
    const pan_complex of_b = pan_complex_multiply(of_product, p->c);
    const pan_complex of_c = pan_complex_multiply(of_product, p->b);
    pan_ssm_parameters gradient;
    gradient.log_dt = pan_complex_multiply(of_half_step, mode.half_step).re + scaled.re;
    gradient.a_real_log = of_half_step.re * mode.half_step.re;
    gradient.a_imag = -0.5 * mode.dt * of_half_step.im;
    gradient.b = pan_complex_of(of_b.re, -of_b.im);
    gradient.c = pan_complex_of(of_c.re, -of_c.im);
    return gradient;
}

#endif
