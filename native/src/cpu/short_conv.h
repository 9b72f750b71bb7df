/* A few taps sliding over sequences of rows, from the first position to the last or, for the gradient of the input,
 * from the last to the first: the same code with the steps negated.
 *
 *     out[t] = bias + sum_{age < taps, age <= t} weight[taps-1-age] in[t - age]
 *
 * where t counts positions in the order of the walk. Lanes are channels. A tap that would reach in front of the
 * sequence is left out, so that what lies there in memory has no part in the result. */
#ifndef PAN_CPU_SHORT_CONV_H
#define PAN_CPU_SHORT_CONV_H

#include "tile.h"
#include "vector.h"

/* Channels of a task; taps that are in turn at a time; positions after which the next channels are in turn, few enough
 * for their rows to stay in the first-level cache. */
enum { BLOCK_CHANNELS = 256, TAP_TILE = 16, STRIP_ROWS = 32 };

typedef struct sliding {
    int64_t length;
    int64_t taps;
    const float *in; /* where the walk through the first example begins */
    float *out;      /* likewise */
    int64_t in_step; /* to the next position of the walk; negative if it goes backwards, as is then out_step */
    int64_t out_step;
    const float *weight; /* (channels, taps) */
    const float *bias;   /* may be NULL */
} sliding;

/* The taps of some ages for the channels of a task, and what the sums begin with. */
typedef struct tap_columns {
    float weight[TAP_TILE][BLOCK_CHANNELS];
    float start[BLOCK_CHANNELS];
} tap_columns;

/* The part of a range of rows that lies in one example. */
typedef struct segment {
    int64_t example;
    tile_range positions;
} segment;

static inline segment segment_at(int64_t row, int64_t end, int64_t length) {
    const int64_t t = row % length;
    return (segment){row / length, {t, min_i64(length, t + end - row)}};
}

static inline int64_t segment_rows(const segment *segment) {
    return segment->positions.end - segment->positions.begin;
}

/* Tasks of whole chunks of rows, for some of the channels. */
static inline tile_grid sliding_grid(int64_t rows, int64_t channels, int64_t chunk_rows) {
    tile_grid grid = {.rows = rows, .columns = channels, .block_columns = min_i64(channels, BLOCK_CHANNELS)};
    const int64_t chunks = tile_rows(grid.block_columns) / chunk_rows;
    grid.block_rows = (chunks < 1 ? 1 : chunks) * chunk_rows;
    grid.across = ceil_div(channels, grid.block_columns);
    grid.tasks = grid.across * ceil_div(rows, grid.block_rows);
    return grid;
}

static inline void take_columns(const sliding *s, tile_range channels, int64_t first_age, int64_t ages,
                                tap_columns *taps) {
    for (int64_t c = channels.begin; c < channels.end; c++) {
        const float *newest = s->weight + (c + 1) * s->taps - 1 - first_age;
        for (int64_t age = 0; age < ages; age++) {
            taps->weight[age][c - channels.begin] = newest[-age];
        }
        taps->start[c - channels.begin] = s->bias == NULL ? 0.0f : s->bias[c];
    }
}

/* One position, any number of taps. `start` may be `out`. */
static inline void slide_row(const tap_columns *taps, int64_t ages, const float *in, int64_t in_step,
                             const float *start, float *out, int64_t channels) {
    for (int64_t c = 0; c < channels; c += LANES) {
        const int64_t lanes = min_i64(LANES, channels - c);
        vf sum = vf_load_first(start + c, lanes);
        for (int64_t age = 0; age < ages; age++) {
            sum += vf_load_first(taps->weight[age] + c, lanes) * vf_load_first(in - age * in_step + c, lanes);
        }
        vf_store_first(out + c, sum, lanes);
    }
}

enum { MOST_HELD_TAPS = 4, MOST_VECTORS = 2 };

/* Positions none of whose taps is left out, for `vectors` vectors of channels from `c` on, of which the last has
 * `lanes` channels. Taps and the inputs that they still need are held in registers; `held` and `vectors` are
 * constants. */
PAN_INLINE void slide_strip(const int held, const int vectors, const tap_columns *taps, const float *in,
                            int64_t in_step, float *out, int64_t out_step, int64_t rows, int64_t c, int64_t lanes) {
    vf weight[MOST_HELD_TAPS][MOST_VECTORS];
    vf past[MOST_HELD_TAPS][MOST_VECTORS];
    vf start[MOST_VECTORS];
    for (int v = 0; v < vectors; v++) {
        const int64_t first = c + v * LANES;
        start[v] = vf_load_first(taps->start + first, lanes);
        for (int age = 0; age < held; age++) {
            weight[age][v] = vf_load_first(taps->weight[age] + first, lanes);
        }
        for (int age = 1; age < held; age++) {
            past[age][v] = vf_load_first(in - age * in_step + first, lanes);
        }
    }
    for (int64_t r = 0; r < rows; r++) {
        for (int v = 0; v < vectors; v++) {
            const int64_t first = c + v * LANES;
            past[0][v] = vf_load_first(in + r * in_step + first, lanes);
            vf sum = start[v];
            for (int age = 0; age < held; age++) {
                sum += weight[age][v] * past[age][v];
            }
            vf_store_first(out + r * out_step + first, sum, lanes);
            for (int age = held - 1; age > 0; age--) {
                past[age][v] = past[age - 1][v];
            }
        }
    }
}

/* The positions of a segment from the one on that all taps reach, strip by strip. */
PAN_INLINE void slide_held(const int held, const tap_columns *taps, const float *in, int64_t in_step, float *out,
                           int64_t out_step, int64_t rows, int64_t channels) {
    for (int64_t r = 0; r < rows; r += STRIP_ROWS) {
        const int64_t strip = min_i64(STRIP_ROWS, rows - r);
        const float *in_row = in + r * in_step;
        float *out_row = out + r * out_step;
        int64_t c = 0;
        for (; c + MOST_VECTORS * LANES <= channels; c += MOST_VECTORS * LANES) {
            slide_strip(held, MOST_VECTORS, taps, in_row, in_step, out_row, out_step, strip, c, LANES);
        }
        for (; c < channels; c += LANES) {
            slide_strip(held, 1, taps, in_row, in_step, out_row, out_step, strip, c, min_i64(LANES, channels - c));
        }
    }
}

/* Taps [first_age, first_age + ages) at the given positions of the walk, which begins at `in` and `out`. */
static inline void slide_positions(const sliding *s, const tap_columns *taps, tile_range positions, int64_t first_age,
                                   int64_t ages, const float *in, float *out, int64_t channels) {
    const bool held = s->taps > 1 && s->taps <= MOST_HELD_TAPS;
    int64_t t = positions.begin < first_age ? first_age : positions.begin;
    for (; t < positions.end && !(held && t >= s->taps - 1); t++) {
        float *out_row = out + t * s->out_step;
        slide_row(taps, min_i64(ages, t + 1 - first_age), in + (t - first_age) * s->in_step, s->in_step,
                  first_age == 0 ? taps->start : out_row, out_row, channels);
    }
    const float *in_row = in + t * s->in_step;
    float *out_row = out + t * s->out_step;
    const int64_t rows = positions.end - t;
    if (!held || rows <= 0) {
        return;
    }
    switch (s->taps) {
    case 2: slide_held(2, taps, in_row, s->in_step, out_row, s->out_step, rows, channels); break;
    case 3: slide_held(3, taps, in_row, s->in_step, out_row, s->out_step, rows, channels); break;
    default: slide_held(4, taps, in_row, s->in_step, out_row, s->out_step, rows, channels); break;
    }
}

/* The outputs of some rows, numbered in the order of memory, and some channels. */
static inline void slide_block(const sliding *s, const tile_block *block) {
    const bool backwards = s->in_step < 0;
    const int64_t first = block->columns.begin;
    const int64_t channels = block->columns.end - first;
    const int64_t reach = min_i64(s->taps, s->length);
    tap_columns taps;
    for (int64_t age = 0; age < reach; age += TAP_TILE) {
        const int64_t ages = min_i64(TAP_TILE, reach - age);
        take_columns(s, block->columns, age, ages, &taps);
        for (int64_t row = block->rows.begin; row < block->rows.end;) {
            const segment part = segment_at(row, block->rows.end, s->length);
            const int64_t before = part.example * s->length;
            const tile_range forwards = part.positions;
            const tile_range walk =
                backwards ? (tile_range){s->length - forwards.end, s->length - forwards.begin} : forwards;
            slide_positions(s, &taps, walk, age, ages, s->in + (backwards ? -before : before) * s->in_step + first,
                            s->out + (backwards ? -before : before) * s->out_step + first, channels);
            row += segment_rows(&part);
        }
    }
}

#endif
