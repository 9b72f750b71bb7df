/* Products of vectors with rows of a matrix that a list names, for attention over few keys: no copy of the rows is made,
 * and what is not listed is not read. */
#ifndef PAN_CPU_LISTED_ROWS_H
#define PAN_CPU_LISTED_ROWS_H

#include "score_row.h"
#include "tile.h"

/* Rows of a matrix. The list may be read up to a whole number of vectors, and repeats its last entry there. */
typedef struct listed_rows {
    const float *first;
    int64_t stride;
    int64_t columns;
    const int32_t *list;
    int64_t count;
} listed_rows;

static inline const float *listed_row(const listed_rows *rows, int64_t i) {
    return rows->first + rows->list[i] * rows->stride;
}

/* Some of the rows, from one that has a multiple of LANES in front of it. */
static inline listed_rows listed_part(const listed_rows *rows, tile_range part) {
    listed_rows result = *rows;
    result.list += part.begin;
    result.count = part.end - part.begin;
    return result;
}

/* Lane i of the result is vf_sum(sums[i]), in every bit. */
PAN_INLINE vf sums_of_lanes(vf *sums) {
#pragma GCC unroll 4
    for (int32_t distance = LANES / 2; distance > 0; distance /= 2) {
        const vi upper = (vi_lane_numbers() & distance) != 0;
#pragma GCC unroll 8
        for (int32_t i = 0; i < distance; i++) {
            const vf a = sums[i], b = sums[i + distance];
            sums[i] = vf_select(upper, b, a) + vf_swap_lanes(vf_select(upper, a, b), distance);
        }
    }
    return sums[0];
}

/* Of x with a row, lane by lane. `vectors`: a constant, or 0 for any number of columns. */
PAN_INLINE vf dot_lanes(const float *x, const float *row, int64_t columns, int vectors) {
    vf sum = vf_splat(0.0f);
    if (vectors > 0) {
        for (int v = 0; v < vectors; v++) {
            sum += vf_load(x + v * LANES) * vf_load(row + v * LANES);
        }
        return sum;
    }
    for (int64_t c = 0; c < columns; c += LANES) {
        sum += vf_load_first(x + c, columns - c) * vf_load_first(row + c, columns - c);
    }
    return sum;
}

/* x . y, in every bit what dot_rows() gives for such a row. */
static inline float dot_row(const float *x, const float *y, int64_t columns) {
    return vf_sum(dot_lanes(x, y, columns, 0));
}

PAN_INLINE void dot_rows_of(const float *x, const listed_rows *rows, float factor, float *products, int vectors) {
    for (int64_t i = 0; i < rows->count; i += LANES) {
        vf sums[LANES];
#pragma GCC unroll 16
        for (int j = 0; j < LANES; j++) {
            sums[j] = dot_lanes(x, listed_row(rows, i + j), rows->columns, vectors);
        }
        vf_store(products + i, factor * sums_of_lanes(sums));
    }
}

/* products[i] = factor * x . row i, up to a whole number of vectors. */
static inline void dot_rows(const float *x, const listed_rows *rows, float factor, float *products) {
    switch (rows->columns % LANES == 0 ? rows->columns / LANES : 0) {
    case 1: dot_rows_of(x, rows, factor, products, 1); break;
    case 2: dot_rows_of(x, rows, factor, products, 2); break;
    case 4: dot_rows_of(x, rows, factor, products, 4); break;
    case 8: dot_rows_of(x, rows, factor, products, 8); break;
    default: dot_rows_of(x, rows, factor, products, 0); break;
    }
}

/* Some columns: `vectors` whole vectors, or if that is 0, fewer than LANES. Several sums at once hide the latency. */
PAN_INLINE void add_columns(const float *weights, const listed_rows *rows, int64_t column, float *y, int vectors) {
    enum { MOST = 8 };
    const int width = vectors > 0 ? vectors : 1;
    const int chains = MOST / width;
    const int64_t left = rows->columns - column;
    vf sums[MOST];
    for (int v = 0; v < MOST; v++) {
        sums[v] = vf_splat(0.0f);
    }
    for (int64_t i = 0; i < rows->count; i += chains) {
        for (int chain = 0; chain < chains && i + chain < rows->count; chain++) {
            const float *row = listed_row(rows, i + chain) + column;
            for (int v = 0; v < width; v++) {
                const vf x = vectors > 0 ? vf_load(row + v * LANES) : vf_load_part(row, left, 0.0f);
                sums[chain * width + v] += weights[i + chain] * x;
            }
        }
    }
    for (int v = 0; v < width; v++) {
        vf sum = sums[v];
        for (int chain = 1; chain < chains; chain++) {
            sum += sums[chain * width + v];
        }
        float *const target = y + column + v * LANES;
        if (vectors > 0) {
            vf_store(target, vf_load(target) + sum);
        } else {
            vf_store_part(target, vf_load_part(target, left, 0.0f) + sum, left);
        }
    }
}

/* y += sum_i weights[i] * row i */
static inline void add_rows(const float *weights, const listed_rows *rows, float *y) {
    int64_t column = 0;
    for (; column + 4 * LANES <= rows->columns; column += 4 * LANES) {
        add_columns(weights, rows, column, y, 4);
    }
    if (column + 2 * LANES <= rows->columns) {
        add_columns(weights, rows, column, y, 2);
        column += 2 * LANES;
    }
    if (column + LANES <= rows->columns) {
        add_columns(weights, rows, column, y, 1);
        column += LANES;
    }
    if (column < rows->columns) {
        add_columns(weights, rows, column, y, 0);
    }
}

/* As add_columns(): columns of x are kept while the rows pass. */
PAN_INLINE void add_to_columns(const float *weights, const float *x, const listed_rows *rows, float *y, int64_t column,
                               int vectors) {
    const int width = vectors > 0 ? vectors : 1;
    const int64_t left = rows->columns - column;
    vf factors[8];
    for (int v = 0; v < width; v++) {
        factors[v] = vectors > 0 ? vf_load(x + column + v * LANES) : vf_load_part(x + column, left, 0.0f);
    }
    for (int64_t i = 0; i < rows->count; i++) {
        float *const row = y + rows->list[i] * rows->stride + column;
        for (int v = 0; v < width; v++) {
            if (vectors > 0) {
                vf_store(row + v * LANES, vf_load(row + v * LANES) + weights[i] * factors[v]);
            } else {
                vf_store_part(row, vf_load_part(row, left, 0.0f) + weights[i] * factors[v], left);
            }
        }
    }
}

/* Row i of y, which lies as the rows do, += weights[i] * x. */
static inline void add_to_rows(const float *weights, const float *x, const listed_rows *rows, float *y) {
    int64_t column = 0;
    for (; column + 4 * LANES <= rows->columns; column += 4 * LANES) {
        add_to_columns(weights, x, rows, y, column, 4);
    }
    for (; column + LANES <= rows->columns; column += LANES) {
        add_to_columns(weights, x, rows, y, column, 1);
    }
    if (column < rows->columns) {
        add_to_columns(weights, x, rows, y, column, 0);
    }
}

#endif
