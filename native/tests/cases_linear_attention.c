/* Cases of linear attention. */
#include "../src/core/linear_attention.h"
#include "cases.h"

/* A state is worth its own chunks only in long sequences: these have two and more, the last one cut short. */
static const int64_t LENGTHS[] = {1, 2, 7, 16, 63, 64, 65, 100, 127, 128, 129, 256, 257, 300, 400};
static const int64_t FEATURE_DIMS[] = {4, 3, 16, 1, 8, 2, 7, 17};
static const float EPSILONS[] = {1e-12f, 0.0f, 0.1f};

enum { DENSE, PACKED, HEADS_FIRST, LAYOUTS };

/* Of an array whose rows have `width` elements in all heads; PACKED: side by side with others in rows of `packed`. */
static pan_head_layout layout_of(const pan_linear_attention_desc *desc, int kind, int64_t dim, int64_t packed) {
    const int64_t width = desc->heads * dim;
    switch (kind) {
    case DENSE: return (pan_head_layout){desc->length * width, width, dim};
    case PACKED: return (pan_head_layout){desc->length * packed, packed, dim};
    default: /* (batch, heads, length, dim) with rows that are longer than they need be */
        return (pan_head_layout){desc->heads * desc->length * (dim + 2), dim + 2, desc->length * (dim + 2)};
    }
}

/* Elements of a position of q, k and v side by side. */
static int64_t packed_width(const pan_linear_attention_desc *desc) {
    return desc->heads * (2 * desc->feature_dim + desc->value_dim);
}

static pan_linear_attention_desc *linear_attention_desc(call *call, int variant) {
    const int64_t length = LENGTHS[variant % COUNT(LENGTHS)];
    pan_linear_attention_desc *desc = DESC(call, pan_linear_attention_desc);
    *desc = (pan_linear_attention_desc){.struct_size = sizeof *desc,
                                        .features = variant % 2 ? PAN_FEATURES_TAYLOR : PAN_FEATURES_GIVEN,
                                        .normalised = variant % 5 != 3,
                                        .epsilon = EPSILONS[variant / 2 % COUNT(EPSILONS)],
                                        .batch = length > 100 ? 1 : 1 + variant % 3,
                                        .heads = length > 257 ? 1 : 1 + variant / 3 % 3,
                                        .length = length,
                                        .feature_dim = FEATURE_DIMS[variant % COUNT(FEATURE_DIMS)],
                                        .value_dim = at_most(ragged(variant, 1), length > 257 ? 17 : 65)};
    const int64_t packed = packed_width(desc);
    desc->q = desc->k = layout_of(desc, variant % LAYOUTS, desc->feature_dim, packed);
    desc->v = layout_of(desc, variant % LAYOUTS, desc->value_dim, packed);
    desc->o = layout_of(desc, variant % LAYOUTS == PACKED ? DENSE : variant % LAYOUTS, desc->value_dim, 0);
    call->work = (double) (desc->batch * desc->heads * length * length * (desc->feature_dim + desc->value_dim));
    return desc;
}

static int add_heads(call *call, const char *name, role role, int block, int64_t offset, int64_t dim,
                     const pan_head_layout *layout) {
    const pan_linear_attention_desc *desc = DESC(call, pan_linear_attention_desc);
    const int64_t size[] = {desc->batch, desc->length, desc->heads, dim};
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

/* Features that are given are made positive, as those of the maps in use are, so that no denominator comes near 0. */
static void make_features(call *call, int view) {
    const pan_linear_attention_desc *desc = DESC(call, pan_linear_attention_desc);
    double *values = call->blocks[call->views[view].block].values;
    for (int64_t i = 0; desc->features == PAN_FEATURES_GIVEN && i < view_count(&call->views[view]); i++) {
        double *value = &values[view_element(&call->views[view], i)];
        *value = *value < 0.0 ? -*value : *value;
    }
}

/* q, k and v, or their gradients: three arrays, or one that holds the three side by side at each position. */
static int add_projections(call *call, const char *const *names, role role, int variant) {
    const pan_linear_attention_desc *desc = DESC(call, pan_linear_attention_desc);
    const int64_t features = desc->heads * desc->feature_dim;
    int block = -1;
    if (variant % LAYOUTS == PACKED) {
        block = add_block(call, REAL, desc->batch * desc->length * packed_width(desc));
    }
    const bool packed = block >= 0;
    const int first = add_heads(call, names[0], role, block, 0, desc->feature_dim, &desc->q);
    add_heads(call, names[1], role, block, packed ? features : 0, desc->feature_dim, &desc->k);
    add_heads(call, names[2], role, block, packed ? 2 * features : 0, desc->value_dim, &desc->v);
    if (role == INPUT) {
        make_features(call, first);
        make_features(call, first + 1);
    }
    return first;
}

static int add_denominator(call *call, role role) {
    const pan_linear_attention_desc *desc = DESC(call, pan_linear_attention_desc);
    const int view = add_vector(call, "denominator", role, desc->batch * desc->heads * desc->length);
    make_optional(call, view, desc->normalised);
    return view;
}

static int add_recurrent_state(call *call, const char *name, role role) {
    const pan_linear_attention_desc *desc = DESC(call, pan_linear_attention_desc);
    const int64_t features = pan_feature_count(desc->features, desc->feature_dim);
    return add_vector(call, name, role, desc->batch * desc->heads * features * (desc->value_dim + 1));
}

enum { Q, K, V, INITIAL_STATE, FORWARD_O, FORWARD_DENOMINATOR, FINAL_STATE };
enum { O = V + 1, DENOMINATOR, D_O, DQ, DK, DV };

/* Values whose denominators do not come near 0. */
static void fill_state(call *call, int view) {
    const pan_linear_attention_desc *desc = DESC(call, pan_linear_attention_desc);
    const int64_t columns = desc->value_dim + 1;
    double *values = call->blocks[call->views[view].block].values;
    for (int64_t i = 0; i < view_count(&call->views[view]); i++) {
        const int64_t feature = i / columns % pan_feature_count(desc->features, desc->feature_dim);
        const bool weight = i % columns == desc->value_dim;
        if (desc->features == PAN_FEATURES_TAYLOR) {
            values[i] = (float) (weight ? (feature == 0 ? 40.0 : 0.1 * values[i]) : values[i]);
        } else if (weight) {
            values[i] = values[i] < 0.0 ? -values[i] : values[i];
        }
    }
}

static void prepare_forward(call *call, int variant) {
    const pan_linear_attention_desc *desc = linear_attention_desc(call, variant);
    add_projections(call, (const char *const[]){"q", "k", "v"}, INPUT, variant);
    fill_state(call, add_recurrent_state(call, "initial_state", INPUT));
    make_optional(call, INITIAL_STATE, false);
    add_heads(call, "o", OUTPUT, -1, 0, desc->value_dim, &desc->o);
    add_denominator(call, OUTPUT);
    make_optional(call, add_recurrent_state(call, "final_state", OUTPUT), variant % 4 != 0);
}

static void prepare_continued(call *call, int variant) {
    prepare_forward(call, variant);
    make_optional(call, INITIAL_STATE, true);
}

static pan_status invoke_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace, int64_t bytes) {
    return pan_linear_attention_forward(stream, desc, a[Q], a[K], a[V], a[INITIAL_STATE], a[FORWARD_O],
                                        a[FORWARD_DENOMINATOR], a[FINAL_STATE], workspace, bytes);
}

static pan_status forward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_linear_attention_forward_workspace_size(stream, desc, bytes);
}

static void prepare_backward(call *call, int variant) {
    const pan_linear_attention_desc *desc = linear_attention_desc(call, variant);
    add_projections(call, (const char *const[]){"q", "k", "v"}, INPUT, variant);
    relate(call, add_heads(call, "o", INPUT, -1, 0, desc->value_dim, &desc->o), VALUE_OF, FORWARD_O);
    relate(call, add_denominator(call, INPUT), VALUE_OF, FORWARD_DENOMINATOR);
    relate(call, add_heads(call, "d_o", INPUT, -1, 0, desc->value_dim, &desc->o), COTANGENT_OF, FORWARD_O);
    add_projections(call, (const char *const[]){"dq", "dk", "dv"}, OUTPUT, variant);
    for (int i = 0; i < 3; i++) {
        relate(call, Q + i, VALUE_OF, Q + i);
        relate(call, DQ + i, GRADIENT_OF, Q + i);
    }
    if (!desc->normalised) {
        call->views[DENOMINATOR].relation = UNRELATED;
    }
}

static pan_status invoke_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                  int64_t bytes) {
    return pan_linear_attention_backward(stream, desc, a[Q], a[K], a[V], a[O], a[DENOMINATOR], a[D_O], a[DQ], a[DK],
                                         a[DV], workspace, bytes);
}

static pan_status backward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_linear_attention_backward_workspace_size(stream, desc, bytes);
}

/* The only value of a row is its output whatever its weight: the two terms of the score's gradient cancel. */
static double backward_cancelling(const call *call, int view) {
    const pan_linear_attention_desc *desc = DESC(call, const pan_linear_attention_desc);
    const bool cancels = desc->length == 1 && desc->normalised && (view == DQ || view == DK);
    return cancels ? largest_value(call, view == DQ ? K : Q) * largest_value(call, V) * largest_value(call, D_O) : 0.0;
}

#define LAYOUT_FIELDS(array)                                             \
    FIELD(pan_linear_attention_desc, array.length_stride, FIELD_STRIDE), \
        FIELD(pan_linear_attention_desc, array.head_stride, FIELD_STRIDE)

#define LINEAR_ATTENTION_FIELDS                                                                                       \
    {                                                                                                                 \
        FIELD_ENUM(pan_linear_attention_desc, features, PAN_FEATURES_COUNT),                                          \
            FIELD_ENUM(pan_linear_attention_desc, normalised, 2), FIELD_RESERVED(pan_linear_attention_desc),          \
            FIELD(pan_linear_attention_desc, epsilon, FIELD_EPSILON),                                                 \
            FIELD(pan_linear_attention_desc, batch, FIELD_SIZE), FIELD(pan_linear_attention_desc, heads, FIELD_SIZE), \
            FIELD(pan_linear_attention_desc, length, FIELD_SIZE),                                                     \
            FIELD(pan_linear_attention_desc, feature_dim, FIELD_SIZE),                                                \
            FIELD(pan_linear_attention_desc, value_dim, FIELD_SIZE), LAYOUT_FIELDS(q), LAYOUT_FIELDS(v),              \
            FIELD(pan_linear_attention_desc, o.batch_stride, FIELD_STRIDE)                                            \
    }

enum { FORWARD, BACKWARD, CONTINUED, END };
/* Each pair of a length and a number of features, or of a length and a layout, occurs. */
enum { VARIANTS = 3 * COUNT(LENGTHS) };

const op_case LINEAR_ATTENTION_CASES[] = {
    [FORWARD] = {.op = "linear_attention_forward",
                 .variants = VARIANTS,
                 .tolerance = 3e-6,
                 .prepare = prepare_forward,
                 .invoke = invoke_forward,
                 .workspace = forward_workspace,
                 .desc_size = sizeof(pan_linear_attention_desc),
                 .fields = LINEAR_ATTENTION_FIELDS},
    [BACKWARD] = {.op = "linear_attention_backward",
                  .variants = VARIANTS,
                  .tolerance = 1e-5, /* g . v and g . o cancel */
                  .prepare = prepare_backward,
                  .invoke = invoke_backward,
                  .cancelling = backward_cancelling,
                  .workspace = backward_workspace,
                  .forward = &LINEAR_ATTENTION_CASES[FORWARD],
                  .desc_size = sizeof(pan_linear_attention_desc),
                  .fields = LINEAR_ATTENTION_FIELDS},
    [CONTINUED] = {.op = "linear_attention_forward",
                   .title = "linear_attention_forward from a state",
                   .variants = VARIANTS,
                   .tolerance = 3e-6,
                   .prepare = prepare_continued,
                   .invoke = invoke_forward,
                   .workspace = forward_workspace,
                   .aliases = {{FINAL_STATE, INITIAL_STATE}},
                   .desc_size = sizeof(pan_linear_attention_desc),
                   .fields = LINEAR_ATTENTION_FIELDS},
    [END] = {0},
};
