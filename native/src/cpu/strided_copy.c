/* Copies between arrays of any strides.
 *
 * A copy is rows of columns. The columns are the dimension in which the target's elements lie closest. Where both arrays are
 * contiguous along them, whole runs are copied, and the rows are the longest of the other dimensions. Else the rows are
 * that in which the source's elements lie closest, so that a transposition goes through blocks that read and write whole
 * cache lines together. */
#include "tile.h"
#include "vector.h"

enum { BLOCK_ROWS = 32, BLOCK_COLUMNS = TILE_ELEMENTS / BLOCK_ROWS, TRANSPOSED_COLUMNS = 32 };

/* A dimension: its extent and the distances between its entries. */
typedef struct axis {
    int64_t extent;
    int64_t source;
    int64_t target;
} axis;

typedef struct copy_job {
    int rank;
    axis outer[PAN_MAX_RANK];
    axis rows;
    axis columns;
    int64_t row_blocks;
    int64_t column_blocks;
    int64_t units; /* blocks in all */
    int64_t task_units;
    bool runs; /* both arrays are contiguous along the columns */
    bool accumulate;
    const float *source;
    float *target;
} copy_job;

/* The dimensions from that of the target's largest stride to the smallest, neighbours that both arrays step through alike
 * made one, and without those of one entry. */
static int collapse(const pan_strided_copy_desc *desc, axis *axes) {
    int count = 0;
    for (int d = 0; d < desc->rank; d++) {
        const axis next = {desc->shape[d], desc->source_stride[d], desc->target_stride[d]};
        int at = count;
        for (; next.extent > 1 && at > 0 && axes[at - 1].target < next.target; at--) {
            axes[at] = axes[at - 1];
        }
        if (next.extent > 1) {
            axes[at] = next;
            count++;
        }
    }
    int kept = 0;
    for (int d = 1; d < count; d++) {
        axis *last = &axes[kept];
        const axis *next = &axes[d];
        if (last->source == next->source * next->extent && last->target == next->target * next->extent) {
            *last = (axis){last->extent * next->extent, next->source, next->target};
        } else {
            axes[++kept] = *next;
        }
    }
    return count == 0 ? 0 : kept + 1;
}

static axis take_axis(copy_job *job, int taken) {
    const axis axis = job->outer[taken];
    job->rank--;
    for (int d = taken; d < job->rank; d++) {
        job->outer[d] = job->outer[d + 1];
    }
    return axis;
}

static copy_job plan(const pan_strided_copy_desc *desc) {
    const axis one = {1, 0, 0};
    copy_job job = {.rows = one, .columns = one, .accumulate = desc->accumulate};
    job.rank = collapse(desc, job.outer);
    if (job.rank > 0) {
        job.columns = take_axis(&job, job.rank - 1);
    }
    job.runs = job.columns.source == 1 && job.columns.target == 1;
    if (job.rank > 0) {
        int best = job.rank - 1;
        for (int d = job.rank - 2; d >= 0; d--) {
            const bool better =
                job.runs ? job.outer[d].extent > job.outer[best].extent : job.outer[d].source < job.outer[best].source;
            best = better ? d : best;
        }
        job.rows = take_axis(&job, best);
    }
    job.row_blocks = ceil_div(job.rows.extent, BLOCK_ROWS);
    job.column_blocks = ceil_div(job.columns.extent, BLOCK_COLUMNS);
    job.units = job.row_blocks * job.column_blocks;
    for (int d = 0; d < job.rank; d++) {
        job.units *= job.outer[d].extent;
    }
    job.task_units = tile_rows(min_i64(job.rows.extent, BLOCK_ROWS) * min_i64(job.columns.extent, BLOCK_COLUMNS));
    return job;
}

static void add_run(const float *source, float *target, int64_t count) {
    for (int64_t i = 0; i < count; i += LANES) {
        vf_store_first(target + i, vf_load_first(target + i, count - i) + vf_load_first(source + i, count - i),
                       count - i);
    }
}

/* Rows of which both arrays have the elements side by side. */
static void copy_runs(const copy_job *job, const float *source, float *target, int64_t rows, int64_t columns) {
    for (int64_t r = 0; r < rows; r++) {
        const float *from = source + r * job->rows.source;
        float *to = target + r * job->rows.target;
        if (job->accumulate) {
            add_run(from, to, columns);
        } else {
            memcpy(to, from, (size_t) columns * sizeof *to);
        }
    }
}

/* One by one. */
static void copy_elements(const copy_job *job, const float *source, float *target, int64_t rows, int64_t columns) {
    const axis along = job->columns;
    for (int64_t r = 0; r < rows; r++) {
        const float *from = source + r * job->rows.source;
        float *to = target + r * job->rows.target;
        if (job->accumulate) {
            for (int64_t c = 0; c < columns; c++) {
                to[c * along.target] += from[c * along.source];
            }
        } else {
            for (int64_t c = 0; c < columns; c++) {
                to[c * along.target] = from[c * along.source];
            }
        }
    }
}

static void copy_unit(const copy_job *job, int64_t unit) {
    const tile_range columns = tile_at(unit % job->column_blocks, BLOCK_COLUMNS, job->columns.extent);
    unit /= job->column_blocks;
    const tile_range rows = tile_at(unit % job->row_blocks, BLOCK_ROWS, job->rows.extent);
    unit /= job->row_blocks;
    const float *source = job->source + rows.begin * job->rows.source + columns.begin * job->columns.source;
    float *target = job->target + rows.begin * job->rows.target + columns.begin * job->columns.target;
    for (int d = job->rank - 1; d >= 0; d--) {
        source += unit % job->outer[d].extent * job->outer[d].source;
        target += unit % job->outer[d].extent * job->outer[d].target;
        unit /= job->outer[d].extent;
    }
    const int64_t height = rows.end - rows.begin, width = columns.end - columns.begin;
    if (job->runs) {
        copy_runs(job, source, target, height, width);
        return;
    }
    for (int64_t c = 0; c < width; c += TRANSPOSED_COLUMNS) {
        copy_elements(job, source + c * job->columns.source, target + c * job->columns.target, height,
                      min_i64(TRANSPOSED_COLUMNS, width - c));
    }
}

static void copy_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const copy_job *job = context;
    const tile_range units = tile_at(task, job->task_units, job->units);
    for (int64_t unit = units.begin; unit < units.end; unit++) {
        copy_unit(job, unit);
    }
}

pan_status PAN_BODY(strided_copy)(pan_stream *stream, const pan_strided_copy_desc *desc, const void *source,
                                  void *target) {
    copy_job job = plan(desc);
    job.source = source;
    job.target = target;
    pan_parallel(stream->device->pool, ceil_div(job.units, job.task_units), copy_task, &job);
    return PAN_OK;
}
