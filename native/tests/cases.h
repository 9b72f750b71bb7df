/* The cases of all ops. */
#ifndef PAN_TESTS_CASES_H
#define PAN_TESTS_CASES_H

#include <string.h>

#include "call.h"

/* Ended by a case without an op. */
extern const op_case ROW_CASES[], ELEMENT_CASES[], SEQUENCE_CASES[], VOCABULARY_CASES[], CONVOLUTION_CASES[],
    LONG_CONV_CASES[], FILTER_CASES[], ARRAY_CASES[], WKV_CASES[], LINEAR_ATTENTION_CASES[], STATE_SPACE_CASES[],
    POSITION_CASES[], SELECTIVE_SCAN_CASES[], SELECTION_CASES[], SPARSE_ATTENTION_CASES[], POOLED_CASES[];
/* Linear ops as their own backward: for the gradient test, which needs the pair. */
extern const op_case DROPOUT_ADJOINT, CUMULATIVE_SUM_ADJOINT, ROTARY_ADJOINT;

/* Calls `visit` for every case. */
typedef void visit_case(const op_case *op, void *context);
void for_each_case(visit_case *visit, void *context);

enum { SIZE_COUNT = 15 };
/* The ragged sizes, in another order for each dimension: over SIZE_COUNT variants each takes all values. */
int64_t ragged(int variant, int dimension);
/* The largest of the ragged sizes up to `limit`, or `size` if that is smaller. */
int64_t at_most(int64_t size, int64_t limit);

/* The descriptor of a call, as the type it has. */
#define DESC(call, type) ((type *) (void *) (call)->desc)

#endif
