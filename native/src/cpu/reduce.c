/* Reductions over the middle dimension of (outer, count, inner).
 *
 * The work is cut into units: the entries [chunk] of the reduced dimension for the inner columns [block] of one outer
 * index. With a single chunk a unit writes its results; with several, partial sums (or maxima) in double go to the
 * workspace, are laid out as (outer, chunks, inner) and are added up in their order. */
#include "tile.h"
#include "vector_math.h"

enum { BLOCK_COLUMNS = 1024 };

typedef struct reduce_job {
    const pan_reduce_desc *desc;
    int64_t block;      /* columns of a unit */
    int64_t blocks;     /* per row of inner */
    int64_t chunk;      /* entries of the reduced dimension of a unit */
    int64_t chunks;     /* per outer index */
    int64_t units;      /* in all */
    int64_t task_units; /* of a task */
    double divisor;
    const float *x;
    float *y;
    double *partial; /* NULL with a single chunk */
} reduce_job;

static reduce_job plan(const pan_reduce_desc *desc) {
    reduce_job job = {.desc = desc, .block = min_i64(desc->inner, BLOCK_COLUMNS)};
    job.blocks = ceil_div(desc->inner, job.block);
    job.chunk = min_i64(desc->count, TILE_ELEMENTS / job.block);
    job.chunks = ceil_div(desc->count, job.chunk);
    job.units = desc->outer * job.chunks * job.blocks;
    job.task_units = tile_rows(job.block * job.chunk);
    job.divisor = desc->kind == PAN_REDUCE_MEAN ? (double) desc->count : 1.0;
    return job;
}

/* What is joined with anything without changing it. */
PAN_INLINE double neutral(pan_reduction kind) {
    return kind == PAN_REDUCE_MAX ? -INFINITY : 0.0;
}

PAN_INLINE double join(pan_reduction kind, double a, double b) {
    if (kind == PAN_REDUCE_MAX) {
        return a > b || isnan(a) ? a : b;
    }
    return a + b;
}

PAN_INLINE double join_lanes(pan_reduction kind, vd x) {
    if (kind != PAN_REDUCE_MAX) {
        return vd_sum(x);
    }
    double lane[LANES];
    memcpy(lane, &x, sizeof lane);
    double largest = lane[0];
    for (int i = 1; i < LANES; i++) {
        largest = join(kind, largest, lane[i]);
    }
    return largest;
}

/* The sum of `sum` and of what x contributes. */
PAN_INLINE vd accumulate(pan_reduction kind, vd sum, vf x) {
    switch (kind) {
    case PAN_REDUCE_SUM_OF_SQUARES: return vd_multiply_add(vd_from_vf(x), vd_from_vf(x), sum);
    case PAN_REDUCE_SUM_OF_MAGNITUDES: return vd_add(sum, vd_from_vf(vf_abs(x)));
    case PAN_REDUCE_NONFINITE: {
        const vi nonfinite = ~(vf_abs(x) < INFINITY);
        return vd_add(sum, vd_from_vf((vf) (nonfinite & (vi) vf_splat(1.0f))));
    }
    case PAN_REDUCE_MAX: return vd_larger(vd_from_vf(x), sum);
    default: return vd_add(sum, vd_from_vf(x));
    }
}

/* The reduction of contiguous elements, in two interleaved sums to hide the latency of an addition. */
PAN_INLINE double reduce_contiguous(pan_reduction kind, const float *x, int64_t count) {
    vd even = vd_splat(neutral(kind));
    vd odd = even;
    int64_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES) {
        even = accumulate(kind, even, vf_load(x + i));
        odd = accumulate(kind, odd, vf_load(x + i + LANES));
    }
    for (; i < count; i += LANES) {
        const int64_t lanes = count - i;
        even =
            accumulate(kind, even, lanes < LANES ? vf_load_part(x + i, lanes, (float) neutral(kind)) : vf_load(x + i));
    }
    return join_lanes(kind, kind == PAN_REDUCE_MAX ? vd_larger(even, odd) : vd_add(even, odd));
}

/* sum[c] = reduction over `rows` rows of `columns` columns, `stride` apart. */
PAN_INLINE void reduce_columns(pan_reduction kind, const float *x, int64_t stride, int64_t rows, int64_t columns,
                               vd *sum) {
    for (int64_t c = 0; c < columns; c += LANES) {
        sum[c / LANES] = vd_splat(neutral(kind));
    }
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < columns; c += LANES) {
            sum[c / LANES] = accumulate(kind, sum[c / LANES], vf_load_first(x + r * stride + c, columns - c));
        }
    }
}

PAN_INLINE void reduce_unit(pan_reduction kind, const reduce_job *job, int64_t unit) {
    const pan_reduce_desc *desc = job->desc;
    const tile_range columns = tile_at(unit % job->blocks, job->block, desc->inner);
    const int64_t part = unit / job->blocks; /* outer index and chunk */
    const int64_t outer = part / job->chunks;
    const tile_range entries = tile_at(part % job->chunks, job->chunk, desc->count);
    const float *x = job->x + (outer * desc->count + entries.begin) * desc->inner + columns.begin;
    const int64_t rows = entries.end - entries.begin;
    const int64_t width = columns.end - columns.begin;
    vd sums[BLOCK_COLUMNS / LANES];
    double sum[BLOCK_COLUMNS];
    if (desc->inner == 1) {
        sum[0] = reduce_contiguous(kind, x, rows);
    } else {
        reduce_columns(kind, x, desc->inner, rows, width, sums);
        memcpy(sum, sums, (size_t) width * sizeof *sum);
    }
    if (job->partial != NULL) {
        memcpy(job->partial + part * desc->inner + columns.begin, sum, (size_t) width * sizeof *sum);
        return;
    }
    float *y = job->y + outer * desc->inner + columns.begin;
    for (int64_t c = 0; c < width; c++) {
        y[c] = (float) (sum[c] / job->divisor);
    }
}

PAN_INLINE void reduce_units(pan_reduction kind, const reduce_job *job, tile_range units) {
    for (int64_t unit = units.begin; unit < units.end; unit++) {
        reduce_unit(kind, job, unit);
    }
}

static void units_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const reduce_job *job = context;
    const tile_range units = tile_at(task, job->task_units, job->units);
    switch (job->desc->kind) {
    case PAN_REDUCE_SUM_OF_SQUARES: reduce_units(PAN_REDUCE_SUM_OF_SQUARES, job, units); break;
    case PAN_REDUCE_SUM_OF_MAGNITUDES: reduce_units(PAN_REDUCE_SUM_OF_MAGNITUDES, job, units); break;
    case PAN_REDUCE_MAX: reduce_units(PAN_REDUCE_MAX, job, units); break;
    case PAN_REDUCE_NONFINITE: reduce_units(PAN_REDUCE_NONFINITE, job, units); break;
    default: reduce_units(PAN_REDUCE_SUM, job, units); break;
    }
}

/* Adds up the chunks of some results. */
static void chunks_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const reduce_job *job = context;
    const int64_t inner = job->desc->inner;
    const tile_range results = tile_at(task, tile_rows(job->chunks), job->desc->outer * inner);
    for (int64_t i = results.begin; i < results.end; i++) {
        const double *partial = job->partial + i / inner * job->chunks * inner + i % inner;
        double sum = partial[0];
        for (int64_t chunk = 1; chunk < job->chunks; chunk++) {
            sum = join(job->desc->kind, sum, partial[chunk * inner]);
        }
        job->y[i] = (float) (sum / job->divisor);
    }
}

pan_status PAN_BODY(reduce_forward_workspace_size)(pan_stream *stream, const pan_reduce_desc *desc, int64_t *bytes) {
    (void) stream;
    const reduce_job job = plan(desc);
    *bytes = job.chunks == 1 ? 0 : desc->outer * job.chunks * desc->inner * (int64_t) sizeof(double);
    return PAN_OK;
}

pan_status PAN_BODY(reduce_forward)(pan_stream *stream, const pan_reduce_desc *desc, const void *x, void *y,
                                    void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    reduce_job job = plan(desc);
    job.x = x;
    job.y = y;
    job.partial = job.chunks == 1 ? NULL : workspace;
    pan_pool *pool = stream->device->pool;
    pan_parallel(pool, ceil_div(job.units, job.task_units), units_task, &job);
    if (job.chunks > 1) {
        pan_parallel(pool, ceil_div(desc->outer * desc->inner, tile_rows(job.chunks)), chunks_task, &job);
    }
    return PAN_OK;
}
