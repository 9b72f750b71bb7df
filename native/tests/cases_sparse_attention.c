/* Cases of attention by blocks, and of the merge of two attentions. */
#include <math.h>

#include "cases.h"

enum { DENSE, PACKED, HEADS_FIRST, LAYOUTS };
enum { VARIANTS = 6 * SIZE_COUNT };

/* What queries see: the kinds of keys, and all of them together; some of a kind see none. */
enum { WINDOW, GLOBALS, LISTS, WINDOW_AND_LISTS, GLOBALS_AND_LISTS, EVERYTHING, KINDS };

static int kind_of(int variant) {
    return (variant + variant / SIZE_COUNT) % KINDS;
}

static int64_t head_width(const pan_sparse_attention_desc *desc, bool of_queries) {
    return (of_queries ? desc->heads : desc->kv_heads) * desc->head_dim;
}

/* PACKED: q, k and v of a position side by side. */
static pan_head_layout head_layout(const pan_sparse_attention_desc *desc, int kind, bool of_queries) {
    const int64_t width = head_width(desc, of_queries), row = desc->head_dim + 2;
    const int64_t packed = head_width(desc, true) + 2 * head_width(desc, false);
    const int64_t heads = of_queries ? desc->heads : desc->kv_heads;
    const int64_t length = of_queries ? desc->length : desc->first + desc->length;
    switch (kind) {
    case DENSE: return (pan_head_layout){length * width, width, desc->head_dim};
    case PACKED: return (pan_head_layout){length * packed, packed, desc->head_dim};
    default: /* (batch, heads, length, head_dim) with rows that are longer than they need be */
        return (pan_head_layout){heads * length * row, row, length * row};
    }
}

static int64_t block_size_of(int variant) {
    static const int64_t sizes[] = {1, 4, 7, 16, 32, 64, 2000};
    return sizes[variant % COUNT(sizes)];
}

static pan_block_lists make_lists(const pan_sparse_attention_desc *desc, int variant) {
    static const int64_t slots[] = {1, 2, 3, 5, 9}, queries[] = {1, 1, 4, 32};
    return (pan_block_lists){.slots = slots[variant % COUNT(slots)],
                             .block_size = block_size_of(variant),
                             .queries = queries[variant / 2 % COUNT(queries)],
                             .batches = variant % 3 == 0 ? 1 : desc->batch,
                             .heads = variant % 4 < 2 ? 1 : desc->kv_heads};
}

/* With queries from position `first` on. */
static pan_sparse_attention_desc *sparse_desc(call *call, int variant, int64_t first) {
    const int kind = kind_of(variant);
    const int64_t length = ragged(variant, 0), head_dim = at_most(ragged(variant, 1), length > 257 ? 8 : 128);
    pan_sparse_attention_desc *desc = DESC(call, pan_sparse_attention_desc);
    *desc = (pan_sparse_attention_desc){.struct_size = sizeof *desc,
                                        .scale = (float) (1.0 / sqrt((double) head_dim)),
                                        .batch = at_most(ragged(variant, 3), length > 100 ? 1 : 3),
                                        .kv_heads = length > 100 ? 1 : at_most(ragged(variant, 2), 2),
                                        .length = length,
                                        .first = first,
                                        .head_dim = head_dim};
    desc->heads = desc->kv_heads * (1 + variant % 3);
    if (kind != GLOBALS && kind != LISTS && kind != GLOBALS_AND_LISTS) {
        desc->window = variant % 7 == 0 ? INT64_C(1) << 40 : at_most(ragged(variant + 4, 2), length);
    }
    if (kind == GLOBALS || kind == GLOBALS_AND_LISTS || kind == EVERYTHING) {
        desc->globals = variant % 8 == 0 ? INT64_C(1) << 40 : 1 + variant % 5;
    }
    if (kind >= LISTS) {
        desc->lists = make_lists(desc, variant);
    }
    desc->q = head_layout(desc, variant % LAYOUTS == PACKED && desc->first > 0 ? DENSE : variant % LAYOUTS, true);
    desc->k = desc->v = head_layout(desc, variant % LAYOUTS, false);
    desc->o = head_layout(desc, variant % LAYOUTS == PACKED ? DENSE : variant % LAYOUTS, true);
    call->work = (double) (desc->batch * length * desc->heads * (desc->first + length) * (head_dim + 10));
    return desc;
}

/* Different blocks; some are none, some lie ahead of the queries, and often the queries' own is there. */
static void fill_list(const pan_sparse_attention_desc *desc, generator *random, int64_t first_query, double *list) {
    const int64_t positions = desc->first + desc->length;
    const int64_t blocks = (positions + desc->lists.block_size - 1) / desc->lists.block_size;
    const int64_t own = (desc->first + first_query) / desc->lists.block_size;
    for (int64_t i = 0; i < desc->lists.slots; i++) {
        const uint64_t bits = next_bits(random);
        const int64_t wanted = bits % 8 == 0 ? own : (int64_t) (bits / 8 % (uint64_t) blocks);
        list[i] = bits % 5 == 0 ? -1.0 : (double) wanted;
        for (int64_t j = 0; j < i; j++) {
            list[i] = list[j] == list[i] ? -1.0 : list[i];
        }
    }
}

/* The same for forward and backward. */
static void add_lists(call *call, int variant) {
    const pan_sparse_attention_desc *desc = DESC(call, pan_sparse_attention_desc);
    const pan_block_lists *lists = &desc->lists;
    const int64_t of_head = lists->slots == 0 ? 1 : (desc->length + lists->queries - 1) / lists->queries;
    const int64_t count = lists->slots == 0 ? 1 : lists->batches * lists->heads * of_head;
    const int view = add_integers(call, "blocks", INPUT, lists->slots == 0 ? 1 : count * lists->slots, 0, 1);
    make_optional(call, view, lists->slots > 0);
    generator random = {(uint64_t) variant * 1000003};
    for (int64_t i = 0; i < count && lists->slots > 0; i++) {
        fill_list(desc, &random, i % of_head * lists->queries,
                  call->blocks[call->views[view].block].values + i * lists->slots);
    }
}

static int add_heads(call *call, const char *name, role role, int block, int64_t offset, bool of_queries,
                     const pan_head_layout *layout) {
    const pan_sparse_attention_desc *desc = DESC(call, pan_sparse_attention_desc);
    const int64_t size[] = {desc->batch, of_queries ? desc->length : desc->first + desc->length,
                            of_queries ? desc->heads : desc->kv_heads, desc->head_dim};
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

/* q, k and v, or their gradients: three arrays, or one that holds the three side by side at each position; where queries
 * are not at all positions, k and v lie in one array as if q lay there too. */
static void add_projections(call *call, const char *const *names, role role, int variant) {
    const pan_sparse_attention_desc *desc = DESC(call, pan_sparse_attention_desc);
    const int64_t q_width = head_width(desc, true), k_width = head_width(desc, false);
    const bool packed = variant % LAYOUTS == PACKED;
    int block = -1;
    if (packed) {
        block = add_block(call, REAL, desc->batch * (desc->first + desc->length) * (q_width + 2 * k_width));
    }
    add_heads(call, names[0], role, desc->first > 0 ? -1 : block, 0, true, &desc->q);
    add_heads(call, names[1], role, block, packed ? q_width : 0, false, &desc->k);
    add_heads(call, names[2], role, block, packed ? q_width + k_width : 0, false, &desc->v);
}

enum { BLOCKS, Q, K, V, O, LSE, D_O, D_LSE, DQ, DK, DV };

static int add_statistics(call *call, const char *name, role role) {
    const pan_sparse_attention_desc *desc = DESC(call, pan_sparse_attention_desc);
    return add_vector(call, name, role, desc->batch * desc->heads * desc->length);
}

static void prepare_arrays(call *call, int variant, int64_t first, bool forward) {
    const pan_sparse_attention_desc *desc = sparse_desc(call, variant, first);
    add_lists(call, variant);
    add_projections(call, (const char *const[]){"q", "k", "v"}, INPUT, variant);
    add_heads(call, "o", forward ? OUTPUT : INPUT, -1, 0, true, &desc->o);
    add_statistics(call, "lse", forward ? OUTPUT : INPUT);
}

static void prepare_forward(call *call, int variant) {
    prepare_arrays(call, variant, 0, true);
}

static void prepare_decoding(call *call, int variant) {
    prepare_arrays(call, variant, 1 + variant * 7 % 90, true);
}

static pan_status invoke_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace, int64_t bytes) {
    return pan_sparse_attention_forward(stream, desc, a[BLOCKS], a[Q], a[K], a[V], a[O], a[LSE], workspace, bytes);
}

static pan_status forward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_sparse_attention_forward_workspace_size(stream, desc, bytes);
}

static void prepare_backward(call *call, int variant) {
    prepare_arrays(call, variant, 0, false);
    const pan_sparse_attention_desc *desc = DESC(call, pan_sparse_attention_desc);
    relate(call, add_heads(call, "d_o", INPUT, -1, 0, true, &desc->o), COTANGENT_OF, O);
    const int d_lse = add_statistics(call, "d_lse", INPUT);
    /* Where queries see nothing, lse is no number that a test could differentiate. */
    make_optional(call, d_lse, kind_of(variant) != LISTS && variant % 2 == 0);
    relate(call, d_lse, COTANGENT_OF, LSE);
    add_projections(call, (const char *const[]){"dq", "dk", "dv"}, OUTPUT, variant);
    for (int i = 0; i < 3; i++) {
        relate(call, Q + i, VALUE_OF, Q + i);
        relate(call, DQ + i, GRADIENT_OF, Q + i);
    }
    relate(call, O, VALUE_OF, O);
    relate(call, LSE, VALUE_OF, LSE);
}

static pan_status invoke_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                  int64_t bytes) {
    return pan_sparse_attention_backward(stream, desc, a[BLOCKS], a[Q], a[K], a[V], a[O], a[LSE], a[D_O], a[D_LSE],
                                         a[DQ], a[DK], a[DV], workspace, bytes);
}

static pan_status backward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_sparse_attention_backward_workspace_size(stream, desc, bytes);
}

static bool sees(const call *call, int64_t list, int64_t t, int64_t s) {
    const pan_sparse_attention_desc *desc = DESC(call, const pan_sparse_attention_desc);
    const double *values = call->blocks[call->views[BLOCKS].block].values + list * desc->lists.slots;
    bool listed = false;
    for (int64_t i = 0; i < desc->lists.slots; i++) {
        listed |= values[i] == (double) (s / desc->lists.block_size);
    }
    return listed || t - s < desc->window || s < desc->globals;
}

/* Whether no query sees two keys. */
static bool single_keys(const call *call) {
    const pan_sparse_attention_desc *desc = DESC(call, const pan_sparse_attention_desc);
    const pan_block_lists *lists = &desc->lists;
    const int64_t of_head = lists->slots == 0 ? 1 : (desc->length + lists->queries - 1) / lists->queries;
    const int64_t heads = lists->slots == 0 ? 1 : lists->batches * lists->heads;
    for (int64_t t = 0; t < desc->length * heads; t++) {
        const int64_t position = t % desc->length;
        const int64_t list = lists->slots == 0 ? 0 : t / desc->length * of_head + position / lists->queries;
        int64_t count = 0;
        for (int64_t s = 0; s <= position; s++) {
            count += sees(call, list, position, s);
            if (count > 1) {
                return false;
            }
        }
    }
    return true;
}

/* The only key of a row has weight 1 whatever its score: the two terms of the score's gradient cancel. */
static double backward_cancelling(const call *call, int view) {
    if ((view != DQ && view != DK) || call->views[D_LSE].present || !single_keys(call)) {
        return 0.0;
    }
    const float scale = DESC(call, const pan_sparse_attention_desc)->scale;
    return scale * largest_value(call, view == DQ ? K : Q) * largest_value(call, V) * largest_value(call, D_O);
}

/* ---- merge ---- */

enum { O1, LSE1, O2, LSE2, MERGED, MERGED_LSE, D_MERGED, D_MERGED_LSE, D_O1, D_LSE1, D_O2, D_LSE2 };

static pan_attention_merge_desc *merge_desc(call *call, int variant) {
    pan_attention_merge_desc *desc = DESC(call, pan_attention_merge_desc);
    *desc = (pan_attention_merge_desc){.struct_size = sizeof *desc,
                                       .batch = at_most(ragged(variant, 3), 3),
                                       .length = ragged(variant, 0),
                                       .heads = at_most(ragged(variant, 2), 3),
                                       .head_dim = at_most(ragged(variant, 1), 257)};
    return desc;
}

static int add_outputs(call *call, const char *name, role role) {
    const pan_attention_merge_desc *desc = DESC(call, pan_attention_merge_desc);
    const int64_t rows = desc->batch * desc->length * desc->heads;
    return add_rows(call, name, role, rows, desc->head_dim, desc->head_dim);
}

/* Some far apart; in every second variant some of sets without keys, and some of both. */
static int add_lse(call *call, const char *name, role role, int variant) {
    const pan_attention_merge_desc *desc = DESC(call, pan_attention_merge_desc);
    const int64_t rows = desc->batch * desc->heads * desc->length;
    const int view = add_vector(call, name, role, rows);
    double *values = call->blocks[call->views[view].block].values;
    for (int64_t i = 0; i < rows && role == INPUT; i++) {
        values[i] = (float) (values[i] * (i % 7 == 0 ? 40.0 : 2.0));
        values[i] = variant % 2 == 1 && next_bits(&call->random) % 3 == 0 ? -(double) INFINITY : values[i];
    }
    return view;
}

static void add_parts(call *call, int variant) {
    add_outputs(call, "o1", INPUT);
    add_lse(call, "lse1", INPUT, variant);
    add_outputs(call, "o2", INPUT);
    add_lse(call, "lse2", INPUT, variant);
}

static void prepare_merge(call *call, int variant) {
    merge_desc(call, variant);
    add_parts(call, variant);
    add_outputs(call, "o", OUTPUT);
    add_lse(call, "lse", OUTPUT, variant);
}

static pan_status invoke_merge(pan_stream *stream, const void *desc, void *const *a, void *workspace, int64_t bytes) {
    (void) workspace;
    (void) bytes;
    return pan_attention_merge_forward(stream, desc, a[O1], a[LSE1], a[O2], a[LSE2], a[MERGED], a[MERGED_LSE]);
}

static void prepare_merge_backward(call *call, int variant) {
    merge_desc(call, variant);
    add_parts(call, variant);
    add_outputs(call, "o", INPUT);
    add_lse(call, "lse", INPUT, variant);
    relate(call, add_outputs(call, "d_o", INPUT), COTANGENT_OF, MERGED);
    const int d_lse = add_lse(call, "d_lse", INPUT, 0);
    make_optional(call, d_lse, variant % 4 == 0);
    relate(call, d_lse, COTANGENT_OF, MERGED_LSE);
    for (int i = O1; i <= MERGED_LSE; i++) {
        relate(call, i, VALUE_OF, i);
    }
    relate(call, add_outputs(call, "d_o1", OUTPUT), GRADIENT_OF, O1);
    relate(call, add_lse(call, "d_lse1", OUTPUT, variant), GRADIENT_OF, LSE1);
    relate(call, add_outputs(call, "d_o2", OUTPUT), GRADIENT_OF, O2);
    relate(call, add_lse(call, "d_lse2", OUTPUT, variant), GRADIENT_OF, LSE2);
}

static pan_status invoke_merge_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                        int64_t bytes) {
    (void) workspace;
    (void) bytes;
    return pan_attention_merge_backward(stream, desc, a[O1], a[LSE1], a[O2], a[LSE2], a[MERGED], a[MERGED_LSE],
                                        a[D_MERGED], a[D_MERGED_LSE], a[D_O1], a[D_LSE1], a[D_O2], a[D_LSE2]);
}

#define LAYOUT_FIELDS(array)                                                 \
    FIELD(pan_sparse_attention_desc, array.batch_stride, FIELD_STRIDE),      \
        FIELD(pan_sparse_attention_desc, array.length_stride, FIELD_STRIDE), \
        FIELD(pan_sparse_attention_desc, array.head_stride, FIELD_STRIDE)

#define SPARSE_FIELDS                                                                                   \
    {                                                                                                   \
        FIELD_RESERVED(pan_sparse_attention_desc), FIELD(pan_sparse_attention_desc, batch, FIELD_SIZE), \
            FIELD(pan_sparse_attention_desc, heads, FIELD_SIZE),                                        \
            FIELD(pan_sparse_attention_desc, kv_heads, FIELD_SIZE),                                     \
            FIELD(pan_sparse_attention_desc, length, FIELD_SIZE),                                       \
            FIELD(pan_sparse_attention_desc, head_dim, FIELD_SIZE), LAYOUT_FIELDS(q), LAYOUT_FIELDS(k), \
            LAYOUT_FIELDS(o)                                                                            \
    }

#define MERGE_FIELDS                                                                                                  \
    {                                                                                                                 \
        FIELD(pan_attention_merge_desc, batch, FIELD_SIZE), FIELD(pan_attention_merge_desc, length, FIELD_SIZE),      \
            FIELD(pan_attention_merge_desc, heads, FIELD_SIZE), FIELD(pan_attention_merge_desc, head_dim, FIELD_SIZE) \
    }

enum { FORWARD, DECODING, BACKWARD, MERGE, MERGE_BACKWARD, END };

const op_case SPARSE_ATTENTION_CASES[] = {
    [FORWARD] = {.op = "sparse_attention_forward",
                 .variants = VARIANTS,
                 .tolerance = 3e-6,
                 .prepare = prepare_forward,
                 .invoke = invoke_forward,
                 .workspace = forward_workspace,
                 .desc_size = sizeof(pan_sparse_attention_desc),
                 .fields = SPARSE_FIELDS},
    [DECODING] = {.op = "sparse_attention_forward",
                  .title = "sparse_attention_forward of the last queries",
                  .variants = VARIANTS,
                  .tolerance = 3e-6,
                  .prepare = prepare_decoding,
                  .invoke = invoke_forward,
                  .workspace = forward_workspace,
                  .desc_size = sizeof(pan_sparse_attention_desc),
                  .fields = SPARSE_FIELDS},
    /* exp(score - lse) doubles the rounding of both, and D and do . v cancel. */
    [BACKWARD] = {.op = "sparse_attention_backward",
                  .variants = VARIANTS,
                  .tolerance = 1e-5,
                  .cancelling = backward_cancelling,
                  .prepare = prepare_backward,
                  .invoke = invoke_backward,
                  .workspace = backward_workspace,
                  .forward = &SPARSE_ATTENTION_CASES[FORWARD],
                  .desc_size = sizeof(pan_sparse_attention_desc),
                  .fields = SPARSE_FIELDS},
    [MERGE] = {.op = "attention_merge_forward",
               .variants = SIZE_COUNT,
               .tolerance = 1e-6,
               .prepare = prepare_merge,
               .invoke = invoke_merge,
               .desc_size = sizeof(pan_attention_merge_desc),
               .fields = MERGE_FIELDS},
    [MERGE_BACKWARD] = {.op = "attention_merge_backward",
                        .variants = SIZE_COUNT,
                        .tolerance = 1e-5,
                        .prepare = prepare_merge_backward,
                        .invoke = invoke_merge_backward,
                        .forward = &SPARSE_ATTENTION_CASES[MERGE],
                        .desc_size = sizeof(pan_attention_merge_desc),
                        .fields = MERGE_FIELDS},
    [END] = {0},
};
