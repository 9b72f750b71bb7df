/* Plan of a long convolution: what depends on the shape alone, made once on the host. */
#ifndef PAN_CORE_LONG_CONV_PLAN_H
#define PAN_CORE_LONG_CONV_PLAN_H

#include "backend.h"

struct pan_long_conv_plan {
    pan_device *device;
    pan_long_conv_desc desc;
    pan_conv_method method; /* PAN_CONV_DIRECT or PAN_CONV_FFT */
    int64_t taps;           /* that reach an output: min(desc.taps, desc.length) */
    int64_t points;         /* of the transform: a power of two >= max(8, length); 0 for the direct method */

    /* Tables of the transform in memory of the device, NULL for the direct method. The convolution is one in C[x] / (x^points - i), whose
     * real part is the causal one, without padding: position j is multiplied by w^j, w = exp(i pi / (2 points)). */
    const float *twist;   /* (points, 2): cos and sin of pi j / (2 points) */
    const float *twiddle; /* (points, 2): real and imaginary part of exp(-2 pi i j / points) */
};

#endif
