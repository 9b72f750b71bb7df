/* Cases of the products, copies and sums that take arrays of any kind. */
#include "cases.h"

#define UNUSED_WORKSPACE \
    (void) workspace;    \
    (void) bytes

/* ---- strided copies ---- */

typedef struct copy_layout {
    int32_t rank;
    int64_t shape[PAN_MAX_RANK], source_stride[PAN_MAX_RANK], target_stride[PAN_MAX_RANK];
} copy_layout;

static const copy_layout COPIES[] = {
    {1, {1}, {1}, {1}},
    {1, {257}, {1}, {1}},
    {1, {100000}, {1}, {1}},
    {1, {65}, {0}, {1}},
    {1, {63}, {3}, {2}},
    {2, {17, 63}, {63, 1}, {63, 1}},
    {2, {17, 63}, {63, 1}, {80, 1}},                              /* into columns of a wider array */
    {2, {16, 100}, {127, 1}, {100, 1}},                           /* columns of a wider array */
    {2, {63, 65}, {1, 63}, {65, 1}},                              /* a transposition */
    {2, {63, 65}, {65, 1}, {1, 63}},                              /* the same, stored the other way */
    {2, {1000, 3}, {3, 1}, {1, 1000}},                            /* of a narrow array */
    {2, {3, 1000}, {1000, 1}, {1, 3}},                            /* of a wide one */
    {2, {257, 127}, {0, 1}, {127, 1}},                            /* a row for all */
    {2, {100, 65}, {1, 0}, {65, 1}},                              /* a column for all */
    {2, {7, 8}, {0, 0}, {8, 1}},                                  /* a number for all */
    {2, {30, 7}, {1, 1}, {7, 1}},                                 /* windows that overlap in the source */
    {3, {1, 40, 1}, {0, 1, 0}, {0, 1, 0}},                        /* strides of a single entry do not matter */
    {4, {3, 17, 2, 16}, {544, 32, 16, 1}, {544, 16, 272, 1}},     /* heads to the front */
    {4, {2, 3, 5, 7}, {105, 35, 7, 1}, {1, 2, 6, 30}},            /* all dimensions reversed */
    {5, {2, 3, 1, 9, 8}, {0, 8, 5, 24, 1}, {400, 100, 7, 10, 1}}, /* with gaps */
    {6, {2, 3, 2, 4, 3, 5}, {360, 120, 60, 15, 5, 1}, {3, 1, 360, 90, 30, 6}},
    {6, {2, 2, 2, 2, 2, 2}, {1, 2, 4, 8, 16, 32}, {32, 16, 8, 4, 2, 1}},
};

static pan_strided_copy_desc *copy_desc(call *call, int variant) {
    const copy_layout *layout = &COPIES[variant / 2];
    pan_strided_copy_desc *desc = DESC(call, pan_strided_copy_desc);
    *desc = (pan_strided_copy_desc){.struct_size = sizeof *desc, .rank = layout->rank, .accumulate = variant % 2};
    memcpy(desc->shape, layout->shape, sizeof desc->shape);
    memcpy(desc->source_stride, layout->source_stride, sizeof desc->source_stride);
    memcpy(desc->target_stride, layout->target_stride, sizeof desc->target_stride);
    call->work = 20000.0;
    return desc;
}

static int add_strided(call *call, const char *name, role role, const int64_t *stride) {
    const pan_strided_copy_desc *desc = DESC(call, pan_strided_copy_desc);
    int64_t size[PAN_MAX_RANK], last = 0;
    for (int d = 0; d < desc->rank; d++) {
        size[d] = stride[d] == 0 ? 1 : desc->shape[d];
        last += (size[d] - 1) * stride[d];
    }
    return add_window(call, name, role, add_block(call, REAL, last + 1), 0, desc->rank, size, stride);
}

static void prepare_strided_copy(call *call, int variant) {
    const pan_strided_copy_desc *desc = copy_desc(call, variant);
    add_strided(call, "source", INPUT, desc->source_stride);
    add_strided(call, "target", desc->accumulate ? ADDED : OUTPUT, desc->target_stride);
}

static pan_status invoke_strided_copy(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                      int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_strided_copy(stream, desc, a[0], a[1]);
}

#define STRIDED_COPY_FIELDS \
    { FIELD_ENUM(pan_strided_copy_desc, accumulate, 2), FIELD(pan_strided_copy_desc, shape[0], FIELD_SIZE) }

enum { STRIDED_COPY, END };

const op_case ARRAY_CASES[] = {
    [STRIDED_COPY] = {.op = "strided_copy",
                      .variants = 2 * COUNT(COPIES),
                      .tolerance = 2e-7,
                      .prepare = prepare_strided_copy,
                      .invoke = invoke_strided_copy,
                      .desc_size = sizeof(pan_strided_copy_desc),
                      .fields = STRIDED_COPY_FIELDS},
    [END] = {0},
};
