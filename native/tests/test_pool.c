/* The worker pool: every task runs exactly once, whoever calls from where, and pools come and go. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "../src/core/gemm.h"
#include "../src/core/pool.h"
#include "harness.h"

/* What the pool asks of the GEMM library, recorded. */
static _Atomic int workers_entered, callers_inside;

void pan_gemm_enter_worker(void) {
    atomic_fetch_add(&workers_entered, 1);
}

int32_t pan_gemm_enter_caller(void) {
    atomic_fetch_add(&callers_inside, 1);
    return 5;
}

void pan_gemm_leave_caller(int32_t threads) {
    CHECK(threads == 5, "the caller gets back %d GEMM threads, not its 5", threads);
    atomic_fetch_sub(&callers_inside, 1);
}

enum { MOST_TASKS = 3000, MOST_THREADS = 8 };

typedef struct job {
    pan_pool *pool;
    int32_t threads;
    _Atomic int runs[MOST_TASKS];
    _Atomic int busy[MOST_THREADS]; /* tasks running as this worker */
    _Atomic int wrong_worker;
    int64_t results[MOST_TASKS]; /* plain memory: the pool must order it */
} job;

static void run_task(void *context, int64_t task, int32_t worker) {
    job *job = context;
    if (worker < 0 || worker >= job->threads || atomic_fetch_add(&job->busy[worker], 1) != 0) {
        atomic_fetch_add(&job->wrong_worker, 1);
    }
    atomic_fetch_add(&job->runs[task], 1);
    job->results[task] = task * task + 1;
    atomic_fetch_sub(&job->busy[worker], 1);
}

static void check_job(job *job, int64_t count) {
    pan_parallel(job->pool, count, run_task, job);
    int64_t wrong = 0;
    for (int64_t i = 0; i < MOST_TASKS; i++) {
        int expected = i < count;
        wrong += atomic_exchange(&job->runs[i], 0) != expected || job->results[i] != (i * i + 1) * expected;
        job->results[i] = 0;
    }
    CHECK(wrong == 0, "%d threads, %lld tasks: %lld did not run exactly once", job->threads, (long long) count,
          (long long) wrong);
    CHECK(job->wrong_worker == 0, "%d threads: two tasks ran at the same time as one worker", job->threads);
}

static job *new_job(pan_pool *pool, int32_t threads) {
    job *made = allocate(1, sizeof *made);
    made->pool = pool;
    made->threads = threads;
    return made;
}

static void check_counts(int32_t threads) {
    static const int64_t counts[] = {0, 1, 2, 3, 7, 8, 9, 100, MOST_TASKS};
    pan_pool *pool = pan_pool_create(threads);
    CHECK(pan_pool_threads(pool) == threads, "a pool of %d says it has %d", threads, pan_pool_threads(pool));
    job *job = new_job(pool, threads);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < COUNT(counts); i++) {
            check_job(job, counts[i]);
        }
    }
    free(job);
    pan_pool_destroy(pool);
}

/* Many short jobs in a row: no worker may miss one or run one twice. */
static void check_short_jobs(void) {
    pan_pool *pool = pan_pool_create(4);
    job *job = new_job(pool, 4);
    _Atomic int *runs = job->runs;
    for (int round = 0; round < 5000; round++) {
        pan_parallel(pool, 5, run_task, job);
    }
    for (int i = 0; i < 5; i++) {
        CHECK(runs[i] == 5000, "task %d ran %d times of 5000", i, runs[i]);
    }
    free(job);
    pan_pool_destroy(pool);
}

static void *call_repeatedly(void *context) {
    job *job = context;
    for (int round = 0; round < 200; round++) {
        check_job(job, 1 + round % 50);
    }
    return NULL;
}

/* Several threads call at once: each gets its own tasks done. */
static void check_concurrent_callers(void) {
    enum { CALLERS = 4 };
    pan_pool *pool = pan_pool_create(3);
    pthread_t callers[CALLERS];
    job *jobs[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        jobs[i] = new_job(pool, 3);
        CHECK(pthread_create(&callers[i], NULL, call_repeatedly, jobs[i]) == 0, "cannot start a caller");
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i], NULL);
        free(jobs[i]);
    }
    pan_pool_destroy(pool);
}

typedef struct nested {
    pan_pool *pool;
    _Atomic int64_t leaves;
} nested;

static void run_leaf(void *context, int64_t task, int32_t worker) {
    (void) worker;
    atomic_fetch_add(&((nested *) context)->leaves, task);
}

static void run_nested(void *context, int64_t task, int32_t worker) {
    (void) worker;
    nested *nested = context;
    pan_parallel(nested->pool, task + 1, run_leaf, context);
}

/* A task may itself start tasks: they run on its own thread. */
static void check_nested(void) {
    enum { OUTER = 40 };
    nested nested = {.pool = pan_pool_create(3)};
    pan_parallel(nested.pool, OUTER, run_nested, &nested);
    int64_t expected = 0;
    for (int64_t i = 0; i < OUTER; i++) {
        expected += i * (i + 1) / 2;
    }
    CHECK(nested.leaves == expected, "nested tasks gave %lld, not %lld", (long long) nested.leaves,
          (long long) expected);
    pan_pool_destroy(nested.pool);
}

static void check_open_and_close(void) {
    for (int i = 0; i < 200; i++) {
        int32_t threads = 1 + i % MOST_THREADS;
        int before = workers_entered;
        pan_pool *pool = pan_pool_create(threads);
        job *job = new_job(pool, threads);
        if (i % 3 != 0) { /* else closed before any job */
            check_job(job, i % 40);
        }
        free(job);
        pan_pool_destroy(pool);
        CHECK(workers_entered - before == threads - 1, "%d of %d workers told the GEMM library",
              workers_entered - before, threads - 1);
    }
}

int main(void) {
    for (int32_t threads = 1; threads <= MOST_THREADS; threads++) {
        check_counts(threads);
    }
    check_short_jobs();
    check_concurrent_callers();
    check_nested();
    check_open_and_close();
    CHECK(callers_inside == 0, "%d callers did not leave the GEMM library", callers_inside);
    return report();
}
