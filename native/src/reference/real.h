/* The reference backend: plain loops that follow the formulas of panthera.h, compiled twice, with `real` = float and
 * = double. Sums are accumulated in double. It is never fast and always right: finite differences check its double
 * form, and that form checks every other backend.
 *
 * In the double form every floating-point array holds doubles, also those that the prototypes call `const float *`;
 * REAL() and REAL_OUT() make that conversion. */
#ifndef PAN_REFERENCE_REAL_H
#define PAN_REFERENCE_REAL_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/backend.h"
#include "../core/random.h"

#ifdef PAN_REFERENCE_F64
typedef double real;
#define PAN_BODY(name) pan_##name##_reference_f64
#else
typedef float real;
#define PAN_BODY(name) pan_##name##_reference
#endif

#define PAN_OP(name) __typeof__(pan_##name) PAN_BODY(name);
#define PAN_SIZE(name) __typeof__(pan_##name) PAN_BODY(name);
#include "../core/ops.def"
#undef PAN_OP
#undef PAN_SIZE

#define REAL(pointer) ((const real *) (const void *) (pointer))
#define REAL_OUT(pointer) ((real *) (void *) (pointer))

/* Adds to an element of an array that may be NULL. */
static inline void add_to(float *array, int64_t index, double value) {
    if (array != NULL) {
        real *element = REAL_OUT(array) + index;
        *element = (real) (*element + value);
    }
}

#endif
