/* Arithmetic at the tier's best rate: independent chains of multiply-add that never leave the registers. */
#include "../core/ceiling.h"
#include "tier.h"
#include "vector.h"

/* Chains that hide the latency of a multiply-add where two start in a cycle. */
enum { CHAINS = 12 };

double PAN_CONCAT(pan_fma_work_, PAN_TIER, )(int64_t turns, float *result) {
    const vf factor = vf_splat(result[0]), addend = vf_splat(result[1]);
    vf chain[CHAINS];
    for (int c = 0; c < CHAINS; c++) {
        chain[c] = vf_splat((float) c);
    }
    for (int64_t turn = 0; turn < turns; turn++) {
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; c++) {
            chain[c] = chain[c] * factor + addend;
        }
    }
    vf sum = chain[0];
    for (int c = 1; c < CHAINS; c++) {
        sum += chain[c];
    }
    result[0] = vf_sum(sum);
    return 2.0 * CHAINS * LANES * (double) turns;
}
