/* Bad arguments of every op: from the same descriptions that the op test uses, one thing at a time is spoilt, and the
 * call must report it by its name and touch nothing. */
#include "test_abi_ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

/* A good call, set up in memory, of which a copy of the arguments is spoilt. */
typedef struct trial {
    const target *target;
    const op_case *op;
    image *image;
    char what[160]; /* is spoilt */
} trial;

static void expect(trial *trial, pan_status status, pan_status expected) {
    CHECK(status == expected, "%s, %s, %s: %s instead of %s", trial->op->op, trial->target->name, trial->what,
          pan_status_name(status), pan_status_name(expected));
    const char *prefix = trial->op->error_prefix == NULL ? trial->op->op : trial->op->error_prefix;
    CHECK(strncmp(pan_last_error(), prefix, strlen(prefix)) == 0 && strlen(pan_last_error()) > strlen(prefix) + 5,
          "%s, %s: the message is '%s'", trial->op->op, trial->what, pan_last_error());
}

static void spoil(trial *trial, const char *format, const char *name, long long value) {
    snprintf(trial->what, sizeof trial->what, format, name, value);
}

static pan_status invoke(const trial *trial, void *const *arguments) {
    return trial->op->invoke(trial->target->stream, trial->image->desc, arguments, trial->image->workspace,
                             trial->image->workspace_bytes);
}

static pan_status invoke_with_argument(const trial *trial, int view, void *address) {
    void *arguments[MAX_VIEWS];
    memcpy(arguments, trial->image->argument, sizeof arguments);
    arguments[view] = address;
    return invoke(trial, arguments);
}

/* ---- pointers ---- */

static void check_pointers(trial *trial) {
    const call *call = trial->image->call;
    for (int v = 0; v < call->view_count; v++) {
        const view *view = &call->views[v];
        if (!view->present) {
            continue;
        }
        if (!view->optional) {
            spoil(trial, "%s is NULL", view->name, 0);
            expect(trial, invoke_with_argument(trial, v, NULL), PAN_INVALID_ARGUMENT);
        }
        spoil(trial, "%s is misaligned", view->name, 0);
        expect(trial, invoke_with_argument(trial, v, (char *) trial->image->argument[v] + 1), PAN_INVALID_ARGUMENT);
    }
}

static bool may_alias(const op_case *op, int a, int b) {
    for (int i = 0; i < COUNT(op->aliases) && op->aliases[i].output != op->aliases[i].input; i++) {
        int output = op->aliases[i].output, input = op->aliases[i].input;
        if ((output == a && input == b) || (output == b && input == a)) {
            return true;
        }
    }
    return false;
}

static int64_t element_width(const trial *trial, const view *view) {
    switch (trial->image->call->blocks[view->block].element) {
    case INTEGER: return 4;
    case STATE: return 8;
    default: return trial->target->real_bytes;
    }
}

/* Each output on top of each other array, and half on top of it. */
static void check_overlaps(trial *trial) {
    const call *call = trial->image->call;
    for (int o = 0; o < call->view_count; o++) {
        const view *output = &call->views[o];
        for (int v = 0; v < call->view_count; v++) {
            const view *other = &call->views[v];
            if (o == v || output->role == INPUT || !output->present || !other->present || other->detached) {
                continue;
            }
            char *address = trial->image->argument[v];
            if (!may_alias(call->op, o, v)) {
                snprintf(trial->what, sizeof trial->what, "%s is %s", output->name, other->name);
                expect(trial, invoke_with_argument(trial, o, address), PAN_INVALID_ARGUMENT);
            }
            int64_t width = element_width(trial, output);
            if (view_count(other) * element_width(trial, other) > width) {
                snprintf(trial->what, sizeof trial->what, "%s overlaps %s", output->name, other->name);
                expect(trial, invoke_with_argument(trial, o, address + width), PAN_INVALID_ARGUMENT);
            }
        }
    }
}

static void check_workspace(trial *trial) {
    image *image = trial->image;
    if (image->workspace_bytes == 0) {
        return;
    }
    const struct {
        const char *what;
        void *workspace;
        int64_t bytes;
    } bad[] = {
        {"workspace is NULL", NULL, image->workspace_bytes},
        {"workspace is one byte short", image->workspace, image->workspace_bytes - 1},
        {"workspace has a negative size", image->workspace, -1},
        {"workspace is misaligned", image->workspace + 8, image->workspace_bytes},
        {"workspace is the first array", image->argument[image->call->view_count - 1], image->workspace_bytes},
    };
    for (int i = 0; i < COUNT(bad); i++) {
        spoil(trial, "%s", bad[i].what, 0);
        expect(trial,
               trial->op->invoke(trial->target->stream, image->desc, image->argument, bad[i].workspace, bad[i].bytes),
               PAN_INVALID_ARGUMENT);
    }
}

/* ---- descriptor ---- */

/* The call, and the workspace query if there is one, with the descriptor as it is now. */
static void expect_bad_desc(trial *trial, pan_status expected) {
    if (trial->op->workspace != NULL) {
        int64_t bytes = -7;
        pan_status status = trial->op->workspace(trial->target->stream, trial->image->desc, &bytes);
        CHECK(status == expected && bytes == -7, "%s's workspace query, %s: %s instead of %s, bytes %lld",
              trial->op->op, trial->what, pan_status_name(status), pan_status_name(expected), (long long) bytes);
    }
    expect(trial, invoke(trial, trial->image->argument), expected);
}

static void with_bytes(trial *trial, size_t offset, const void *value, size_t size, pan_status expected) {
    unsigned char *field = trial->image->desc + offset, saved[16];
    memcpy(saved, field, size);
    memcpy(field, value, size);
    expect_bad_desc(trial, expected);
    memcpy(field, saved, size);
}

static void check_field(trial *trial, const field *field) {
    static const int64_t sizes[] = {0, -1, INT64_MIN, INT64_MAX, (INT64_C(1) << 40) + 1};
    static const float probabilities[] = {-0.1f, 1.0f, 2.0f, NAN, INFINITY};
    static const float epsilons[] = {-1e-5f, NAN};
    const int32_t kinds[] = {-1, field->count, INT32_MAX};
    switch (field->kind) {
    case FIELD_SIZE:
    case FIELD_STRIDE:
        for (int i = 0; i < COUNT(sizes); i++) {
            spoil(trial, "%s = %lld", field->name, sizes[i]);
            with_bytes(trial, field->offset, &sizes[i], sizeof sizes[i], PAN_INVALID_ARGUMENT);
        }
        break;
    case FIELD_KIND:
        for (int i = 0; i < COUNT(kinds); i++) {
            spoil(trial, "%s = %lld", field->name, kinds[i]);
            with_bytes(trial, field->offset, &kinds[i], sizeof kinds[i], PAN_INVALID_ARGUMENT);
        }
        break;
    case FIELD_PROBABILITY:
        for (int i = 0; i < COUNT(probabilities); i++) {
            spoil(trial, "%s is bad number %lld", field->name, i);
            with_bytes(trial, field->offset, &probabilities[i], sizeof probabilities[i], PAN_INVALID_ARGUMENT);
        }
        break;
    case FIELD_EPSILON:
        for (int i = 0; i < COUNT(epsilons); i++) {
            spoil(trial, "%s is bad number %lld", field->name, i);
            with_bytes(trial, field->offset, &epsilons[i], sizeof epsilons[i], PAN_INVALID_ARGUMENT);
        }
    }
}

static void check_version_and_dtype(trial *trial) {
    uint32_t size = (uint32_t) trial->op->desc_size;
    const uint32_t sizes[] = {0, size - 1, size + 8, UINT32_MAX};
    for (int i = 0; i < COUNT(sizes); i++) {
        spoil(trial, "%s = %lld", "struct_size", sizes[i]);
        with_bytes(trial, 0, &sizes[i], sizeof sizes[i], PAN_INVALID_ARGUMENT);
    }
    static const pan_dtype dtypes[] = {-1, 3, 99, PAN_F32, PAN_BF16, PAN_F64};
    for (int i = 0; i < COUNT(dtypes) && !trial->op->no_dtype; i++) {
        if (dtypes[i] != trial->target->dtype) {
            spoil(trial, "%s = %lld", "dtype", dtypes[i]);
            with_bytes(trial, sizeof(uint32_t), &dtypes[i], sizeof dtypes[i],
                       i < 3 ? PAN_INVALID_ARGUMENT : PAN_UNSUPPORTED);
        }
    }
}

/* Sizes that are each allowed and whose product is not. */
static void check_overflow(trial *trial) {
    unsigned char saved[DESC_BYTES];
    memcpy(saved, trial->image->desc, sizeof saved);
    int sizes = 0;
    for (const field *field = trial->op->fields; field->name != NULL; field++) {
        if (field->kind == FIELD_SIZE || field->kind == FIELD_STRIDE) {
            memcpy(trial->image->desc + field->offset, &(int64_t){INT64_C(1) << 40}, sizeof(int64_t));
            sizes++;
        }
    }
    if (sizes > 1) {
        spoil(trial, "%s", "all sizes are 2^40", 0);
        expect(trial, invoke(trial, trial->image->argument), PAN_INVALID_ARGUMENT);
    }
    memcpy(trial->image->desc, saved, sizeof saved);
}

static void check_handles(trial *trial) {
    image *image = trial->image;
    _Alignas(8) unsigned char moved[DESC_BYTES + 4];
    memcpy(moved + 4, image->desc, DESC_BYTES);
    const struct {
        const char *what;
        pan_stream *stream;
        const void *desc;
    } bad[] = {{"stream is NULL", NULL, image->desc},
               {"desc is NULL", trial->target->stream, NULL},
               {"desc is misaligned", trial->target->stream, moved + 4}};
    for (int i = 0; i < COUNT(bad); i++) {
        spoil(trial, "%s", bad[i].what, 0);
        expect(trial,
               trial->op->invoke(bad[i].stream, bad[i].desc, image->argument, image->workspace, image->workspace_bytes),
               PAN_INVALID_ARGUMENT);
        if (trial->op->workspace != NULL) {
            int64_t bytes = 0;
            CHECK(trial->op->workspace(bad[i].stream, bad[i].desc, &bytes) == PAN_INVALID_ARGUMENT,
                  "%s's workspace query: %s", trial->op->op, bad[i].what);
        }
    }
    if (trial->op->workspace != NULL) {
        CHECK(trial->op->workspace(trial->target->stream, image->desc, NULL) == PAN_INVALID_ARGUMENT,
              "%s's workspace query: bytes is NULL", trial->op->op);
    }
}

/* ---- ids, labels and lists of queries ---- */

/* The smallest number that is too large; 0 for arrays that may hold any. */
static int64_t integer_limit(const call *call, const view *view) {
    if (strcmp(view->name, "labels") == 0) {
        return DESC(call, const pan_vocabulary_loss_desc)->vocab_size;
    }
    if (strcmp(view->name, "query_rows") == 0) {
        return DESC(call, const pan_attention_desc)->batch * DESC(call, const pan_attention_desc)->length;
    }
    if (strcmp(view->name, "ids") == 0 && strncmp(call->op->op, "embedding", strlen("embedding")) == 0) {
        return DESC(call, const pan_embedding_desc)->vocab_size;
    }
    return 0;
}

/* Where the host cannot see the numbers (CUDA), test_device looks at what becomes of bad ones. */
static void check_integers(const target *target, call *call) {
    if (target->options.backend == PAN_BACKEND_CUDA) {
        return;
    }
    for (int v = 0; v < call->view_count; v++) {
        const view *view = &call->views[v];
        const int64_t limit = view->present ? integer_limit(call, view) : 0;
        if (limit == 0) {
            continue;
        }
        static const int32_t bad[] = {-1, INT32_MIN, INT32_MAX, -99};
        double *last = &call->blocks[view->block].values[view_count(view) - 1], saved = *last;
        for (int i = 0; i < COUNT(bad) + 1; i++) {
            *last = i < COUNT(bad) ? bad[i] : (double) limit;
            trial trial = {.target = target, .op = call->op, .image = make_image(target, call, 0)};
            spoil(&trial, "the last of %s is %lld", view->name, (long long) *last);
            expect(&trial, invoke(&trial, trial.image->argument), PAN_INVALID_ARGUMENT);
            read_image(trial.image);
            check_image(trial.image, (run_options){0}, true);
            free_image(trial.image);
        }
        *last = saved;
    }
}

/* ---- all of it ---- */

/* The variant in which most arrays are present, and of these a small one. */
static call *fullest_call(const op_case *op, const target *reference) {
    call *best = NULL;
    int best_present = 0;
    for (int variant = 0; variant < op->variants; variant++) {
        call *candidate = prepare_call(op, variant, reference, false);
        int present = 0;
        int64_t elements = 0;
        for (int v = 0; v < candidate->view_count; v++) {
            present += candidate->views[v].present;
            elements += view_count(&candidate->views[v]);
        }
        bool small = elements > 200 && elements < 20000;
        if (best == NULL || (small && present > best_present)) {
            best_present = small ? present : 0;
            call *worse = best;
            best = candidate;
            candidate = worse;
        }
        if (candidate != NULL) {
            free_call(candidate);
        }
    }
    return best;
}

static void check_op(const target *target, call *call) {
    trial trial = {.target = target, .op = call->op, .image = make_image(target, call, 0)};
    check_handles(&trial);
    check_pointers(&trial);
    check_overlaps(&trial);
    check_workspace(&trial);
    check_version_and_dtype(&trial);
    for (const field *field = call->op->fields; field->name != NULL; field++) {
        check_field(&trial, field);
    }
    check_overflow(&trial);
    read_image(trial.image);
    check_image(trial.image, (run_options){0}, false);
    /* Nothing was wrong with the rest: without spoiling, the call succeeds. */
    CHECK_OK(invoke(&trial, trial.image->argument));
    free_image(trial.image);
    check_integers(target, call);
}

typedef struct devices {
    target reference, tested;
} devices;

static void check_case(const op_case *op, void *context) {
    devices *devices = context;
    call *call = fullest_call(op, &devices->reference);
    check_op(&devices->reference, call);
    check_op(&devices->tested, call);
    free_call(call);
}

/* What one op alone can have wrong. Arrays lie on the device, as in a call that is good. */
typedef struct scratch {
    float x[64], y[64];
    pan_random_state random;
    int32_t ids[4];
} scratch;

static void check_arithmetic_particulars(const target *target, scratch *d) {
    pan_stream *stream = target->stream;
    pan_arithmetic_desc arithmetic = {
        .struct_size = sizeof arithmetic, .rank = 2, .shape = {2, 3}, .a_stride = {3, 1}, .b_stride = {3, 1}};
    for (int32_t rank = -1; rank <= PAN_MAX_RANK + 1; rank += PAN_MAX_RANK + 2) {
        pan_arithmetic_desc bad = arithmetic;
        bad.rank = rank;
        CHECK(pan_arithmetic_forward(stream, &bad, d->x, d->x, d->y) == PAN_INVALID_ARGUMENT, "%s: rank %d",
              target->name, rank);
    }
    static const int64_t strides[][2] = {{1, 1}, {6, 2}, {-3, 1}, {3, -1}};
    for (int i = 0; i < COUNT(strides); i++) {
        pan_arithmetic_desc bad = arithmetic;
        memcpy(bad.b_stride, strides[i], sizeof strides[i]);
        CHECK(pan_arithmetic_forward(stream, &bad, d->x, d->x, d->y) == PAN_INVALID_ARGUMENT, "%s: b_stride %lld, %lld",
              target->name, (long long) strides[i][0], (long long) strides[i][1]);
    }
}

static void check_strided_copy_particulars(const target *target, scratch *d) {
    const pan_strided_copy_desc good = {
        .struct_size = sizeof good, .rank = 2, .shape = {2, 3}, .source_stride = {3, 1}, .target_stride = {3, 1}};
    for (int32_t rank = -1; rank <= PAN_MAX_RANK + 1; rank += PAN_MAX_RANK + 2) {
        pan_strided_copy_desc bad = good;
        bad.rank = rank;
        CHECK(pan_strided_copy(target->stream, &bad, d->x, d->y) == PAN_INVALID_ARGUMENT, "%s: rank %d", target->name,
              rank);
    }
    static const int64_t strides[][2] = {{1, 1}, {0, 1}, {3, 0}, {-3, 1}, {3, -1}, {INT64_MAX, 1}};
    for (int i = 0; i < COUNT(strides); i++) {
        pan_strided_copy_desc bad = good;
        memcpy(bad.target_stride, strides[i], sizeof strides[i]);
        CHECK(pan_strided_copy(target->stream, &bad, d->x, d->y) == PAN_INVALID_ARGUMENT,
              "%s: target_stride %lld, %lld", target->name, (long long) strides[i][0], (long long) strides[i][1]);
        bad = good;
        memcpy(bad.source_stride, strides[i], sizeof strides[i]);
        const pan_status expected = i < 3 ? PAN_OK : PAN_INVALID_ARGUMENT; /* what is only read may be shared */
        CHECK(pan_strided_copy(target->stream, &bad, d->x, d->y) == expected, "%s: source_stride %lld, %lld",
              target->name, (long long) strides[i][0], (long long) strides[i][1]);
    }
}

/* A shared matrix has a batch stride of 0, which y cannot have. */
static void check_matmul_particulars(const target *target, scratch *d) {
    const pan_matmul_desc good = {.struct_size = sizeof good,
                                  .alpha = 1.0f,
                                  .batch = 2,
                                  .m = 2,
                                  .n = 3,
                                  .k = 2,
                                  .a_stride = 2,
                                  .b_stride = 3,
                                  .y_stride = 3,
                                  .y_batch_stride = 6};
    CHECK_OK(pan_matmul(target->stream, &good, d->x, d->x, d->y, NULL, 0));
    /* Column ranges of one packed array. */
    pan_matmul_desc packed = good;
    packed.batch = 1;
    packed.a_stride = packed.b_stride = packed.y_stride = 8;
    packed.y_batch_stride = 16;
    CHECK_OK(pan_matmul(target->stream, &packed, d->x, d->x + 2, d->x + 5, NULL, 0));
    CHECK(pan_matmul(target->stream, &packed, d->x, d->x + 2, d->x + 4, NULL, 0) == PAN_INVALID_ARGUMENT,
          "%s: y over the last column of b", target->name);
    for (int i = 0; i < 3; i++) {
        pan_matmul_desc bad = good;
        bad.a_batch_stride = i == 0 ? -1 : 0;
        bad.b_batch_stride = i == 1 ? INT64_MIN : 0;
        bad.y_batch_stride = i == 2 ? 5 : 6;
        CHECK(pan_matmul(target->stream, &bad, d->x, d->x, d->y, NULL, 0) == PAN_INVALID_ARGUMENT,
              "%s: batch strides %lld, %lld, %lld", target->name, (long long) bad.a_batch_stride,
              (long long) bad.b_batch_stride, (long long) bad.y_batch_stride);
    }
}

static void check_rotary_particulars(const target *target, scratch *d) {
    const pan_rotary_desc good = {.struct_size = sizeof good,
                                  .base = 100.0,
                                  .batch = 2,
                                  .heads = 1,
                                  .length = 3,
                                  .head_dim = 4,
                                  .x = {12, 4, 4},
                                  .y = {12, 4, 4}};
    CHECK_OK(pan_rotary(target->stream, &good, NULL, d->x, d->y));
    static const double bases[] = {0.0, -1.0, NAN, INFINITY};
    for (int i = 0; i < COUNT(bases) + 2; i++) {
        pan_rotary_desc bad = good;
        bad.base = i < COUNT(bases) ? bases[i] : good.base;
        bad.head_dim = i == COUNT(bases) ? 3 : 4;
        bad.y.length_stride = i > COUNT(bases) ? 3 : 4;
        CHECK(pan_rotary(target->stream, &bad, NULL, d->x, d->y) == PAN_INVALID_ARGUMENT,
              "%s: base %g, head_dim %lld, stride %lld", target->name, bad.base, (long long) bad.head_dim,
              (long long) bad.y.length_stride);
    }
}

/* The stride of z counts where there is a z. */
static void check_selective_scan_particulars(const target *target, scratch *d) {
    static const int64_t strides[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
    for (int i = 0; i < COUNT(strides); i++) {
        const pan_selective_scan_desc desc = {.struct_size = sizeof desc,
                                              .batch = 1,
                                              .length = 3,
                                              .channels = 2,
                                              .state_size = 1,
                                              .u_stride = 2,
                                              .delta_stride = 2,
                                              .b_stride = 1,
                                              .c_stride = 1,
                                              .z_stride = strides[i],
                                              .y_stride = 2};
        int64_t bytes = 0;
        CHECK_OK(pan_selective_scan_forward_workspace_size(target->stream, &desc, &bytes));
        void *workspace = new_memory(target, bytes);
        float *const x = d->x;
        CHECK_OK(pan_selective_scan_forward(target->stream, &desc, x, x, x, x, x, NULL, NULL, NULL, NULL, d->y, NULL,
                                            NULL, workspace, bytes));
        CHECK(pan_selective_scan_forward(target->stream, &desc, x, x, x, x, x, NULL, NULL, x, NULL, d->y, NULL, NULL,
                                         workspace, bytes) == PAN_INVALID_ARGUMENT,
              "%s: z_stride %lld of 2 channels", target->name, (long long) strides[i]);
        CHECK_OK(pan_stream_synchronize(target->stream));
        free_memory(target, workspace);
    }
}

static void check_particulars(const target *target) {
    pan_stream *stream = target->stream;
    scratch h = {0}, *d = copy_in(target, &h, sizeof h);
    pan_dropout_desc dropout = {.struct_size = sizeof dropout, .rows = 4, .channels = 8, .rows_per_example = 3};
    CHECK(pan_dropout(stream, &dropout, &d->random, d->x, d->y) == PAN_INVALID_ARGUMENT,
          "%s: rows_per_example 3 of 4 rows", target->name);
    pan_reduce_desc reduce = {
        .struct_size = sizeof reduce, .kind = PAN_REDUCE_NONFINITE, .outer = 2, .count = 3, .inner = 1};
    CHECK(pan_reduce_backward(stream, &reduce, d->x, d->y, d->y + 32) == PAN_INVALID_ARGUMENT,
          "%s: a count has a gradient", target->name);
    pan_embedding_desc embedding = {
        .struct_size = sizeof embedding, .batch = 1, .length = 3, .channels = 2, .vocab_size = 4, .positions = 2};
    CHECK(pan_embedding_forward(stream, &embedding, d->ids, d->x, d->x + 16, d->y) == PAN_INVALID_ARGUMENT,
          "%s: 3 positions of a table of 2", target->name);
    pan_earlier_occurrences_desc occurrences = {
        .struct_size = sizeof occurrences, .batch = 1, .length = 2, .ids_stride = 3, .count = 3};
    CHECK(pan_earlier_occurrences(stream, &occurrences, d->ids, d->y, NULL, 0) == PAN_INVALID_ARGUMENT,
          "%s: the last 3 of 2 positions", target->name);
    check_arithmetic_particulars(target, d);
    check_strided_copy_particulars(target, d);
    check_matmul_particulars(target, d);
    check_rotary_particulars(target, d);
    check_selective_scan_particulars(target, d);
    free_memory(target, d);
}

/* An output may lie where one operand does; not where another one, of another layout, does too. */
static void check_shared_addresses(const target *target) {
    scratch h = {.x = {1, 2, 3, 4, 5, 6, 7, 8}}, *d = copy_in(target, &h, sizeof h);
    float *const x = d->x, *const y = d->y;
    pan_arithmetic_desc arithmetic = {
        .struct_size = sizeof arithmetic, .rank = 3, .shape = {2, 2, 2}, .a_stride = {4, 2, 1}, .b_stride = {4, 2, 1}};
    CHECK_OK(pan_arithmetic_forward(target->stream, &arithmetic, x, x, x));
    static const int64_t strides[][3] = {{0, 0, 0}, {2, 4, 1}};
    for (int i = 0; i < COUNT(strides); i++) {
        memcpy(arithmetic.b_stride, strides[i], sizeof strides[i]);
        CHECK_OK(pan_arithmetic_forward(target->stream, &arithmetic, x, x, y));
        CHECK(pan_arithmetic_forward(target->stream, &arithmetic, x, x, x) == PAN_INVALID_ARGUMENT,
              "%s: y over a dense a and a b of strides %lld, %lld, %lld", target->name, (long long) strides[i][0],
              (long long) strides[i][1], (long long) strides[i][2]);
    }
    pan_gate_desc gate = {.struct_size = sizeof gate,
                          .rows = 2,
                          .channels = 2,
                          .a_stride = 2,
                          .b_stride = 4,
                          .c_stride = INT64_MAX, /* ignored without c */
                          .y_stride = 2};
    CHECK_OK(pan_gate_forward(target->stream, &gate, x, x, NULL, y));
    CHECK(pan_gate_forward(target->stream, &gate, x, x, NULL, x) == PAN_INVALID_ARGUMENT,
          "%s: y over an a and a b apart", target->name);
    pan_softmax_desc softmax = {.struct_size = sizeof softmax, .rows = 1, .columns = 8};
    CHECK(pan_softmax_backward(target->stream, &softmax, x, x, x) == PAN_INVALID_ARGUMENT, "%s: dx over y",
          target->name);
    free_memory(target, d);
}

/* Counts and indices are written as int32. */
static void check_vocabulary_sizes(const target *target) {
    static const int64_t sizes[][2] = {{INT64_C(1) << 31, 4}, {4, INT64_C(1) << 31}};
    for (int i = 0; i < COUNT(sizes); i++) {
        pan_vocabulary_loss_desc desc = {.struct_size = sizeof desc,
                                         .rows = sizes[i][0],
                                         .channels = 1,
                                         .vocab_size = sizes[i][1],
                                         .hidden_stride = 1};
        int64_t bytes = 0;
        CHECK(pan_vocabulary_loss_forward_workspace_size(target->stream, &desc, &bytes) == PAN_INVALID_ARGUMENT,
              "%s: %lld rows of a vocabulary of %lld", target->name, (long long) desc.rows,
              (long long) desc.vocab_size);
    }
}

void check_ops(void) {
    devices devices = {.reference = open_target(PAN_BACKEND_REFERENCE_F64, PAN_ISA_BEST, 1),
                       .tested = tests_cuda_alone() ? open_target(PAN_BACKEND_CUDA, PAN_ISA_BEST, 0)
                                                    : open_target(PAN_BACKEND_CPU, PAN_ISA_BEST, 2)};
    for_each_case(check_case, &devices);
    check_particulars(&devices.tested);
    check_shared_addresses(&devices.tested);
    check_vocabulary_sizes(&devices.tested);
    check_attention_arguments(&devices.tested);
    check_pooled_arguments(&devices.tested);
    /* Refused calls left nothing behind. */
    CHECK_OK(pan_stream_synchronize(devices.tested.stream));
    close_target(&devices.tested);
    close_target(&devices.reference);
}
