/* Several threads, each with a stream of its own on one device, get the results that one thread gets alone. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

enum { THREADS = 4, ROUNDS = 3, VARIANT = 12 };

typedef struct user {
    target target; /* the shared device with this thread's stream */
    call **calls;
    outcome *expected;
    int count;
} user;

static bool same_outcome(const call *call, const outcome *a, const outcome *b) {
    bool same = a->status == PAN_OK && b->status == PAN_OK;
    for (int v = 0; v < call->view_count; v++) {
        if (a->bytes[v] != NULL) {
            same &= memcmp(a->bytes[v], b->bytes[v], (size_t) view_count(&call->views[v]) * 4) == 0;
        }
    }
    return same;
}

static void *use_stream(void *context) {
    user *user = context;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < user->count; i++) {
            outcome result = run_call(&user->target, user->calls[i], (run_options){0});
            CHECK(same_outcome(user->calls[i], &result, &user->expected[i]), "%s, %s: other bits beside other threads",
                  user->calls[i]->op->op, user->target.name);
            free_outcome(&result);
        }
    }
    return NULL;
}

typedef struct calls {
    const target *reference;
    call **calls;
    int count;
} calls;

static void count_case(const op_case *op, void *context) {
    (void) op;
    ++*(size_t *) context;
}

static void add_call(const op_case *op, void *context) {
    calls *calls = context;
    calls->calls[calls->count++] = prepare_call(op, VARIANT, calls->reference, false);
}

int main(void) {
    target reference = open_target(PAN_BACKEND_REFERENCE_F64, PAN_ISA_BEST, 1);
    target shared = tests_cuda_alone() ? open_target(PAN_BACKEND_CUDA, PAN_ISA_BEST, 0)
                                       : open_target(PAN_BACKEND_CPU, PAN_ISA_BEST, 3);
    size_t cases = 0;
    for_each_case(count_case, &cases);
    calls calls = {.reference = &reference, .calls = calloc(cases, sizeof *calls.calls)};
    outcome *expected = calloc(cases, sizeof *expected);
    if (calls.calls == NULL || expected == NULL) {
        abort();
    }
    for_each_case(add_call, &calls);
    for (int i = 0; i < calls.count; i++) {
        expected[i] = run_call(&shared, calls.calls[i], (run_options){0});
    }
    user users[THREADS];
    pthread_t threads[THREADS];
    for (int t = 0; t < THREADS; t++) {
        users[t] = (user){.target = shared, .calls = calls.calls, .expected = expected, .count = calls.count};
        CHECK_OK(pan_stream_create(shared.device, &users[t].target.stream));
        remember_stream(users[t].target.stream, shared.device);
        CHECK(pthread_create(&threads[t], NULL, use_stream, &users[t]) == 0, "cannot start a thread");
    }
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
        forget_stream(users[t].target.stream);
        CHECK_OK(pan_stream_destroy(users[t].target.stream));
    }
    for (int i = 0; i < calls.count; i++) {
        free_outcome(&expected[i]);
        free_call(calls.calls[i]);
    }
    free(calls.calls);
    free(expected);
    close_target(&shared);
    close_target(&reference);
    return report();
}
