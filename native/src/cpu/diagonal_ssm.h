/* Vectors of complex doubles, and the modes of diagonal state spaces laid out for them. */
#ifndef PAN_CPU_DIAGONAL_SSM_H
#define PAN_CPU_DIAGONAL_SSM_H

#include "../core/diagonal_ssm.h"
#include "tile.h"
#include "vector_double.h"

typedef struct vd_complex {
    vd re;
    vd im;
} vd_complex;

static inline vd_complex vd_complex_multiply(vd_complex a, vd_complex b) {
    return (vd_complex){
        {a.re.low * b.re.low - a.im.low * b.im.low, a.re.high * b.re.high - a.im.high * b.im.high},
        {a.re.low * b.im.low + a.im.low * b.re.low, a.re.high * b.im.high + a.im.high * b.re.high},
    };
}

static inline void flush_half(vd_half *re, vd_half *im) {
    const vl_half tiny = *re * *re + *im * *im < 1e-280;
    *re = (vd_half) (~tiny & (vl_half) *re);
    *im = (vd_half) (~tiny & (vl_half) *im);
}

/* Powers that no factor can bring back into the range of floats become 0 before they get subnormal, which is slow. */
static inline vd_complex flush_tiny(vd_complex power) {
    flush_half(&power.re.low, &power.im.low);
    flush_half(&power.re.high, &power.im.high);
    return power;
}

/* LANES discretised modes: those of one number of LANES heads, or LANES of one head. Lanes beyond the last are 0. */
typedef struct ssm_lanes {
    vd_complex ratio;
    vd_complex coefficient;
} ssm_lanes;

/* Parameters of all modes, as the arrays of panthera.h. */
typedef struct ssm_arrays {
    int64_t heads;
    int64_t modes;
    const float *log_dt;
    const float *a_real_log;
    const float *a_imag;
    const float *b;
    const float *c;
} ssm_arrays;

static inline pan_ssm_parameters ssm_parameters(const ssm_arrays *arrays, int64_t h, int64_t n) {
    const int64_t i = h * arrays->modes + n;
    return (pan_ssm_parameters){.log_dt = arrays->log_dt[h],
                                .a_real_log = arrays->a_real_log[i],
                                .a_imag = arrays->a_imag[i],
                                .b = {arrays->b[2 * i], arrays->b[2 * i + 1]},
                                .c = {arrays->c[2 * i], arrays->c[2 * i + 1]}};
}

static inline double *vd_lane(vd *x, int64_t lane) {
    return (double *) (void *) x + lane;
}

static inline void ssm_set_lane(ssm_lanes *lanes, int64_t lane, const ssm_arrays *arrays, int64_t h, int64_t n) {
    const pan_ssm_parameters parameters = ssm_parameters(arrays, h, n);
    const pan_ssm_mode mode = pan_ssm_discretize(&parameters);
    *vd_lane(&lanes->ratio.re, lane) = mode.ratio.re;
    *vd_lane(&lanes->ratio.im, lane) = mode.ratio.im;
    *vd_lane(&lanes->coefficient.re, lane) = mode.coefficient.re;
    *vd_lane(&lanes->coefficient.im, lane) = mode.coefficient.im;
}

/* Blocks of LANES heads. */
static inline int64_t ssm_head_blocks(int64_t heads) {
    return ceil_div(heads, LANES);
}

/* Discretises all modes into (blocks of heads, modes) lanes. */
void PAN_BODY(ssm_discretize)(struct pan_pool *pool, const ssm_arrays *arrays, ssm_lanes *lanes);

#endif
