/* Ids, labels and blocks out of range on CUDA: the call succeeds, the bad number counts for nothing, and the next call that
 * waits for a stream of the device reports it, once. */
#include <stdio.h>
#include <stdlib.h>

#include "test_device.h"

enum { BATCH = 4, LENGTH = 9, ROWS = BATCH * LENGTH, CHANNELS = 21, VOCAB = 71, SIZE = ROWS * CHANNELS };

static const int32_t BAD[] = {-1, INT32_MIN, INT32_MAX, VOCAB, -99};

/* Whether a status and its text report number `index` of what `op` was given. */
static void check_report(const target *target, const char *op, int index, pan_status status, const char *call) {
    char number[16];
    snprintf(number, sizeof number, "number %d ", index);
    CHECK(status == PAN_INVALID_ARGUMENT, "%s: a bad number %d of %s: %s gives %s", target->name, index, op, call,
          pan_status_name(status));
    CHECK(strstr(pan_last_error(), op) != NULL && strstr(pan_last_error(), number) != NULL,
          "%s: %s does not name number %d of %s: '%s'", target->name, call, index, op, pan_last_error());
}

/* ---- embedding ---- */

typedef struct embedding {
    int32_t ids[ROWS];
    float table[VOCAB * CHANNELS], positions[LENGTH * CHANNELS], y[SIZE];
    float dy[SIZE], dtable[VOCAB * CHANNELS], dpositions[LENGTH * CHANNELS];
} embedding;

static pan_embedding_desc describe_embedding(bool with_positions) {
    return (pan_embedding_desc){.struct_size = sizeof(pan_embedding_desc),
                                .dtype = PAN_F32,
                                .batch = BATCH,
                                .length = LENGTH,
                                .channels = CHANNELS,
                                .vocab_size = VOCAB,
                                .positions = with_positions ? LENGTH : 0};
}

static void fill_embedding(embedding *h) {
    generator random = {31};
    memset(h, 0, sizeof *h);
    for (int r = 0; r < ROWS; r++) {
        h->ids[r] = (int32_t) (next_bits(&random) % (VOCAB / 4)); /* some more than once */
    }
    float *const arrays[] = {h->table, h->positions, h->dy, h->dtable, h->dpositions};
    const int counts[] = {VOCAB * CHANNELS, LENGTH * CHANNELS, SIZE, VOCAB * CHANNELS, LENGTH * CHANNELS};
    for (int a = 0; a < COUNT(arrays); a++) {
        for (int i = 0; i < counts[a]; i++) {
            arrays[a][i] = (float) next_normal(&random);
        }
    }
}

static void give_embedding(const target *target, embedding *d, bool with_positions) {
    const pan_embedding_desc desc = describe_embedding(with_positions);
    CHECK_OK(
        pan_embedding_forward(target->stream, &desc, d->ids, d->table, with_positions ? d->positions : NULL, d->y));
}

static void check_rows_of_bad_id(const target *target, const embedding *bad, const embedding *good, int row,
                                 bool with_positions) {
    for (int i = 0; i < SIZE; i++) {
        const float position = with_positions ? good->positions[i % (LENGTH * CHANNELS)] : 0.0f;
        const float expected = i / CHANNELS == row ? position : good->y[i];
        CHECK(bad->y[i] == expected, "%s: id number %d is bad: element %d of the embedding is %g, not %g", target->name,
              row, i, (double) bad->y[i], (double) expected);
    }
}

/* Forward, reported by pan_stream_synchronize(), then by pan_copy_to_host(), which copies all the same. */
static void check_bad_id(const target *target, int row, int32_t id, bool with_positions) {
    static embedding good, bad;
    fill_embedding(&good);
    embedding *d = copy_in(target, &good, sizeof good);
    give_embedding(target, d, with_positions);
    CHECK_OK(pan_copy_to_host(target->stream, &good, d, sizeof good));
    bad = good;
    bad.ids[row] = id;
    CHECK_OK(pan_copy_to_device(target->stream, d, &bad, sizeof bad));
    give_embedding(target, d, with_positions);
    check_report(target, "embedding", row, pan_stream_synchronize(target->stream), "stream_synchronize");
    CHECK_OK(pan_stream_synchronize(target->stream));
    CHECK_OK(pan_copy_to_host(target->stream, &bad, d, sizeof bad));
    check_rows_of_bad_id(target, &bad, &good, row, with_positions);
    memset(bad.y, 0x55, sizeof bad.y);
    give_embedding(target, d, with_positions);
    check_report(target, "embedding", row, pan_copy_to_host(target->stream, bad.y, d->y, sizeof bad.y), "copy_to_host");
    check_rows_of_bad_id(target, &bad, &good, row, with_positions);
    CHECK_OK(pan_copy_to_device(target->stream, d->ids, good.ids, sizeof good.ids));
    give_embedding(target, d, with_positions);
    copy_out(target, d, &bad, sizeof bad); /* the stream works on */
    CHECK(memcmp(&bad, &good, sizeof good) == 0, "%s: other results after a bad id", target->name);
}

static void give_embedding_gradients(const target *target, embedding *d) {
    const pan_embedding_desc desc = describe_embedding(true);
    CHECK_OK(pan_embedding_backward(target->stream, &desc, d->ids, d->dy, d->dtable, d->dpositions));
}

/* The table's gradient is what it is without the bad row; the position's has nothing to do with ids. */
static void check_bad_id_gradients(const target *target, int row, int32_t id) {
    static embedding without, good, bad;
    fill_embedding(&good);
    bad = without = good;
    memset(without.dy + row * CHANNELS, 0, CHANNELS * sizeof(float));
    bad.ids[row] = id;
    embedding *const hosts[] = {&without, &good, &bad};
    for (int i = 0; i < COUNT(hosts); i++) {
        embedding *d = copy_in(target, hosts[i], sizeof bad);
        give_embedding_gradients(target, d);
        if (hosts[i] == &bad) {
            check_report(target, "embedding", row, pan_stream_synchronize(target->stream), "stream_synchronize");
        }
        copy_out(target, d, hosts[i], sizeof bad);
    }
    CHECK(memcmp(bad.dtable, without.dtable, sizeof bad.dtable) == 0,
          "%s: id number %d, which is bad, changed the table's gradient", target->name, row);
    CHECK(memcmp(bad.dpositions, good.dpositions, sizeof bad.dpositions) == 0,
          "%s: id number %d, which is bad, changed the positions' gradient", target->name, row);
}

/* ---- vocabulary loss ---- */

typedef struct vocabulary {
    int32_t labels[ROWS], labelled_count, arg_max[ROWS];
    float hidden[SIZE], weight[VOCAB * CHANNELS], loss, dloss, row_loss[ROWS], lse[ROWS];
    float dhidden[SIZE], dweight[VOCAB * CHANNELS];
} vocabulary;

static const pan_vocabulary_loss_desc LOSS = {.struct_size = sizeof LOSS,
                                              .dtype = PAN_F32,
                                              .rows = ROWS,
                                              .channels = CHANNELS,
                                              .vocab_size = VOCAB,
                                              .hidden_stride = CHANNELS};

static void fill_vocabulary(vocabulary *h) {
    generator random = {37};
    memset(h, 0, sizeof *h);
    for (int r = 0; r < ROWS; r++) {
        h->labels[r] = r % 3 == 1 ? PAN_IGNORE_LABEL : (int32_t) (next_bits(&random) % VOCAB);
    }
    float *const arrays[] = {h->hidden, h->weight, h->dweight};
    const int counts[] = {SIZE, VOCAB * CHANNELS, VOCAB * CHANNELS};
    for (int a = 0; a < COUNT(arrays); a++) {
        for (int i = 0; i < counts[a]; i++) {
            arrays[a][i] = (float) next_normal(&random);
        }
    }
    h->dloss = 1.5f;
}

/* Forward and backward; if `bad_row` is not negative, each is followed by a report of it. */
static void run_vocabulary(const target *target, vocabulary *h, int bad_row) {
    int64_t forward_bytes = 0, backward_bytes = 0;
    CHECK_OK(pan_vocabulary_loss_forward_workspace_size(target->stream, &LOSS, &forward_bytes));
    CHECK_OK(pan_vocabulary_loss_backward_workspace_size(target->stream, &LOSS, &backward_bytes));
    void *forward = new_memory(target, forward_bytes), *backward = new_memory(target, backward_bytes);
    vocabulary *d = copy_in(target, h, sizeof *h);
    CHECK_OK(pan_vocabulary_loss_forward(target->stream, &LOSS, d->hidden, d->weight, d->labels, &d->loss,
                                         &d->labelled_count, d->row_loss, d->lse, d->arg_max, forward, forward_bytes));
    if (bad_row >= 0) {
        check_report(target, "vocabulary_loss", bad_row, pan_stream_synchronize(target->stream), "stream_synchronize");
    }
    CHECK_OK(pan_stream_synchronize(target->stream));
    CHECK_OK(pan_vocabulary_loss_backward(target->stream, &LOSS, d->hidden, d->weight, d->labels, &d->labelled_count,
                                          d->lse, &d->dloss, d->dhidden, d->dweight, backward, backward_bytes));
    if (bad_row >= 0) {
        check_report(target, "vocabulary_loss", bad_row,
                     pan_copy_to_host(target->stream, h->dhidden, d->dhidden, sizeof h->dhidden), "copy_to_host");
    }
    copy_out(target, d, h, sizeof *h);
    free_memory(target, forward);
    free_memory(target, backward);
}

/* A bad label is as one that is ignored. */
static void check_bad_label(const target *target, int row, int32_t label) {
    static vocabulary ignored, bad;
    fill_vocabulary(&ignored);
    bad = ignored;
    ignored.labels[row] = PAN_IGNORE_LABEL;
    bad.labels[row] = label;
    run_vocabulary(target, &ignored, -1);
    run_vocabulary(target, &bad, row);
    CHECK(bad.labelled_count == ignored.labelled_count && bad.loss == ignored.loss && bad.arg_max[row] == -1,
          "%s: with label number %d = %d the loss of %d rows is %g, without it that of %d rows %g", target->name, row,
          label, bad.labelled_count, (double) bad.loss, ignored.labelled_count, (double) ignored.loss);
    CHECK(memcmp(bad.dhidden, ignored.dhidden, sizeof bad.dhidden) == 0 &&
              memcmp(bad.dweight, ignored.dweight, sizeof bad.dweight) == 0,
          "%s: label number %d = %d changed the gradients", target->name, row, label);
    bad.labels[row] = ignored.labels[row];
    CHECK(memcmp(&bad, &ignored, sizeof bad) == 0, "%s: label number %d = %d is not as an ignored one", target->name,
          row, label);
}

static void check_bad_labels_alone(const target *target) {
    static vocabulary bad;
    fill_vocabulary(&bad);
    for (int r = 0; r < ROWS; r++) {
        bad.labels[r] = r == 5 ? VOCAB : PAN_IGNORE_LABEL;
    }
    run_vocabulary(target, &bad, 5);
    CHECK(bad.loss == 0.0f && bad.labelled_count == 0, "%s: a loss of %g of %d rows, of which none has a good label",
          target->name, (double) bad.loss, bad.labelled_count);
}

/* ---- lists of blocks ---- */

enum { BLOCK_SIZE = 4, SLOTS = 3, ENTRIES = LENGTH * SLOTS };

typedef struct sparse {
    int32_t blocks[ENTRIES];
    float q[LENGTH * CHANNELS], k[LENGTH * CHANNELS], v[LENGTH * CHANNELS], o[LENGTH * CHANNELS], lse[LENGTH];
    float dq[LENGTH * CHANNELS], dk[LENGTH * CHANNELS], dv[LENGTH * CHANNELS];
} sparse;

/* Forward and backward; if `bad` is not negative, each is followed by a report of that entry. */
static void run_sparse(const target *target, sparse *h, int bad) {
    const pan_head_layout layout = {LENGTH * CHANNELS, CHANNELS, CHANNELS};
    const pan_sparse_attention_desc desc = {.struct_size = sizeof desc,
                                            .scale = 0.2f,
                                            .batch = 1,
                                            .heads = 1,
                                            .kv_heads = 1,
                                            .length = LENGTH,
                                            .head_dim = CHANNELS,
                                            .lists = {SLOTS, BLOCK_SIZE, 1, 1, 1},
                                            .q = layout,
                                            .k = layout,
                                            .v = layout,
                                            .o = layout};
    int64_t bytes = 0;
    sparse *d = copy_in(target, h, sizeof *h);
    CHECK_OK(pan_sparse_attention_backward_workspace_size(target->stream, &desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(pan_sparse_attention_forward(target->stream, &desc, d->blocks, d->q, d->k, d->v, d->o, d->lse, NULL, 0));
    if (bad >= 0) {
        check_report(target, "attention", bad, pan_stream_synchronize(target->stream), "stream_synchronize");
    }
    CHECK_OK(pan_stream_synchronize(target->stream));
    CHECK_OK(pan_sparse_attention_backward(target->stream, &desc, d->blocks, d->q, d->k, d->v, d->o, d->lse, d->q, NULL,
                                           d->dq, d->dk, d->dv, workspace, bytes));
    if (bad >= 0) {
        check_report(target, "attention", bad, pan_stream_synchronize(target->stream), "stream_synchronize");
    }
    copy_out(target, d, h, sizeof *h);
    free_memory(target, workspace);
}

/* What is no block is as none. */
static void check_bad_block(const target *target, int entry, int32_t block) {
    static sparse none, bad;
    generator random = {41};
    memset(&none, 0, sizeof none);
    for (int i = 0; i < ENTRIES; i++) {
        none.blocks[i] = i % SLOTS < 2 ? i % SLOTS : -1;
    }
    for (int i = 0; i < LENGTH * CHANNELS; i++) {
        none.q[i] = (float) next_normal(&random);
        none.k[i] = (float) next_normal(&random);
        none.v[i] = (float) next_normal(&random);
    }
    bad = none;
    none.blocks[entry] = -1;
    bad.blocks[entry] = block;
    run_sparse(target, &none, -1);
    run_sparse(target, &bad, entry);
    bad.blocks[entry] = -1;
    CHECK(memcmp(&bad, &none, sizeof bad) == 0, "%s: entry %d = %d of the lists is not as none", target->name, entry,
          block);
}

/* ---- streams and graphs ---- */

static pan_graph *record_embedding(pan_stream *stream, embedding *d) {
    const pan_embedding_desc desc = describe_embedding(true);
    pan_graph *graph = NULL;
    CHECK_OK(pan_stream_synchronize(stream));
    CHECK_OK(pan_capture_begin(stream));
    CHECK_OK(pan_embedding_forward(stream, &desc, d->ids, d->table, d->positions, d->y));
    CHECK_OK(pan_capture_end(stream, &graph));
    return graph;
}

/* Launches the graph with a bad id, which this stream reports, and then with good ids. */
static void check_graph_report(const target *target, pan_graph *graph, pan_stream *stream, embedding *d,
                               const char *what) {
    static embedding h;
    fill_embedding(&h);
    for (int good = 0; good < 2; good++) {
        h.ids[7] = good ? 3 : VOCAB + 5;
        CHECK_OK(pan_copy_to_device(stream, d->ids, h.ids, sizeof h.ids));
        CHECK_OK(pan_graph_launch(graph, stream));
        if (good) {
            CHECK_OK(pan_stream_synchronize(stream));
        } else {
            check_report(target, "embedding", 7, pan_stream_synchronize(stream), what);
        }
    }
}

/* Graphs report as calls do, on whichever stream, and also when the one that recorded is gone. */
static void check_graph_reports(const target *target) {
    static embedding h;
    pan_stream *recorder = NULL;
    fill_embedding(&h);
    embedding *d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_stream_synchronize(target->stream));
    CHECK_OK(pan_stream_create(target->device, &recorder));
    pan_graph *graph = record_embedding(recorder, d);
    check_graph_report(target, graph, recorder, d, "the recording stream");
    check_graph_report(target, graph, target->stream, d, "a graph's second stream");
    CHECK_OK(pan_stream_synchronize(recorder));
    CHECK_OK(pan_stream_destroy(recorder));
    check_graph_report(target, graph, target->stream, d, "a stream beside the recording one that is gone");
    CHECK_OK(pan_graph_destroy(graph));
    free_memory(target, d);
}

/* One report, by the stream that waits first: not by others, another device, or calls that make or free things. */
static void check_one_report(const target *target) {
    static embedding h;
    struct target apart = open_target(PAN_BACKEND_CUDA, PAN_ISA_BEST, 0);
    const pan_long_conv_desc convolution = {.struct_size = sizeof convolution,
                                            .method = PAN_CONV_FFT,
                                            .batch = 1,
                                            .length = 64,
                                            .channels = 2,
                                            .taps = 64,
                                            .h_channel_stride = 64,
                                            .h_tap_stride = 1,
                                            .u_stride = 2,
                                            .pre_stride = 2,
                                            .post_stride = 2,
                                            .y_stride = 2};
    pan_stream *other = NULL;
    pan_event *event = NULL;
    pan_long_conv_plan *plan = NULL;
    fill_embedding(&h);
    h.ids[3] = -4;
    embedding *d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_event_create(target->device, &event));
    give_embedding(target, d, true);
    CHECK_OK(pan_event_record(event, target->stream));
    CHECK_OK(pan_event_synchronize(event)); /* the work is done */
    CHECK_OK(pan_stream_synchronize(apart.stream));
    CHECK_OK(pan_stream_create(target->device, &other));
    CHECK_OK(pan_long_conv_plan_create(target->device, &convolution, &plan));
    free_memory(target, new_memory(target, 100));
    check_report(target, "embedding", 3, pan_stream_synchronize(target->stream), "stream_synchronize");
    CHECK_OK(pan_stream_synchronize(other));
    CHECK_OK(plan == NULL ? PAN_OK : pan_long_conv_plan_destroy(plan));
    CHECK_OK(pan_stream_destroy(other));
    CHECK_OK(pan_event_destroy(event));
    free_memory(target, d);
    close_target(&apart);
}

void check_reports(const target *target) {
    static const int rows[] = {0, 1, ROWS / 2, ROWS - 1};
    for (int i = 0; i < COUNT(BAD); i++) {
        for (int r = 0; r < COUNT(rows); r++) {
            check_bad_id(target, rows[r], BAD[i], r % 2 == 0);
            check_bad_id_gradients(target, rows[r], BAD[i]);
            check_bad_label(target, rows[r], BAD[i]);
            if (BAD[i] != -1) { /* which is none */
                check_bad_block(target, rows[r] % ENTRIES, BAD[i]);
            }
        }
    }
    check_bad_labels_alone(target);
    check_graph_reports(target);
    check_one_report(target);
}
