/* The tiers that were compiled. */
#include <stddef.h>

#include "../core/backend.h"

extern const pan_ops pan_cpu_ops_baseline;
#if defined(__x86_64__)
extern const pan_ops pan_cpu_ops_avx2;
extern const pan_ops pan_cpu_ops_avx512;
#endif

const pan_ops *pan_cpu_ops(pan_isa isa) {
    switch (isa) {
    case PAN_ISA_BASELINE: return &pan_cpu_ops_baseline;
#if defined(__x86_64__)
    case PAN_ISA_AVX2: return &pan_cpu_ops_avx2;
    case PAN_ISA_AVX512: return &pan_cpu_ops_avx512;
#endif
    default: return NULL;
    }
}
