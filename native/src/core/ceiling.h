/* Arithmetic for pan_device_measure(), one body for each tier. */
#ifndef PAN_CORE_CEILING_H
#define PAN_CORE_CEILING_H

#include <stdint.h>

/* Does `turns` rounds of multiply-adds on result[0] and result[1], leaves something of them in result[0], and returns
 * how many floating-point operations that were. */
typedef double pan_fma_work(int64_t turns, float *result);

pan_fma_work pan_fma_work_baseline;
#if defined(__x86_64__)
pan_fma_work pan_fma_work_avx2;
pan_fma_work pan_fma_work_avx512;
#endif

#endif
