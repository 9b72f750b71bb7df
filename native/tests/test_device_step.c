/* A step of training, built of ops: recorded once and repeated, it leaves the bits that the same calls leave. */
#include <math.h>
#include <stdlib.h>

#include "test_device.h"

enum { BATCH = 3, LENGTH = 7, ROWS = BATCH * LENGTH, CHANNELS = 24, VOCAB = 53, SIZE = ROWS * CHANNELS };
enum { STEPS = 6 };

typedef struct parameters {
    float table[VOCAB * CHANNELS], positions[LENGTH * CHANNELS];
    float weight[CHANNELS * CHANNELS], bias[CHANNELS];
    float norm_weight[CHANNELS], norm_bias[CHANNELS];
    float head[VOCAB * CHANNELS];
} parameters;

enum { PARAMETERS = sizeof(parameters) / sizeof(float) };

/* All arrays of the step: one struct on the host and copies of it on the device. */
typedef struct model {
    /* What changes from step to step. */
    pan_random_state random;
    pan_adamw_state adamw;
    int32_t ids[ROWS], labels[ROWS];
    /* What the step changes. */
    parameters values, gradients, exp_avg, exp_avg_sq;
    float loss, loss_copy, dloss, row_loss[ROWS], lse[ROWS], mean[ROWS], rstd[ROWS];
    int32_t labelled_count, arg_max[ROWS];
    float embedded[SIZE], dropped[SIZE], projected[SIZE], sum[SIZE], normed[SIZE];
    float dnormed[SIZE], dsum[SIZE], ddropped[SIZE], dembedded[SIZE];
} model;

static const pan_embedding_desc EMBEDDING = {.struct_size = sizeof EMBEDDING,
                                             .dtype = PAN_F32,
                                             .batch = BATCH,
                                             .length = LENGTH,
                                             .channels = CHANNELS,
                                             .vocab_size = VOCAB,
                                             .positions = LENGTH};
static const pan_dropout_desc DROPOUT = {.struct_size = sizeof DROPOUT,
                                         .dtype = PAN_F32,
                                         .probability = 0.2f,
                                         .path_probability = 0.1f,
                                         .rows = ROWS,
                                         .channels = CHANNELS,
                                         .rows_per_example = LENGTH,
                                         .key = 5};
static const pan_linear_desc LINEAR = {.struct_size = sizeof LINEAR,
                                       .dtype = PAN_F32,
                                       .rows = ROWS,
                                       .in_features = CHANNELS,
                                       .out_features = CHANNELS,
                                       .x_stride = CHANNELS,
                                       .y_stride = CHANNELS};
static const pan_norm_desc NORM = {.struct_size = sizeof NORM,
                                   .dtype = PAN_F32,
                                   .kind = PAN_NORM_LAYER,
                                   .epsilon = 1e-5f,
                                   .rows = ROWS,
                                   .channels = CHANNELS,
                                   .stride = CHANNELS};
static const pan_vocabulary_loss_desc LOSS = {.struct_size = sizeof LOSS,
                                              .dtype = PAN_F32,
                                              .rows = ROWS,
                                              .channels = CHANNELS,
                                              .vocab_size = VOCAB,
                                              .hidden_stride = CHANNELS};
static const pan_arithmetic_desc SUM = {.struct_size = sizeof SUM,
                                        .dtype = PAN_F32,
                                        .kind = PAN_ADD,
                                        .rank = 1,
                                        .shape = {SIZE},
                                        .a_stride = {1},
                                        .b_stride = {1}};
static const pan_adamw_desc ADAMW = {.struct_size = sizeof ADAMW, .count = PARAMETERS};

typedef struct workspace {
    void *memory;
    int64_t bytes;
} workspace;

static workspace new_workspace(const target *target) {
    int64_t bytes[4] = {0};
    CHECK_OK(pan_linear_backward_workspace_size(target->stream, &LINEAR, &bytes[0]));
    CHECK_OK(pan_norm_backward_workspace_size(target->stream, &NORM, &bytes[1]));
    CHECK_OK(pan_vocabulary_loss_forward_workspace_size(target->stream, &LOSS, &bytes[2]));
    CHECK_OK(pan_vocabulary_loss_backward_workspace_size(target->stream, &LOSS, &bytes[3]));
    workspace made = {.bytes = 1};
    for (int i = 0; i < COUNT(bytes); i++) {
        made.bytes = bytes[i] > made.bytes ? bytes[i] : made.bytes;
    }
    made.memory = new_memory(target, made.bytes);
    return made;
}

static void forward(pan_stream *stream, model *d, workspace w) {
    parameters *p = &d->values;
    CHECK_OK(pan_embedding_forward(stream, &EMBEDDING, d->ids, p->table, p->positions, d->embedded));
    CHECK_OK(pan_dropout(stream, &DROPOUT, &d->random, d->embedded, d->dropped));
    CHECK_OK(pan_linear_forward(stream, &LINEAR, d->dropped, p->weight, p->bias, d->projected));
    CHECK_OK(pan_norm_forward(stream, &NORM, d->projected, d->dropped, p->norm_weight, p->norm_bias, d->sum, d->normed,
                              d->mean, d->rstd));
    CHECK_OK(pan_vocabulary_loss_forward(stream, &LOSS, d->normed, p->head, d->labels, &d->loss, &d->labelled_count,
                                         d->row_loss, d->lse, d->arg_max, w.memory, w.bytes));
    CHECK_OK(pan_copy(stream, &d->loss_copy, &d->loss, sizeof d->loss));
}

static void backward(pan_stream *stream, model *d, workspace w) {
    parameters *p = &d->values, *g = &d->gradients;
    CHECK_OK(pan_zero(stream, g, sizeof *g));
    CHECK_OK(pan_vocabulary_loss_backward(stream, &LOSS, d->normed, p->head, d->labels, &d->labelled_count, d->lse,
                                          &d->dloss, d->dnormed, g->head, w.memory, w.bytes));
    CHECK_OK(pan_norm_backward(stream, &NORM, d->sum, p->norm_weight, d->mean, d->rstd, NULL, d->dnormed, d->dsum,
                               g->norm_weight, g->norm_bias, w.memory, w.bytes));
    CHECK_OK(pan_linear_backward(stream, &LINEAR, d->dropped, p->weight, d->dsum, d->ddropped, g->weight, g->bias,
                                 w.memory, w.bytes));
    CHECK_OK(pan_arithmetic_forward(stream, &SUM, d->ddropped, d->dsum, d->ddropped)); /* the residual's part */
    CHECK_OK(pan_dropout(stream, &DROPOUT, &d->random, d->ddropped, d->dembedded));
    CHECK_OK(pan_embedding_backward(stream, &EMBEDDING, d->ids, d->dembedded, g->table, g->positions));
}

static void give_step(pan_stream *stream, model *d, workspace w) {
    forward(stream, d, w);
    backward(stream, d, w);
    CHECK_OK(pan_adamw_step(stream, &ADAMW, &d->adamw, d->values.table, d->gradients.table, d->exp_avg.table,
                            d->exp_avg_sq.table));
}

static model *new_model(void) {
    model *made = allocate(1, sizeof *made);
    generator random = {23};
    float *values = made->values.table;
    for (int i = 0; i < PARAMETERS; i++) {
        values[i] = (float) (0.3 * next_normal(&random));
    }
    for (int c = 0; c < CHANNELS; c++) {
        made->values.norm_weight[c] = 1.0f;
    }
    made->dloss = 1.0f;
    return made;
}

/* How many rows of a step have labels: from all to none. */
static int labelled_rows(int step) {
    static const int rows[STEPS] = {4, ROWS, 0, 3, ROWS - 1, 1};
    return rows[step];
}

/* One step is skipped, as after a gradient that is not finite. */
static bool is_skipped(int step) {
    return step == 4;
}

static void set_inputs(model *h, int step) {
    generator random = {1000 + (uint64_t) step};
    h->random = (pan_random_state){.seed = 11, .step = (uint64_t) step};
    h->adamw = (pan_adamw_state){.learning_rate = 1e-2 / (step + 1),
                                 .beta1 = 0.9,
                                 .beta2 = 0.98,
                                 .epsilon = 1e-8,
                                 .weight_decay = 0.1,
                                 .bias_correction1 = 1.0 - pow(0.9, step + 1),
                                 .bias_correction2 = 1.0 - pow(0.98, step + 1),
                                 .skip = is_skipped(step)};
    for (int r = 0; r < ROWS; r++) {
        h->ids[r] = (int32_t) (next_bits(&random) % VOCAB);
        h->labels[r] = PAN_IGNORE_LABEL;
    }
    for (int i = 0; i < labelled_rows(step); i++) {
        h->labels[(i * 4 + step) % ROWS] =
            (int32_t) (next_bits(&random) % VOCAB); /* 4 and ROWS have no factor in common */
    }
}

static void upload_inputs(pan_stream *stream, const model *h, model *d) {
    CHECK_OK(pan_copy_to_device(stream, &d->random, &h->random, sizeof h->random));
    CHECK_OK(pan_copy_to_device(stream, &d->adamw, &h->adamw, sizeof h->adamw));
    CHECK_OK(pan_copy_to_device(stream, d->ids, h->ids, sizeof h->ids));
    CHECK_OK(pan_copy_to_device(stream, d->labels, h->labels, sizeof h->labels));
}

/* Two copies of a model: one takes its steps by a graph, the other by calls. */
typedef struct race {
    const target *target;
    workspace workspace;
    model *replayed, *called; /* on the device */
    model *host, *replayed_host, *called_host;
} race;

static void check_same_models(const race *race, int step) {
    const model *a = race->replayed_host, *b = race->called_host;
    const char *name = race->target->name;
    CHECK(memcmp(&a->loss, &b->loss, sizeof a->loss) == 0, "%s, step %d: the graph's loss is %.9g, the calls' %.9g",
          name, step, (double) a->loss, (double) b->loss);
    CHECK(memcmp(&a->gradients, &b->gradients, sizeof a->gradients) == 0, "%s, step %d: other gradients in the graph",
          name, step);
    CHECK(memcmp(&a->values, &b->values, sizeof a->values) == 0, "%s, step %d: other parameters after the graph", name,
          step);
    CHECK(memcmp(a, b, sizeof *a) == 0, "%s, step %d: other bits after the graph", name, step);
}

/* That the step did what it should, before: `before` holds the parameters then. */
static void check_progress(const race *race, const parameters *before, int step) {
    const model *m = race->called_host;
    const int labelled = labelled_rows(step);
    const bool changed = memcmp(before, &m->values, sizeof *before) != 0;
    CHECK(m->labelled_count == labelled, "%s, step %d: %d labelled rows, not %d", race->target->name, step,
          m->labelled_count, labelled);
    CHECK(labelled == 0 ? m->loss == 0.0f : m->loss > 0.5f && m->loss < 30.0f, "%s, step %d: a loss of %g of %d rows",
          race->target->name, step, (double) m->loss, labelled);
    CHECK(m->loss_copy == m->loss, "%s, step %d: the copy of the loss %g is %g", race->target->name, step,
          (double) m->loss, (double) m->loss_copy);
    CHECK(changed != is_skipped(step), "%s, step %d: the parameters %s", race->target->name, step,
          changed ? "changed" : "did not change");
}

static void read_models(const race *race, pan_stream *stream) {
    CHECK_OK(pan_copy_to_host(stream, race->replayed_host, race->replayed, sizeof(model)));
    CHECK_OK(pan_copy_to_host(race->target->stream, race->called_host, race->called, sizeof(model)));
}

/* One step of both; without a graph, of both by calls. */
static void take_step(const race *race, int step, pan_graph *graph, pan_stream *stream) {
    const parameters before = race->called_host->values;
    set_inputs(race->host, step);
    upload_inputs(race->target->stream, race->host, race->called);
    give_step(race->target->stream, race->called, race->workspace);
    CHECK_OK(pan_stream_synchronize(race->target->stream)); /* the workspace is that of both */
    upload_inputs(stream, race->host, race->replayed);
    if (graph == NULL) {
        give_step(stream, race->replayed, race->workspace);
    } else {
        CHECK_OK(pan_graph_launch(graph, stream));
    }
    read_models(race, stream);
    check_same_models(race, step);
    check_progress(race, &before, step);
}

static pan_graph *record_step(const race *race, pan_stream *stream) {
    pan_graph *graph = NULL;
    CHECK_OK(pan_stream_synchronize(stream));
    CHECK_OK(pan_capture_begin(stream));
    give_step(stream, race->replayed, race->workspace);
    CHECK_OK(pan_capture_end(stream, &graph));
    read_models(race, stream);
    CHECK(memcmp(race->replayed_host, race->called_host, sizeof(model)) == 0, "%s: a recorded step was taken",
          race->target->name);
    return graph;
}

static race new_race(const target *target) {
    race made = {.target = target,
                 .workspace = new_workspace(target),
                 .host = new_model(),
                 .replayed_host = allocate(1, sizeof(model)),
                 .called_host = allocate(1, sizeof(model))};
    made.replayed = copy_in(target, made.host, sizeof(model));
    made.called = copy_in(target, made.host, sizeof(model));
    *made.called_host = *made.host;
    CHECK_OK(pan_stream_synchronize(target->stream));
    return made;
}

static void free_race(const race *race) {
    free_memory(race->target, race->replayed);
    free_memory(race->target, race->called);
    free_memory(race->target, race->workspace.memory);
    free(race->host);
    free(race->replayed_host);
    free(race->called_host);
}

void check_training_graph(const target *target) {
    race race = new_race(target);
    pan_stream *recorder = NULL;
    CHECK_OK(pan_stream_create(target->device, &recorder));
    /* A first step by calls, as a trainer takes it: what is set up at first use is there when recording begins. */
    take_step(&race, 0, NULL, recorder);
    pan_graph *graph = record_step(&race, recorder);
    take_step(&race, 1, graph, recorder);
    take_step(&race, 2, graph, recorder);
    take_step(&race, 3, graph, target->stream);
    CHECK_OK(pan_stream_destroy(recorder));
    take_step(&race, 4, graph, target->stream);
    take_step(&race, 5, graph, target->stream);
    CHECK_OK(pan_graph_destroy(graph));
    free_race(&race);
}
