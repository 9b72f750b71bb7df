/* What the selective scan and its gradient share: tasks, and the functions of a position that all states need.
 *
 * Lanes are channels. A sequence is walked chunk by chunk; within a chunk the functions of the positions are computed once,
 * then a few states at a time are held in registers over the chunk's positions. */
#ifndef PAN_CPU_SELECTIVE_SCAN_H
#define PAN_CPU_SELECTIVE_SCAN_H

#include "../core/selective_scan.h"
#include "activation.h"

/* Channels of a block; positions that a group of short sequences has at least; state updates that are worth a task. */
enum { SCAN_CHANNELS = 64, GROUP_POSITIONS = 64, TASK_UPDATES = 65536 };

/* How many states are held in registers at a time. */
enum { HELD_STATES = 4 };

/* A number for each channel of a block at each position of a chunk. */
typedef float scan_block[PAN_SCAN_CHUNK][SCAN_CHANNELS] __attribute__((aligned(PAN_ALIGNMENT)));

/* Examples in groups, channels in blocks; a unit of work is one of each. */
typedef struct scan_grid {
    int64_t across; /* blocks */
    int64_t examples;
    int64_t groups;
    int64_t task_units;
    int64_t tasks;
} scan_grid;

typedef struct scan_unit {
    int64_t group;
    int64_t block;
    tile_range examples;
    tile_range channels;
} scan_unit;

static inline scan_grid scan_grid_of(const pan_selective_scan_desc *desc) {
    scan_grid grid = {.across = ceil_div(desc->channels, SCAN_CHANNELS),
                      .examples = min_i64(ceil_div(GROUP_POSITIONS, desc->length), desc->batch)};
    grid.groups = ceil_div(desc->batch, grid.examples);
    const int64_t positions = min_i64(grid.examples * desc->length, TASK_UPDATES);
    const int64_t updates =
        positions * min_i64(desc->channels, SCAN_CHANNELS) * min_i64(desc->state_size, TASK_UPDATES);
    grid.task_units = updates < TASK_UPDATES ? TASK_UPDATES / updates : 1;
    grid.tasks = ceil_div(grid.groups * grid.across, grid.task_units);
    return grid;
}

static inline scan_unit scan_unit_at(const scan_grid *grid, const pan_selective_scan_desc *desc, int64_t unit) {
    const int64_t group = unit / grid->across, block = unit % grid->across;
    return (scan_unit){group, block, tile_at(group, grid->examples, desc->batch),
                       tile_at(block, SCAN_CHANNELS, desc->channels)};
}

/* The rows of one chunk. */
typedef struct scan_chunk {
    int64_t first_row;
    int64_t positions;
    int64_t checkpoint; /* the number of its state among those that are kept */
} scan_chunk;

static inline scan_chunk scan_chunk_at(const pan_selective_scan_desc *desc, int64_t example, int64_t chunk) {
    const int64_t begin = chunk * PAN_SCAN_CHUNK;
    return (scan_chunk){example * desc->length + begin, min_i64(PAN_SCAN_CHUNK, desc->length - begin),
                        example * pan_scan_chunks(desc->length) + chunk};
}

/* softplus of a raw step size, and the slope there. */
static inline vf_activation step_of(const float *delta, const float *bias, int64_t lanes) {
    const vf raw = vf_load_first(delta, lanes);
    return activate_softplus(bias == NULL ? raw : raw + vf_load_first(bias, lanes));
}

/* 2^x for x <= 0, at least 2^-126: what has decayed further than that is as good as gone. */
static inline vf decay_by(vf x) {
    x = vf_max(vf_splat(-126.0f), x);
    const vf shifted = x + PAN_ROUND_F32;
    const vf r = x - (shifted - PAN_ROUND_F32);
    vf p = r * 1.5353362e-4f + 1.3398875e-3f;
    p = p * r + 9.618437e-3f;
    p = p * r + 5.5503324e-2f;
    p = p * r + 2.4022648e-1f;
    p = p * r + 6.931472e-1f;
    p = p * r + 1.0f;
#if defined(__AVX512F__)
    return _mm512_scalef_ps(p, shifted - PAN_ROUND_F32);
#else
    return (vf) ((vi) p + ((vi) shifted << 23));
#endif
}

#define PAN_LOG2_E 1.44269504f
#define PAN_LN_2 0.69314718f

/* The rates of a block's channels in powers of two, -exp(a_log) log2(e), state by state. */
static inline void take_rates(const pan_selective_scan_desc *desc, const float *a_log, tile_range channels,
                              float *rate) {
    for (int64_t n = 0; n < desc->state_size; n++) {
        float *row = rate + n * SCAN_CHANNELS;
        for (int64_t c = channels.begin; c < channels.end; c++) {
            row[c - channels.begin] = a_log[c * desc->state_size + n];
        }
        for (int64_t c = channels.end - channels.begin; c < SCAN_CHANNELS; c++) {
            row[c] = 0.0f;
        }
        for (int64_t c = 0; c < SCAN_CHANNELS; c += LANES) {
            vf_store(row + c, vf_exp(vf_load(row + c)) * -PAN_LOG2_E);
        }
    }
}

#endif
