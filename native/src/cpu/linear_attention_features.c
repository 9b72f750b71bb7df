/* Features of linear attention, and what passes back through them. */
#include "linear_attention.h"

/* Factors of the features of PAN_FEATURES_TAYLOR. */
typedef struct taylor_factors {
    float single; /* of x_i */
    float square; /* of x_i^2 */
    float pair;   /* of x_i x_j */
} taylor_factors;

static taylor_factors factors_of(const linear_desc *desc) {
    const double f = (double) desc->feature_dim;
    return (taylor_factors){.single = (float) (1.0 / sqrt(sqrt(f))),
                            .square = (float) (1.0 / sqrt(2.0 * f)),
                            .pair = (float) (1.0 / sqrt(f))};
}

/* Rows of a piece side by side, with zeros in place of those that a vector has too many. */
static void transpose_piece(const float *x, int64_t stride, int64_t rows, int64_t columns, float *target) {
    const int64_t storage = score_storage(rows);
    for (int64_t i = 0; i < columns; i++) {
        float *row = target + i * PIECE;
        for (int64_t t = 0; t < rows; t++) {
            row[t] = x[t * stride + i];
        }
        for (int64_t t = rows; t < storage; t++) {
            row[t] = 0.0f;
        }
    }
}

/* All features of the positions of one vector. */
static void taylor_features(int64_t f, const taylor_factors *factors, const float *x, float *phi) {
    vf_store(phi, vf_splat(1.0f));
    for (int64_t i = 0; i < f; i++) {
        const vf x_i = vf_load(x + i * PIECE);
        float *pair = phi + pan_pair_feature(f, i) * PIECE;
        vf_store(phi + (1 + i) * PIECE, x_i * factors->single);
        vf_store(pair, x_i * x_i * factors->square);
        const vf scaled = x_i * factors->pair;
        for (int64_t j = i + 1; j < f; j++) {
            vf_store(pair + (j - i) * PIECE, scaled * vf_load(x + j * PIECE));
        }
    }
}

feature_matrix piece_features(const linear_desc *desc, const float *x, int64_t stride, int64_t rows,
                              const feature_scratch *scratch) {
    if (!is_taylor(desc)) {
        return (feature_matrix){x, stride, false};
    }
    const taylor_factors factors = factors_of(desc);
    transpose_piece(x, stride, rows, desc->feature_dim, scratch->x);
    for (int64_t t = 0; t < rows; t += LANES) {
        taylor_features(desc->feature_dim, &factors, scratch->x + t, scratch->phi + t);
    }
    return (feature_matrix){scratch->phi, PIECE, true};
}

/* From the gradient of the features of one vector's positions to that of the positions. */
static void taylor_slopes(int64_t f, const taylor_factors *factors, const float *x, const float *phi_slope,
                          float *x_slope) {
    for (int64_t i = 0; i < f; i++) {
        vf_store(x_slope + i * PIECE, factors->single * vf_load(phi_slope + (1 + i) * PIECE));
    }
    for (int64_t i = 0; i < f; i++) {
        const float *pair = phi_slope + pan_pair_feature(f, i) * PIECE;
        const vf x_i = vf_load(x + i * PIECE);
        vf own = vf_load(x_slope + i * PIECE) + 2.0f * factors->square * x_i * vf_load(pair);
        for (int64_t j = i + 1; j < f; j++) {
            const vf slope = factors->pair * vf_load(pair + (j - i) * PIECE);
            own += slope * vf_load(x + j * PIECE);
            vf_store(x_slope + j * PIECE, vf_load(x_slope + j * PIECE) + slope * x_i);
        }
        vf_store(x_slope + i * PIECE, own);
    }
}

void differentiate_features(const linear_desc *desc, const float *x, int64_t stride, int64_t rows, const float *y,
                            const float *state, bool add, float *dx, const feature_scratch *scratch) {
    const int64_t columns = state_columns(desc), f = desc->feature_dim;
    if (!is_taylor(desc)) {
        pan_gemm(false, true, rows, f, columns, 1.0f, y, columns, state, columns, add ? 1.0f : 0.0f, dx, stride);
        return;
    }
    const taylor_factors factors = factors_of(desc);
    transpose_piece(x, stride, rows, f, scratch->x);
    pan_gemm(false, true, linear_features(desc), rows, columns, 1.0f, state, columns, y, columns, 0.0f,
             scratch->phi_slope, PIECE);
    for (int64_t t = 0; t < rows; t += LANES) {
        taylor_slopes(f, &factors, scratch->x + t, scratch->phi_slope + t, scratch->x_slope + t);
    }
    for (int64_t t = 0; t < rows; t++) {
        for (int64_t i = 0; i < f; i++) {
            const float slope = scratch->x_slope[i * PIECE + t];
            dx[t * stride + i] = add ? dx[t * stride + i] + slope : slope;
        }
    }
}
