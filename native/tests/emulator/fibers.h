/* The threads of a block as fibers of one host thread. */
#ifndef PAN_TESTS_EMULATOR_FIBERS_H
#define PAN_TESTS_EMULATOR_FIBERS_H

#include "cuda_runtime.h"

/* Runs `thread` for every thread of every block. */
void run_grid(dim3 grid, dim3 block, size_t shared, const std::function<void()> &thread);

#endif
