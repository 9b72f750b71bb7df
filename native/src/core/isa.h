/* Which tier of instructions the CPU backend uses. */
#ifndef PAN_CORE_ISA_H
#define PAN_CORE_ISA_H

#include "panthera.h"

/* Resolves a request: PAN_ISA_BEST becomes the best tier allowed, another tier is checked against the processor and
 * PANTHERA_MAX_ISA. Also caps the GEMM library. */
pan_status pan_isa_choose(pan_isa requested, pan_isa *chosen);

#endif
