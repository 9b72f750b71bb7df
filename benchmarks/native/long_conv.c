/* Time of the long convolution by both methods over lengths and taps: where the one overtakes the other. One JSON line for
 * each pair; times are medians in seconds. A pair counts only if both methods agree. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "panthera.h"

enum { CHANNELS = 256, ROUNDS = 15, ELEMENTS = 1 << 20 };

static void require(pan_status status) {
    if (status != PAN_OK) {
        fprintf(stderr, "long_conv: %s\n", pan_last_error());
        exit(1);
    }
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double) time.tv_sec + 1e-9 * (double) time.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static double median(double *times) {
    qsort(times, ROUNDS, sizeof *times, ascending);
    return times[ROUNDS / 2];
}

static float *noise(int64_t count) {
    float *values = NULL;
    if (posix_memalign((void **) &values, PAN_ALIGNMENT, (size_t) count * sizeof *values) != 0) {
        exit(1);
    }
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float) rand() / (float) RAND_MAX - 0.5f;
    }
    return values;
}

typedef struct times {
    double prepare, forward, backward;
} times;

static times measure(pan_device *device, pan_stream *stream, int64_t length, int64_t taps, pan_conv_method method,
                     const float *h, const float *u, const float *dy, float *y) {
    const int64_t batch = ELEMENTS / (length * CHANNELS) > 0 ? ELEMENTS / (length * CHANNELS) : 1;
    const pan_long_conv_desc desc = {.struct_size = sizeof desc,
                                     .method = method,
                                     .batch = batch,
                                     .length = length,
                                     .channels = CHANNELS,
                                     .taps = taps,
                                     .h_channel_stride = taps,
                                     .h_tap_stride = 1,
                                     .u_stride = CHANNELS,
                                     .pre_stride = CHANNELS,
                                     .post_stride = CHANNELS,
                                     .y_stride = CHANNELS};
    pan_long_conv_plan *plan;
    require(pan_long_conv_plan_create(device, &desc, &plan));
    int64_t spectrum_bytes, bytes[3];
    require(pan_long_conv_spectrum_size(stream, plan, &spectrum_bytes));
    require(pan_long_conv_prepare_workspace_size(stream, plan, &bytes[0]));
    require(pan_long_conv_forward_workspace_size(stream, plan, &bytes[1]));
    require(pan_long_conv_backward_workspace_size(stream, plan, &bytes[2]));
    float *spectrum = noise(spectrum_bytes / 4);
    float *workspace = noise((bytes[0] + bytes[1] + bytes[2]) / 4 + 16);
    float *du = noise(batch * length * CHANNELS), *dh = noise(length * CHANNELS);
    double prepare[ROUNDS], forward[ROUNDS], backward[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        const double start = now();
        require(pan_long_conv_prepare(stream, plan, h, spectrum, workspace, bytes[0]));
        const double prepared = now();
        require(pan_long_conv_forward(stream, plan, spectrum, u, NULL, NULL, NULL, y, workspace, bytes[1]));
        const double convolved = now();
        require(pan_long_conv_backward(stream, plan, spectrum, u, NULL, NULL, NULL, dy, du, NULL, NULL, dh, NULL,
                                       workspace, bytes[2]));
        backward[i] = now() - convolved;
        forward[i] = convolved - prepared;
        prepare[i] = prepared - start;
    }
    free(spectrum);
    free(workspace);
    free(du);
    free(dh);
    require(pan_long_conv_plan_destroy(plan));
    return (times){median(prepare), median(forward), median(backward)};
}

/* One line of results. Directly, so many taps take too long to be of interest. */
enum { MOST_DIRECT_TAPS = 4096 };

static void compare(pan_device *device, pan_stream *stream, const pan_device_info *info, int64_t length, int64_t taps) {
    const int64_t example = length * CHANNELS;
    const int64_t count = example > ELEMENTS ? example : ELEMENTS / example * example;
    float *h = noise(taps * CHANNELS), *u = noise(count), *dy = noise(count);
    float *direct = noise(count), *fast = noise(count);
    const times by_fft = measure(device, stream, length, taps, PAN_CONV_FFT, h, u, dy, fast);
    printf("{\"device\":\"%s\",\"threads\":%d,\"channels\":%d,\"length\":%lld,\"taps\":%lld", info->name, info->threads,
           CHANNELS, (long long) length, (long long) taps);
    printf(",\"fft\":{\"prepare\":%.3g,\"forward\":%.4g,\"backward\":%.4g}", by_fft.prepare, by_fft.forward,
           by_fft.backward);
    if (taps <= MOST_DIRECT_TAPS) {
        const times by_sums = measure(device, stream, length, taps, PAN_CONV_DIRECT, h, u, dy, direct);
        double error = 0.0, largest = 0.0;
        for (int64_t i = 0; i < count; i++) {
            error = fmax(error, fabs((double) fast[i] - direct[i]));
            largest = fmax(largest, fabs((double) direct[i]));
        }
        if (!(error <= 1e-5 * largest)) {
            fprintf(stderr, "long_conv: the methods differ by %g of %g at length %lld\n", error, largest,
                    (long long) length);
            exit(1);
        }
        printf(",\"direct\":{\"prepare\":%.3g,\"forward\":%.4g,\"backward\":%.4g},\"direct_to_fft\":%.3g",
               by_sums.prepare, by_sums.forward, by_sums.backward,
               (by_sums.prepare + by_sums.forward + by_sums.backward) /
                   (by_fft.prepare + by_fft.forward + by_fft.backward));
    }
    printf("}\n");
    fflush(stdout);
    float *const arrays[] = {h, u, dy, direct, fast};
    for (int i = 0; i < 5; i++) {
        free(arrays[i]);
    }
}

int main(int argc, char **argv) {
    const pan_device_options options = {
        .struct_size = sizeof options, .backend = PAN_BACKEND_CPU, .threads = argc > 1 ? atoi(argv[1]) : 0};
    pan_device *device;
    pan_stream *stream;
    require(pan_device_open(&options, &device));
    require(pan_stream_create(device, &stream));
    pan_device_info info = {.struct_size = sizeof info};
    require(pan_device_query(device, &info));
    for (int64_t length = 16; length <= 65536; length *= length < 1024 ? 2 : 4) {
        for (int64_t taps = 32; taps <= 512 && taps < length; taps *= 2) {
            compare(device, stream, &info, length, taps);
        }
        compare(device, stream, &info, length, length);
    }
    require(pan_stream_destroy(stream));
    require(pan_device_close(device));
    return 0;
}
