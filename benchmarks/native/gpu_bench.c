/* Times of the CUDA kernels, as JSON lines. Each piece of work is first done on the CPU and on the device, and what
 * they wrote is compared; what fails that is not timed.
 *
 *     gpu_bench device             what there is
 *     gpu_bench ceilings [product] copies, zeroing and a large matrix product, or that alone
 *     gpu_bench kernels [OP]       every op (whose name contains OP)
 *     gpu_bench crossover          long convolution directly and by FFT, over lengths and taps
 *     gpu_bench check              every op at small sizes, compared and not timed
 *
 * Exit status: 0, 1 if a comparison failed, 2 without a device. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu_bench.h"

/* Of max |a - b| / max |b|. Sums in another order stay far below; products in TF32 do not. */
static const double TOLERANCE = 5e-5;
/* Equal logits up to rounding may have another arg-max. */
static const double INTEGER_MISMATCHES = 1e-3;

enum { ROUNDS = 15, MOST_CALLS = 2000, GRAPH_CALLS = 20 };
static const double WARM_UP_MS = 20.0, ROUND_MS = 4.0, MOST_ROUND_MS = 40.0;

static void require(pan_status status) {
    if (status != PAN_OK) {
        fprintf(stderr, "gpu_bench: %s\n", pan_last_error());
        exit(2);
    }
}

/* ---- places ---- */

static pan_device_info open_place(place *place, pan_backend backend) {
    const pan_device_options options = {.struct_size = sizeof options, .backend = backend};
    require(pan_device_open(&options, &place->device));
    require(pan_stream_create(place->device, &place->stream));
    pan_device_info info = {.struct_size = sizeof info};
    require(pan_device_query(place->device, &info));
    return info;
}

static void close_place(place *place) {
    require(pan_stream_destroy(place->stream));
    require(pan_device_close(place->device));
}

static int64_t element_bytes(const array *array) {
    return array->fill == FILL_OPAQUE || array->fill == FILL_BYTES ? 1 : 4;
}

static uint64_t next_bits(uint64_t *state) {
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static void fill_values(const array *array, void *memory, uint64_t seed) {
    float *values = memory;
    int32_t *integers = memory;
    for (int64_t i = 0; i < array->count; i++) {
        const uint64_t bits = next_bits(&seed);
        const float unit = (float) (bits >> 40) * 0x1p-24f;
        switch (array->fill) {
        case FILL_OUTPUT: values[i] = NAN; break;
        case FILL_SUM: values[i] = 0.0f; break;
        case FILL_NOISE: values[i] = 2.0f * unit - 1.0f; break;
        case FILL_POSITIVE: values[i] = 0.5f + unit; break;
        case FILL_INDEX: integers[i] = (int32_t) (bits % (uint64_t) array->limit); break;
        case FILL_LABEL:
            integers[i] = i % array->period == 0 ? (int32_t) (bits % (uint64_t) array->limit) : PAN_IGNORE_LABEL;
            break;
        case FILL_STEPS: integers[i] = (int32_t) (i * array->period); break;
        default: integers[i] = -1;
        }
    }
}

/* The host's copy of an array before the calls; NULL for what has no meaning. Freed by the caller. */
static void *make_values(const array *array, int number) {
    if (array->fill == FILL_OPAQUE) {
        return NULL;
    }
    void *values = malloc((size_t) (array->count * element_bytes(array)));
    if (values == NULL) {
        fprintf(stderr, "gpu_bench: no memory on the host\n");
        exit(2);
    }
    if (array->fill == FILL_BYTES) {
        memcpy(values, array->bytes, (size_t) array->count);
    } else {
        fill_values(array, values, (uint64_t) (number + 1) * 7919);
    }
    return values;
}

static pan_status call_workspace(const work *work, const place *place, const call *call, int64_t *bytes) {
    *bytes = 0;
    return call->workspace == NULL ? PAN_OK : call->workspace(work, place, bytes);
}

static void set_up(const work *work, place *place) {
    place->plan = NULL;
    if (work->has_plan) {
        require(pan_long_conv_plan_create(place->device, &work->desc.long_conv, &place->plan));
    }
    for (int i = 0; i < work->array_count; i++) {
        const array *array = &work->arrays[i];
        int64_t bytes = array->count * element_bytes(array);
        if (array->fill == FILL_OPAQUE) {
            require(pan_long_conv_spectrum_size(place->stream, place->plan, &bytes));
        }
        require(pan_memory_allocate(place->device, bytes, &place->at[i]));
        void *values = make_values(array, i);
        if (values != NULL) {
            require(pan_copy_to_device(place->stream, place->at[i], values, bytes));
            free(values);
        }
    }
    place->workspace_bytes = 1;
    for (int i = 0; i < work->call_count; i++) {
        int64_t bytes;
        require(call_workspace(work, place, &work->calls[i], &bytes));
        place->workspace_bytes = bytes > place->workspace_bytes ? bytes : place->workspace_bytes;
    }
    require(pan_memory_allocate(place->device, place->workspace_bytes, &place->workspace));
}

static void take_down(const work *work, place *place) {
    require(pan_stream_synchronize(place->stream));
    for (int i = 0; i < work->array_count; i++) {
        require(pan_memory_free(place->device, place->at[i]));
    }
    require(pan_memory_free(place->device, place->workspace));
    if (place->plan != NULL) {
        require(pan_long_conv_plan_destroy(place->plan));
    }
}

static void run_all(const work *work, const place *place) {
    for (int i = 0; i < work->call_count; i++) {
        require(work->calls[i].run(work, place));
    }
    require(pan_stream_synchronize(place->stream));
}

/* ---- comparison ---- */

static void *read_array(const place *place, const void *address, int64_t bytes) {
    void *values = malloc((size_t) bytes);
    if (values == NULL) {
        fprintf(stderr, "gpu_bench: no memory on the host\n");
        exit(2);
    }
    require(pan_copy_to_host(place->stream, values, address, bytes));
    return values;
}

static double float_error(const float *a, const float *b, int64_t count) {
    double difference = 0.0, largest = 0.0;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) {
            return INFINITY;
        }
        difference = fmax(difference, fabs((double) a[i] - b[i]));
        largest = fmax(largest, fabs((double) b[i]));
    }
    return difference == 0.0 ? 0.0 : difference / largest;
}

/* 0 where nearly all are equal. */
static double integer_error(const int32_t *a, const int32_t *b, int64_t count) {
    int64_t different = 0;
    for (int64_t i = 0; i < count; i++) {
        different += a[i] != b[i];
    }
    return (double) different <= INTEGER_MISMATCHES * (double) count ? 0.0 : INFINITY;
}

typedef struct verdict {
    double error;
    const char *array; /* with the largest error */
} verdict;

static verdict compare(const work *work, const place *device, const place *host) {
    verdict found = {0.0, ""};
    for (int i = 0; i < work->array_count; i++) {
        const array *array = &work->arrays[i];
        const bool written = array->fill == FILL_OUTPUT || array->fill == FILL_SUM || array->fill == FILL_INTEGERS;
        if (!written) {
            continue;
        }
        const int64_t bytes = array->count * element_bytes(array);
        void *a = read_array(device, device->at[i], bytes), *b = read_array(host, host->at[i], bytes);
        const double error =
            array->fill == FILL_INTEGERS ? integer_error(a, b, array->count) : float_error(a, b, array->count);
        if (error > found.error) {
            found = (verdict){error, array->name};
        }
        free(a);
        free(b);
    }
    return found;
}

/* ---- times ---- */

typedef struct stopwatch {
    pan_event *start, *end;
} stopwatch;

static stopwatch make_stopwatch(const place *place) {
    stopwatch watch;
    require(pan_event_create(place->device, &watch.start));
    require(pan_event_create(place->device, &watch.end));
    return watch;
}

static void destroy_stopwatch(stopwatch *watch) {
    require(pan_event_destroy(watch->start));
    require(pan_event_destroy(watch->end));
}

/* What is timed: a call, or a graph of calls. */
typedef struct action {
    const work *work;
    const call *call;
    pan_graph *graph;
} action;

static void act(const action *action, const place *place) {
    require(action->graph != NULL ? pan_graph_launch(action->graph, place->stream)
                                  : action->call->run(action->work, place));
}

static double time_round(const action *action, const place *place, const stopwatch *watch, int times) {
    double milliseconds;
    require(pan_event_record(watch->start, place->stream));
    for (int i = 0; i < times; i++) {
        act(action, place);
    }
    require(pan_event_record(watch->end, place->stream));
    require(pan_event_elapsed(watch->start, watch->end, &milliseconds));
    return milliseconds;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

typedef struct timing {
    double median_us, min_us;
    int calls, rounds;
} timing;

/* Rounds of so many calls that a round outlasts the clock's grain and what the host needs to launch the first. */
static timing measure(const action *action, const place *place, const stopwatch *watch) {
    double spent = 0.0, one = 0.0;
    for (int warm = 0; warm < 3 || (spent < WARM_UP_MS && warm < 50); warm++) {
        one = time_round(action, place, watch, 1);
        spent += one;
    }
    const double wanted = ROUND_MS / fmax(one, 1e-4);
    const int calls = (int) fmin(fmax(ceil(wanted), 1.0), MOST_CALLS);
    const int rounds = one > MOST_ROUND_MS ? 5 : ROUNDS;
    double times[ROUNDS];
    for (int i = 0; i < rounds; i++) {
        times[i] = 1e3 * time_round(action, place, watch, calls) / calls;
    }
    qsort(times, (size_t) rounds, sizeof *times, ascending);
    return (timing){times[rounds / 2], times[0], calls, rounds};
}

/* The same calls from a graph: what the device needs where the host cannot keep up. */
static timing measure_graph(const work *work, const call *call, const place *place, const stopwatch *watch) {
    action action = {work, call, NULL};
    require(pan_capture_begin(place->stream));
    for (int i = 0; i < GRAPH_CALLS; i++) {
        const pan_status status = call->run(work, place);
        if (status != PAN_OK) {
            fprintf(stderr, "gpu_bench: while recording: %s\n", pan_last_error());
            break;
        }
    }
    require(pan_capture_end(place->stream, &action.graph));
    timing timing = measure(&action, place, watch);
    timing.median_us /= GRAPH_CALLS;
    timing.min_us /= GRAPH_CALLS;
    require(pan_graph_destroy(action.graph));
    return timing;
}

/* ---- kernels ---- */

typedef struct session {
    place device, host;
    stopwatch watch;
    const char *only; /* part of an op's name */
    bool timed;
    bool failed;
} session;

static void print_sizes(const work *work) {
    printf(",\"family\":\"%s\",\"sizes\":{", work->family);
    for (int i = 0; work->sizes[i].name != NULL; i++) {
        printf("%s\"%s\":%lld", i == 0 ? "" : ",", work->sizes[i].name, (long long) work->sizes[i].value);
    }
    printf("}");
}

static void print_timing(const session *session, const work *work, const call *call) {
    const action eager = {work, call, NULL};
    const timing one = measure(&eager, &session->device, &session->watch);
    const timing graph = measure_graph(work, call, &session->device, &session->watch);
    const double seconds = 1e-6 * fmin(one.median_us, graph.median_us);
    printf(",\"median_us\":%.4g,\"min_us\":%.4g,\"graph_median_us\":%.4g,\"graph_min_us\":%.4g", one.median_us,
           one.min_us, graph.median_us, graph.min_us);
    printf(",\"calls\":%d,\"rounds\":%d,\"bytes\":%.0f,\"flops\":%.0f,\"gb_per_s\":%.4g", one.calls, one.rounds,
           call->bytes, call->flops, 1e-9 * call->bytes / seconds);
    if (call->flops > 0.0) {
        printf(",\"gflop_per_s\":%.5g", 1e-9 * call->flops / seconds);
    }
}

static bool is_wanted(const session *session, const work *work) {
    for (int i = 0; i < work->call_count; i++) {
        if (session->only == NULL || strstr(work->calls[i].op, session->only) != NULL) {
            return true;
        }
    }
    return false;
}

static void visit(const work *work, void *context) {
    session *session = context;
    if (!is_wanted(session, work)) {
        return;
    }
    set_up(work, &session->device);
    set_up(work, &session->host);
    run_all(work, &session->device);
    run_all(work, &session->host);
    const verdict verdict = compare(work, &session->device, &session->host);
    take_down(work, &session->host);
    const bool right = verdict.error <= TOLERANCE;
    session->failed |= !right;
    for (int i = 0; i < work->call_count; i++) {
        const call *call = &work->calls[i];
        printf("{\"kind\":\"kernel\",\"op\":\"%s\",\"pass\":\"%s\"", call->op, call->pass);
        print_sizes(work);
        printf(",\"gate\":\"%s\"", right ? "pass" : "fail");
        if (isfinite(verdict.error)) {
            printf(",\"error\":%.2e", verdict.error);
        }
        if (!right) {
            printf(",\"wrong\":\"%s\"", verdict.array);
        }
        if (right && session->timed) {
            print_timing(session, work, call);
        }
        printf("}\n");
        fflush(stdout);
    }
    take_down(work, &session->device);
}

/* ---- ceilings ---- */

static pan_status copy_half(const work *work, const place *place) {
    const int64_t bytes = work->arrays[0].count * 4;
    return pan_copy(place->stream, place->at[1], place->at[0], bytes);
}

static pan_status zero_half(const work *work, const place *place) {
    return pan_zero(place->stream, place->at[1], work->arrays[0].count * 4);
}

static void print_copies(const session *session, place *place) {
    enum { FLOATS = 1 << 28 }; /* 1 GiB, many times what a cache holds */
    work work = {.family = "copy"};
    add_array(&work, "from", FILL_NOISE, FLOATS);
    add_array(&work, "to", FILL_OUTPUT, FLOATS);
    add_call(&work, (call){"copy", "copy", copy_half, NULL, 8.0 * FLOATS, 0.0});
    add_call(&work, (call){"zero", "zero", zero_half, NULL, 4.0 * FLOATS, 0.0});
    set_up(&work, place);
    for (int i = 0; i < work.call_count; i++) {
        const action action = {&work, &work.calls[i], NULL};
        const timing timing = measure(&action, place, &session->watch);
        printf("{\"kind\":\"ceiling\",\"what\":\"%s\",\"bytes\":%.0f,\"median_us\":%.5g,\"min_us\":%.5g,\"gb_per_s\":%."
               "5g}\n",
               work.calls[i].op, work.calls[i].bytes, timing.median_us, timing.min_us,
               1e-3 * work.calls[i].bytes / timing.median_us);
        fflush(stdout);
    }
    take_down(&work, place);
}

/* The error of some rows of y = x weight^T + bias, summed in double. */
static double product_error(const place *place, const work *work) {
    const pan_linear_desc *desc = &work->desc.linear;
    float *const x = make_values(&work->arrays[0], 0), *const weight = make_values(&work->arrays[1], 1);
    float *const bias = make_values(&work->arrays[2], 2);
    double difference = 0.0, largest = 0.0;
    for (int64_t row = 0; row < desc->rows; row += desc->rows / 4 + 1) {
        const float *y = (const float *) place->at[3] + row * desc->out_features;
        float *found = read_array(place, y, desc->out_features * 4);
        for (int64_t o = 0; o < desc->out_features; o++) {
            double sum = bias[o];
            for (int64_t i = 0; i < desc->in_features; i++) {
                sum += (double) x[row * desc->in_features + i] * weight[o * desc->in_features + i];
            }
            difference = fmax(difference, isfinite(found[o]) ? fabs(found[o] - sum) : INFINITY);
            largest = fmax(largest, fabs(sum));
        }
        free(found);
    }
    free(x);
    free(weight);
    free(bias);
    return difference / largest;
}

static bool print_product(const session *session, place *place) {
    enum { SIZE = 8192 };
    work work = linear_work(SIZE, SIZE, SIZE);
    work.array_count = 4; /* forward alone */
    work.call_count = 1;
    set_up(&work, place);
    require(work.calls[0].run(&work, place));
    const double error = product_error(place, &work);
    const bool right = error <= TOLERANCE;
    printf("{\"kind\":\"ceiling\",\"what\":\"fp32 product\",\"size\":%d,\"gemm\":\"%s\",\"gate\":\"%s\"", SIZE,
           pan_device_gemm_name(place->device), right ? "pass" : "fail");
    if (right) {
        const action action = {&work, &work.calls[0], NULL};
        const timing timing = measure(&action, place, &session->watch);
        printf(",\"error\":%.2e,\"median_us\":%.5g,\"min_us\":%.5g,\"tflop_per_s\":%.4g", error, timing.median_us,
               timing.min_us, 1e-6 * work.calls[0].flops / timing.median_us);
    }
    printf("}\n");
    take_down(&work, place);
    return right;
}

/* ---- where one method of the long convolution overtakes the other ---- */

static double method_us(const session *session, place *place, const work *work) {
    double sum = 0.0;
    for (int i = 0; i < work->call_count; i++) {
        sum += measure_graph(work, &work->calls[i], place, &session->watch).median_us;
    }
    return sum;
}

static void compare_methods(session *session, int64_t length, int64_t taps) {
    enum { CHANNELS = 128, ELEMENTS = 1 << 22 };
    const int64_t batch = ELEMENTS / (CHANNELS * length);
    const work direct = long_conv_work(batch, length, CHANNELS, taps, PAN_CONV_DIRECT, false);
    const work fft = long_conv_work(batch, length, CHANNELS, taps, PAN_CONV_FFT, false);
    place other = session->device;
    set_up(&direct, &session->device);
    set_up(&fft, &other);
    run_all(&direct, &session->device);
    run_all(&fft, &other);
    const verdict verdict = compare(&fft, &other, &session->device);
    const bool right = verdict.error <= TOLERANCE;
    session->failed |= !right;
    printf("{\"kind\":\"crossover\",\"batch\":%lld,\"length\":%lld,\"channels\":%d,\"taps\":%lld,\"gate\":\"%s\"",
           (long long) batch, (long long) length, CHANNELS, (long long) taps, right ? "pass" : "fail");
    if (right) {
        const double direct_us = method_us(session, &session->device, &direct),
                     fft_us = method_us(session, &other, &fft);
        printf(",\"direct_us\":%.4g,\"fft_us\":%.4g,\"direct_to_fft\":%.3g", direct_us, fft_us, direct_us / fft_us);
    }
    printf("}\n");
    fflush(stdout);
    take_down(&fft, &other);
    take_down(&direct, &session->device);
}

static void find_crossover(session *session) {
    static const int64_t lengths[] = {64, 256, 1024, 4096, 16384};
    for (int i = 0; i < 5; i++) {
        for (int64_t taps = 32; taps <= 1024 && taps <= lengths[i]; taps *= 2) {
            compare_methods(session, lengths[i], taps);
        }
    }
}

/* ---- commands ---- */

static int print_device(void) {
    int32_t count = 0;
    if (pan_backend_status(PAN_BACKEND_CUDA) != PAN_OK || pan_device_count(PAN_BACKEND_CUDA, &count) != PAN_OK) {
        printf("{\"kind\":\"device\",\"usable\":false,\"why\":\"%s\"}\n", pan_last_error());
        return 2;
    }
    place place;
    const pan_device_info info = open_place(&place, PAN_BACKEND_CUDA);
    printf("{\"kind\":\"device\",\"usable\":true,\"count\":%d,\"name\":\"%s\",\"compute_capability\":%d,\"bytes\":%lld,"
           "\"gemm\":\"%s\",\"library\":\"%s\"}\n",
           count, info.name, info.compute_capability, (long long) info.total_bytes, pan_device_gemm_name(place.device),
           pan_version());
    close_place(&place);
    return 0;
}

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "device") == 0) {
        return print_device();
    }
    session session = {.only = argc > 2 ? argv[2] : NULL, .timed = strcmp(command, "kernels") == 0};
    open_place(&session.device, PAN_BACKEND_CUDA);
    open_place(&session.host, PAN_BACKEND_CPU);
    session.watch = make_stopwatch(&session.device);
    if (session.timed || strcmp(command, "check") == 0) {
        for_each_work(!session.timed, visit, &session);
    } else if (strcmp(command, "ceilings") == 0) {
        if (session.only == NULL) {
            print_copies(&session, &session.device);
        }
        session.failed = !print_product(&session, &session.device);
    } else if (strcmp(command, "crossover") == 0) {
        find_crossover(&session);
    } else {
        fprintf(stderr, "gpu_bench: device, ceilings, kernels [OP], crossover or check\n");
        return 2;
    }
    destroy_stopwatch(&session.watch);
    close_place(&session.host);
    close_place(&session.device);
    return session.failed ? 1 : 0;
}
