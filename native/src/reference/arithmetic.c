/* Element-by-element arithmetic with broadcasting. */
#include "real.h"

/* Where one entry lies in y (dense) and in the operands. */
typedef struct entry {
    int64_t a, b, y;
} entry;

static int64_t entry_count(const pan_arithmetic_desc *desc) {
    int64_t count = 1;
    for (int d = 0; d < desc->rank; d++) {
        count *= desc->shape[d];
    }
    return count;
}

/* Adds to `at` the position of the index-th tuple, in row-major order, of the dimensions in `dimensions`. */
static entry step_to(const pan_arithmetic_desc *desc, uint32_t dimensions, int64_t index, entry at) {
    int64_t y_stride = 1;
    for (int d = desc->rank - 1; d >= 0; d--) {
        if (dimensions >> d & 1) {
            int64_t i = index % desc->shape[d];
            index /= desc->shape[d];
            at.a += i * desc->a_stride[d];
            at.b += i * desc->b_stride[d];
            at.y += i * y_stride;
        }
        y_stride *= desc->shape[d];
    }
    return at;
}

static double combine(pan_arithmetic_kind kind, double a, double b) {
    switch (kind) {
    case PAN_ADD: return a + b;
    case PAN_SUBTRACT: return a - b;
    case PAN_MULTIPLY: return a * b;
    case PAN_DIVIDE: return a / b;
    default: return a > b || isnan(a) ? a : b;
    }
}

pan_status PAN_BODY(arithmetic_forward)(pan_stream *stream, const pan_arithmetic_desc *desc, const void *a_,
                                        const void *b_, void *y_) {
    (void) stream;
    const real *a = a_, *b = b_;
    real *y = y_;
    int64_t count = entry_count(desc);
    for (int64_t i = 0; i < count; i++) {
        entry at = step_to(desc, UINT32_MAX, i, (entry){0});
        y[at.y] = (real) combine(desc->kind, a[at.a], b[at.b]);
    }
    return PAN_OK;
}

/* The gradient of one entry with respect to operand a; a and b are read only where the formula has them. */
static double gradient_of_a(pan_arithmetic_kind kind, const real *a, const real *b, entry at, double dy) {
    switch (kind) {
    case PAN_MULTIPLY: return dy * b[at.b];
    case PAN_DIVIDE: return dy / b[at.b];
    case PAN_MAXIMUM: return a[at.a] >= b[at.b] ? dy : 0.0;
    default: return dy;
    }
}

static double gradient_of_b(pan_arithmetic_kind kind, const real *a, const real *b, entry at, double dy) {
    switch (kind) {
    case PAN_SUBTRACT: return -dy;
    case PAN_MULTIPLY: return dy * a[at.a];
    case PAN_DIVIDE: return -dy * a[at.a] / ((double) b[at.b] * b[at.b]);
    case PAN_MAXIMUM: return a[at.a] >= b[at.b] ? 0.0 : dy;
    default: return dy;
    }
}

/* Writes the gradient of one operand: for every element of it, the sum over the dimensions where it was broadcast. */
static void operand_gradient(const pan_arithmetic_desc *desc, bool of_a, const real *a, const real *b, const real *dy,
                             real *gradient) {
    const int64_t *stride = of_a ? desc->a_stride : desc->b_stride;
    uint32_t broadcast = 0;
    int64_t repeats = 1;
    for (int d = 0; d < desc->rank; d++) {
        if (stride[d] == 0) {
            broadcast |= 1u << d;
            repeats *= desc->shape[d];
        }
    }
    int64_t elements = entry_count(desc) / repeats;
    for (int64_t i = 0; i < elements; i++) {
        entry element = step_to(desc, ~broadcast, i, (entry){0});
        double sum = 0.0;
        for (int64_t j = 0; j < repeats; j++) {
            entry at = step_to(desc, broadcast, j, element);
            sum += of_a ? gradient_of_a(desc->kind, a, b, at, dy[at.y]) : gradient_of_b(desc->kind, a, b, at, dy[at.y]);
        }
        gradient[of_a ? element.a : element.b] = (real) sum;
    }
}

pan_status PAN_BODY(arithmetic_backward)(pan_stream *stream, const pan_arithmetic_desc *desc, const void *a,
                                         const void *b, const void *dy, void *da, void *db) {
    (void) stream;
    if (da != NULL) {
        operand_gradient(desc, true, a, b, dy, da);
    }
    if (db != NULL) {
        operand_gradient(desc, false, a, b, dy, db);
    }
    return PAN_OK;
}
