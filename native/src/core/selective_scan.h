/* What all bodies of the selective scan agree on: which states forward keeps for backward. */
#ifndef PAN_CORE_SELECTIVE_SCAN_H
#define PAN_CORE_SELECTIVE_SCAN_H

#include <stdint.h>

#include "shared_function.h"

/* A sequence is cut into chunks of this many positions, the last of which may be shorter. The checkpoints are the states
 * in front of each chunk, (batch, chunks, state_size, channels), so that backward recomputes states inside a chunk only. */
enum { PAN_SCAN_CHUNK = 16 };

PAN_SHARED_FUNCTION int64_t pan_scan_chunks(int64_t length) {
    return (length - 1) / PAN_SCAN_CHUNK + 1;
}

#endif
