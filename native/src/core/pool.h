/* The worker threads of a device. */
#ifndef PAN_CORE_POOL_H
#define PAN_CORE_POOL_H

#include <stdint.h>

typedef struct pan_pool pan_pool;

/* Work on tile `task`. `worker` in [0, threads) is different for tiles that run at the same time: it may choose scratch
 * memory, and must not influence results. */
typedef void pan_task(void *context, int64_t task, int32_t worker);

/* A pool of `threads` >= 1, the caller's included; NULL if threads cannot be started. */
pan_pool *pan_pool_create(int32_t threads);
void pan_pool_destroy(pan_pool *pool);
int32_t pan_pool_threads(const pan_pool *pool);

/* Runs tasks 0 .. count-1 and returns when all are done. Which thread runs a task is left to chance, so a task's result
 * must depend on its number alone. While another thread's tasks occupy the pool the caller runs its own by itself. */
void pan_parallel(pan_pool *pool, int64_t count, pan_task *task, void *context);

#endif
