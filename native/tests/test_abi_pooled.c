/* Bad arguments that only attention to pooled blocks and the choice of blocks have. */
#include <math.h>
#include <string.h>

#include "test_abi_ops.h"

enum { LENGTH = 12, BLOCK_SIZE = 4, BLOCKS = LENGTH / BLOCK_SIZE, HEADS = 4, KEY_HEADS = 2, HEAD_DIM = 3 };
enum { QUERIES = LENGTH * HEADS * HEAD_DIM, KEYS = (1 + BLOCKS) * KEY_HEADS * HEAD_DIM, MOST_ENTRIES = 256 };

/* The arrays of either op, and more workspace than it needs. */
typedef struct pooled_memory {
    _Alignas(PAN_ALIGNMENT) unsigned char workspace[1 << 20];
    float q[QUERIES], k[KEYS], v[KEYS], o[QUERIES], lse[LENGTH * HEADS], d_o[QUERIES], dq[QUERIES], dk[KEYS], dv[KEYS];
    int32_t listed[MOST_ENTRIES];
} pooled_memory;

static const pan_head_layout QUERY_LAYOUT = {QUERIES, HEADS *HEAD_DIM, HEAD_DIM};
static const pan_head_layout KEY_LAYOUT = {KEYS, KEY_HEADS *HEAD_DIM, HEAD_DIM};

/* ---- attention ---- */

static pan_pooled_attention_desc good_attention(void) {
    return (pan_pooled_attention_desc){.struct_size = sizeof(pan_pooled_attention_desc),
                                       .dtype = PAN_F32,
                                       .scale = 1.0f,
                                       .batch = 1,
                                       .heads = HEADS,
                                       .kv_heads = KEY_HEADS,
                                       .length = LENGTH,
                                       .head_dim = HEAD_DIM,
                                       .always = 1,
                                       .blocks = BLOCKS,
                                       .block_size = BLOCK_SIZE,
                                       .excluded = {2, BLOCK_SIZE, 1, 1, KEY_HEADS},
                                       .q = QUERY_LAYOUT,
                                       .k = KEY_LAYOUT,
                                       .v = KEY_LAYOUT,
                                       .o = QUERY_LAYOUT};
}

/* `d` lies on the device. */
static void try_attention(const target *target, const pan_pooled_attention_desc *desc, pooled_memory *d,
                          const int32_t *excluded, pan_status expected, const char *what) {
    const pan_status status = pan_pooled_attention_forward(target->stream, desc, excluded, d->q, d->k, d->v, d->o,
                                                           d->lse, d->workspace, sizeof d->workspace);
    CHECK(status == expected, "%s: %s: %s, '%s'", target->name, what, pan_status_name(status), pan_last_error());
}

static void refuse_size(const target *target, pooled_memory *d, size_t field, int64_t value, const char *what) {
    pan_pooled_attention_desc desc = good_attention();
    memcpy((unsigned char *) &desc + field, &value, sizeof value);
    try_attention(target, &desc, d, d->listed, PAN_INVALID_ARGUMENT, what);
}

static void check_sizes(const target *target, pooled_memory *d) {
    static const struct {
        size_t field;
        int64_t value;
        const char *what;
    } bad[] = {
        {offsetof(pan_pooled_attention_desc, kv_heads), 3, "key heads that do not divide the heads"},
        {offsetof(pan_pooled_attention_desc, blocks), BLOCKS + 1, "a block that has not ended"},
        {offsetof(pan_pooled_attention_desc, blocks), -1, "-1 blocks"},
        {offsetof(pan_pooled_attention_desc, always), -1, "-1 leading keys"},
        {offsetof(pan_pooled_attention_desc, always), INT64_MAX, "2^63 - 1 leading keys"},
        {offsetof(pan_pooled_attention_desc, first), -1, "queries before position 0"},
        {offsetof(pan_pooled_attention_desc, first), INT64_MAX, "queries at the last position"},
        {offsetof(pan_pooled_attention_desc, excluded.slots), -1, "lists of -1 slots"},
        {offsetof(pan_pooled_attention_desc, excluded.slots), 0, "lists without slots"},
        {offsetof(pan_pooled_attention_desc, excluded.slots), INT64_MAX, "lists of 2^63 - 1 slots"},
        {offsetof(pan_pooled_attention_desc, excluded.block_size), BLOCK_SIZE / 2, "excluded blocks of another size"},
        {offsetof(pan_pooled_attention_desc, excluded.queries), 0, "lists of no queries"},
        {offsetof(pan_pooled_attention_desc, excluded.batches), 2, "lists of two examples"},
        {offsetof(pan_pooled_attention_desc, excluded.heads), HEADS, "lists for heads of queries"},
    };
    for (int i = 0; i < COUNT(bad); i++) {
        refuse_size(target, d, bad[i].field, bad[i].value, bad[i].what);
    }
    pan_pooled_attention_desc desc = good_attention();
    desc.always = desc.blocks = 0;
    try_attention(target, &desc, d, d->listed, PAN_INVALID_ARGUMENT, "no keys");
}

static void check_attention(const target *target) {
    static pooled_memory h;
    pooled_memory *d = copy_in(target, &h, sizeof h);
    pan_pooled_attention_desc desc = good_attention();
    try_attention(target, &desc, d, d->listed, PAN_OK, "good arguments");
    try_attention(target, &desc, d, NULL, PAN_INVALID_ARGUMENT, "lists that are not there");
    desc.excluded = (pan_block_lists){0};
    try_attention(target, &desc, d, d->listed, PAN_INVALID_ARGUMENT, "a list without a descriptor");
    try_attention(target, &desc, d, NULL, PAN_OK, "no lists");
    check_sizes(target, d);
    desc = good_attention();
    desc.first = BLOCK_SIZE;
    desc.blocks = BLOCKS;
    try_attention(target, &desc, d, d->listed, PAN_OK, "queries behind a block");
    const pan_status status =
        pan_pooled_attention_backward(target->stream, &desc, d->listed, d->q, d->k, d->v, d->o, d->lse, d->d_o, NULL,
                                      d->dq, d->dk, d->dv, d->workspace, sizeof d->workspace);
    CHECK(status == PAN_INVALID_ARGUMENT && strstr(pan_last_error(), "first is 4") != NULL,
          "%s: a gradient behind a block: %s, '%s'", target->name, pan_status_name(status), pan_last_error());
    int64_t bytes = 0;
    CHECK(pan_pooled_attention_backward_workspace_size(target->stream, &desc, &bytes) == PAN_INVALID_ARGUMENT,
          "%s: workspace for a gradient behind a block", target->name);
    free_memory(target, d);
}

/* Where the host can see it. */
static void check_entries(const target *target) {
    static pooled_memory h;
    const pan_pooled_attention_desc desc = good_attention();
    static const int32_t bad[] = {-2, BLOCKS, INT32_MIN, INT32_MAX};
    for (int i = 0; i < COUNT(bad); i++) {
        h.listed[7] = bad[i];
        pooled_memory *d = copy_in(target, &h, sizeof h);
        try_attention(target, &desc, d, d->listed, PAN_INVALID_ARGUMENT, "a bad entry");
        CHECK(strstr(pan_last_error(), "entry 7 of excluded") != NULL, "%s: '%s'", target->name, pan_last_error());
        free_memory(target, d);
    }
}

/* ---- the choice of blocks ---- */

static pan_block_top_k_desc good_choice(void) {
    return (pan_block_top_k_desc){.struct_size = sizeof(pan_block_top_k_desc),
                                  .dtype = PAN_F32,
                                  .scale = 1.0f,
                                  .min_weight = -1.0f,
                                  .batch = 1,
                                  .heads = HEADS,
                                  .kv_heads = KEY_HEADS,
                                  .length = LENGTH,
                                  .head_dim = HEAD_DIM,
                                  .blocks = BLOCKS,
                                  .block_size = BLOCK_SIZE,
                                  .k = 2,
                                  .own = 1,
                                  .q = QUERY_LAYOUT,
                                  .key = KEY_LAYOUT};
}

/* `d` lies on the device. */
static void try_choice(const target *target, const pan_block_top_k_desc *desc, pooled_memory *d, const float *key,
                       pan_status expected, const char *what) {
    const pan_status status =
        pan_block_top_k(target->stream, desc, d->q, key, d->listed, d->workspace, sizeof d->workspace);
    CHECK(status == expected, "%s: %s: %s, '%s'", target->name, what, pan_status_name(status), pan_last_error());
}

static void check_choice(const target *target) {
    static pooled_memory h;
    pooled_memory *d = copy_in(target, &h, sizeof h);
    pan_block_top_k_desc desc = good_choice();
    try_choice(target, &desc, d, d->k, PAN_OK, "good arguments");
    try_choice(target, &desc, d, NULL, PAN_INVALID_ARGUMENT, "no keys");
    desc.blocks = 0;
    try_choice(target, &desc, d, NULL, PAN_OK, "no blocks and no keys");
    const float weights[] = {-0.5f, -2.0f, 1.0f, INFINITY, NAN};
    for (int i = 0; i < COUNT(weights); i++) {
        desc = good_choice();
        desc.min_weight = weights[i];
        try_choice(target, &desc, d, d->k, PAN_INVALID_ARGUMENT, "a bad least weight");
    }
    desc = good_choice();
    desc.blocks = BLOCKS + 1;
    try_choice(target, &desc, d, d->k, PAN_INVALID_ARGUMENT, "a block that has not ended");
    desc = good_choice();
    desc.kv_heads = 3;
    try_choice(target, &desc, d, d->k, PAN_INVALID_ARGUMENT, "key heads that do not divide the heads");
    desc = good_choice();
    desc.k = INT64_C(1) << 40;
    desc.batch = INT64_C(1) << 30;
    try_choice(target, &desc, d, d->k, PAN_INVALID_ARGUMENT, "lists longer than an address space");
    desc = good_choice();
    desc.first = INT64_C(1) << 40;
    desc.block_size = 1;
    try_choice(target, &desc, d, d->k, PAN_INVALID_ARGUMENT, "more blocks than an int32 can name");
    free_memory(target, d);
}

void check_pooled_arguments(const target *target) {
    check_attention(target);
    if (target->options.backend != PAN_BACKEND_CUDA) {
        check_entries(target);
    }
    check_choice(target);
}
