/* The reference backend's dispatch table. */
#include "real.h"

static const pan_ops OPS = {
#define PAN_OP(name) .name = PAN_BODY(name),
#define PAN_SIZE(name) .name = PAN_BODY(name),
#include "../core/ops.def"
#undef PAN_OP
#undef PAN_SIZE
};

#ifdef PAN_REFERENCE_F64
const pan_ops *pan_reference_f64_ops(void) {
#else
const pan_ops *pan_reference_ops(void) {
#endif
    return &OPS;
}
