/* Every op of the table, on every backend of this machine, over ragged sizes: values against the f64 reference, memory
 * that must not change, repeatability over runs and thread counts, and the aliasing that the header allows. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cases.h"

typedef struct session {
    target reference;
    target targets[MAX_TARGETS];
    int target_count;
    const char *only; /* an op's name given on the command line */
} session;

static void check_values(const target *target, const call *call, const outcome *result, const outcome *expected) {
    for (int v = 0; v < call->view_count; v++) {
        const view *view = &call->views[v];
        if (result->values[v] == NULL) {
            continue;
        }
        double floor = call->op->cancelling == NULL ? 0.0 : call->op->cancelling(call, v);
        double error = relative_error(result->values[v], expected->values[v], view_count(view), floor);
        double tolerance = call->blocks[view->block].element == INTEGER ? 0.0 : call->op->tolerance;
        CHECK(error <= tolerance, "%s, variant %d, %s: relative error of %s is %.3g, over %.3g", call->op->op,
              call->variant, target->name, view->name, error, tolerance);
    }
}

static void check_same_bits(const target *target, const call *call, const outcome *a, const outcome *b,
                            const char *what) {
    for (int v = 0; v < call->view_count; v++) {
        const view *view = &call->views[v];
        if (a->bytes[v] == NULL || b->bytes[v] == NULL) {
            continue;
        }
        int64_t width = call->blocks[view->block].element == INTEGER ? 4 : target->real_bytes;
        CHECK(memcmp(a->bytes[v], b->bytes[v], (size_t) (view_count(view) * width)) == 0,
              "%s, variant %d, %s: other bits of %s %s", call->op->op, call->variant, target->name, view->name, what);
    }
}

static bool same_layout(const view *a, const view *b) {
    return a->present && b->present && memcmp(a->size, b->size, sizeof a->size) == 0 &&
           memcmp(a->stride, b->stride, sizeof a->stride) == 0;
}

static void check_aliases(const target *target, const call *call, int64_t shift, const outcome *plain) {
    for (int i = 0; i < COUNT(call->op->aliases); i++) {
        int output = call->op->aliases[i].output, input = call->op->aliases[i].input;
        if (output == input) {
            return;
        }
        if (!same_layout(&call->views[output], &call->views[input])) {
            continue;
        }
        outcome aliased =
            run_call(target, call, (run_options){.shift = shift, .alias_output = output, .alias_input = input});
        CHECK(aliased.status == PAN_OK, "%s: %s in place of %s: %s", call->op->op, call->views[output].name,
              call->views[input].name, pan_last_error());
        check_same_bits(target, call, &aliased, plain, "in place");
        free_outcome(&aliased);
    }
}

/* Runs a call on all targets. */
static void check_call(session *session, const call *call) {
    outcome expected = run_call(&session->reference, call, (run_options){0});
    CHECK(expected.status == PAN_OK, "%s: %s", call->op->op, pan_last_error());
    outcome of_tier = {0};
    pan_isa tier = PAN_ISA_BEST;
    for (int t = 0; t < session->target_count; t++) {
        const target *target = &session->targets[t];
        run_options options = {.shift = call->variant % 2};
        outcome first = run_call(target, call, options);
        if (!CHECK(first.status == PAN_OK, "%s, variant %d, %s: %s", call->op->op, call->variant, target->name,
                   pan_last_error())) {
            free_outcome(&first);
            continue;
        }
        check_values(target, call, &first, &expected);
        outcome second = run_call(target, call, options);
        check_same_bits(target, call, &second, &first, "in a second run");
        free_outcome(&second);
        check_aliases(target, call, options.shift, &first);
        if (target->options.isa == PAN_ISA_BEST || target->options.isa != tier) {
            free_outcome(&of_tier);
            of_tier = first;
            tier = target->options.isa;
        } else {
            check_same_bits(target, call, &first, &of_tier, "than with one thread");
            free_outcome(&first);
        }
    }
    free_outcome(&of_tier);
    free_outcome(&expected);
}

static void check_case(const op_case *op, void *context) {
    session *session = context;
    if (session->only != NULL && strcmp(session->only, op->op) != 0) {
        return;
    }
    clock_t start = clock();
    for (int variant = 0; variant < op->variants; variant++) {
        call *call = prepare_call(op, variant, &session->reference, false);
        check_call(session, call);
        free_call(call);
    }
    printf("%-26s %3d variants  %6.2f s\n", op->op, op->variants, (double) (clock() - start) / CLOCKS_PER_SEC);
    fflush(stdout);
}

static void mark_op(const op_case *op, void *context) {
    bool *covered = context;
    for (int32_t i = 0; i < pan_op_count(); i++) {
        covered[i] |= strcmp(pan_op_name(i), op->op) == 0;
        covered[i] |= op->also != NULL && strcmp(pan_op_name(i), op->also) == 0;
    }
}

/* An op without a case is a failure, and so is an op that a backend lacks; CUDA's, where it can be opened. */
static void check_coverage(void) {
    const bool cuda = pan_backend_status(PAN_BACKEND_CUDA) == PAN_OK;
    bool *covered = allocate(pan_op_count(), sizeof *covered);
    for_each_case(mark_op, covered);
    for (int32_t i = 0; i < pan_op_count(); i++) {
        CHECK(covered[i], "op %s has no test case", pan_op_name(i));
        CHECK(pan_op_supported(PAN_BACKEND_CPU, i), "the CPU backend lacks %s", pan_op_name(i));
        CHECK(!cuda || pan_op_supported(PAN_BACKEND_CUDA, i), "the CUDA backend lacks %s", pan_op_name(i));
        CHECK(pan_op_supported(PAN_BACKEND_REFERENCE, i), "the reference lacks %s", pan_op_name(i));
        CHECK(pan_op_supported(PAN_BACKEND_REFERENCE_F64, i), "the f64 reference lacks %s", pan_op_name(i));
    }
    free(covered);
}

int main(int argc, char **argv) {
    session session = {.only = argc > 1 ? argv[1] : NULL};
    check_coverage();
    session.reference = open_target(PAN_BACKEND_REFERENCE_F64, PAN_ISA_BEST, 1);
    session.target_count = open_targets(session.targets);
    for_each_case(check_case, &session);
    close_targets(session.targets, session.target_count);
    close_target(&session.reference);
    return report();
}
