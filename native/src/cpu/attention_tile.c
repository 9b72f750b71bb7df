/* Products over causal tiles. */
#include "attention_tile.h"

/* x - x is 0 where x is finite, else NaN. */
static bool is_finite_row(const float *row, int64_t count) {
    vf sum = vf_splat(0.0f);
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const vf x = vf_load(row + i);
        sum += x - x;
    }
    float rest = vf_sum(sum);
    for (; i < count; i++) {
        rest += row[i] - row[i];
    }
    return rest == 0.0f;
}

/* How many queries lie before key `key` of the tile. */
static int64_t queries_before_key(const causal_product *product, int64_t key) {
    const int64_t queries = product->transposed ? product->k : product->m;
    int64_t count = 0;
    while (count < queries && product->position[count] < product->first_key + key) {
        count++;
    }
    return count;
}

/* The rows of the result that see row j of x; keys may lie outside. */
static tile_range rows_seeing(const causal_product *product, int64_t j) {
    if (product->transposed) {
        const int64_t key = product->position[j] - product->first_key;
        return (tile_range){key - product->window + 1, key + 1};
    }
    return (tile_range){queries_before_key(product, j), queries_before_key(product, j + product->window)};
}

static bool all_finite(const causal_product *product, int64_t begin, int64_t end) {
    for (int64_t j = begin > 0 ? begin : 0; j < min_i64(end, product->k); j++) {
        if (!is_finite_row(product->x + j * product->x_stride, product->n)) {
            return false;
        }
    }
    return true;
}

/* Whether no row of x that is hidden from a row of the result is NaN or infinite anywhere. */
static bool hidden_rows_finite(const causal_product *product) {
    if (product->transposed) {
        return all_finite(product, 0, queries_before_key(product, product->m - 1)) &&
               all_finite(product, queries_before_key(product, product->window), product->k);
    }
    const int64_t first = product->position[0] - product->first_key;
    const int64_t last = product->position[product->m - 1] - product->first_key;
    return all_finite(product, 0, last - product->window + 1) && all_finite(product, first + 1, product->k);
}

static void multiply(const causal_product *product, const float *x, int64_t x_stride, float *c, int64_t c_stride) {
    pan_gemm(product->transposed, false, product->m, product->n, product->k, product->alpha, product->w,
             product->w_stride, x, x_stride, product->beta, c, c_stride);
}

static void copy_rows(float *target, int64_t target_stride, const float *source, int64_t source_stride, int64_t rows,
                      int64_t columns) {
    for (int64_t r = 0; r < rows; r++) {
        memcpy(target + r * target_stride, source + r * source_stride, (size_t) columns * sizeof *target);
    }
}

/* Copies x with zeros in place of the non-finite rows hidden from row i of the result. Returns the end of the rows from
 * i on that see the same non-finite rows. */
static int64_t copy_visible(const causal_product *product, int64_t i, float *copy) {
    int64_t end = product->m;
    for (int64_t j = 0; j < product->k; j++) {
        const float *row = product->x + j * product->x_stride;
        float *target = copy + j * product->n;
        const bool finite = is_finite_row(row, product->n);
        const tile_range seeing = rows_seeing(product, j);
        if (finite || (seeing.begin <= i && i < seeing.end)) {
            memcpy(target, row, (size_t) product->n * sizeof *target);
        } else {
            memset(target, 0, (size_t) product->n * sizeof *target);
        }
        if (!finite && seeing.end > i) {
            end = min_i64(end, seeing.begin > i ? seeing.begin : seeing.end);
        }
    }
    return end;
}

/* One product of the whole tile for each set of visible non-finite rows, of which the rows that see this set are kept.
 * So every row comes from the same GEMM shape, with bits that do not depend on what is hidden from it. */
static void multiply_visible(const causal_product *product, float *scratch) {
    float *x = scratch;
    float *c = scratch + product->k * product->n;
    int64_t begin = 0;
    while (begin < product->m) {
        const int64_t end = copy_visible(product, begin, x);
        if (product->beta != 0.0f) {
            copy_rows(c, product->n, product->c, product->c_stride, product->m, product->n);
        }
        multiply(product, x, product->n, c, product->n);
        copy_rows(product->c + begin * product->c_stride, product->c_stride, c + begin * product->n, product->n,
                  end - begin, product->n);
        begin = end;
    }
}

void causal_multiply(const causal_product *product, float *scratch) {
    if (hidden_rows_finite(product)) {
        multiply(product, product->x, product->x_stride, product->c, product->c_stride);
    } else {
        multiply_visible(product, scratch);
    }
}
