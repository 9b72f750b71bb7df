/* The parts of test_abi. */
#ifndef PAN_TESTS_TEST_ABI_OPS_H
#define PAN_TESTS_TEST_ABI_OPS_H

#include "harness.h"

/* Bad arguments of every op of the table. */
void check_ops(void);

/* Bad arguments that only attention has. */
void check_attention_arguments(const target *target);

/* Bad arguments that only attention to pooled blocks and the choice of blocks have. */
void check_pooled_arguments(const target *target);

#endif
