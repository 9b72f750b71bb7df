/* Values at the edge of what works element by element or along a sequence: functions, filters, reductions, shifts and
 * scans. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "test_edges.h"

/* ---- implicit filters ---- */

/* Products far beyond what a polynomial serves, and those that are not finite. */
static void check_sine_layer(const target *target) {
    static const float xs[] = {0.5f, -3.0f, 1e4f, 1048576.0f, -1.5e6f, 1e9f, 3e38f, INFINITY, NAN, 0.0f, -0.0f, 1e-42f};
    enum { N = COUNT(xs) };
    struct {
        float x[N], frequency[N], y[N], dx[N], dy[N];
    } h = {0}, *d;
    memcpy(h.x, xs, sizeof xs);
    for (int i = 0; i < N; i++) {
        h.frequency[i] = 14.25f;
        h.dy[i] = 1.0f;
    }
    pan_sine_layer_desc desc = {.struct_size = sizeof desc, .dtype = PAN_F32, .rows = 1, .channels = N};
    int64_t bytes = 0;
    d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_sine_layer_forward(target->stream, &desc, d->x, d->frequency, d->y));
    CHECK_OK(pan_sine_layer_backward_workspace_size(target->stream, &desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(pan_sine_layer_backward(target->stream, &desc, d->x, d->frequency, d->dy, d->dx, NULL, workspace, bytes));
    free_memory(target, workspace);
    copy_out(target, d, &h, sizeof h);
    for (int i = 0; i < N; i++) {
        double phase = (double) h.frequency[i] * xs[i];
        bool number = isfinite(phase);
        CHECK(number ? fabs(h.y[i] - sin(phase)) <= 1e-6 : isnan(h.y[i]), "%s: the sine of %g is %g", target->name,
              phase, (double) h.y[i]);
        CHECK(number ? fabs(h.dx[i] - h.frequency[i] * cos(phase)) <= 2e-5 : isnan(h.dx[i]),
              "%s: its slope at %g is %g", target->name, phase, (double) h.dx[i]);
    }
}

enum { MODULATION_LENGTH = 40, MODULATION_CHANNELS = 5, MODULATION_SIZE = MODULATION_LENGTH * MODULATION_CHANNELS };

typedef struct modulation {
    float rates[MODULATION_CHANNELS], x[MODULATION_SIZE], y[MODULATION_SIZE];
} modulation;

/* `d` lies on the device. */
static void check_bad_modulation(const target *target, modulation *d) {
    static const double bad[] = {-1e-9, NAN, INFINITY};
    for (int i = 0; i < 2 * COUNT(bad); i++) {
        const bool shift = i >= COUNT(bad);
        const double value = bad[i % COUNT(bad)];
        if (shift && value < 0.0) {
            continue; /* a shift may be negative */
        }
        pan_exponential_modulation_desc desc = {.struct_size = sizeof desc,
                                                .dtype = PAN_F32,
                                                .length = MODULATION_LENGTH,
                                                .channels = MODULATION_CHANNELS,
                                                .time_step = shift ? 0.25 : value,
                                                .shift = shift ? value : 0.0};
        CHECK(pan_exponential_modulation(target->stream, &desc, d->x, d->rates, d->y) == PAN_INVALID_ARGUMENT,
              "%s: %s %g is accepted", target->name, shift ? "shift" : "time_step", value);
    }
}

static void check_modulation(const target *target) {
    modulation h = {.rates = {0.0f, 1.0f, -70.0f, 1e30f, INFINITY}};
    pan_exponential_modulation_desc desc = {.struct_size = sizeof desc,
                                            .dtype = PAN_F32,
                                            .length = MODULATION_LENGTH,
                                            .channels = MODULATION_CHANNELS,
                                            .time_step = 0.25};
    for (int i = 0; i < MODULATION_SIZE; i++) {
        h.x[i] = 3.0f;
    }
    modulation *d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_exponential_modulation(target->stream, &desc, d->x, d->rates, d->y));
    check_bad_modulation(target, d);
    copy_out(target, d, &h, sizeof h);
    for (int i = 0; i < MODULATION_SIZE; i++) {
        double rate = fabs((double) h.rates[i % MODULATION_CHANNELS]);
        double expected = 3.0 * exp(-(i / MODULATION_CHANNELS) * 0.25 * rate);
        bool near = fabs(h.y[i] - expected) <= 1e-6 * expected + 1e-44;
        CHECK(isnan(expected) ? isnan(h.y[i]) : near, "%s: element %d is %g, not %g", target->name, i, (double) h.y[i],
              expected);
    }
}

/* ---- element-wise functions and sums ---- */

static const float ACTIVATION_INPUTS[] = {0.0f,   -0.0f,  1e-30f, -1e-30f,  1e-42f, 9.0f,  -9.0f,
                                          20.0f,  -20.0f, 90.0f,  -90.0f,   1e4f,   -1e4f, 1e10f,
                                          -1e10f, 3e38f,  -3e38f, INFINITY, NAN};
enum { INPUTS = COUNT(ACTIVATION_INPUTS) };

/* What an activation is far to the left and right, or, of_x, what f(x) / x is. */
typedef struct activation_limits {
    pan_activation kind;
    double low, high;
    bool of_x;
} activation_limits;

static void check_activation(const target *target, const activation_limits *limits) {
    struct {
        float x[INPUTS], y[INPUTS], dx[INPUTS], dy[INPUTS];
    } h = {0}, *d;
    memcpy(h.x, ACTIVATION_INPUTS, sizeof h.x);
    for (int k = 0; k < INPUTS; k++) {
        h.dy[k] = 1.0f;
    }
    pan_activation_desc desc = {.struct_size = sizeof desc, .dtype = PAN_F32, .kind = limits->kind, .count = INPUTS};
    d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_activation_forward(target->stream, &desc, d->x, d->y));
    CHECK_OK(pan_activation_backward(target->stream, &desc, d->x, d->dy, d->dx));
    copy_out(target, d, &h, sizeof h);
    for (int k = 0; k < INPUTS; k++) {
        double x = h.x[k], y = h.y[k], dx = h.dx[k];
        if (isnan(x)) {
            CHECK(isnan(y) && isnan(dx), "%s: activation %d of NaN is a number", target->name, limits->kind);
        } else if (isfinite(x) && fabs(x) > 50.0) {
            double share = x > 0.0 ? limits->high : limits->low;
            double expected = limits->of_x ? (share == 0.0 ? 0.0 : x) : share;
            CHECK(fabs(y - expected) <= 1e-6 * fabs(expected) + 1e-15, "%s: activation %d of %g is %g", target->name,
                  limits->kind, x, y);
            double slope = limits->of_x ? share : 0.0;
            CHECK(fabs(dx - slope) <= 1e-6, "%s: derivative of activation %d at %g is %g", target->name, limits->kind,
                  x, dx);
        }
    }
}

/* Functions of which f64 knows every f32 value: what that rounds to, infinities, NaN and subnormal numbers included. */
typedef struct plain_function {
    pan_activation kind;
    double (*value)(double x);
} plain_function;

static double elu_plus_one(double x) {
    return x > 0.0 ? x + 1.0 : exp(x);
}

static double square(double x) {
    return x * x;
}

static double relu_squared(double x) {
    return x < 0.0 ? 0.0 : x * x;
}

static double softplus(double x) {
    return log1p(exp(-fabs(x))) + (x > 0.0 ? x : 0.0);
}

static double log_sigmoid(double x) {
    return -softplus(-x);
}

static void check_plain_function(const target *target, const plain_function *function) {
    struct {
        float x[INPUTS], y[INPUTS];
    } h = {0}, *d;
    memcpy(h.x, ACTIVATION_INPUTS, sizeof h.x);
    pan_activation_desc desc = {.struct_size = sizeof desc, .dtype = PAN_F32, .kind = function->kind, .count = INPUTS};
    d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_activation_forward(target->stream, &desc, d->x, d->y));
    copy_out(target, d, &h, sizeof h);
    for (int k = 0; k < INPUTS; k++) {
        const float expected = (float) function->value(h.x[k]);
        const bool near = fabs((double) h.y[k] - expected) <= 1e-6 * fabs(expected) + 1e-44;
        CHECK(isnan(expected) ? isnan(h.y[k]) : h.y[k] == expected || near, "%s: activation %d of %g is %g, not %g",
              target->name, function->kind, (double) h.x[k], (double) h.y[k], (double) expected);
    }
}

static void check_activations(const target *target) {
    static const plain_function functions[] = {{PAN_ACTIVATION_EXP, exp},
                                               {PAN_ACTIVATION_LOG, log},
                                               {PAN_ACTIVATION_TANH, tanh},
                                               {PAN_ACTIVATION_SOFTPLUS, softplus},
                                               {PAN_ACTIVATION_LOG_SIGMOID, log_sigmoid},
                                               {PAN_ACTIVATION_ELU_PLUS_ONE, elu_plus_one},
                                               {PAN_ACTIVATION_SQUARE, square},
                                               {PAN_ACTIVATION_RELU_SQUARED, relu_squared}};
    for (int i = 0; i < COUNT(functions); i++) {
        check_plain_function(target, &functions[i]);
    }
    static const activation_limits limits[] = {
        {PAN_ACTIVATION_SIGMOID, 0.0, 1.0, false},  {PAN_ACTIVATION_GELU, 0.0, 1.0, true},
        {PAN_ACTIVATION_GELU_TANH, 0.0, 1.0, true}, {PAN_ACTIVATION_SILU, 0.0, 1.0, true},
        {PAN_ACTIVATION_RELU, 0.0, 1.0, true},      {PAN_ACTIVATION_TANH, -1.0, 1.0, false},
        {PAN_ACTIVATION_SOFTPLUS, 0.0, 1.0, true},  {PAN_ACTIVATION_LOG_SIGMOID, 1.0, 0.0, true}};
    for (int i = 0; i < COUNT(limits); i++) {
        check_activation(target, &limits[i]);
    }
}

/* Row-wise ops keep a NaN in its row. */
static void check_rows_apart(const target *target) {
    enum { R = 5, C = 33, BAD = 2 };
    struct {
        float x[R * C], y[R * C], weight[C], mean[R], rstd[R];
    } h = {0}, *d;
    fill(h.x, R * C, 5, 1.0);
    fill(h.weight, C, 6, 1.0);
    h.x[BAD * C + 32] = NAN;
    pan_norm_desc norm = {
        .struct_size = sizeof norm, .dtype = PAN_F32, .epsilon = 1e-5f, .rows = R, .channels = C, .stride = C};
    pan_softmax_desc softmax = {.struct_size = sizeof softmax, .dtype = PAN_F32, .rows = R, .columns = C};
    for (int op = 0; op < 3; op++) {
        norm.kind = op == 1 ? PAN_NORM_RMS : PAN_NORM_LAYER;
        d = copy_in(target, &h, sizeof h);
        CHECK_OK(op == 2 ? pan_softmax_forward(target->stream, &softmax, d->x, d->y)
                         : pan_norm_forward(target->stream, &norm, d->x, NULL, d->weight, NULL, NULL, d->y,
                                            op == 0 ? d->mean : NULL, d->rstd));
        copy_out(target, d, &h, sizeof h);
        for (int i = 0; i < R * C; i++) {
            CHECK(isnan(h.y[i]) == (i / C == BAD), "%s: op %d: element %d is %g with a NaN in row %d", target->name, op,
                  i, (double) h.y[i], BAD);
        }
    }
}

/* A sum that f32 partial sums lose: 2^24 + 1 + 1 + ... */
static void check_long_sum(const target *target) {
    enum { N = 4096 };
    struct {
        float x[N], y;
    } h = {0}, *d;
    for (int i = 0; i < N; i++) {
        h.x[i] = i == 0 ? 16777216.0f : 1.0f;
    }
    pan_reduce_desc desc = {
        .struct_size = sizeof desc, .dtype = PAN_F32, .kind = PAN_REDUCE_SUM, .outer = 1, .count = N, .inner = 1};
    int64_t bytes = 0;
    d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_reduce_forward_workspace_size(target->stream, &desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(pan_reduce_forward(target->stream, &desc, d->x, &d->y, workspace, bytes));
    free_memory(target, workspace);
    copy_out(target, d, &h, sizeof h);
    CHECK(h.y == (float) (16777216.0 + N - 1), "%s: the sum is %.9g", target->name, (double) h.y);
}

/* The first of equal values is the largest, and the first NaN if there is one; wherever lanes end. */
static void check_maximum(const target *target, int64_t inner) {
    enum { N = 41 * 19 };
    static const float ties[] = {2.0f, 7.0f, -INFINITY, INFINITY, NAN};
    const int64_t count = 41, outer = inner == 1 ? 19 : 1;
    struct {
        float x[N], y[N], dy[N], dx[N];
    } h, *d;
    for (int t = 0; t < COUNT(ties); t++) {
        for (int64_t k = 0; k < count; k++) {
            for (int64_t i = 0; i < 19; i++) {
                const bool tied = k == i + 3 || k == i + 20 || k == 40;
                const float other = ties[t] == -INFINITY ? -INFINITY : (float) (-i - k);
                h.x[inner == 1 ? i * count + k : k * inner + i] = tied ? ties[t] : other;
                h.dy[i] = (float) (i + 1);
            }
        }
        pan_reduce_desc desc = {.struct_size = sizeof desc,
                                .dtype = PAN_F32,
                                .kind = PAN_REDUCE_MAX,
                                .outer = outer,
                                .count = count,
                                .inner = inner};
        int64_t bytes = 0;
        d = copy_in(target, &h, sizeof h);
        CHECK_OK(pan_reduce_forward_workspace_size(target->stream, &desc, &bytes));
        void *workspace = new_memory(target, bytes);
        CHECK_OK(pan_reduce_forward(target->stream, &desc, d->x, d->y, workspace, bytes));
        free_memory(target, workspace);
        CHECK_OK(pan_reduce_backward(target->stream, &desc, d->x, d->dy, d->dx));
        copy_out(target, d, &h, sizeof h);
        for (int64_t i = 0; i < 19; i++) {
            CHECK(isnan(ties[t]) ? isnan(h.y[i]) : h.y[i] == ties[t], "%s: the maximum is %g, not %g", target->name,
                  (double) h.y[i], (double) ties[t]);
            for (int64_t k = 0; k < count; k++) {
                const float slope = h.dx[inner == 1 ? i * count + k : k * inner + i];
                const bool first = k == (ties[t] == -INFINITY ? 0 : i + 3);
                CHECK(slope == (first ? (float) (i + 1) : 0.0f), "%s: maximum %g, entry %d of %d: gradient %g",
                      target->name, (double) ties[t], (int) k, (int) i, (double) slope);
            }
        }
    }
}

/* A NaN in either operand is the maximum; of equal operands the first gets the gradient. */
static void check_larger(const target *target) {
    enum { N = 21 };
    struct {
        float a[N], b[N], y[N], dy[N], da[N], db[N];
    } h, *d;
    for (int i = 0; i < N; i++) {
        h.a[i] = i % 4 == 0 ? NAN : (float) i;
        h.b[i] = i % 4 == 1 ? NAN : (float) (i % 4 == 2 ? i : 10);
        h.dy[i] = 3.0f;
    }
    pan_arithmetic_desc desc = {.struct_size = sizeof desc,
                                .dtype = PAN_F32,
                                .kind = PAN_MAXIMUM,
                                .rank = 1,
                                .shape = {N},
                                .a_stride = {1},
                                .b_stride = {1}};
    d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_arithmetic_forward(target->stream, &desc, d->a, d->b, d->y));
    CHECK_OK(pan_arithmetic_backward(target->stream, &desc, d->a, d->b, d->dy, d->da, d->db));
    copy_out(target, d, &h, sizeof h);
    for (int i = 0; i < N; i++) {
        const bool nan = i % 4 < 2;
        const float expected = (float) (i % 4 == 2 || i > 10 ? i : 10);
        CHECK(nan ? isnan(h.y[i]) : h.y[i] == expected, "%s: the larger of %g and %g is %g", target->name,
              (double) h.a[i], (double) h.b[i], (double) h.y[i]);
        CHECK(h.da[i] == (h.a[i] >= h.b[i] ? 3.0f : 0.0f) && h.da[i] + h.db[i] == 3.0f,
              "%s: gradients of the larger of %g and %g are %g and %g", target->name, (double) h.a[i], (double) h.b[i],
              (double) h.da[i], (double) h.db[i]);
    }
}

/* What lies in front of the sequence is left out and not multiplied by zero; a NaN reaches the next position alone. */
static void check_token_shift(const target *target) {
    enum { B = 2, L = 5, C = 19, N = B * L * C, BAD = (L + 2) * C + 7 };
    struct {
        float x[N], mix[C], y[N], dy[N], dx[N];
    } h = {0}, *d;
    fill(h.x, N, 9, 1.0);
    fill(h.dy, N, 10, 1.0);
    for (int c = 0; c < C; c++) {
        h.mix[c] = c == 3 ? INFINITY : 0.25f;
    }
    h.x[BAD] = NAN;
    h.dy[BAD] = NAN;
    pan_token_shift_desc desc = {.struct_size = sizeof desc, .dtype = PAN_F32, .batch = B, .length = L, .channels = C};
    int64_t bytes = 0;
    d = copy_in(target, &h, sizeof h);
    CHECK_OK(pan_token_shift_forward(target->stream, &desc, d->x, d->mix, NULL, d->y));
    CHECK_OK(pan_token_shift_backward_workspace_size(target->stream, &desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(pan_token_shift_backward(target->stream, &desc, d->x, d->mix, d->dy, d->dx, NULL, workspace, bytes));
    free_memory(target, workspace);
    copy_out(target, d, &h, sizeof h);
    for (int i = 0; i < N; i++) {
        const int t = i / C % L;
        if (i % C == 3) {
            CHECK(t > 0 || isinf(h.y[i]), "%s: the first position is %g", target->name, (double) h.y[i]);
            CHECK(t < L - 1 || isinf(h.dx[i]), "%s: the last gradient is %g", target->name, (double) h.dx[i]);
            continue;
        }
        CHECK(isnan(h.y[i]) == (i == BAD || i == BAD + C), "%s: y[%d] is %g", target->name, i, (double) h.y[i]);
        CHECK(isnan(h.dx[i]) == (i == BAD || i == BAD - C), "%s: dx[%d] is %g", target->name, i, (double) h.dx[i]);
    }
}

/* A NaN reaches the outputs of its channel from its position on, and no other bit; one in a channel's rate reaches
 * all of the channel but its first outputs. */
enum { SCAN_BATCH = 2, SCAN_LENGTH = 40, SCAN_CHANNELS = 19, SCAN_STATES = 5 };
enum { SCAN_ROWS = SCAN_BATCH * SCAN_LENGTH, SCAN_INPUTS = SCAN_ROWS * SCAN_CHANNELS };

typedef struct scan_arrays {
    float x[SCAN_INPUTS], delta[SCAN_INPUTS], b[SCAN_ROWS * SCAN_STATES], c[SCAN_ROWS * SCAN_STATES];
    float rates[SCAN_CHANNELS * SCAN_STATES], y[SCAN_INPUTS];
} scan_arrays;

static void run_wkv(const target *target, scan_arrays *d) {
    const pan_wkv_desc desc = {.struct_size = sizeof desc,
                               .dtype = PAN_F32,
                               .batch = SCAN_BATCH,
                               .length = SCAN_LENGTH,
                               .channels = SCAN_CHANNELS};
    CHECK_OK(pan_wkv_forward(target->stream, &desc, d->x, d->delta, d->rates, d->c, NULL, d->y, NULL));
}

static void run_selective_scan(const target *target, scan_arrays *d) {
    const pan_selective_scan_desc desc = {.struct_size = sizeof desc,
                                          .dtype = PAN_F32,
                                          .batch = SCAN_BATCH,
                                          .length = SCAN_LENGTH,
                                          .channels = SCAN_CHANNELS,
                                          .state_size = SCAN_STATES,
                                          .u_stride = SCAN_CHANNELS,
                                          .delta_stride = SCAN_CHANNELS,
                                          .b_stride = SCAN_STATES,
                                          .c_stride = SCAN_STATES,
                                          .y_stride = SCAN_CHANNELS};
    int64_t bytes = 0;
    CHECK_OK(pan_selective_scan_forward_workspace_size(target->stream, &desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(pan_selective_scan_forward(target->stream, &desc, d->x, d->delta, d->rates, d->b, d->c, NULL, NULL, NULL,
                                        NULL, d->y, NULL, NULL, workspace, bytes));
    CHECK_OK(pan_stream_synchronize(target->stream));
    free_memory(target, workspace);
}

typedef void run_scan(const target *target, scan_arrays *d);

static void check_scan(const target *target, const char *name, run_scan *run, int64_t rates_of_channel) {
    enum { EXAMPLE = 1, POSITION = 21, CHANNEL = 17 };
    scan_arrays clean, h, *d;
    fill((float *) &clean, sizeof clean / sizeof(float), 11, 1.0);
    for (int what = 0; what < 3; what++) {
        h = clean;
        const int at = (EXAMPLE * SCAN_LENGTH + POSITION) * SCAN_CHANNELS + CHANNEL;
        *(what == 0 ? &h.x[at] : what == 1 ? &h.delta[at] : &h.rates[CHANNEL * rates_of_channel]) = NAN;
        scan_arrays expected = clean;
        d = copy_in(target, &expected, sizeof expected);
        run(target, d);
        copy_out(target, d, &expected, sizeof expected);
        d = copy_in(target, &h, sizeof h);
        run(target, d);
        copy_out(target, d, &h, sizeof h);
        for (int i = 0; i < SCAN_INPUTS; i++) {
            const int t = i / SCAN_CHANNELS % SCAN_LENGTH, example = i / SCAN_CHANNELS / SCAN_LENGTH;
            const bool reached = i % SCAN_CHANNELS == CHANNEL && (what == 2 || (example == EXAMPLE && t >= POSITION));
            if (what == 2 && i % SCAN_CHANNELS == CHANNEL && t == 0) {
                continue; /* nothing has decayed yet */
            }
            CHECK(reached ? isnan(h.y[i]) : memcmp(&h.y[i], &expected.y[i], sizeof(float)) == 0,
                  "%s, %s: a NaN in array %d gives %g at %d", target->name, name, what, (double) h.y[i], i);
        }
    }
}

void check_elements(const target *target) {
    check_sine_layer(target);
    check_modulation(target);
    check_activations(target);
    check_rows_apart(target);
    check_long_sum(target);
    check_maximum(target, 1);
    check_maximum(target, 19);
    check_larger(target);
    check_token_shift(target);
    check_scan(target, "wkv", run_wkv, 1);
    check_scan(target, "selective_scan", run_selective_scan, SCAN_STATES);
}
