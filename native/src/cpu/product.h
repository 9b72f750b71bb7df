/* How a dense product is cut into blocks, each computed by one GEMM call. */
#ifndef PAN_CPU_PRODUCT_H
#define PAN_CPU_PRODUCT_H

#include "tile.h"

/* Work worth a task of its own: about 20 microseconds of one core. */
enum { TASK_FLOPS = 2 << 20 };
/* Block sizes at which the GEMM is near its best, and for how many tasks a small product is cut further. */
enum { PRODUCT_ROWS = 256, PRODUCT_COLUMNS = 512, NARROW_COLUMNS = 128, WANTED_TASKS = 16 };

static inline tile_grid cut(int64_t rows, int64_t columns, int64_t block_rows, int64_t block_columns) {
    tile_grid grid = {.rows = rows,
                      .columns = columns,
                      .block_rows = min_i64(block_rows, rows),
                      .block_columns = min_i64(block_columns, columns)};
    grid.across = ceil_div(columns, grid.block_columns);
    /* A workspace query may come with sizes that no array can have. */
    if (__builtin_mul_overflow(grid.across, ceil_div(rows, grid.block_rows), &grid.tasks)) {
        grid.tasks = INT64_MAX;
    }
    return grid;
}

/* Blocks of a product of rows x depth by depth x columns. */
static inline tile_grid product_grid(int64_t rows, int64_t columns, int64_t depth) {
    int64_t block_columns = min_i64(columns, PRODUCT_COLUMNS);
    const int64_t enough = ceil_div(TASK_FLOPS, 2 * block_columns * depth);
    const int64_t block_rows = enough > PRODUCT_ROWS ? enough : PRODUCT_ROWS;
    tile_grid grid = cut(rows, columns, block_rows, block_columns);
    while (grid.tasks < WANTED_TASKS && block_columns >= 2 * NARROW_COLUMNS &&
           grid.block_rows * block_columns * depth >= 2 * TASK_FLOPS) {
        block_columns /= 2;
        grid = cut(rows, columns, block_rows, block_columns);
    }
    return grid;
}

#endif
