/* Cases of the vocabulary loss. */
#include <math.h>

#include "cases.h"

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

enum { VOCABULARY, VOCABULARY_BACKWARD, VOCABULARY_WITH_GRADIENT, END };

const op_case VOCABULARY_CASES[] = {
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
                             .forward = &VOCABULARY_CASES[VOCABULARY],
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
