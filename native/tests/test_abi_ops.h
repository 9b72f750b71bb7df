/* The two halves of test_abi. */
#ifndef PAN_TESTS_TEST_ABI_OPS_H
#define PAN_TESTS_TEST_ABI_OPS_H

/* Bad arguments of every op of the table. */
void check_ops(void);

#endif
