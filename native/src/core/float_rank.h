/* An order of floats as integers, for the bodies that search for the k-th largest bit by bit. Plain C that is C++ too. */
#ifndef PAN_CORE_FLOAT_RANK_H
#define PAN_CORE_FLOAT_RANK_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "shared_function.h"

enum { PAN_RANK_BITS = 32 };

/* Larger for larger x, equal for equal ones, 0 for a NaN and -infinity and for nothing else. */
PAN_SHARED_FUNCTION uint32_t pan_rank(float x) {
    const float positive_zero = x + 0.0f;
    uint32_t bits;
    memcpy(&bits, &positive_zero, sizeof bits);
    const uint32_t sign = bits >> 31;
    return x > -INFINITY ? bits ^ ((0u - sign) | 0x80000000u) : 0u;
}

#endif
