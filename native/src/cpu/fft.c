/* Transforms of radix 4: decimation in frequency on the way to a spectrum, decimation in time on the way back. */
#include "fft.h"

typedef struct complex_vector {
    vf re;
    vf im;
} complex_vector;

typedef struct complex_number {
    float re;
    float im;
} complex_number;

/* Where a stage's factors lie: number j of a stage over n points is entry j * step of the table, step = points / n. */
typedef struct factor_table {
    const float *entries;
    int64_t step;
} factor_table;

PAN_INLINE complex_vector load_point(const float *z, int64_t j) {
    return (complex_vector){vf_load(z + 2 * LANES * j), vf_load(z + 2 * LANES * j + LANES)};
}

PAN_INLINE void store_point(float *z, int64_t j, complex_vector x) {
    vf_store(z + 2 * LANES * j, x.re);
    vf_store(z + 2 * LANES * j + LANES, x.im);
}

PAN_INLINE complex_number entry(const float *table, int64_t j) {
    return (complex_number){table[2 * j], table[2 * j + 1]};
}

PAN_INLINE complex_vector add(complex_vector a, complex_vector b) {
    return (complex_vector){a.re + b.re, a.im + b.im};
}

PAN_INLINE complex_vector subtract(complex_vector a, complex_vector b) {
    return (complex_vector){a.re - b.re, a.im - b.im};
}

/* i * a */
PAN_INLINE complex_vector turn(complex_vector a) {
    return (complex_vector){-a.im, a.re};
}

PAN_INLINE complex_vector rotate(complex_vector a, complex_number w) {
    return (complex_vector){a.re * w.re - a.im * w.im, a.re * w.im + a.im * w.re};
}

PAN_INLINE complex_vector rotate_back(complex_vector a, complex_number w) {
    return (complex_vector){a.re * w.re + a.im * w.im, a.im * w.re - a.re * w.im};
}

PAN_INLINE complex_vector multiply(complex_vector a, complex_vector b) {
    return (complex_vector){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* a * conjugate of b */
PAN_INLINE complex_vector multiply_conjugate(complex_vector a, complex_vector b) {
    return (complex_vector){a.re * b.re + a.im * b.im, a.im * b.re - a.re * b.im};
}

/* Transform of four points, out of place of any order: x[k] = sum_j (-i)^(j k) x[j]. */
PAN_INLINE void split_points(complex_vector x[4]) {
    const complex_vector even_sum = add(x[0], x[2]);
    const complex_vector even_difference = subtract(x[0], x[2]);
    const complex_vector odd_sum = add(x[1], x[3]);
    const complex_vector odd_difference = turn(subtract(x[1], x[3]));
    x[0] = add(even_sum, odd_sum);
    x[1] = subtract(even_difference, odd_difference);
    x[2] = subtract(even_sum, odd_sum);
    x[3] = add(even_difference, odd_difference);
}

/* Its inverse, times 4. */
PAN_INLINE void join_points(complex_vector x[4]) {
    const complex_vector even_sum = add(x[0], x[2]);
    const complex_vector even_difference = subtract(x[0], x[2]);
    const complex_vector odd_sum = add(x[1], x[3]);
    const complex_vector odd_difference = turn(subtract(x[1], x[3]));
    x[0] = add(even_sum, odd_sum);
    x[1] = add(even_difference, odd_difference);
    x[2] = subtract(even_sum, odd_sum);
    x[3] = subtract(even_difference, odd_difference);
}

/* Four points of a stage are a quarter of it apart; what leaves the stage is rotated by its factors. */
PAN_INLINE void store_split(float *z, int64_t j, int64_t quarter, factor_table factors, complex_vector x[4]) {
    split_points(x);
    store_point(z, j, x[0]);
    store_point(z, j + quarter, rotate(x[1], entry(factors.entries, j * factors.step)));
    store_point(z, j + 2 * quarter, rotate(x[2], entry(factors.entries, 2 * j * factors.step)));
    store_point(z, j + 3 * quarter, rotate(x[3], entry(factors.entries, 3 * j * factors.step)));
}

PAN_INLINE void load_join(const float *z, int64_t j, int64_t quarter, factor_table factors, complex_vector x[4]) {
    x[0] = load_point(z, j);
    x[1] = rotate_back(load_point(z, j + quarter), entry(factors.entries, j * factors.step));
    x[2] = rotate_back(load_point(z, j + 2 * quarter), entry(factors.entries, 2 * j * factors.step));
    x[3] = rotate_back(load_point(z, j + 3 * quarter), entry(factors.entries, 3 * j * factors.step));
    join_points(x);
}

static void split(const pan_long_conv_plan *plan, float *z, int64_t n) {
    const factor_table factors = {plan->twiddle, plan->points / n};
    const int64_t quarter = n / 4;
    for (int64_t j = 0; j < quarter; j++) {
        complex_vector x[4];
        for (int64_t q = 0; q < 4; q++) {
            x[q] = load_point(z, j + q * quarter);
        }
        store_split(z, j, quarter, factors, x);
    }
}

static void join(const pan_long_conv_plan *plan, float *z, int64_t n) {
    const factor_table factors = {plan->twiddle, plan->points / n};
    const int64_t quarter = n / 4;
    for (int64_t j = 0; j < quarter; j++) {
        complex_vector x[4];
        load_join(z, j, quarter, factors, x);
        for (int64_t q = 0; q < 4; q++) {
            store_point(z, j + q * quarter, x[q]);
        }
    }
}

void fft_begin(const pan_long_conv_plan *plan, const float *rows, vf scale, float *z) {
    const factor_table factors = {plan->twiddle, 1};
    const int64_t quarter = plan->points / 4;
    for (int64_t j = 0; j < quarter; j++) {
        complex_vector x[4];
        for (int64_t q = 0; q < 4; q++) {
            const complex_number twist = entry(plan->twist, j + q * quarter);
            const vf row = vf_load(rows + LANES * (j + q * quarter)) * scale;
            x[q] = (complex_vector){row * twist.re, row * twist.im};
        }
        store_split(z, j, quarter, factors, x);
    }
}

void fft_end(const pan_long_conv_plan *plan, const float *z, vi exponent, const vf *addend, float *rows) {
    const factor_table factors = {plan->twiddle, 1};
    const int64_t quarter = plan->points / 4;
    /* In two steps, because 2^exponent need not be a float even where the result is. */
    const vf scale = vf_power(exponent >> 1);
    const vf rest = vf_power(exponent - (exponent >> 1));
    for (int64_t j = 0; j < quarter; j++) {
        complex_vector x[4];
        load_join(z, j, quarter, factors, x);
        for (int64_t q = 0; q < 4; q++) {
            const complex_number twist = entry(plan->twist, j + q * quarter);
            float *row = rows + LANES * (j + q * quarter);
            vf y = (x[q].re * twist.re + x[q].im * twist.im) * scale * rest;
            if (addend != NULL) {
                y += vf_load(row) * *addend;
            }
            vf_store(row, y);
        }
    }
}

/* The innermost stage has two points where the number of points is an odd power of two, otherwise four. */
PAN_INLINE void load_innermost(const float *z, int64_t n, complex_vector x[4]) {
    for (int64_t j = 0; j < n; j++) {
        x[j] = load_point(z, j);
    }
    if (n == 4) {
        split_points(x);
    } else {
        const complex_vector first = x[0];
        x[0] = add(first, x[1]);
        x[1] = subtract(first, x[1]);
    }
}

PAN_INLINE void store_innermost(float *z, int64_t n, complex_vector x[4]) {
    if (n == 4) {
        join_points(x);
    } else {
        const complex_vector first = x[0];
        x[0] = add(first, x[1]);
        x[1] = subtract(first, x[1]);
    }
    for (int64_t j = 0; j < n; j++) {
        store_point(z, j, x[j]);
    }
}

PAN_INLINE void transform_innermost(float *z, int64_t n) {
    complex_vector x[4];
    load_innermost(z, n, x);
    for (int64_t j = 0; j < n; j++) {
        store_point(z, j, x[j]);
    }
}

static void transform(const pan_long_conv_plan *plan, float *z, int64_t n) {
    if (n == 4) {
        transform_innermost(z, 4);
    } else if (n == 2) {
        transform_innermost(z, 2);
    } else {
        split(plan, z, n);
        for (int64_t q = 0; q < 4; q++) {
            transform(plan, z + q * (n / 4) * 2 * LANES, n / 4);
        }
    }
}

PAN_INLINE void restore_innermost(float *z, int64_t n) {
    complex_vector x[4];
    for (int64_t j = 0; j < n; j++) {
        x[j] = load_point(z, j);
    }
    store_innermost(z, n, x);
}

static void restore(const pan_long_conv_plan *plan, float *z, int64_t n) {
    if (n == 4) {
        restore_innermost(z, 4);
    } else if (n == 2) {
        restore_innermost(z, 2);
    } else {
        for (int64_t q = 0; q < 4; q++) {
            restore(plan, z + q * (n / 4) * 2 * LANES, n / 4);
        }
        join(plan, z, n);
    }
}

PAN_INLINE void convolve_innermost(const float *h, float *z, int64_t n) {
    complex_vector x[4];
    load_innermost(z, n, x);
    for (int64_t j = 0; j < n; j++) {
        x[j] = multiply(x[j], load_point(h, j));
    }
    store_innermost(z, n, x);
}

static void convolve(const pan_long_conv_plan *plan, const float *h, float *z, int64_t n) {
    if (n == 4) {
        convolve_innermost(h, z, 4);
    } else if (n == 2) {
        convolve_innermost(h, z, 2);
    } else {
        split(plan, z, n);
        for (int64_t q = 0; q < 4; q++) {
            const int64_t part = q * (n / 4) * 2 * LANES;
            convolve(plan, h + part, z + part, n / 4);
        }
        join(plan, z, n);
    }
}

PAN_INLINE void differentiate_innermost(const fft_gradient *gradient, int64_t first, int64_t n) {
    const int64_t offset = 2 * LANES * first;
    complex_vector g[4];
    complex_vector x[4];
    load_innermost(gradient->g + offset, n, g);
    if (gradient->x != NULL) {
        load_innermost(gradient->x + offset, n, x);
    }
    if (gradient->sum != NULL) {
        for (int64_t j = 0; j < n; j++) {
            const complex_vector sum = load_point(gradient->sum + offset, j);
            const complex_vector product = multiply_conjugate(g[j], x[j]);
            store_point(gradient->sum + offset, j,
                        (complex_vector){sum.re * gradient->keep + product.re * gradient->add,
                                         sum.im * gradient->keep + product.im * gradient->add});
        }
    }
    if (gradient->correlate) {
        for (int64_t j = 0; j < n; j++) {
            g[j] = multiply_conjugate(g[j], load_point(gradient->h + offset, j));
        }
        store_innermost(gradient->g + offset, n, g);
    }
    if (gradient->convolve) {
        for (int64_t j = 0; j < n; j++) {
            x[j] = multiply(x[j], load_point(gradient->h + offset, j));
        }
        store_innermost(gradient->x + offset, n, x);
    }
}

static void differentiate(const pan_long_conv_plan *plan, const fft_gradient *gradient, int64_t first, int64_t n) {
    if (n == 4) {
        differentiate_innermost(gradient, first, 4);
    } else if (n == 2) {
        differentiate_innermost(gradient, first, 2);
    } else {
        float *g = gradient->g + 2 * LANES * first;
        float *x = gradient->x == NULL ? NULL : gradient->x + 2 * LANES * first;
        split(plan, g, n);
        if (x != NULL) {
            split(plan, x, n);
        }
        for (int64_t q = 0; q < 4; q++) {
            differentiate(plan, gradient, first + q * (n / 4), n / 4);
        }
        if (gradient->correlate) {
            join(plan, g, n);
        }
        if (gradient->convolve) {
            join(plan, x, n);
        }
    }
}

void fft_transform(const pan_long_conv_plan *plan, float *z) {
    for (int64_t q = 0; q < 4; q++) {
        transform(plan, z + q * spectrum_floats(plan) / 4, plan->points / 4);
    }
}

void fft_restore(const pan_long_conv_plan *plan, float *z) {
    for (int64_t q = 0; q < 4; q++) {
        restore(plan, z + q * spectrum_floats(plan) / 4, plan->points / 4);
    }
}

void fft_convolve(const pan_long_conv_plan *plan, const float *h, float *z) {
    for (int64_t q = 0; q < 4; q++) {
        const int64_t part = q * spectrum_floats(plan) / 4;
        convolve(plan, h + part, z + part, plan->points / 4);
    }
}

void fft_differentiate(const pan_long_conv_plan *plan, const fft_gradient *gradient) {
    for (int64_t q = 0; q < 4; q++) {
        differentiate(plan, gradient, q * (plan->points / 4), plan->points / 4);
    }
}
