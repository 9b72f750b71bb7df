/* The index space of an operation with broadcasting, shared by its forward and its backward. */
#ifndef PAN_CPU_ARITHMETIC_H
#define PAN_CPU_ARITHMETIC_H

#include "tile.h"
#include "vector_double.h"

/* A dimension: its extent and the distances between its entries in the operands and in y. */
typedef struct axis {
    int64_t extent;
    int64_t a;
    int64_t b;
    int64_t y;
} axis;

/* Dimensions from the slowest to the fastest. */
typedef struct space {
    int rank;
    axis axes[PAN_MAX_RANK];
} space;

/* The dimensions of desc with as few of them as possible: neighbours that all arrays step through alike become one. The
 * last one, at `row`, has distances of 0 or 1; `outer` has the others. */
static inline void collapse(const pan_arithmetic_desc *desc, space *outer, axis *row) {
    axis axes[PAN_MAX_RANK]; /* from the fastest to the slowest */
    int last = desc->rank - 1;
    axes[0] = (axis){desc->shape[last], desc->a_stride[last], desc->b_stride[last], 1};
    int rank = 1;
    int64_t y = desc->shape[last];
    for (int d = last - 1; d >= 0; d--) {
        const axis next = {desc->shape[d], desc->a_stride[d], desc->b_stride[d], y};
        axis *inner = &axes[rank - 1];
        y *= next.extent;
        if (next.extent == 1) {
            continue;
        }
        if (rank == 1 && inner->extent == 1 && next.a <= 1 && next.b <= 1) {
            *inner = next;
        } else if (next.a == inner->a * inner->extent && next.b == inner->b * inner->extent) {
            inner->extent *= next.extent;
        } else {
            axes[rank++] = next;
        }
    }
    *row = axes[0];
    outer->rank = rank - 1;
    for (int d = 0; d < outer->rank; d++) {
        outer->axes[d] = axes[outer->rank - d];
    }
}

static inline int64_t space_size(const space *s) {
    int64_t size = 1;
    for (int d = 0; d < s->rank; d++) {
        size *= s->axes[d].extent;
    }
    return size;
}

/* A place in a space, which moves in row-major order. */
typedef struct cursor {
    int64_t a;
    int64_t b;
    int64_t y;
    int64_t index[PAN_MAX_RANK];
} cursor;

static inline cursor cursor_at(const space *s, int64_t position) {
    cursor at = {0};
    for (int d = s->rank - 1; d >= 0; d--) {
        const axis *axis = &s->axes[d];
        at.index[d] = position % axis->extent;
        position /= axis->extent;
        at.a += at.index[d] * axis->a;
        at.b += at.index[d] * axis->b;
        at.y += at.index[d] * axis->y;
    }
    return at;
}

static inline void cursor_advance(const space *s, cursor *at) {
    for (int d = s->rank - 1; d >= 0; d--) {
        const axis *axis = &s->axes[d];
        at->a += axis->a;
        at->b += axis->b;
        at->y += axis->y;
        if (++at->index[d] < axis->extent) {
            return;
        }
        at->index[d] = 0;
        at->a -= axis->extent * axis->a;
        at->b -= axis->extent * axis->b;
        at->y -= axis->extent * axis->y;
    }
}

/* Elements [i, i + count) of an operand's row, whose distance is 0 or 1. */
static inline vf load_operand(const float *row, int64_t distance, int64_t i, int64_t count) {
    return distance == 0 ? vf_splat(*row) : vf_load_first(row + i, count);
}

#endif
