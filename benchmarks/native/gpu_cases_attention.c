/* Attention, of all positions and of listed ones. */
#include <math.h>
#include <string.h>

#include "gpu_cases.h"

/* ---- attention, packed: (batch, length, 3, heads, head_dim) ---- */

enum { ATTENTION_QKV, ATTENTION_O, ATTENTION_LSE, ATTENTION_DO, ATTENTION_DQKV };

static int64_t attention_width(const work *w) {
    return w->desc.attention.heads * w->desc.attention.head_dim;
}

static pan_status attention_forward_size(const work *w, const place *p, int64_t *bytes) {
    return pan_attention_forward_workspace_size(p->stream, &w->desc.attention, bytes);
}

static pan_status attention_forward(const work *w, const place *p) {
    const float *q = p->at[ATTENTION_QKV];
    const int64_t width = attention_width(w);
    return pan_attention_forward(p->stream, &w->desc.attention, NULL, NULL, q, q + width, q + 2 * width,
                                 p->at[ATTENTION_O], p->at[ATTENTION_LSE], p->workspace, p->workspace_bytes);
}

static pan_status attention_backward_size(const work *w, const place *p, int64_t *bytes) {
    return pan_attention_backward_workspace_size(p->stream, &w->desc.attention, bytes);
}

static pan_status attention_backward(const work *w, const place *p) {
    const float *q = p->at[ATTENTION_QKV];
    float *dq = p->at[ATTENTION_DQKV];
    const int64_t width = attention_width(w);
    return pan_attention_backward(p->stream, &w->desc.attention, NULL, NULL, q, q + width, q + 2 * width,
                                  p->at[ATTENTION_O], p->at[ATTENTION_LSE], p->at[ATTENTION_DO], dq, dq + width,
                                  dq + 2 * width, p->workspace, p->workspace_bytes);
}

work attention_work(int64_t batch, int64_t heads, int64_t length, int64_t head_dim, int64_t window) {
    work w = {.family = "attention"};
    const int64_t width = heads * head_dim;
    const pan_head_layout packed = {3 * length * width, 3 * width, head_dim};
    w.desc.attention = (pan_attention_desc){.struct_size = sizeof w.desc.attention,
                                            .scale = (float) (1.0 / sqrt((double) head_dim)),
                                            .batch = batch,
                                            .heads = heads,
                                            .length = length,
                                            .head_dim = head_dim,
                                            .window = window,
                                            .q = packed,
                                            .k = packed,
                                            .v = packed,
                                            .o = {length * width, width, head_dim}};
    add_size(&w, "batch", batch);
    add_size(&w, "heads", heads);
    add_size(&w, "length", length);
    add_size(&w, "head_dim", head_dim);
    add_size(&w, "window", window);
    const int64_t count = batch * length * width;
    add_array(&w, "qkv", FILL_NOISE, 3 * count);
    add_array(&w, "o", FILL_OUTPUT, count);
    add_array(&w, "lse", FILL_OUTPUT, batch * heads * length);
    add_array(&w, "do", FILL_NOISE, count);
    add_array(&w, "dqkv", FILL_OUTPUT, 3 * count);
    /* Pairs of a query and a key that it sees. */
    const double seen = window == 0 ? (double) length : (double) window;
    const double pairs = product(batch, heads) * (seen * (double) length - seen * (seen - 1.0) / 2.0);
    const double flops = 2.0 * pairs * (double) head_dim;
    add_call(&w, (call){"attention_forward", "forward", attention_forward, attention_forward_size,
                        FLOAT * 4.0 * (double) count, 2.0 * flops});
    add_call(&w, (call){"attention_backward", "backward", attention_backward, attention_backward_size,
                        FLOAT * 8.0 * (double) count, 4.0 * flops});
    return w;
}

/* ---- attention of listed queries: q (queries, heads, head_dim), packed (batch, length, 2, heads, head_dim) ---- */

enum { LISTED_ROWS, LISTED_Q, LISTED_KV, LISTED_O, LISTED_LSE, LISTED_DO, LISTED_DQ, LISTED_DKV };

static pan_status listed_forward(const work *w, const place *p) {
    const float *k = p->at[LISTED_KV];
    return pan_attention_forward(p->stream, &w->desc.attention, NULL, p->at[LISTED_ROWS], p->at[LISTED_Q], k,
                                 k + attention_width(w), p->at[LISTED_O], p->at[LISTED_LSE], p->workspace,
                                 p->workspace_bytes);
}

static pan_status listed_backward(const work *w, const place *p) {
    const float *k = p->at[LISTED_KV];
    float *dk = p->at[LISTED_DKV];
    const int64_t width = attention_width(w);
    return pan_attention_backward(p->stream, &w->desc.attention, NULL, p->at[LISTED_ROWS], p->at[LISTED_Q], k,
                                  k + width, p->at[LISTED_O], p->at[LISTED_LSE], p->at[LISTED_DO], p->at[LISTED_DQ], dk,
                                  dk + width, p->workspace, p->workspace_bytes);
}

work listed_attention_work(int64_t batch, int64_t heads, int64_t length, int64_t head_dim, int64_t window,
                           int64_t period) {
    work w = attention_work(batch, heads, length, head_dim, window);
    const call *whole = w.calls;
    work listed = {.family = "listed_attention", .desc = w.desc};
    pan_attention_desc *desc = &listed.desc.attention;
    const int64_t width = heads * head_dim, positions = batch * length;
    desc->queries = (positions + period - 1) / period;
    desc->q = desc->o = (pan_head_layout){desc->queries * width, width, head_dim};
    desc->k = desc->v = (pan_head_layout){2 * length * width, 2 * width, head_dim};
    memcpy(listed.sizes, w.sizes, sizeof listed.sizes);
    add_size(&listed, "query_period", period);
    add_steps(&listed, "query_rows", desc->queries, period);
    add_array(&listed, "q", FILL_NOISE, desc->queries * width);
    add_array(&listed, "kv", FILL_NOISE, 2 * positions * width);
    add_array(&listed, "o", FILL_OUTPUT, desc->queries * width);
    add_array(&listed, "lse", FILL_OUTPUT, heads * desc->queries);
    add_array(&listed, "do", FILL_NOISE, desc->queries * width);
    add_array(&listed, "dq", FILL_OUTPUT, desc->queries * width);
    add_array(&listed, "dkv", FILL_OUTPUT, 2 * positions * width);
    const double rows = FLOAT * product(desc->queries, width), keys = FLOAT * product(positions, width);
    add_call(&listed, (call){"attention_forward", "forward", listed_forward, attention_forward_size,
                             2.0 * rows + 2.0 * keys, whole[0].flops / (double) period});
    add_call(&listed, (call){"attention_backward", "backward", listed_backward, attention_backward_size,
                             4.0 * rows + 4.0 * keys, whole[1].flops / (double) period});
    return listed;
}
