/* Which positions are among the k largest up to their own. The k largest so far are kept in a heap whose root is the
 * smallest of them, which a score must exceed; the others in a second one, if k grows, whose root is the next to join
 * them. A score below the k largest costs a comparison and, in a second heap, a constant number of steps on average. */
#include <math.h>

#include "tile.h"

/* Positions that are worth a task. */
enum { TASK_POSITIONS = 4096 };

typedef struct top_k_job {
    const pan_causal_top_k_desc *desc;
    int64_t task_sequences;
    const float *score;
    float *chosen;
    char *workspace;
    int64_t worker_bytes;
} top_k_job;

/* A binary heap: entry i is at most its children 2 i + 1 and 2 i + 2. */
typedef struct heap {
    float *entry;
    int64_t count;
} heap;

static void heap_push(heap *heap, float value) {
    int64_t i = heap->count++;
    while (i > 0 && heap->entry[(i - 1) / 2] > value) {
        heap->entry[i] = heap->entry[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap->entry[i] = value;
}

/* Puts a value in the place of the smallest one. */
static void heap_replace(heap *heap, float value) {
    int64_t i = 0;
    for (int64_t child = 1; child < heap->count; child = 2 * i + 1) {
        if (child + 1 < heap->count && heap->entry[child + 1] < heap->entry[child]) {
            child++;
        }
        if (heap->entry[child] >= value) {
            break;
        }
        heap->entry[i] = heap->entry[child];
        i = child;
    }
    heap->entry[i] = value;
}

static float heap_pop(heap *heap) {
    const float smallest = heap->entry[0];
    heap->count--;
    if (heap->count > 0) {
        heap_replace(heap, heap->entry[heap->count]);
    }
    return smallest;
}

/* Numbers and +Inf can be chosen and count for others. */
static void choose(const pan_causal_top_k_desc *desc, const float *score, float *chosen, heap top, heap others) {
    const bool grows = desc->k == 0;
    int64_t k = grows ? 1 : desc->k;
    for (int64_t t = 0; t < desc->length; t++) {
        k += grows && k * k < t + 1; /* ceil(sqrt(t + 1)) */
        const float x = score[t];
        if (top.count < k && others.count > 0) {
            heap_push(&top, -heap_pop(&others));
        }
        const bool counts = x > -INFINITY;
        const bool joins = counts && (top.count < k || x > top.entry[0]);
        chosen[t] = joins ? 1.0f : 0.0f;
        float other = x; /* which does not belong to the k largest */
        if (joins && top.count < k) {
            heap_push(&top, x);
            continue;
        }
        if (joins) {
            other = top.entry[0];
            heap_replace(&top, x);
        }
        if (grows && counts) {
            heap_push(&others, -other);
        }
    }
}

static int64_t heap_bytes(const pan_causal_top_k_desc *desc) {
    return align_up(desc->length * (int64_t) sizeof(float));
}

static void top_k_task(void *context, int64_t task, int32_t worker) {
    const top_k_job *job = context;
    const pan_causal_top_k_desc *desc = job->desc;
    char *memory = job->workspace + worker * job->worker_bytes;
    const heap top = {.entry = (float *) memory}, others = {.entry = (float *) (memory + heap_bytes(desc))};
    const tile_range sequences = tile_at(task, job->task_sequences, desc->batch);
    for (int64_t b = sequences.begin; b < sequences.end; b++) {
        choose(desc, job->score + b * desc->length, job->chosen + b * desc->length, top, others);
    }
}

pan_status PAN_BODY(causal_top_k_workspace_size)(pan_stream *stream, const pan_causal_top_k_desc *desc,
                                                 int64_t *bytes) {
    *bytes = pan_pool_threads(stream->device->pool) * 2 * heap_bytes(desc);
    return PAN_OK;
}

pan_status PAN_BODY(causal_top_k)(pan_stream *stream, const pan_causal_top_k_desc *desc, const void *score,
                                  void *chosen, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    top_k_job job = {.desc = desc,
                     .task_sequences = ceil_div(TASK_POSITIONS, desc->length),
                     .score = score,
                     .chosen = chosen,
                     .workspace = workspace,
                     .worker_bytes = 2 * heap_bytes(desc)};
    pan_parallel(stream->device->pool, ceil_div(desc->batch, job.task_sequences), top_k_task, &job);
    return PAN_OK;
}
