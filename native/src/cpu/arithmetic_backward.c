/* Element-by-element arithmetic with broadcasting: gradients.
 *
 * For one operand the dimensions fall in two spaces: `kept`, in which the operand has an entry each, and `summed`, over
 * which it was broadcast. A unit is one entry of `kept` and, if the last dimension is kept too, a block of its columns;
 * it sums over all of `summed` in row-major order, in double. */
#include "arithmetic.h"

/* Columns of a unit that sums: few, so that a bias of a narrow layer still makes several tasks. */
enum { SUM_COLUMNS = 32 };

typedef struct gradient_job {
    pan_arithmetic_kind kind;
    bool of_a; /* else of b */
    space kept;
    space summed;
    axis row;
    bool row_kept;
    int64_t summed_size;
    int64_t block;  /* columns of a unit */
    int64_t blocks; /* per entry of kept */
    int64_t units;
    int64_t task_units; /* of a task */
    const float *a;
    const float *b;
    const float *dy;
    float *gradient;
} gradient_job;

/* The derivative of y with respect to the operand times dy. What the formula lacks is not read. */
PAN_INLINE vf term(pan_arithmetic_kind kind, bool of_a, const gradient_job *job, const cursor *at, int64_t i,
                   int64_t lanes) {
    const vf dy = vf_load_first(job->dy + at->y + i, lanes);
    if (kind == PAN_ADD || (kind == PAN_SUBTRACT && of_a)) {
        return dy;
    }
    if (kind == PAN_SUBTRACT) {
        return -dy;
    }
    if (kind == PAN_MAXIMUM) {
        const vi a_is_it =
            load_operand(job->a + at->a, job->row.a, i, lanes) >= load_operand(job->b + at->b, job->row.b, i, lanes);
        return (vf) ((of_a ? a_is_it : ~a_is_it) & (vi) dy);
    }
    if (kind == PAN_MULTIPLY) {
        return dy * (of_a ? load_operand(job->b + at->b, job->row.b, i, lanes)
                          : load_operand(job->a + at->a, job->row.a, i, lanes));
    }
    const vf b = load_operand(job->b + at->b, job->row.b, i, lanes);
    const vf quotient = dy / b;
    return of_a ? quotient : -quotient * (load_operand(job->a + at->a, job->row.a, i, lanes) / b);
}

static inline cursor joined(const cursor *x, const cursor *y) {
    return (cursor){.a = x->a + y->a, .b = x->b + y->b, .y = x->y + y->y};
}

static inline float *target(const gradient_job *job, const cursor *at) {
    return job->gradient + (job->of_a ? at->a : at->b);
}

/* No sum: the operand was not broadcast. */
PAN_INLINE void write_columns(pan_arithmetic_kind kind, bool of_a, const gradient_job *job, const cursor *kept,
                              tile_range columns) {
    float *gradient = target(job, kept);
    for (int64_t i = columns.begin; i < columns.end; i += LANES) {
        const int64_t lanes = min_i64(LANES, columns.end - i);
        vf_store_first(gradient + i, term(kind, of_a, job, kept, i, lanes), lanes);
    }
}

/* One sum a column. */
PAN_INLINE void sum_columns(pan_arithmetic_kind kind, bool of_a, const gradient_job *job, const cursor *kept,
                            tile_range columns) {
    vd sum[SUM_COLUMNS / LANES] = {0};
    cursor step = cursor_at(&job->summed, 0);
    for (int64_t s = 0; s < job->summed_size; s++) {
        const cursor at = joined(kept, &step);
        for (int64_t i = columns.begin; i < columns.end; i += LANES) {
            vd *part = &sum[(i - columns.begin) / LANES];
            *part = vd_add(*part, vd_from_vf(term(kind, of_a, job, &at, i, min_i64(LANES, columns.end - i))));
        }
        cursor_advance(&job->summed, &step);
    }
    float *gradient = target(job, kept);
    for (int64_t i = columns.begin; i < columns.end; i += LANES) {
        vf_store_first(gradient + i, vf_from_vd(sum[(i - columns.begin) / LANES]), columns.end - i);
    }
}

/* One sum over whole rows. */
PAN_INLINE void sum_rows(pan_arithmetic_kind kind, bool of_a, const gradient_job *job, const cursor *kept) {
    vd sum = {0};
    cursor step = cursor_at(&job->summed, 0);
    for (int64_t s = 0; s < job->summed_size; s++) {
        const cursor at = joined(kept, &step);
        for (int64_t i = 0; i < job->row.extent; i += LANES) {
            const int64_t lanes = min_i64(LANES, job->row.extent - i);
            sum = vd_add(sum, vd_from_vf(vf_keep_first(term(kind, of_a, job, &at, i, lanes), lanes)));
        }
        cursor_advance(&job->summed, &step);
    }
    *target(job, kept) = (float) vd_sum(sum);
}

PAN_INLINE void gradient_units(pan_arithmetic_kind kind, bool of_a, const gradient_job *job, tile_range units) {
    for (int64_t unit = units.begin; unit < units.end; unit++) {
        const cursor kept = cursor_at(&job->kept, unit / job->blocks);
        const tile_range columns = tile_at(unit % job->blocks, job->block, job->row.extent);
        if (!job->row_kept) {
            sum_rows(kind, of_a, job, &kept);
        } else if (job->summed_size == 1) {
            write_columns(kind, of_a, job, &kept, columns);
        } else {
            sum_columns(kind, of_a, job, &kept, columns);
        }
    }
}

PAN_INLINE void gradient_of(bool of_a, const gradient_job *job, tile_range units) {
    switch (job->kind) {
    case PAN_SUBTRACT: gradient_units(PAN_SUBTRACT, of_a, job, units); break;
    case PAN_MULTIPLY: gradient_units(PAN_MULTIPLY, of_a, job, units); break;
    case PAN_DIVIDE: gradient_units(PAN_DIVIDE, of_a, job, units); break;
    case PAN_MAXIMUM: gradient_units(PAN_MAXIMUM, of_a, job, units); break;
    default: gradient_units(PAN_ADD, of_a, job, units); break;
    }
}

static void gradient_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const gradient_job *job = context;
    const tile_range units = tile_at(task, job->task_units, job->units);
    if (job->of_a) {
        gradient_of(true, job, units);
    } else {
        gradient_of(false, job, units);
    }
}

static void operand_gradient(pan_stream *stream, const pan_arithmetic_desc *desc, bool of_a, const float *a,
                             const float *b, const float *dy, float *gradient) {
    gradient_job job = {.kind = desc->kind, .of_a = of_a, .a = a, .b = b, .dy = dy, .gradient = gradient};
    space outer;
    collapse(desc, &outer, &job.row);
    for (int d = 0; d < outer.rank; d++) {
        space *part = (of_a ? outer.axes[d].a : outer.axes[d].b) == 0 ? &job.summed : &job.kept;
        part->axes[part->rank++] = outer.axes[d];
    }
    job.summed_size = space_size(&job.summed);
    job.row_kept = (of_a ? job.row.a : job.row.b) != 0;
    job.block = job.row.extent;
    if (job.row_kept) {
        job.block = min_i64(job.block, job.summed_size == 1 ? TILE_ELEMENTS : SUM_COLUMNS);
    }
    job.blocks = ceil_div(job.row.extent, job.block);
    job.units = space_size(&job.kept) * job.blocks;
    job.task_units = tile_rows(job.summed_size * job.block);
    pan_parallel(stream->device->pool, ceil_div(job.units, job.task_units), gradient_task, &job);
}

pan_status PAN_BODY(arithmetic_backward)(pan_stream *stream, const pan_arithmetic_desc *desc, const void *a,
                                         const void *b, const void *dy, void *da, void *db) {
    if (da != NULL) {
        operand_gradient(stream, desc, true, a, b, dy, da);
    }
    if (db != NULL) {
        operand_gradient(stream, desc, false, a, b, dy, db);
    }
    return PAN_OK;
}
