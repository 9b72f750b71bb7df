/* Every backward op of the f64 reference against its forward op: single derivatives by finite differences, and the
 * adjoint identity <J v, w> = <v, J^T w> along a random direction through all inputs at once. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cases.h"

enum { MOST_SAMPLES = 12 };
static const double WORK_BUDGET = 1e6;   /* multiply-adds spent on the samples of one gradient */
static const double ELEMENT_WORK = 30.0; /* what running a call costs for each element of its arrays */
static const double STEP = 1e-3;

/* Truncation is of order STEP^4, rounding of 1e-16 / STEP. */
static const double TOLERANCE = 2e-8;

typedef struct pair {
    const target *reference;
    call *forward;
    call *backward;
    outcome gradients;
} pair;

/* The cotangent of a forward output, or NULL. */
static const view *cotangent(const pair *pair, int forward_view) {
    for (int v = 0; v < pair->backward->view_count; v++) {
        const view *view = &pair->backward->views[v];
        if (view->relation == COTANGENT_OF && view->forward_view == forward_view && view->present) {
            return view;
        }
    }
    return NULL;
}

/* <w, y> over all outputs y with a cotangent w; an infinite one is constant. */
static double loss(const pair *pair) {
    outcome result = run_call(pair->reference, pair->forward, (run_options){0});
    CHECK(result.status == PAN_OK, "%s: %s", pair->forward->op->op, pan_last_error());
    double sum = 0.0;
    for (int v = 0; v < pair->forward->view_count; v++) {
        const view *weights = result.values[v] == NULL ? NULL : cotangent(pair, v);
        for (int64_t i = 0; weights != NULL && i < view_count(weights); i++) {
            const double value = isinf(result.values[v][i]) ? 0.0 : result.values[v][i];
            sum += pair->backward->blocks[weights->block].values[view_element(weights, i)] * value;
        }
    }
    free_outcome(&result);
    return sum;
}

/* The gradient that backward gave for element `index`, without what the array held before. */
static double gradient(const pair *pair, int view_index, int64_t index) {
    const view *view = &pair->backward->views[view_index];
    double before = view->role == ADDED ? pair->backward->blocks[view->block].values[view_element(view, index)] : 0.0;
    return pair->gradients.values[view_index][index] - before;
}

/* The input whose gradient a backward view holds, or NULL. */
static const view *differentiated(const pair *pair, int view_index) {
    const view *view = &pair->backward->views[view_index];
    if (view->relation != GRADIENT_OF || !view->present || !pair->forward->views[view->forward_view].present) {
        return NULL;
    }
    return &pair->forward->views[view->forward_view];
}

/* Moves every input to where it was, plus distance * direction. */
static void move(pair *pair, double *const *direction, double distance) {
    for (int b = 0; b < pair->forward->block_count; b++) {
        block *block = &pair->forward->blocks[b];
        for (int64_t i = 0; direction[b] != NULL && i < block->count; i++) {
            block->values[i] = direction[b][block->count + i] + distance * direction[b][i];
        }
    }
}

/* d/de of the loss where every input is moved by e * direction, by a central difference of fourth order. */
static double derivative(pair *pair, double *const *direction) {
    static const double step[] = {-2.0, -1.0, 1.0, 2.0}, weight[] = {1.0, -8.0, 8.0, -1.0};
    double sum = 0.0;
    for (int s = 0; s < COUNT(step); s++) {
        move(pair, direction, step[s] * STEP);
        sum += weight[s] * loss(pair);
    }
    move(pair, direction, 0.0);
    return sum / (12.0 * STEP);
}

/* A direction through a block, followed by the block's values. */
static double *new_direction(const block *block) {
    double *direction = allocate(2 * block->count, sizeof(double));
    memcpy(direction + block->count, block->values, (size_t) block->count * sizeof(double));
    return direction;
}

static void free_directions(double **direction) {
    for (int b = 0; b < MAX_VIEWS; b++) {
        free(direction[b]);
        direction[b] = NULL;
    }
}

/* How many elements of an array are checked: all if there are few, few if the call is dear. */
static int64_t sample_count(const call *forward, int64_t count) {
    double work = forward->work + 1.0;
    for (int b = 0; b < forward->block_count; b++) {
        work += ELEMENT_WORK * (double) forward->blocks[b].count;
    }
    int64_t samples = (int64_t) fmin(MOST_SAMPLES, fmax(1.0, WORK_BUDGET / work));
    return samples < count ? samples : count;
}

static void check_elements(pair *pair, int view_index) {
    const view *input = differentiated(pair, view_index);
    int64_t count = view_count(input);
    int64_t samples = sample_count(pair->forward, count);
    double largest = 0.0;
    for (int64_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs(gradient(pair, view_index, i)));
    }
    double *direction[MAX_VIEWS] = {0};
    direction[input->block] = new_direction(&pair->forward->blocks[input->block]);
    for (int64_t s = 0; s < samples; s++) {
        int64_t index = samples == count ? s : (int64_t) (next_bits(&pair->forward->random) % (uint64_t) count);
        direction[input->block][view_element(input, index)] = 1.0;
        double expected = derivative(pair, direction);
        direction[input->block][view_element(input, index)] = 0.0;
        double error = fabs(gradient(pair, view_index, index) - expected) / fmax(largest, 1e-3);
        CHECK(error <= TOLERANCE, "%s, variant %d: %s[%lld] is %.10g; finite differences give %.10g (error %.3g)",
              pair->backward->op->op, pair->backward->variant, pair->backward->views[view_index].name,
              (long long) index, gradient(pair, view_index, index), expected, error);
    }
    free_directions(direction);
}

/* <w, J v> by a finite difference along v against <J^T w, v> by backward. */
static void check_adjoint(pair *pair) {
    double *direction[MAX_VIEWS] = {0};
    double product = 0.0, magnitude = 0.0;
    int inputs = 0;
    for (int v = 0; v < pair->backward->view_count; v++) {
        const view *input = differentiated(pair, v);
        if (input == NULL) {
            continue;
        }
        inputs++;
        if (direction[input->block] == NULL) {
            direction[input->block] = new_direction(&pair->forward->blocks[input->block]);
        }
        for (int64_t i = 0; i < view_count(input); i++) {
            double along = next_normal(&pair->forward->random);
            direction[input->block][view_element(input, i)] = along;
            product += along * gradient(pair, v, i);
            magnitude += fabs(along * gradient(pair, v, i));
        }
    }
    double expected = inputs == 0 ? 0.0 : derivative(pair, direction);
    double error = fabs(product - expected) / fmax(magnitude, 1e-3);
    CHECK(error <= TOLERANCE, "%s, variant %d: <v, J^T w> is %.12g but <J v, w> %.12g (error %.3g)",
          pair->backward->op->op, pair->backward->variant, product, expected, error);
    free_directions(direction);
}

static void check_variant(const target *reference, const op_case *op, int variant) {
    pair pair = {.reference = reference,
                 .forward = prepare_call(op->forward, variant, reference, true),
                 .backward = prepare_call(op, variant, reference, true)};
    pair.gradients = run_call(reference, pair.backward, (run_options){0});
    if (CHECK(pair.gradients.status == PAN_OK, "%s: %s", op->op, pan_last_error())) {
        for (int v = 0; v < pair.backward->view_count; v++) {
            if (differentiated(&pair, v) != NULL) {
                check_elements(&pair, v);
            }
        }
        check_adjoint(&pair);
    }
    free_outcome(&pair.gradients);
    free_call(pair.backward);
    free_call(pair.forward);
}

typedef struct session {
    target reference;
    const char *only; /* an op's name given on the command line */
} session;

static void check_case(const op_case *op, void *context) {
    session *session = context;
    clock_t start = clock();
    if (op->forward == NULL || (session->only != NULL && strcmp(session->only, op->op) != 0)) {
        return;
    }
    for (int variant = 0; variant < op->variants; variant++) {
        check_variant(&session->reference, op, variant);
    }
    printf("%-26s %6.2f s\n", op->op, (double) (clock() - start) / CLOCKS_PER_SEC);
}

int main(int argc, char **argv) {
    session session = {.reference = open_target(PAN_BACKEND_REFERENCE_F64, PAN_ISA_BEST, 1),
                       .only = argc > 1 ? argv[1] : NULL};
    for_each_case(check_case, &session);
    check_case(&DROPOUT_ADJOINT, &session);
    check_case(&CUMULATIVE_SUM_ADJOINT, &session);
    check_case(&ROTARY_ADJOINT, &session);
    close_target(&session.reference);
    return report();
}
