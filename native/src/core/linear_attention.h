/* Sizes of linear attention that all backends agree on. Plain C that is C++ too. */
#ifndef PAN_CORE_LINEAR_ATTENTION_H
#define PAN_CORE_LINEAR_ATTENTION_H

#include <stdbool.h>

#include "panthera.h"
#include "shared_function.h"

/* Features of a query or key x of f channels. Those of PAN_FEATURES_TAYLOR are, in this order: 1; x_i / f^(1/4); and for
 * each i, for each j >= i, x_i x_j / sqrt(f), or x_i^2 / sqrt(2 f) where j = i. */
PAN_SHARED_FUNCTION int64_t pan_feature_count(pan_feature_map features, int64_t feature_dim) {
    return features == PAN_FEATURES_TAYLOR ? 1 + feature_dim + feature_dim * (feature_dim + 1) / 2 : feature_dim;
}

/* The feature of the pair (i, i); those of (i, j) follow by ascending j. */
PAN_SHARED_FUNCTION int64_t pan_pair_feature(int64_t feature_dim, int64_t i) {
    return 1 + feature_dim + i * feature_dim - i * (i - 1) / 2;
}

/* Positions of a chunk, and up to how many a sequence may be a single one. */
enum { PAN_CHUNK_LENGTH = 128, PAN_LONGEST_CHUNK = 256 };

/* Positions of a chunk. A short sequence is a single one where its additional pairs are cheaper than a state. */
PAN_SHARED_FUNCTION int64_t pan_chunk_length(const pan_linear_attention_desc *desc) {
    const double features = (double) pan_feature_count(desc->features, desc->feature_dim);
    const double pairs = 0.5 * ((double) desc->length - PAN_CHUNK_LENGTH);
    const double by_pairs = pairs * ((double) desc->feature_dim + (double) desc->value_dim);
    const double by_state = 2.0 * features * ((double) desc->value_dim + 1.0);
    const bool single = desc->length <= PAN_LONGEST_CHUNK && by_pairs <= by_state;
    return single ? desc->length : (int64_t) PAN_CHUNK_LENGTH;
}

#endif
