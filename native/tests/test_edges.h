/* The parts of test_edges. */
#ifndef PAN_TESTS_TEST_EDGES_H
#define PAN_TESTS_TEST_EDGES_H

#include "harness.h"

/* Normal values of standard deviation `scale`. */
void fill(float *values, int64_t count, uint64_t seed, double scale);
bool all_zero(const float *values, int64_t count);
bool all_finite(const float *values, int64_t count);

/* Everything that test_edges_elements.c has. */
void check_elements(const target *target);
/* Everything that test_edges_arrays.c has. */
void check_sums_and_systems(const target *target);

#endif
