/* Cases of what is chosen by scores. */
#include <math.h>

#include "cases.h"

enum { PLAIN, TIES, SPECIAL, KINDS };
enum { VARIANTS = 2 * KINDS * SIZE_COUNT };

/* Ties are between few different scores, among them both zeros. */
static double spoilt_score(double score, int kind, int64_t i) {
    static const double special[] = {NAN, INFINITY, -INFINITY, 0.0, -NAN};
    switch (kind) {
    case TIES: return round(2.0 * score) / 2.0;
    case SPECIAL: return i % 3 == 0 ? special[i / 3 % COUNT(special)] : score;
    default: return score;
    }
}

static void prepare_causal_top_k(call *call, int variant) {
    const int64_t length = ragged(variant, 0);
    const int64_t k[] = {0, 1, 3, 0, 64, length, INT64_C(1) << 40};
    pan_causal_top_k_desc *desc = DESC(call, pan_causal_top_k_desc);
    *desc = (pan_causal_top_k_desc){.struct_size = sizeof *desc,
                                    .batch = at_most(ragged(variant, 1), 8),
                                    .length = length,
                                    .k = k[variant % COUNT(k)]};
    const int score = add_rows(call, "score", INPUT, desc->batch, length, length);
    double *values = call->blocks[call->views[score].block].values;
    for (int64_t i = 0; i < desc->batch * length; i++) {
        values[i] = spoilt_score(values[i], variant % KINDS, i);
    }
    add_rows(call, "chosen", OUTPUT, desc->batch, length, length);
}

static pan_status invoke_causal_top_k(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                      int64_t bytes) {
    return pan_causal_top_k(stream, desc, a[0], a[1], workspace, bytes);
}

static pan_status causal_top_k_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_causal_top_k_workspace_size(stream, desc, bytes);
}

/* ---- earlier occurrences ---- */

static void prepare_earlier_occurrences(call *call, int variant) {
    /* Long enough to be sorted on the CPU, and the usual sizes. */
    const int64_t length = ragged(variant, 0) + (variant % 5 == 0 ? 2500 : 0);
    const int64_t count = variant % 3 == 0 ? length : at_most(ragged(variant, 1), length);
    pan_earlier_occurrences_desc *desc = DESC(call, pan_earlier_occurrences_desc);
    *desc = (pan_earlier_occurrences_desc){.struct_size = sizeof *desc,
                                           .batch = at_most(ragged(variant, 2), 5),
                                           .length = length,
                                           .ids_stride = length + (variant % 4 == 1 ? 9 : 0),
                                           .count = count};
    call->work = (double) (desc->batch * length);
    /* Few tokens, many, and such that differ in their upper bits or their sign. */
    const int64_t low = variant % 2 ? -3 : 0, high = variant % 7 < 2 ? 2 : variant % 7 < 5 ? length + 1 : INT32_MAX;
    add_integers(call, "ids", INPUT, (desc->batch - 1) * desc->ids_stride + length, low, high);
    add_rows(call, "y", OUTPUT, desc->batch, count, count);
}

static pan_status invoke_earlier_occurrences(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                             int64_t bytes) {
    return pan_earlier_occurrences(stream, desc, a[0], a[1], workspace, bytes);
}

static pan_status earlier_occurrences_size(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_earlier_occurrences_workspace_size(stream, desc, bytes);
}

const op_case SELECTION_CASES[] = {
    {.op = "causal_top_k",
     .variants = VARIANTS,
     .tolerance = 0.0,
     .prepare = prepare_causal_top_k,
     .invoke = invoke_causal_top_k,
     .workspace = causal_top_k_workspace,
     .desc_size = sizeof(pan_causal_top_k_desc),
     .fields = {FIELD(pan_causal_top_k_desc, batch, FIELD_SIZE), FIELD(pan_causal_top_k_desc, length, FIELD_SIZE)}},
    {.op = "earlier_occurrences",
     .variants = 2 * SIZE_COUNT,
     .prepare = prepare_earlier_occurrences,
     .invoke = invoke_earlier_occurrences,
     .workspace = earlier_occurrences_size,
     .desc_size = sizeof(pan_earlier_occurrences_desc),
     .fields = {FIELD(pan_earlier_occurrences_desc, batch, FIELD_SIZE),
                FIELD(pan_earlier_occurrences_desc, length, FIELD_SIZE),
                FIELD(pan_earlier_occurrences_desc, ids_stride, FIELD_SIZE),
                FIELD(pan_earlier_occurrences_desc, count, FIELD_SIZE)}},
    {0},
};
