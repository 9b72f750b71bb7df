#include "cases.h"

static const int64_t SIZES[SIZE_COUNT] = {1, 2, 3, 7, 8, 15, 16, 17, 63, 64, 65, 100, 127, 257, 1000};

int64_t ragged(int variant, int dimension) {
    /* Steps that have no factor in common with SIZE_COUNT visit every size. */
    static const int step[] = {1, 4, 7, 11};
    static const int first[] = {0, 6, 11, 3};
    return SIZES[(variant * step[dimension] + first[dimension]) % SIZE_COUNT];
}

int64_t at_most(int64_t size, int64_t limit) {
    int64_t largest = 1;
    for (int i = 0; i < SIZE_COUNT; i++) {
        if (SIZES[i] <= limit && SIZES[i] <= size) {
            largest = SIZES[i];
        }
    }
    return largest;
}

void for_each_case(visit_case *visit, void *context) {
    const op_case *const lists[] = {
        ROW_CASES,         ELEMENT_CASES,  SEQUENCE_CASES,       VOCABULARY_CASES, CONVOLUTION_CASES,
        LONG_CONV_CASES,   FILTER_CASES,   ARRAY_CASES,          WKV_CASES,        LINEAR_ATTENTION_CASES,
        STATE_SPACE_CASES, POSITION_CASES, SELECTIVE_SCAN_CASES, SELECTION_CASES,  SPARSE_ATTENTION_CASES,
        POOLED_CASES};
    for (int i = 0; i < COUNT(lists); i++) {
        for (const op_case *op = lists[i]; op->op != NULL; op++) {
            visit(op, context);
        }
    }
}
