#include "pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "gemm.h"

/* How often a worker looks for the next job before it sleeps: some 200 microseconds, about what the parts of a step take
 * that are for one thread. Waking it costs a quarter of that, and while it wakes it does nothing. */
enum { SPIN_COUNT = 10000 };

/* The parts of a pool's state: how many workers are at the job, whether more may join, and which job it is. */
enum { JOB_ACTIVE = 0x7fff, JOB_OPEN = 0x8000, JOB_NUMBER_SHIFT = 16 };

struct pan_pool {
    int32_t threads;
    pthread_t *workers;    /* threads - 1 */
    pthread_mutex_t owner; /* held while a caller's tasks run */

    pthread_mutex_t mutex; /* guards sleeping and waking */
    pthread_cond_t wake;
    pthread_cond_t done;
    _Atomic uint64_t state; /* of the current job */
    _Atomic bool closing;

    pan_task *task;
    void *context;
    int64_t count;
    _Atomic int64_t next;
};

typedef struct worker_start {
    pan_pool *pool;
    int32_t worker;
} worker_start;

static inline void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void run_tasks(pan_pool *pool, int32_t worker) {
    for (;;) {
        int64_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (task >= pool->count) {
            return;
        }
        pool->task(pool->context, task, worker);
    }
}

static uint64_t job_number(uint64_t state) {
    return state >> JOB_NUMBER_SHIFT;
}

/* Returns the state once it is that of another job than `seen`. */
static uint64_t wait_for_job(pan_pool *pool, uint64_t seen) {
    for (int i = 0; i < SPIN_COUNT; i++) {
        uint64_t state = atomic_load_explicit(&pool->state, memory_order_acquire);
        if (job_number(state) != seen) {
            return state;
        }
        pause_briefly();
    }
    pthread_mutex_lock(&pool->mutex);
    uint64_t state;
    while (job_number(state = atomic_load_explicit(&pool->state, memory_order_acquire)) == seen) {
        pthread_cond_wait(&pool->wake, &pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return state;
}

/* A worker that comes late finds the job closed, and the caller has not waited for it. */
static bool join_job(pan_pool *pool, uint64_t state) {
    const uint64_t number = job_number(state);
    while ((state & JOB_OPEN) != 0 && job_number(state) == number) {
        if (atomic_compare_exchange_weak_explicit(&pool->state, &state, state + 1, memory_order_acq_rel,
                                                  memory_order_acquire)) {
            return true;
        }
    }
    return false;
}

static void leave_job(pan_pool *pool) {
    const uint64_t left = atomic_fetch_sub_explicit(&pool->state, 1, memory_order_acq_rel) - 1;
    if ((left & (JOB_OPEN | JOB_ACTIVE)) == 0) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_signal(&pool->done);
        pthread_mutex_unlock(&pool->mutex);
    }
}

static void *work(void *argument) {
    worker_start start = *(worker_start *) argument;
    free(argument);
    pan_pool *pool = start.pool;
    pan_gemm_enter_worker();
    uint64_t seen = 0;
    for (;;) {
        const uint64_t state = wait_for_job(pool, seen);
        if (atomic_load_explicit(&pool->closing, memory_order_acquire)) {
            return NULL;
        }
        seen = job_number(state);
        if (join_job(pool, state)) {
            run_tasks(pool, start.worker);
            leave_job(pool);
        }
    }
}

/* Publishes a job: what was written before is visible to every worker that joins it. */
static void announce(pan_pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    const uint64_t last = atomic_load_explicit(&pool->state, memory_order_relaxed);
    atomic_store_explicit(&pool->state, ((job_number(last) + 1) << JOB_NUMBER_SHIFT) | JOB_OPEN, memory_order_release);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

static void join_workers(pan_pool *pool, int32_t started) {
    atomic_store_explicit(&pool->closing, true, memory_order_release);
    announce(pool);
    for (int32_t i = 0; i < started; i++) {
        pthread_join(pool->workers[i], NULL);
    }
}

static void release(pan_pool *pool) {
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    pthread_mutex_destroy(&pool->owner);
    free(pool->workers);
    free(pool);
}

static bool start_worker(pan_pool *pool, int32_t index) {
    worker_start *start = malloc(sizeof *start);
    if (start == NULL) {
        return false;
    }
    *start = (worker_start){.pool = pool, .worker = index + 1};
    if (pthread_create(&pool->workers[index], NULL, work, start) != 0) {
        free(start);
        return false;
    }
    return true;
}

pan_pool *pan_pool_create(int32_t threads) {
    pan_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return NULL;
    }
    pool->threads = threads;
    pool->workers = calloc((size_t) threads, sizeof *pool->workers);
    pthread_mutex_init(&pool->owner, NULL);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    if (pool->workers == NULL) {
        release(pool);
        return NULL;
    }
    for (int32_t i = 0; i < threads - 1; i++) {
        if (!start_worker(pool, i)) {
            join_workers(pool, i);
            release(pool);
            return NULL;
        }
    }
    return pool;
}

void pan_pool_destroy(pan_pool *pool) {
    join_workers(pool, pool->threads - 1);
    release(pool);
}

int32_t pan_pool_threads(const pan_pool *pool) {
    return pool->threads;
}

static bool is_done(pan_pool *pool) {
    return (atomic_load_explicit(&pool->state, memory_order_acquire) & JOB_ACTIVE) == 0;
}

/* No task is left to be taken: nobody may join any more, and those who have finish theirs. */
static void close_job(pan_pool *pool) {
    atomic_fetch_and_explicit(&pool->state, ~(uint64_t) JOB_OPEN, memory_order_acq_rel);
    for (int i = 0; i < SPIN_COUNT; i++) {
        if (is_done(pool)) {
            return;
        }
        pause_briefly();
    }
    pthread_mutex_lock(&pool->mutex);
    while (!is_done(pool)) {
        pthread_cond_wait(&pool->done, &pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
}

void pan_parallel(pan_pool *pool, int64_t count, pan_task *task, void *context) {
    int32_t gemm_threads = pan_gemm_enter_caller();
    if (count == 1 || pool->threads == 1 || pthread_mutex_trylock(&pool->owner) != 0) {
        for (int64_t i = 0; i < count; i++) {
            task(context, i, 0);
        }
    } else {
        pool->task = task;
        pool->context = context;
        pool->count = count;
        atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
        announce(pool);
        run_tasks(pool, 0);
        close_job(pool);
        pthread_mutex_unlock(&pool->owner);
    }
    pan_gemm_leave_caller(gemm_threads);
}
