/* Which positions are among the k largest up to their own, by counting. */
#include "../core/causal_top_k.h"
#include "real.h"

pan_status PAN_BODY(causal_top_k_workspace_size)(pan_stream *stream, const pan_causal_top_k_desc *desc,
                                                 int64_t *bytes) {
    (void) stream;
    (void) desc;
    *bytes = 0;
    return PAN_OK;
}

pan_status PAN_BODY(causal_top_k)(pan_stream *stream, const pan_causal_top_k_desc *desc, const void *score,
                                  void *chosen, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace;
    (void) workspace_bytes;
    for (int64_t b = 0; b < desc->batch; b++) {
        const real *x = (const real *) score + b * desc->length;
        for (int64_t t = 0; t < desc->length; t++) {
            int64_t before = 0;
            for (int64_t s = 0; s < t; s++) {
                before += x[s] >= x[t];
            }
            const bool is_chosen = x[t] > (real) -INFINITY && before < pan_top_k_of_prefix(desc->k, t);
            ((real *) chosen)[b * desc->length + t] = is_chosen;
        }
    }
    return PAN_OK;
}
