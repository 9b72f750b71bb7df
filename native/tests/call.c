#include "call.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int add_block(call *call, element element, int64_t count) {
    block *added = &call->blocks[call->block_count];
    *added = (block){.element = element, .count = count, .values = allocate(count, sizeof(double))};
    return call->block_count++;
}

static bool is_dense(const view *view) {
    int64_t extent = 1;
    for (int d = MAX_DIMENSIONS - 1; d >= 0; d--) {
        if (view->size[d] != 1 && view->stride[d] != extent) {
            return false;
        }
        extent *= view->size[d];
    }
    return true;
}

int add_window(call *call, const char *name, role role, int block, int64_t offset, int rank, const int64_t *size,
               const int64_t *stride) {
    view *added = &call->views[call->view_count];
    *added = (view){.name = name, .role = role, .present = true, .block = block, .offset = offset};
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        int given = d - (MAX_DIMENSIONS - rank);
        added->size[d] = given < 0 ? 1 : size[given];
        added->stride[d] = given < 0 ? 0 : stride[given];
    }
    added->dense = is_dense(added);
    if (role != OUTPUT && call->blocks[block].element == REAL) {
        for (int64_t i = 0; i < view_count(added); i++) {
            call->blocks[block].values[view_element(added, i)] = next_normal(&call->random);
        }
    }
    return call->view_count++;
}

int add_rows(call *call, const char *name, role role, int64_t rows, int64_t columns, int64_t stride) {
    int block = add_block(call, REAL, (rows - 1) * stride + columns);
    return add_window(call, name, role, block, 0, 2, (int64_t[]){rows, columns}, (int64_t[]){stride, 1});
}

int add_vector(call *call, const char *name, role role, int64_t count) {
    return add_rows(call, name, role, 1, count, count);
}

int add_integers(call *call, const char *name, role role, int64_t count, int64_t low, int64_t high) {
    int block = add_block(call, INTEGER, count);
    for (int64_t i = 0; i < count; i++) {
        call->blocks[block].values[i] = (double) (low + (int64_t) (next_bits(&call->random) % (uint64_t) (high - low)));
    }
    return add_window(call, name, role, block, 0, 1, &count, (int64_t[]){1});
}

int add_state(call *call, const char *name, const void *state, int64_t bytes) {
    int block = add_block(call, STATE, bytes / 8);
    memcpy(call->blocks[block].values, state, (size_t) bytes);
    return add_window(call, name, INPUT, block, 0, 1, (int64_t[]){bytes / 8}, (int64_t[]){1});
}

void make_optional(call *call, int view, bool present) {
    call->views[view].optional = true;
    call->views[view].present = present;
}

void relate(call *call, int view, relation relation, int forward_view) {
    call->views[view].relation = relation;
    call->views[view].forward_view = forward_view;
}

void scale_values(call *call, int view, double factor) {
    block *block = &call->blocks[call->views[view].block];
    for (int64_t i = 0; i < view_count(&call->views[view]); i++) {
        int64_t at = view_element(&call->views[view], i);
        block->values[at] = (float) (block->values[at] * factor);
    }
}

int64_t view_count(const view *view) {
    int64_t count = 1;
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        count *= view->size[d];
    }
    return count;
}

int64_t view_element(const view *view, int64_t index) {
    if (view->dense) {
        return view->offset + index;
    }
    int64_t element = view->offset;
    for (int d = MAX_DIMENSIONS - 1; d >= 0; d--) {
        element += index % view->size[d] * view->stride[d];
        index /= view->size[d];
    }
    return element;
}

/* Gives views that are VALUE_OF a view of the forward op its value there. */
static void take_forward_values(call *call, const target *reference, bool exact) {
    struct call *forward = prepare_call(call->op->forward, call->variant, reference, exact);
    outcome result = run_call(reference, forward, (run_options){0});
    CHECK(result.status == PAN_OK, "%s: %s", forward->op->op, pan_last_error());
    for (int i = 0; i < call->view_count; i++) {
        const view *mine = &call->views[i], *other = &forward->views[mine->forward_view];
        if (mine->relation != VALUE_OF) {
            continue;
        }
        for (int64_t k = 0; k < view_count(mine); k++) {
            double value = other->role == INPUT ? forward->blocks[other->block].values[view_element(other, k)]
                                                : result.values[mine->forward_view][k];
            bool integer = call->blocks[mine->block].element != REAL;
            call->blocks[mine->block].values[view_element(mine, k)] = exact || integer ? value : (float) value;
        }
    }
    free_outcome(&result);
    free_call(forward);
}

call *prepare_call(const op_case *op, int variant, const target *reference, bool exact) {
    call *prepared = allocate(1, sizeof *prepared);
    prepared->op = op;
    prepared->variant = variant;
    prepared->random.state = hash_text(op->title == NULL ? op->op : op->title) + (uint64_t) variant * 1000003;
    op->prepare(prepared, variant);
    if (op->forward != NULL) {
        take_forward_values(prepared, reference, exact);
    }
    return prepared;
}

void free_call(call *call) {
    for (int i = 0; i < call->block_count; i++) {
        free(call->blocks[i].values);
    }
    free(call);
}

double relative_error(const double *a, const double *b, int64_t count, double floor) {
    double difference = 0.0, largest = floor;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) {
            if (!(a[i] == b[i] || (isnan(a[i]) && isnan(b[i])))) {
                return INFINITY;
            }
            continue;
        }
        difference = fmax(difference, fabs(a[i] - b[i]));
        largest = fmax(largest, fabs(b[i]));
    }
    return difference == 0.0 ? 0.0 : difference / largest;
}

double largest_value(const call *call, int view) {
    double largest = 0.0;
    for (int64_t i = 0; i < view_count(&call->views[view]); i++) {
        int64_t element = view_element(&call->views[view], i);
        largest = fmax(largest, fabs(call->blocks[call->views[view].block].values[element]));
    }
    return largest;
}
