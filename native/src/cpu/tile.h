/* How arrays are cut into tasks. Tiles depend on shapes alone, so results do not depend on the number of threads. */
#ifndef PAN_CPU_TILE_H
#define PAN_CPU_TILE_H

#include "tier.h"

/* Inlined also where the compiler would not, because an argument is a constant that selects the code. */
#define PAN_INLINE static inline __attribute__((always_inline))

/* Elements of a task: enough to be worth waking a worker for, few enough for its arrays to stay in the second-level
 * cache. Smaller arrays are one task, which the caller runs by itself. */
enum { TILE_ELEMENTS = 32768 };

/* Half-open range of elements, rows or columns. */
typedef struct tile_range {
    int64_t begin;
    int64_t end;
} tile_range;

static inline tile_range tile_at(int64_t task, int64_t size, int64_t count) {
    return (tile_range){task * size, min_i64((task + 1) * size, count)};
}

/* What two ranges have in common; if nothing, an end that is not behind the beginning. */
static inline tile_range tile_overlap(tile_range a, tile_range b) {
    return (tile_range){a.begin > b.begin ? a.begin : b.begin, min_i64(a.end, b.end)};
}

/* Rows of a task, for rows of the given number of elements. */
static inline int64_t tile_rows(int64_t row_elements) {
    return row_elements < TILE_ELEMENTS ? TILE_ELEMENTS / row_elements : 1;
}

/* A matrix cut into blocks of whole rows, or of parts of rows where they are long. */
typedef struct tile_grid {
    int64_t rows;
    int64_t columns;
    int64_t block_rows;
    int64_t block_columns;
    int64_t across; /* blocks side by side */
    int64_t tasks;
} tile_grid;

typedef struct tile_block {
    tile_range rows;
    tile_range columns;
} tile_block;

static inline tile_grid tile_grid_of(int64_t rows, int64_t columns) {
    tile_grid grid = {.rows = rows, .columns = columns, .block_rows = tile_rows(columns)};
    grid.block_columns = min_i64(columns, TILE_ELEMENTS);
    grid.across = ceil_div(columns, grid.block_columns);
    grid.tasks = grid.across * ceil_div(rows, grid.block_rows);
    return grid;
}

static inline tile_block tile_block_at(const tile_grid *grid, int64_t task) {
    return (tile_block){tile_at(task / grid->across, grid->block_rows, grid->rows),
                        tile_at(task % grid->across, grid->block_columns, grid->columns)};
}

#endif
