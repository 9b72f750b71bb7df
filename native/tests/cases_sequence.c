/* Cases of attention: of all positions, of listed ones and of chosen ones. */
#include <math.h>

#include "cases.h"

enum { DENSE, PACKED, HEADS_FIRST, LAYOUTS };
/* Variants from here on list their queries; otherwise they are as the first ones. */
enum { LISTED = 4 * SIZE_COUNT };

/* PACKED: side by side with parts - 1 others. */
static pan_head_layout head_layout(const pan_attention_desc *desc, int kind, int64_t length, int64_t parts) {
    int64_t width = desc->heads * desc->head_dim;
    switch (kind) {
    case DENSE: return (pan_head_layout){length * width, width, desc->head_dim};
    case PACKED: return (pan_head_layout){length * parts * width, parts * width, desc->head_dim};
    default: /* (batch, heads, length, head_dim) with rows that are longer than they need be */
        return (pan_head_layout){desc->heads * length * (desc->head_dim + 2), desc->head_dim + 2,
                                 length * (desc->head_dim + 2)};
    }
}

/* How often a position of the batch is listed. Some are, one is, all are, those of some sequences are, some are twice,
 * the last of each sequence is; the very last one always, so that the list is not empty. */
static int64_t times_listed(const pan_attention_desc *desc, int variant, int64_t row) {
    generator random = {(uint64_t) (variant * 1000003 + row)};
    const int64_t bits = (int64_t) (next_bits(&random) >> 1);
    const bool last = row + 1 == desc->batch * desc->length;
    switch ((variant + variant / SIZE_COUNT) % 6) {
    case 0: return bits % 4 == 0 || last;
    case 1: return last;
    case 2: return 1;
    case 3: return (row / desc->length % 2 == 1 && bits % 2 == 0) || last;
    case 4: return last ? 2 : bits % 3;
    default: return row % desc->length == desc->length - 1;
    }
}

static void list_queries(pan_attention_desc *desc, int variant) {
    for (int64_t row = 0; row < desc->batch * desc->length; row++) {
        desc->queries += times_listed(desc, variant, row);
    }
    const bool heads_first = variant % LAYOUTS == HEADS_FIRST;
    desc->q = desc->o = head_layout(desc, heads_first ? HEADS_FIRST : DENSE, desc->queries, 1);
    desc->q.batch_stride = desc->o.batch_stride = -7; /* not used */
    desc->k = desc->v = head_layout(desc, variant % LAYOUTS, desc->length, 2);
}

/* Rows of q and o over the batch. */
static int64_t query_count(const pan_attention_desc *desc) {
    return desc->queries > 0 ? desc->queries : desc->batch * desc->length;
}

static pan_attention_desc *attention_desc(call *call, int all_variants) {
    const int variant = all_variants % LISTED;
    int64_t length = ragged(variant, 0), head_dim = at_most(ragged(variant, 1), length > 257 ? 8 : 128);
    int64_t heads = length > 100 ? 1 : at_most(ragged(variant, 2), 3);
    int64_t batch = at_most(ragged(variant, 3), length > 100 ? 1 : 3);
    pan_attention_desc *desc = DESC(call, pan_attention_desc);
    *desc = (pan_attention_desc){.struct_size = sizeof *desc,
                                 .scale = (float) (1.0 / sqrt((double) head_dim)),
                                 .dropout_probability = variant % 2 ? 0.2f : 0.0f,
                                 .batch = batch,
                                 .heads = heads,
                                 .length = length,
                                 .head_dim = head_dim,
                                 .window = variant < 2 * SIZE_COUNT ? 0 : at_most(ragged(variant + 4, 2), length),
                                 .dropout_key = 77};
    desc->q = desc->k = desc->v = head_layout(desc, variant % LAYOUTS, length, 3);
    desc->o = head_layout(desc, variant % LAYOUTS == PACKED ? DENSE : variant % LAYOUTS, length, 1);
    if (all_variants >= LISTED) {
        list_queries(desc, variant);
    }
    call->work = (double) (query_count(desc) * heads * length * head_dim);
    return desc;
}

static void add_query_rows(call *call, int variant) {
    const pan_attention_desc *desc = DESC(call, pan_attention_desc);
    const int list = add_integers(call, "query_rows", INPUT, query_count(desc), 0, 1);
    if (desc->queries == 0) {
        make_optional(call, list, false);
        return;
    }
    double *next = call->blocks[call->views[list].block].values;
    for (int64_t row = 0; row < desc->batch * desc->length; row++) {
        for (int64_t i = times_listed(desc, variant % LISTED, row); i > 0; i--) {
            *next++ = (double) row;
        }
    }
}

/* Whether a position of the batch is chosen: some are, none is, all are, those of some sequences are, the first and the
 * last of each are, the first of each is. */
static bool is_chosen(const pan_attention_desc *desc, int variant, int64_t row) {
    const int64_t position = row % desc->length;
    switch ((variant + variant / SIZE_COUNT) % 6) {
    case 0: return times_listed(desc, 0, row) > 0;
    case 1: return false;
    case 2: return true;
    case 3: return row / desc->length % 2 == 1 && row % 3 != 1;
    case 4: return position == 0 || position == desc->length - 1;
    default: return position == 0;
    }
}

static void add_chosen(call *call, int variant) {
    static const double yes[] = {1.0, -1.0, 0.25, INFINITY};
    const pan_attention_desc *desc = DESC(call, pan_attention_desc);
    const int chosen = add_rows(call, "chosen", INPUT, desc->batch, desc->length, desc->length);
    double *values = call->blocks[call->views[chosen].block].values;
    for (int64_t row = 0; row < desc->batch * desc->length; row++) {
        values[row] = is_chosen(desc, variant, row) ? yes[row % COUNT(yes)] : row % 2 == 0 ? 0.0 : -0.0;
    }
}

/* `layout` is a field of the descriptor. */
static int add_heads(call *call, const char *name, role role, int block, int64_t offset,
                     const pan_head_layout *layout) {
    const pan_attention_desc *desc = DESC(call, pan_attention_desc);
    const bool listed = desc->queries > 0 && (layout == &desc->q || layout == &desc->o);
    const int64_t size[] = {listed ? 1 : desc->batch, listed ? desc->queries : desc->length, desc->heads,
                            desc->head_dim};
    const int64_t stride[] = {layout->batch_stride, layout->length_stride, layout->head_stride, 1};
    if (block < 0) {
        int64_t last = 0;
        for (int d = 0; d < 4; d++) {
            last += (size[d] - 1) * stride[d];
        }
        block = add_block(call, REAL, last + 1);
    }
    return add_window(call, name, role, block, offset, 4, size, stride);
}

/* q, k and v, or their gradients: three arrays, or one that holds the three side by side at each position; if queries
 * are listed, k and v. */
static int add_projections(call *call, const char *const *names, role role, int variant) {
    const pan_attention_desc *desc = DESC(call, pan_attention_desc);
    const pan_head_layout *layouts[] = {&desc->q, &desc->k, &desc->v};
    int64_t width = desc->heads * desc->head_dim;
    const int apart = variant % LAYOUTS != PACKED ? 3 : desc->queries > 0 ? 1 : 0;
    int block = apart == 3 ? -1 : add_block(call, REAL, desc->batch * desc->length * (3 - apart) * width);
    for (int i = 0; i < 3; i++) {
        add_heads(call, names[i], role, i < apart ? -1 : block, i < apart ? 0 : (i - apart) * width, layouts[i]);
    }
    return call->view_count - 3;
}

static void add_random(call *call, int variant) {
    int random =
        add_state(call, "random", &(pan_random_state){.seed = 7, .step = (uint64_t) variant}, sizeof(pan_random_state));
    if (DESC(call, pan_attention_desc)->dropout_probability == 0.0f) {
        make_optional(call, random, variant % 4 == 0);
    }
}

static void add_forward_arrays(call *call, int variant) {
    const pan_attention_desc *desc = DESC(call, pan_attention_desc);
    int q = add_projections(call, (const char *const[]){"q", "k", "v"}, INPUT, variant);
    scale_values(call, q, 2.0);
    add_heads(call, "o", OUTPUT, -1, 0, &desc->o);
    add_vector(call, "lse", OUTPUT, desc->heads * query_count(desc));
}

static void prepare_attention_forward(call *call, int variant) {
    attention_desc(call, variant);
    add_random(call, variant);
    add_query_rows(call, variant);
    add_forward_arrays(call, variant);
}

static void prepare_listed_forward(call *call, int variant) {
    prepare_attention_forward(call, LISTED + variant);
}

static void prepare_selected_forward(call *call, int variant) {
    attention_desc(call, variant);
    add_random(call, variant);
    add_chosen(call, variant);
    add_forward_arrays(call, variant);
}

static pan_status invoke_attention_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                           int64_t bytes) {
    return pan_attention_forward(stream, desc, a[0], a[1], a[2], a[3], a[4], a[5], a[6], workspace, bytes);
}

static pan_status attention_forward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_attention_forward_workspace_size(stream, desc, bytes);
}

static pan_status invoke_selected_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                          int64_t bytes) {
    return pan_selected_attention_forward(stream, desc, a[0], a[1], a[2], a[3], a[4], a[5], a[6], workspace, bytes);
}

static pan_status selected_forward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_selected_attention_forward_workspace_size(stream, desc, bytes);
}

enum { QUERY_ROWS = 1, CHOSEN = 1, Q, K, V, O, LSE, D_O, DQ, DK, DV };

static void add_backward_arrays(call *call, int variant) {
    const pan_attention_desc *desc = DESC(call, pan_attention_desc);
    add_projections(call, (const char *const[]){"q", "k", "v"}, INPUT, variant);
    relate(call, add_heads(call, "o", INPUT, -1, 0, &desc->o), VALUE_OF, O);
    relate(call, add_vector(call, "lse", INPUT, desc->heads * query_count(desc)), VALUE_OF, LSE);
    relate(call, add_heads(call, "d_o", INPUT, -1, 0, &desc->o), COTANGENT_OF, O);
    add_projections(call, (const char *const[]){"dq", "dk", "dv"}, OUTPUT, variant);
    for (int i = 0; i < 3; i++) {
        relate(call, Q + i, VALUE_OF, Q + i);
        relate(call, DQ + i, GRADIENT_OF, Q + i);
    }
}

static void prepare_attention_backward(call *call, int variant) {
    attention_desc(call, variant);
    add_random(call, variant);
    add_query_rows(call, variant);
    add_backward_arrays(call, variant);
}

static void prepare_listed_backward(call *call, int variant) {
    prepare_attention_backward(call, LISTED + variant);
}

static void prepare_selected_backward(call *call, int variant) {
    attention_desc(call, variant);
    add_random(call, variant);
    add_chosen(call, variant);
    add_backward_arrays(call, variant);
}

static pan_status invoke_attention_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                            int64_t bytes) {
    return pan_attention_backward(stream, desc, a[0], a[QUERY_ROWS], a[Q], a[K], a[V], a[O], a[LSE], a[D_O], a[DQ],
                                  a[DK], a[DV], workspace, bytes);
}

static pan_status attention_backward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_attention_backward_workspace_size(stream, desc, bytes);
}

static pan_status invoke_selected_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                           int64_t bytes) {
    return pan_selected_attention_backward(stream, desc, a[0], a[CHOSEN], a[Q], a[K], a[V], a[O], a[LSE], a[D_O], a[DQ],
                                           a[DK], a[DV], workspace, bytes);
}

static pan_status selected_backward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_selected_attention_backward_workspace_size(stream, desc, bytes);
}

/* The only key of a row has weight 1 whatever its score: the two terms of the score's gradient cancel. */
static double score_gradient_terms(const call *call, int view) {
    const pan_attention_desc *desc = DESC(call, const pan_attention_desc);
    return view == DQ || view == DK ? desc->scale * largest_value(call, view == DQ ? K : Q) * largest_value(call, V) *
                                          largest_value(call, D_O)
                                    : 0.0;
}

static double attention_backward_cancelling(const call *call, int view) {
    const pan_attention_desc *desc = DESC(call, const pan_attention_desc);
    return desc->length == 1 || desc->window == 1 ? score_gradient_terms(call, view) : 0.0;
}

static double selected_backward_cancelling(const call *call, int view) {
    const pan_attention_desc *desc = DESC(call, const pan_attention_desc);
    bool one_key = true;
    for (int64_t row = 0; row < desc->batch * desc->length; row++) {
        one_key = one_key && (desc->window == 1 || row % desc->length == 0 || !is_chosen(desc, call->variant, row));
    }
    return one_key ? score_gradient_terms(call, view) : 0.0;
}

#define LAYOUT_FIELDS(array)                                          \
    FIELD(pan_attention_desc, array.batch_stride, FIELD_STRIDE),      \
        FIELD(pan_attention_desc, array.length_stride, FIELD_STRIDE), \
        FIELD(pan_attention_desc, array.head_stride, FIELD_STRIDE)

#define ATTENTION_FIELDS(...)                                                                               \
    {                                                                                                       \
        FIELD(pan_attention_desc, dropout_probability, FIELD_PROBABILITY),                                  \
            FIELD(pan_attention_desc, batch, FIELD_SIZE), FIELD(pan_attention_desc, heads, FIELD_SIZE),     \
            FIELD(pan_attention_desc, length, FIELD_SIZE), FIELD(pan_attention_desc, head_dim, FIELD_SIZE), \
            LAYOUT_FIELDS(k), LAYOUT_FIELDS(v), __VA_ARGS__                                                 \
    }

enum { ATTENTION, ATTENTION_BACKWARD, LISTED_ATTENTION, LISTED_BACKWARD, SELECTED_ATTENTION, SELECTED_BACKWARD, END };

const op_case SEQUENCE_CASES[] = {
    [ATTENTION] = {.op = "attention_forward",
                   .variants = LISTED,
                   .tolerance = 3e-6,
                   .prepare = prepare_attention_forward,
                   .invoke = invoke_attention_forward,
                   .workspace = attention_forward_workspace,
                   .desc_size = sizeof(pan_attention_desc),
                   .fields = ATTENTION_FIELDS(LAYOUT_FIELDS(q))},
    /* exp(score - lse) doubles the rounding of both, and D and do . v cancel. */
    [ATTENTION_BACKWARD] = {.op = "attention_backward",
                            .variants = LISTED,
                            .tolerance = 1e-5,
                            .prepare = prepare_attention_backward,
                            .invoke = invoke_attention_backward,
                            .cancelling = attention_backward_cancelling,
                            .workspace = attention_backward_workspace,
                            .forward = &SEQUENCE_CASES[ATTENTION],
                            .desc_size = sizeof(pan_attention_desc),
                            .fields = ATTENTION_FIELDS(LAYOUT_FIELDS(q))},
    [LISTED_ATTENTION] = {.op = "attention_forward",
                          .title = "attention_forward of listed queries",
                          .variants = LISTED,
                          .tolerance = 3e-6,
                          .prepare = prepare_listed_forward,
                          .invoke = invoke_attention_forward,
                          .workspace = attention_forward_workspace,
                          .desc_size = sizeof(pan_attention_desc),
                          .fields = ATTENTION_FIELDS(FIELD(pan_attention_desc, q.length_stride, FIELD_STRIDE))},
    [LISTED_BACKWARD] = {.op = "attention_backward",
                         .title = "attention_backward of listed queries",
                         .variants = LISTED,
                         .tolerance = 1e-5,
                         .prepare = prepare_listed_backward,
                         .invoke = invoke_attention_backward,
                         .cancelling = attention_backward_cancelling,
                         .workspace = attention_backward_workspace,
                         .forward = &SEQUENCE_CASES[LISTED_ATTENTION],
                         .desc_size = sizeof(pan_attention_desc),
                         .fields = ATTENTION_FIELDS(FIELD(pan_attention_desc, q.length_stride, FIELD_STRIDE))},
    [SELECTED_ATTENTION] = {.op = "selected_attention_forward",
                            .variants = LISTED,
                            .tolerance = 3e-6,
                            .prepare = prepare_selected_forward,
                            .invoke = invoke_selected_forward,
                            .workspace = selected_forward_workspace,
                            .desc_size = sizeof(pan_attention_desc),
                            .fields = ATTENTION_FIELDS(LAYOUT_FIELDS(q))},
    [SELECTED_BACKWARD] = {.op = "selected_attention_backward",
                           .variants = LISTED,
                           .tolerance = 1e-5,
                           .prepare = prepare_selected_backward,
                           .invoke = invoke_selected_backward,
                           .cancelling = selected_backward_cancelling,
                           .workspace = selected_backward_workspace,
                           .forward = &SEQUENCE_CASES[SELECTED_ATTENTION],
                           .desc_size = sizeof(pan_attention_desc),
                           .fields = ATTENTION_FIELDS(LAYOUT_FIELDS(q))},
    [END] = {0},
};
