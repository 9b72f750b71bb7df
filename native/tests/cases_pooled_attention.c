/* Cases of attention to pooled blocks and of the choice among them. */
#include <math.h>

#include "cases.h"

enum { DENSE, PACKED, HEADS_FIRST, LAYOUTS };
/* Variants from here on have queries behind a prefix, which backward has not; otherwise they are as the first ones. */
enum { WITH_FIRST = 4 * SIZE_COUNT, VARIANTS = WITH_FIRST + SIZE_COUNT };

/* PACKED: side by side with parts - 1 others. */
static pan_head_layout head_layout(int kind, int64_t heads, int64_t length, int64_t head_dim, int64_t parts) {
    const int64_t width = heads * head_dim;
    switch (kind) {
    case DENSE: return (pan_head_layout){length * width, width, head_dim};
    case PACKED: return (pan_head_layout){length * parts * width, parts * width, head_dim};
    default: /* (batch, heads, length, head_dim) with rows that are longer than they need be */
        return (pan_head_layout){heads * length * (head_dim + 2), head_dim + 2, length * (head_dim + 2)};
    }
}

/* What both ops have. */
typedef struct sizes {
    int64_t batch, heads, kv_heads, length, first, head_dim, blocks, block_size;
} sizes;

static sizes sizes_of(int all_variants) {
    static const int64_t block_sizes[] = {1, 2, 5, 16, 32, 64, 300};
    const int variant = all_variants % WITH_FIRST;
    sizes of = {.length = ragged(variant, 0)};
    of.first = all_variants < WITH_FIRST ? 0 : ragged(variant, 3);
    of.head_dim = at_most(ragged(variant, 1), of.length > 257 ? 8 : 128);
    of.kv_heads = of.length > 100 ? 1 : at_most(ragged(variant, 2), 3);
    of.heads = of.kv_heads * (1 + variant % 3);
    of.batch = at_most(ragged(variant, 3), of.length > 100 ? 1 : 3);
    of.block_size = block_sizes[(variant + variant / SIZE_COUNT) % COUNT(block_sizes)];
    of.blocks = (of.first + of.length) / of.block_size;
    if (variant % 5 == 4 && of.blocks > 0) {
        of.blocks--; /* one that has ended is not there */
    }
    return of;
}

/* None; a list for each query; for the queries of a block and all heads; all blocks, if few, for all examples. */
static pan_block_lists lists_of(const sizes *sizes, int variant) {
    const int64_t blocks = (sizes->first + sizes->length - 1) / sizes->block_size + 1;
    switch (variant % 4) {
    case 0: return (pan_block_lists){0};
    case 1: return (pan_block_lists){at_most(blocks, 3), sizes->block_size, 1, sizes->batch, sizes->kv_heads};
    case 2: return (pan_block_lists){at_most(blocks, 7), sizes->block_size, sizes->block_size, sizes->batch, 1};
    default: return (pan_block_lists){blocks < 65 ? blocks : 65, sizes->block_size, 16, 1, sizes->kv_heads};
    }
}

static pan_pooled_attention_desc *pooled_desc(call *call, int variant) {
    const sizes sizes = sizes_of(variant);
    pan_pooled_attention_desc *desc = DESC(call, pan_pooled_attention_desc);
    *desc = (pan_pooled_attention_desc){.struct_size = sizeof *desc,
                                        .scale = (float) (1.0 / sqrt((double) sizes.head_dim)),
                                        .bias = variant % 2 == 0 ? 0.0f : (float) log((double) sizes.block_size),
                                        .batch = sizes.batch,
                                        .heads = sizes.heads,
                                        .kv_heads = sizes.kv_heads,
                                        .length = sizes.length,
                                        .first = sizes.first,
                                        .head_dim = sizes.head_dim,
                                        .always = sizes.blocks == 0 || variant % 7 < 3 ? 1 + variant % 3 : 0,
                                        .blocks = sizes.blocks,
                                        .block_size = sizes.block_size,
                                        .excluded = lists_of(&sizes, variant / 2)};
    const int kind = variant % LAYOUTS;
    desc->q = desc->o = head_layout(kind == PACKED ? DENSE : kind, sizes.heads, sizes.length, sizes.head_dim, 1);
    desc->k = desc->v = head_layout(kind, sizes.kv_heads, desc->always + sizes.blocks, sizes.head_dim, 2);
    call->work = (double) (sizes.batch * sizes.heads * sizes.length * (desc->always + sizes.blocks) *
                           (sizes.head_dim + desc->excluded.slots));
    return desc;
}

/* Neighbouring blocks from a random one on, some of which are left out. */
static void add_excluded(call *call) {
    const pan_pooled_attention_desc *desc = DESC(call, pan_pooled_attention_desc);
    const pan_block_lists *lists = &desc->excluded;
    if (lists->slots == 0) {
        make_optional(call, add_integers(call, "excluded", INPUT, 1, 0, 1), false);
        return;
    }
    const int64_t blocks = (desc->first + desc->length - 1) / desc->block_size + 1;
    const int64_t count = lists->batches * lists->heads * ((desc->length - 1) / lists->queries + 1);
    const int view = add_integers(call, "excluded", INPUT, count * lists->slots, 0, blocks);
    double *entry = call->blocks[call->views[view].block].values;
    for (int64_t list = 0; list < count; list++) {
        const int64_t first = (int64_t) *entry;
        for (int64_t i = 0; i < lists->slots; i++, entry++) {
            const bool none = next_uniform(&call->random) < 0.2 && list % 5 != 0;
            *entry = none ? -1.0 : (double) ((first + i) % blocks);
        }
    }
}

/* `layout` is a field of the descriptor. */
static int add_heads(call *call, const char *name, role role, int block, int64_t offset,
                     const pan_head_layout *layout) {
    const pan_pooled_attention_desc *desc = DESC(call, pan_pooled_attention_desc);
    const bool keys = layout == &desc->k || layout == &desc->v;
    const int64_t size[] = {desc->batch, keys ? desc->always + desc->blocks : desc->length,
                            keys ? desc->kv_heads : desc->heads, desc->head_dim};
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

/* q, k and v, or their gradients; if PACKED, the last two side by side at each position. */
static int add_projections(call *call, const char *const *names, role role, int variant) {
    const pan_pooled_attention_desc *desc = DESC(call, pan_pooled_attention_desc);
    const int64_t width = desc->kv_heads * desc->head_dim;
    const int q = add_heads(call, names[0], role, -1, 0, &desc->q);
    const bool packed = variant % LAYOUTS == PACKED;
    const int block = packed ? add_block(call, REAL, desc->batch * (desc->always + desc->blocks) * 2 * width) : -1;
    add_heads(call, names[1], role, block, 0, &desc->k);
    add_heads(call, names[2], role, block, packed ? width : 0, &desc->v);
    return q;
}

static void prepare_pooled_forward(call *call, int variant) {
    const pan_pooled_attention_desc *desc = pooled_desc(call, variant);
    add_excluded(call);
    scale_values(call, add_projections(call, (const char *const[]){"q", "k", "v"}, INPUT, variant), 2.0);
    add_heads(call, "o", OUTPUT, -1, 0, &desc->o);
    add_vector(call, "lse", OUTPUT, desc->batch * desc->heads * desc->length);
}

static pan_status invoke_pooled_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                        int64_t bytes) {
    return pan_pooled_attention_forward(stream, desc, a[0], a[1], a[2], a[3], a[4], a[5], workspace, bytes);
}

static pan_status pooled_forward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_pooled_attention_forward_workspace_size(stream, desc, bytes);
}

enum { EXCLUDED, Q, K, V, O, LSE, D_O, D_LSE, DQ, DK, DV };

static void prepare_pooled_backward(call *call, int variant) {
    const pan_pooled_attention_desc *desc = pooled_desc(call, variant);
    add_excluded(call);
    add_projections(call, (const char *const[]){"q", "k", "v"}, INPUT, variant);
    relate(call, add_heads(call, "o", INPUT, -1, 0, &desc->o), VALUE_OF, O);
    const int64_t statistics = desc->batch * desc->heads * desc->length;
    relate(call, add_vector(call, "lse", INPUT, statistics), VALUE_OF, LSE);
    relate(call, add_heads(call, "d_o", INPUT, -1, 0, &desc->o), COTANGENT_OF, O);
    const int d_lse = add_vector(call, "d_lse", INPUT, statistics);
    make_optional(call, d_lse, variant % 3 != 0);
    relate(call, d_lse, COTANGENT_OF, LSE);
    add_projections(call, (const char *const[]){"dq", "dk", "dv"}, OUTPUT, variant);
    relate(call, EXCLUDED, VALUE_OF, EXCLUDED);
    for (int i = 0; i < 3; i++) {
        relate(call, Q + i, VALUE_OF, Q + i);
        relate(call, DQ + i, GRADIENT_OF, Q + i);
    }
}

static pan_status invoke_pooled_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                         int64_t bytes) {
    return pan_pooled_attention_backward(stream, desc, a[EXCLUDED], a[Q], a[K], a[V], a[O], a[LSE], a[D_O], a[D_LSE],
                                         a[DQ], a[DK], a[DV], workspace, bytes);
}

static pan_status pooled_backward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_pooled_attention_backward_workspace_size(stream, desc, bytes);
}

/* The most keys that a query sees. */
static int64_t most_seen(const call *call) {
    const pan_pooled_attention_desc *desc = DESC(call, const pan_pooled_attention_desc);
    const pan_block_lists *lists = &desc->excluded;
    const double *excluded = call->blocks[call->views[EXCLUDED].block].values;
    const int64_t per_head = lists->slots == 0 ? 1 : (desc->length - 1) / lists->queries + 1;
    const int64_t heads = lists->slots == 0 ? 1 : lists->batches * lists->heads;
    int64_t most = 0;
    for (int64_t i = 0; i < heads * desc->length; i++) {
        const int64_t t = i % desc->length, ended = t / desc->block_size;
        const int64_t blocks = ended < desc->blocks ? ended : desc->blocks;
        int64_t seen = desc->always + blocks;
        for (int64_t slot = 0; slot < lists->slots; slot++) {
            const double entry = excluded[(i / desc->length * per_head + t / lists->queries) * lists->slots + slot];
            seen -= entry >= 0.0 && entry < (double) blocks;
        }
        most = seen > most ? seen : most;
    }
    return most;
}

/* An only key has weight 1 whatever its score: two terms of the score's gradient cancel. */
static double pooled_backward_cancelling(const call *call, int view) {
    if ((view != DQ && view != DK) || most_seen(call) > 1) {
        return 0.0;
    }
    return DESC(call, const pan_pooled_attention_desc)->scale * largest_value(call, view == DQ ? K : Q) *
           largest_value(call, V) * largest_value(call, D_O);
}

static void prepare_top_k(call *call, int variant) {
    static const int64_t wanted[] = {1, 2, 4, 16, 300};
    static const float least[] = {-1.0f, 0.0f, 1e-10f, 0.03f};
    const sizes sizes = sizes_of(variant);
    pan_block_top_k_desc *desc = DESC(call, pan_block_top_k_desc);
    *desc = (pan_block_top_k_desc){.struct_size = sizeof *desc,
                                   .scale = (float) (1.0 / sqrt((double) sizes.head_dim)),
                                   .min_weight = least[variant % COUNT(least)],
                                   .batch = sizes.batch,
                                   .heads = sizes.heads,
                                   .kv_heads = sizes.kv_heads,
                                   .length = sizes.length,
                                   .first = sizes.first,
                                   .head_dim = sizes.head_dim,
                                   .blocks = sizes.blocks,
                                   .block_size = sizes.block_size,
                                   .k = wanted[(variant + variant / SIZE_COUNT) % COUNT(wanted)],
                                   .own = variant / 3 % 2};
    const int kind = variant % LAYOUTS;
    desc->q = head_layout(kind, sizes.heads, sizes.length, sizes.head_dim, 2);
    desc->key = head_layout(kind, sizes.kv_heads, sizes.blocks, sizes.head_dim, 2);
    call->work = (double) (sizes.batch * sizes.heads * sizes.length * sizes.blocks * sizes.head_dim);
    for (int i = 0; i < 2; i++) {
        const pan_head_layout *layout = i == 0 ? &desc->q : &desc->key;
        const int64_t rows = i == 0 ? sizes.length : sizes.blocks > 0 ? sizes.blocks : 1;
        const int64_t size[] = {sizes.batch, rows, i == 0 ? sizes.heads : sizes.kv_heads, sizes.head_dim};
        const int64_t stride[] = {layout->batch_stride, layout->length_stride, layout->head_stride, 1};
        int64_t last = 0;
        for (int d = 0; d < 4; d++) {
            last += (size[d] - 1) * stride[d];
        }
        const int block = add_block(call, REAL, last + 1);
        const int view = add_window(call, i == 0 ? "q" : "key", INPUT, block, 0, 4, size, stride);
        for (int64_t e = 0; e < view_count(&call->views[view]); e++) { /* whole numbers: exact scores, and equal ones */
            double *value = &call->blocks[block].values[view_element(&call->views[view], e)];
            *value = round(*value);
        }
    }
    if (sizes.blocks == 0) {
        make_optional(call, 1, false);
    }
    add_integers(call, "listed", OUTPUT, sizes.batch * sizes.kv_heads * sizes.length * (desc->k + desc->own), 0, 1);
}

static pan_status invoke_top_k(pan_stream *stream, const void *desc, void *const *a, void *workspace, int64_t bytes) {
    return pan_block_top_k(stream, desc, a[0], a[1], a[2], workspace, bytes);
}

static pan_status top_k_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_block_top_k_workspace_size(stream, desc, bytes);
}

#define LAYOUT_FIELDS(desc, array)                                                                 \
    FIELD(desc, array.batch_stride, FIELD_STRIDE), FIELD(desc, array.length_stride, FIELD_STRIDE), \
        FIELD(desc, array.head_stride, FIELD_STRIDE)

#define SIZE_FIELDS(desc)                                                                              \
    FIELD(desc, batch, FIELD_SIZE), FIELD(desc, heads, FIELD_SIZE), FIELD(desc, kv_heads, FIELD_SIZE), \
        FIELD(desc, length, FIELD_SIZE), FIELD(desc, head_dim, FIELD_SIZE), FIELD(desc, block_size, FIELD_SIZE)

#define POOLED_FIELDS                                                                                \
    {                                                                                                \
        SIZE_FIELDS(pan_pooled_attention_desc), LAYOUT_FIELDS(pan_pooled_attention_desc, q),         \
            LAYOUT_FIELDS(pan_pooled_attention_desc, k), LAYOUT_FIELDS(pan_pooled_attention_desc, v) \
    }

enum { POOLED, POOLED_BACKWARD, TOP_K, END };

const op_case POOLED_CASES[] = {
    [POOLED] = {.op = "pooled_attention_forward",
                .variants = VARIANTS,
                .tolerance = 3e-6,
                .prepare = prepare_pooled_forward,
                .invoke = invoke_pooled_forward,
                .workspace = pooled_forward_workspace,
                .desc_size = sizeof(pan_pooled_attention_desc),
                .fields = POOLED_FIELDS},
    /* exp(score - lse) doubles the rounding of both, and D and do . v cancel. */
    [POOLED_BACKWARD] = {.op = "pooled_attention_backward",
                         .variants = WITH_FIRST,
                         .tolerance = 1e-5,
                         .prepare = prepare_pooled_backward,
                         .invoke = invoke_pooled_backward,
                         .cancelling = pooled_backward_cancelling,
                         .workspace = pooled_backward_workspace,
                         .forward = &POOLED_CASES[POOLED],
                         .desc_size = sizeof(pan_pooled_attention_desc),
                         .fields = POOLED_FIELDS},
    [TOP_K] = {.op = "block_top_k",
               .variants = VARIANTS,
               .prepare = prepare_top_k,
               .invoke = invoke_top_k,
               .workspace = top_k_workspace,
               .desc_size = sizeof(pan_block_top_k_desc),
               .fields = {SIZE_FIELDS(pan_block_top_k_desc), LAYOUT_FIELDS(pan_block_top_k_desc, q),
                          LAYOUT_FIELDS(pan_block_top_k_desc, key), FIELD(pan_block_top_k_desc, k, FIELD_SIZE),
                          FIELD_ENUM(pan_block_top_k_desc, own, 2), FIELD_RESERVED(pan_block_top_k_desc)}},
    [END] = {0},
};
