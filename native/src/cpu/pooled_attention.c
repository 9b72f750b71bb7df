/* Products over tiles of attention to pooled blocks. */
#include "pooled_attention.h"

/* x - x is 0 where x is finite, else NaN. */
static bool is_finite_row(const float *row, int64_t count) {
    vf sum = vf_splat(0.0f);
    for (int64_t i = 0; i < count; i += LANES) {
        const vf x = vf_load_first(row + i, count - i);
        sum += x - x;
    }
    return vf_sum(sum) == 0.0f;
}

static bool sees(const pooled_tile *tile, int64_t t, int64_t key) {
    if (key >= pooled_visible_keys(tile, t)) {
        return false;
    }
    const int64_t block = tile->keys.begin + key - tile->desc->always;
    for (int64_t i = 0; block >= 0 && i < tile->desc->excluded.slots; i++) {
        if (pooled_list(tile, t)[i] == block) {
            return false;
        }
    }
    return true;
}

/* Adds what the product of one row of x gives to the rows of c that see it. */
static void add_row(const pooled_product *product, int64_t j, int64_t m) {
    const pooled_tile *tile = product->tile;
    const float *x = product->x + j * product->x_stride;
    for (int64_t i = 0; i < m; i++) {
        const int64_t query = product->transposed ? j : i, key = product->transposed ? i : j;
        if (!sees(tile, tile->queries.begin + query, key)) {
            continue;
        }
        const float factor = product->alpha * product->w[query * tile->storage + key];
        for (int64_t c = 0; c < tile->desc->head_dim; c++) {
            product->c[i * product->c_stride + c] += factor * x[c];
        }
    }
}

void pooled_multiply(const pooled_product *product, float *copy) {
    const pooled_tile *tile = product->tile;
    const int64_t queries = tile->queries.end - tile->queries.begin, keys = tile->keys.end - tile->keys.begin;
    const int64_t m = product->transposed ? keys : queries, k = product->transposed ? queries : keys;
    const int64_t n = tile->desc->head_dim;
    bool finite = true;
    for (int64_t j = 0; j < k; j++) {
        finite = finite && is_finite_row(product->x + j * product->x_stride, n);
    }
    /* Zeros do not reach those that do not see the row, as 0 * NaN would. */
    for (int64_t j = 0; j < k && !finite; j++) {
        const float *row = product->x + j * product->x_stride;
        if (is_finite_row(row, n)) {
            memcpy(copy + j * n, row, (size_t) n * sizeof *copy);
        } else {
            memset(copy + j * n, 0, (size_t) n * sizeof *copy);
        }
    }
    pan_gemm(product->transposed, false, m, n, k, product->alpha, product->w, tile->storage, finite ? product->x : copy,
             finite ? product->x_stride : n, product->beta, product->c, product->c_stride);
    for (int64_t j = 0; j < k && !finite; j++) {
        if (!is_finite_row(product->x + j * product->x_stride, n)) {
            add_row(product, j, m);
        }
    }
}
