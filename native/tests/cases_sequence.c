/* Cases of attention and of the vocabulary loss. */
#include <math.h>

#include "cases.h"

/* ---- attention ---- */

enum { DENSE, PACKED, HEADS_FIRST, LAYOUTS };

static pan_head_layout head_layout(const pan_attention_desc *desc, int kind) {
    int64_t width = desc->heads * desc->head_dim;
    switch (kind) {
    case DENSE: return (pan_head_layout){desc->length * width, width, desc->head_dim};
    case PACKED: return (pan_head_layout){desc->length * 3 * width, 3 * width, desc->head_dim};
    default: /* (batch, heads, length, head_dim) with rows that are longer than they need be */
        return (pan_head_layout){desc->heads * desc->length * (desc->head_dim + 2), desc->head_dim + 2,
                                 desc->length * (desc->head_dim + 2)};
    }
}

static pan_attention_desc *attention_desc(call *call, int variant) {
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
    desc->q = desc->k = desc->v = head_layout(desc, variant % LAYOUTS);
    desc->o = head_layout(desc, variant % LAYOUTS == PACKED ? DENSE : variant % LAYOUTS);
    call->work = (double) (batch * heads * length * length * head_dim);
    return desc;
}

static int add_heads(call *call, const char *name, role role, int block, int64_t offset,
                     const pan_head_layout *layout) {
    const pan_attention_desc *desc = DESC(call, pan_attention_desc);
    const int64_t size[] = {desc->batch, desc->length, desc->heads, desc->head_dim};
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

/* q, k and v, or their gradients: three arrays, or one that holds the three side by side at each position. */
static int add_projections(call *call, const char *const *names, role role, int variant) {
    const pan_attention_desc *desc = DESC(call, pan_attention_desc);
    int64_t width = desc->heads * desc->head_dim;
    bool packed = variant % LAYOUTS == PACKED;
    int block = packed ? add_block(call, REAL, desc->batch * desc->length * 3 * width) : -1;
    for (int i = 0; i < 3; i++) {
        add_heads(call, names[i], role, block, packed ? i * width : 0, &desc->q);
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

static void prepare_attention_forward(call *call, int variant) {
    const pan_attention_desc *desc = attention_desc(call, variant);
    add_random(call, variant);
    int q = add_projections(call, (const char *const[]){"q", "k", "v"}, INPUT, variant);
    scale_values(call, q, 2.0);
    add_heads(call, "o", OUTPUT, -1, 0, &desc->o);
    add_vector(call, "lse", OUTPUT, desc->batch * desc->heads * desc->length);
}

static pan_status invoke_attention_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                           int64_t bytes) {
    return pan_attention_forward(stream, desc, a[0], NULL, a[1], a[2], a[3], a[4], a[5], workspace, bytes);
}

static pan_status attention_forward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_attention_forward_workspace_size(stream, desc, bytes);
}

static void prepare_attention_backward(call *call, int variant) {
    const pan_attention_desc *desc = attention_desc(call, variant);
    add_random(call, variant);
    int q = add_projections(call, (const char *const[]){"q", "k", "v"}, INPUT, variant);
    relate(call, add_heads(call, "o", INPUT, -1, 0, &desc->o), VALUE_OF, 4);
    relate(call, add_vector(call, "lse", INPUT, desc->batch * desc->heads * desc->length), VALUE_OF, 5);
    relate(call, add_heads(call, "d_o", INPUT, -1, 0, &desc->o), COTANGENT_OF, 4);
    int dq = add_projections(call, (const char *const[]){"dq", "dk", "dv"}, OUTPUT, variant);
    for (int i = 0; i < 3; i++) {
        relate(call, q + i, VALUE_OF, 1 + i);
        relate(call, dq + i, GRADIENT_OF, 1 + i);
    }
}

static pan_status invoke_attention_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                            int64_t bytes) {
    return pan_attention_backward(stream, desc, a[0], NULL, a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9],
                                  workspace, bytes);
}

static pan_status attention_backward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_attention_backward_workspace_size(stream, desc, bytes);
}

/* The only key of a row has weight 1 whatever its score: the two terms of the score's gradient cancel. */
static double attention_backward_cancelling(const call *call, int view) {
    const pan_attention_desc *desc = DESC(call, const pan_attention_desc);
    bool cancels = (desc->length == 1 || desc->window == 1) && (view == 7 || view == 8);
    return cancels
               ? desc->scale * largest_value(call, view == 7 ? 2 : 1) * largest_value(call, 3) * largest_value(call, 6)
               : 0.0;
}

#define LAYOUT_FIELDS(array)                                          \
    FIELD(pan_attention_desc, array.batch_stride, FIELD_STRIDE),      \
        FIELD(pan_attention_desc, array.length_stride, FIELD_STRIDE), \
        FIELD(pan_attention_desc, array.head_stride, FIELD_STRIDE)

#define ATTENTION_FIELDS                                                                                    \
    {                                                                                                       \
        FIELD(pan_attention_desc, dropout_probability, FIELD_PROBABILITY),                                  \
            FIELD(pan_attention_desc, batch, FIELD_SIZE), FIELD(pan_attention_desc, heads, FIELD_SIZE),     \
            FIELD(pan_attention_desc, length, FIELD_SIZE), FIELD(pan_attention_desc, head_dim, FIELD_SIZE), \
            LAYOUT_FIELDS(q), LAYOUT_FIELDS(k), LAYOUT_FIELDS(v)                                            \
    }

/* ---- vocabulary loss ---- */

static pan_vocabulary_loss_desc *vocabulary_desc(call *call, int variant) {
    int64_t rows = ragged(variant, 0), vocab_size = ragged(variant, 1);
    int64_t channels = at_most(ragged(variant, 2), 1500000 / (rows * vocab_size));
    pan_vocabulary_loss_desc *desc = DESC(call, pan_vocabulary_loss_desc);
    *desc = (pan_vocabulary_loss_desc){.struct_size = sizeof *desc,
                                       .rows = rows,
                                       .channels = channels,
                                       .vocab_size = vocab_size,
                                       .hidden_stride = channels + (variant % 3 == 1 ? 7 : 0)};
    call->work = 3.0 * (double) rows * (double) vocab_size * (double) channels;
    return desc;
}

/* None, three in four, or all of the rows have a label. */
static void add_labels(call *call, int variant) {
    const pan_vocabulary_loss_desc *desc = DESC(call, pan_vocabulary_loss_desc);
    int labels = add_integers(call, "labels", INPUT, desc->rows, 0, desc->vocab_size);
    block *block = &call->blocks[call->views[labels].block];
    for (int64_t r = 0; r < desc->rows; r++) {
        bool ignored = variant % 5 == 0 ? false : variant % 10 == 9 ? true : next_bits(&call->random) % 4 == 0;
        block->values[r] = ignored ? PAN_IGNORE_LABEL : block->values[r];
    }
}

static void prepare_vocabulary_forward(call *call, int variant) {
    const pan_vocabulary_loss_desc *desc = vocabulary_desc(call, variant);
    add_rows(call, "hidden", INPUT, desc->rows, desc->channels, desc->hidden_stride);
    int weight = add_rows(call, "weight", INPUT, desc->vocab_size, desc->channels, desc->channels);
    scale_values(call, weight, 1.5 / sqrt((double) desc->channels));
    add_labels(call, variant);
    add_vector(call, "loss", OUTPUT, 1);
    add_integers(call, "labelled_count", OUTPUT, 1, 0, 1);
    add_vector(call, "row_loss", OUTPUT, desc->rows);
    add_vector(call, "lse", OUTPUT, desc->rows);
    add_integers(call, "arg_max", OUTPUT, desc->rows, 0, 1);
}

static pan_status invoke_vocabulary_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                            int64_t bytes) {
    return pan_vocabulary_loss_forward(stream, desc, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], workspace, bytes);
}

static pan_status vocabulary_forward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_vocabulary_loss_forward_workspace_size(stream, desc, bytes);
}

static void prepare_vocabulary_backward(call *call, int variant) {
    const pan_vocabulary_loss_desc *desc = vocabulary_desc(call, variant);
    relate(call, add_rows(call, "hidden", INPUT, desc->rows, desc->channels, desc->hidden_stride), VALUE_OF, 0);
    relate(call, add_rows(call, "weight", INPUT, desc->vocab_size, desc->channels, desc->channels), VALUE_OF, 1);
    relate(call, add_integers(call, "labels", INPUT, desc->rows, 0, 1), VALUE_OF, 2);
    relate(call, add_integers(call, "labelled_count", INPUT, 1, 0, 1), VALUE_OF, 4);
    relate(call, add_vector(call, "lse", INPUT, desc->rows), VALUE_OF, 6);
    relate(call, add_vector(call, "dloss", INPUT, 1), COTANGENT_OF, 3);
    int dhidden = add_rows(call, "dhidden", OUTPUT, desc->rows, desc->channels, desc->hidden_stride);
    int dweight = add_rows(call, "dweight", ADDED, desc->vocab_size, desc->channels, desc->channels);
    relate(call, dhidden, GRADIENT_OF, 0);
    relate(call, dweight, GRADIENT_OF, 1);
    make_optional(call, dhidden, variant % 7 != 5);
    make_optional(call, dweight, variant % 7 != 6);
}

static pan_status invoke_vocabulary_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                             int64_t bytes) {
    return pan_vocabulary_loss_backward(stream, desc, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], workspace, bytes);
}

static pan_status vocabulary_backward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_vocabulary_loss_backward_workspace_size(stream, desc, bytes);
}

static void prepare_vocabulary_with_gradient(call *call, int variant) {
    const pan_vocabulary_loss_desc *desc = vocabulary_desc(call, variant);
    add_rows(call, "hidden", INPUT, desc->rows, desc->channels, desc->hidden_stride);
    int weight = add_rows(call, "weight", INPUT, desc->vocab_size, desc->channels, desc->channels);
    scale_values(call, weight, 1.5 / sqrt((double) desc->channels));
    add_labels(call, variant);
    add_vector(call, "dloss", INPUT, 1);
    add_vector(call, "loss", OUTPUT, 1);
    add_integers(call, "labelled_count", OUTPUT, 1, 0, 1);
    add_vector(call, "row_loss", OUTPUT, desc->rows);
    add_vector(call, "lse", OUTPUT, desc->rows);
    add_integers(call, "arg_max", OUTPUT, desc->rows, 0, 1);
    add_rows(call, "dhidden", OUTPUT, desc->rows, desc->channels, desc->hidden_stride);
    add_rows(call, "dweight", ADDED, desc->vocab_size, desc->channels, desc->channels);
}

static pan_status invoke_vocabulary_with_gradient(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                                  int64_t bytes) {
    return pan_vocabulary_loss_with_gradient(stream, desc, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9],
                                             a[10], workspace, bytes);
}

static pan_status vocabulary_with_gradient_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_vocabulary_loss_with_gradient_workspace_size(stream, desc, bytes);
}

/* The only token has probability 1 whatever its logit: exp(z - lse) - 1 cancels. */
static double vocabulary_backward_cancelling(const call *call, int view) {
    bool cancels = DESC(call, const pan_vocabulary_loss_desc)->vocab_size == 1;
    double scale = largest_value(call, 5) / fmax(1.0, largest_value(call, 3));
    return cancels ? scale * largest_value(call, view == 6 ? 1 : 0) : 0.0;
}

static double vocabulary_with_gradient_cancelling(const call *call, int view) {
    bool cancels = DESC(call, const pan_vocabulary_loss_desc)->vocab_size == 1;
    return cancels && view >= 9 ? largest_value(call, 3) * largest_value(call, view == 9 ? 1 : 0) : 0.0;
}

#define VOCABULARY_FIELDS                                                                                         \
    {                                                                                                             \
        FIELD(pan_vocabulary_loss_desc, rows, FIELD_SIZE), FIELD(pan_vocabulary_loss_desc, channels, FIELD_SIZE), \
            FIELD(pan_vocabulary_loss_desc, vocab_size, FIELD_SIZE),                                              \
            FIELD(pan_vocabulary_loss_desc, hidden_stride, FIELD_STRIDE)                                          \
    }

enum { ATTENTION, ATTENTION_BACKWARD, VOCABULARY, VOCABULARY_BACKWARD, VOCABULARY_WITH_GRADIENT, END };

const op_case SEQUENCE_CASES[] = {
    [ATTENTION] = {.op = "attention_forward",
                   .variants = 4 * SIZE_COUNT,
                   .tolerance = 3e-6,
                   .prepare = prepare_attention_forward,
                   .invoke = invoke_attention_forward,
                   .workspace = attention_forward_workspace,
                   .desc_size = sizeof(pan_attention_desc),
                   .fields = ATTENTION_FIELDS},
    /* exp(score - lse) doubles the rounding of both, and D and do . v cancel. */
    [ATTENTION_BACKWARD] = {.op = "attention_backward",
                            .variants = 4 * SIZE_COUNT,
                            .tolerance = 1e-5,
                            .prepare = prepare_attention_backward,
                            .invoke = invoke_attention_backward,
                            .cancelling = attention_backward_cancelling,
                            .workspace = attention_backward_workspace,
                            .forward = &SEQUENCE_CASES[ATTENTION],
                            .desc_size = sizeof(pan_attention_desc),
                            .fields = ATTENTION_FIELDS},
    [VOCABULARY] = {.op = "vocabulary_loss_forward",
                    .variants = 2 * SIZE_COUNT,
                    .tolerance = 3e-6,
                    .prepare = prepare_vocabulary_forward,
                    .invoke = invoke_vocabulary_forward,
                    .workspace = vocabulary_forward_workspace,
                    .desc_size = sizeof(pan_vocabulary_loss_desc),
                    .fields = VOCABULARY_FIELDS},
    [VOCABULARY_BACKWARD] = {.op = "vocabulary_loss_backward",
                             .variants = 2 * SIZE_COUNT,
                             .tolerance = 5e-6,
                             .prepare = prepare_vocabulary_backward,
                             .invoke = invoke_vocabulary_backward,
                             .cancelling = vocabulary_backward_cancelling,
                             .workspace = vocabulary_backward_workspace,
                             .forward = &SEQUENCE_CASES[VOCABULARY],
                             .desc_size = sizeof(pan_vocabulary_loss_desc),
                             .fields = VOCABULARY_FIELDS},
    [VOCABULARY_WITH_GRADIENT] = {.op = "vocabulary_loss_with_gradient",
                                  .variants = 2 * SIZE_COUNT,
                                  .tolerance = 5e-6,
                                  .prepare = prepare_vocabulary_with_gradient,
                                  .invoke = invoke_vocabulary_with_gradient,
                                  .cancelling = vocabulary_with_gradient_cancelling,
                                  .workspace = vocabulary_with_gradient_workspace,
                                  .desc_size = sizeof(pan_vocabulary_loss_desc),
                                  .fields = VOCABULARY_FIELDS},
    [END] = {0},
};
