/* Bad arguments that only attention has: combinations of sizes, lists of queries, choices, lists of blocks. */
#include <string.h>

#include "test_abi_ops.h"

enum { LENGTH = 4, HEADS = 2, HEAD_DIM = 3, WIDTH = HEADS * HEAD_DIM, SIZE = LENGTH * WIDTH };

/* An attention's arrays, and more workspace than it needs. */
typedef struct attention_memory {
    _Alignas(PAN_ALIGNMENT) unsigned char workspace[1 << 20];
    float q[SIZE], k[SIZE], v[SIZE], o[SIZE], lse[LENGTH * HEADS];
    int32_t query_rows[LENGTH];
} attention_memory;

/* `d` lies on the device. */
static void refuse_attention(const target *target, const pan_attention_desc *desc, attention_memory *d,
                             const int32_t *query_rows, int64_t workspace_bytes, pan_status expected,
                             const char *what) {
    const pan_status status = pan_attention_forward(target->stream, desc, NULL, query_rows, d->q, d->k, d->v, d->o,
                                                    d->lse, d->workspace, workspace_bytes);
    CHECK(status == expected, "%s: %s: %s", target->name, what, pan_status_name(status));
}

static void check_attention_particulars(const target *target) {
    const int64_t bytes = sizeof((attention_memory *) NULL)->workspace;
    attention_memory *d = new_memory(target, sizeof *d);
    const pan_head_layout layout = {SIZE, WIDTH, HEAD_DIM};
    const pan_attention_desc good = {.struct_size = sizeof good,
                                     .scale = 1.0f,
                                     .batch = 1,
                                     .heads = HEADS,
                                     .length = LENGTH,
                                     .head_dim = HEAD_DIM,
                                     .q = layout,
                                     .k = layout,
                                     .v = layout,
                                     .o = layout};
    pan_attention_desc desc = good;
    refuse_attention(target, &desc, d, d->query_rows, bytes, PAN_INVALID_ARGUMENT, "a list of no queries");
    desc.queries = LENGTH;
    refuse_attention(target, &desc, d, NULL, bytes, PAN_INVALID_ARGUMENT, "queries without a list");
    desc = good;
    desc.dropout_probability = 0.5f;
    refuse_attention(target, &desc, d, NULL, bytes, PAN_INVALID_ARGUMENT, "dropout without a random state");
    desc = good;
    desc.window = -1;
    refuse_attention(target, &desc, d, NULL, bytes, PAN_INVALID_ARGUMENT, "a window of -1");
    desc = good;
    desc.q.length_stride = HEAD_DIM;
    refuse_attention(target, &desc, d, NULL, bytes, PAN_INVALID_ARGUMENT, "a layout in which positions overlap");
    const int64_t huge = INT64_C(1) << 40;
    desc = good;
    desc.q = desc.k = desc.v = desc.o = (pan_head_layout){huge, huge, huge};
    desc.head_dim = 1;
    for (int i = 0; i < 2; i++) {
        desc.length = i == 0 ? huge : 1;
        desc.heads = i == 0 ? 1 : huge;
        refuse_attention(target, &desc, d, NULL, INT64_MAX, PAN_INVALID_ARGUMENT,
                         i == 0 ? "2^40 positions, 2^40 elements apart" : "2^40 heads, 2^40 elements apart");
    }
    free_memory(target, d);
}

/* With the list that `h` holds. */
static void try_list(const target *target, const pan_attention_desc *desc, const attention_memory *h,
                     pan_status expected, const char *what) {
    attention_memory *d = copy_in(target, h, sizeof *h);
    refuse_attention(target, desc, d, d->query_rows, sizeof h->workspace, expected, what);
    free_memory(target, d);
}

static void check_query_particulars(const target *target) {
    static attention_memory h;
    const pan_head_layout layout = {SIZE, WIDTH, HEAD_DIM}, listed = {INT64_MIN, WIDTH, HEAD_DIM};
    const int32_t rows[] = {0, 2, 2, 3};
    const pan_attention_desc good = {.struct_size = sizeof good,
                                     .scale = 1.0f,
                                     .batch = 1,
                                     .heads = HEADS,
                                     .length = LENGTH,
                                     .head_dim = HEAD_DIM,
                                     .queries = LENGTH,
                                     .q = listed,
                                     .k = layout,
                                     .v = layout,
                                     .o = listed};
    const int64_t bad_counts[] = {-1, INT64_MIN, INT64_MAX, (INT64_C(1) << 40) + 1, INT64_C(1) << 40};
    memcpy(h.query_rows, rows, sizeof rows);
    pan_attention_desc desc = good;
    try_list(target, &desc, &h, PAN_OK, "queries with a batch stride that is not used");
    for (int i = 0; i < COUNT(bad_counts); i++) {
        desc.queries = bad_counts[i];
        try_list(target, &desc, &h, PAN_INVALID_ARGUMENT, "a bad number of queries");
    }
    desc = good;
    desc.o.length_stride = WIDTH / 2;
    try_list(target, &desc, &h, PAN_INVALID_ARGUMENT, "rows of o that overlap");
    desc = good;
    desc.q.length_stride = 0;
    try_list(target, &desc, &h, PAN_INVALID_ARGUMENT, "queries without a distance");
    desc = good;
    desc.queries = 4 * LENGTH;
    try_list(target, &desc, &h, PAN_INVALID_ARGUMENT, "an o that reaches into lse");
    if (target->options.backend != PAN_BACKEND_CUDA) {
        h.query_rows[2] = 1;
        try_list(target, &good, &h, PAN_INVALID_ARGUMENT, "a list out of order");
    }
}

static void refuse_selection(const target *target, const pan_attention_desc *desc, const char *what) {
    int64_t bytes = 0;
    CHECK(pan_selected_attention_forward_workspace_size(target->stream, desc, &bytes) == PAN_INVALID_ARGUMENT &&
              pan_selected_attention_backward_workspace_size(target->stream, desc, &bytes) == PAN_INVALID_ARGUMENT,
          "%s: selected attention with %s", target->name, what);
}

static void check_selection_particulars(const target *target) {
    const int64_t many = INT64_C(1) << 30;
    const pan_head_layout layout = {SIZE, WIDTH, HEAD_DIM}, wide = {many, 1, 1};
    pan_attention_desc desc = {.struct_size = sizeof desc,
                               .scale = 1.0f,
                               .batch = 1,
                               .heads = HEADS,
                               .length = LENGTH,
                               .head_dim = HEAD_DIM,
                               .queries = 1,
                               .q = layout,
                               .k = layout,
                               .v = layout,
                               .o = layout};
    refuse_selection(target, &desc, "a list of queries");
    desc.batch = 2;
    desc.heads = desc.head_dim = 1;
    desc.length = many;
    desc.queries = 0;
    desc.q = desc.k = desc.v = desc.o = wide;
    refuse_selection(target, &desc, "2^31 positions");
    desc.length = many - 1;
    int64_t bytes = 0;
    CHECK_OK(pan_selected_attention_forward_workspace_size(target->stream, &desc, &bytes));
    static const int64_t ks[] = {-1, INT64_MIN, (INT64_C(1) << 40) + 1};
    for (int i = 0; i < COUNT(ks); i++) {
        const pan_causal_top_k_desc top_k = {.struct_size = sizeof top_k, .batch = 1, .length = 2, .k = ks[i]};
        CHECK(pan_causal_top_k_workspace_size(target->stream, &top_k, &bytes) == PAN_INVALID_ARGUMENT,
              "%s: the %lld largest scores", target->name, (long long) ks[i]);
    }
}

/* A sparse attention's arrays, and more workspace than it needs. */
typedef struct sparse_memory {
    _Alignas(PAN_ALIGNMENT) unsigned char workspace[1 << 20];
    float q[SIZE], k[SIZE], v[SIZE], o[SIZE], lse[LENGTH * HEADS];
    int32_t blocks[LENGTH];
} sparse_memory;

/* Four lists of one block of two positions. */
static pan_sparse_attention_desc good_sparse(void) {
    const pan_head_layout layout = {SIZE, WIDTH, HEAD_DIM};
    return (pan_sparse_attention_desc){.struct_size = sizeof(pan_sparse_attention_desc),
                                       .scale = 1.0f,
                                       .batch = 1,
                                       .heads = HEADS,
                                       .kv_heads = HEADS,
                                       .length = LENGTH,
                                       .head_dim = HEAD_DIM,
                                       .window = 1,
                                       .lists = {1, 2, 1, 1, 1},
                                       .q = layout,
                                       .k = layout,
                                       .v = layout,
                                       .o = layout};
}

static void try_sparse(const target *target, const pan_sparse_attention_desc *desc, const sparse_memory *h,
                       bool with_lists, pan_status expected, const char *what) {
    sparse_memory *d = copy_in(target, h, sizeof *h);
    const pan_status status = pan_sparse_attention_forward(target->stream, desc, with_lists ? d->blocks : NULL, d->q,
                                                           d->k, d->v, d->o, d->lse, d->workspace, sizeof h->workspace);
    CHECK(status == expected, "%s: sparse attention with %s: %s", target->name, what, pan_status_name(status));
    free_memory(target, d);
}

static void check_sparse_sizes(const target *target, const sparse_memory *h) {
    const pan_sparse_attention_desc good = good_sparse();
    pan_sparse_attention_desc desc = good;
    desc.kv_heads = 3;
    try_sparse(target, &desc, h, true, PAN_INVALID_ARGUMENT, "3 heads of keys for 2 of queries");
    desc = good;
    desc.window = -1;
    try_sparse(target, &desc, h, true, PAN_INVALID_ARGUMENT, "a window of -1");
    desc = good;
    desc.globals = -1;
    try_sparse(target, &desc, h, true, PAN_INVALID_ARGUMENT, "-1 first positions");
    desc = good;
    desc.window = desc.globals = INT64_C(1) << 40;
    try_sparse(target, &desc, h, true, PAN_OK, "windows longer than the sequence");
    const int64_t firsts[] = {-1, INT64_MIN, INT64_MAX, INT32_MAX - LENGTH + 1};
    for (int i = 0; i < COUNT(firsts); i++) {
        desc = good;
        desc.first = firsts[i];
        try_sparse(target, &desc, h, true, PAN_INVALID_ARGUMENT, "a bad first position");
    }
    desc = good;
    desc.first = 1;
    int64_t bytes = -7;
    CHECK(pan_sparse_attention_backward_workspace_size(target->stream, &desc, &bytes) == PAN_INVALID_ARGUMENT &&
              bytes == -7,
          "%s: gradients of queries that do not begin at position 0", target->name);
    desc.length = INT64_C(1) << 31;
    desc.first = 0;
    CHECK(pan_sparse_attention_forward_workspace_size(target->stream, &desc, &bytes) == PAN_INVALID_ARGUMENT,
          "%s: 2^31 positions", target->name);
}

static void check_sparse_lists(const target *target, sparse_memory *h) {
    const pan_sparse_attention_desc good = good_sparse();
    const pan_block_lists bad[] = {
        {-1, 2, 1, 1, 1}, {1, 0, 1, 1, 1}, {1, 2, 0, 1, 1}, {1, 2, 1, 2, 1},
        {1, 2, 1, 1, 3},  {0, 2, 0, 0, 0}, {0, 0, 1, 0, 0}, {(INT64_C(1) << 40) + 1, 2, 1, 1, 1},
        {1, 2, 1, 0, 1},  {1, 2, 1, 1, 0}};
    for (int i = 0; i < COUNT(bad); i++) {
        pan_sparse_attention_desc desc = good;
        desc.lists = bad[i];
        try_sparse(target, &desc, h, true, PAN_INVALID_ARGUMENT, "bad lists");
    }
    try_sparse(target, &good, h, false, PAN_INVALID_ARGUMENT, "slots without lists");
    pan_sparse_attention_desc desc = good;
    desc.lists = (pan_block_lists){0};
    try_sparse(target, &desc, h, true, PAN_INVALID_ARGUMENT, "lists without slots");
    try_sparse(target, &desc, h, false, PAN_OK, "no lists");
    const int32_t entries[] = {-2, INT32_MIN, LENGTH / 2, INT32_MAX};
    for (int i = 0; i < COUNT(entries) && target->options.backend != PAN_BACKEND_CUDA; i++) {
        h->blocks[LENGTH - 1] = entries[i];
        try_sparse(target, &good, h, true, PAN_INVALID_ARGUMENT, "an entry that is no block");
    }
    h->blocks[LENGTH - 1] = -1;
    try_sparse(target, &good, h, true, PAN_OK, "an entry of -1");
}

void check_attention_arguments(const target *target) {
    static sparse_memory h;
    check_sparse_sizes(target, &h);
    check_sparse_lists(target, &h);
    check_attention_particulars(target);
    check_selection_particulars(target);
    check_query_particulars(target);
}
