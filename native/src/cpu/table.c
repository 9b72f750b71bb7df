/* This tier's dispatch table. */
#include "tier.h"

const pan_ops PAN_CONCAT(pan_cpu_ops_, PAN_TIER, ) = {
#define PAN_OP(name) .name = PAN_BODY(name),
#define PAN_SIZE(name) .name = PAN_BODY(name),
#include "../core/ops.def"
#undef PAN_OP
#undef PAN_SIZE
};
