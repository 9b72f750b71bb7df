/* Statistics and repeatability of the dropout masks, on every backend. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { ROWS = 1024, CHANNELS = 1024 };

static const int64_t ELEMENTS = (int64_t) ROWS * CHANNELS;

/* Deviations beyond this many standard deviations fail. The draws are fixed, so a test that passes keeps passing. */
static const double SIGMAS = 5.0;

static pan_dropout_desc description(float probability, uint64_t key) {
    return (pan_dropout_desc){.struct_size = sizeof(pan_dropout_desc),
                              .dtype = PAN_F32,
                              .probability = probability,
                              .rows = ROWS,
                              .channels = CHANNELS,
                              .rows_per_example = 1,
                              .key = key};
}

/* The factors applied to an array of ones. */
static void draw(const target *target, const pan_dropout_desc *desc, pan_random_state random, float *factors) {
    for (int64_t i = 0; i < desc->rows * desc->channels; i++) {
        factors[i] = 1.0f;
    }
    const int64_t bytes = desc->rows * desc->channels * (int64_t) sizeof *factors;
    pan_random_state *state = copy_in(target, &random, sizeof random);
    float *copy = copy_in(target, factors, bytes);
    CHECK_OK(pan_dropout(target->stream, desc, state, copy, copy));
    copy_out(target, copy, factors, bytes);
    free_memory(target, state);
}

static double keep_rate(const float *factors, int64_t count, int64_t stride) {
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        kept += factors[i * stride] != 0.0f;
    }
    return (double) kept / (double) count;
}

/* The share of elements kept in both of two masks that are independent is the square of the share kept in one. */
static void check_independent(const float *a, const float *b, int64_t count, double keep, const char *what) {
    int64_t both = 0;
    for (int64_t i = 0; i < count; i++) {
        both += a[i] != 0.0f && b[i] != 0.0f;
    }
    double expected = keep * keep, deviation = sqrt(expected * (1.0 - expected) / (double) count);
    double found = (double) both / (double) count;
    CHECK(fabs(found - expected) < SIGMAS * deviation, "masks across %s: both keep %.5f, independent ones %.5f", what,
          found, expected);
}

static void check_rate(const target *target, float *factors, float probability) {
    pan_dropout_desc desc = description(probability, 1);
    draw(target, &desc, (pan_random_state){.seed = 1, .step = 1}, factors);
    double keep = 1.0 - (double) probability;
    double variance = keep * (1.0 - keep);
    double found = keep_rate(factors, ELEMENTS, 1), total = 0.0;
    CHECK(fabs(found - keep) <= SIGMAS * sqrt(variance / (double) ELEMENTS), "%s: p = %g keeps %.5f", target->name,
          (double) probability, found);
    int64_t odd_rows = 0, odd_columns = 0, wrong = 0;
    for (int64_t i = 0; i < ROWS; i++) {
        double limit = SIGMAS * sqrt(variance / CHANNELS);
        odd_rows += fabs(keep_rate(factors + i * CHANNELS, CHANNELS, 1) - keep) > limit;
        odd_columns += fabs(keep_rate(factors + i, ROWS, CHANNELS) - keep) > limit;
    }
    CHECK(odd_rows == 0 && odd_columns == 0, "%s: p = %g: %lld rows and %lld columns keep an odd share", target->name,
          (double) probability, (long long) odd_rows, (long long) odd_columns);
    float scale = (float) (1.0 / keep);
    for (int64_t i = 0; i < ELEMENTS; i++) {
        total += factors[i];
        wrong += factors[i] != 0.0f && fabsf(factors[i] - scale) > 1e-6f * scale;
    }
    CHECK(wrong == 0, "%s: p = %g: %lld factors are neither 0 nor 1 / (1 - p)", target->name, (double) probability,
          (long long) wrong);
    CHECK(fabs(total / (double) ELEMENTS - 1.0) <= SIGMAS * sqrt((1.0 - keep) / keep / (double) ELEMENTS),
          "%s: p = %g: the mean factor is %.5f, not 1", target->name, (double) probability, total / (double) ELEMENTS);
}

static void check_independence(const target *target, float *a, float *b) {
    float p = 0.4f;
    double keep = 1.0 - (double) p;
    pan_random_state random = {.seed = 3, .step = 9};
    pan_dropout_desc desc = description(p, 5);
    draw(target, &desc, random, a);
    check_independent(a, a + CHANNELS, ELEMENTS - CHANNELS, keep, "neighbouring rows");
    check_independent(a, a + 1, ELEMENTS - 1, keep, "neighbouring columns");
    check_independent(a, a + 16, ELEMENTS - 16, keep, "columns 16 apart");
    check_independent(a, a + CHANNELS + 1, ELEMENTS - CHANNELS - 1, keep, "the diagonal");
    pan_dropout_desc other_key = description(p, 6);
    draw(target, &other_key, random, b);
    check_independent(a, b, ELEMENTS, keep, "keys");
    draw(target, &desc, (pan_random_state){.seed = 3, .step = 10}, b);
    check_independent(a, b, ELEMENTS, keep, "steps");
    draw(target, &desc, (pan_random_state){.seed = 4, .step = 9}, b);
    check_independent(a, b, ELEMENTS, keep, "seeds");
    /* A swap of seed and step, or of key and step, must not give the same mask. */
    draw(target, &desc, (pan_random_state){.seed = 9, .step = 3}, b);
    check_independent(a, b, ELEMENTS, keep, "seed and step exchanged");
}

static void check_path(const target *target, float *factors) {
    enum { LENGTH = 4 };
    pan_dropout_desc desc = description(0.0f, 11);
    desc.path_probability = 0.3f;
    desc.rows_per_example = LENGTH;
    int64_t kept = 0, draws = 0, mixed = 0;
    for (uint64_t step = 0; step < 16; step++) {
        desc.key = 11 + step / 8;
        draw(target, &desc, (pan_random_state){.seed = 5, .step = step}, factors);
        for (int64_t row = 0; row < ROWS; row += LENGTH) {
            double share = keep_rate(factors + row * CHANNELS, LENGTH * CHANNELS, 1);
            mixed += share != 0.0 && share != 1.0;
            kept += share == 1.0;
            draws++;
        }
    }
    double found = (double) kept / (double) draws, deviation = sqrt(0.7 * 0.3 / (double) draws);
    CHECK(mixed == 0, "%s: %lld examples are dropped in part", target->name, (long long) mixed);
    CHECK(fabs(found - 0.7) < SIGMAS * deviation, "%s: drop path keeps %.4f of the examples, not 0.7", target->name,
          found);
}

/* An element's factor depends on its row and column, not on the array's extent. */
static void check_counter(const target *target, float *a, float *b) {
    pan_random_state random = {.seed = 8, .step = 2};
    pan_dropout_desc whole = description(0.25f, 3), part = whole;
    part.rows = 37;
    part.channels = 203;
    draw(target, &whole, random, a);
    draw(target, &part, random, b);
    int64_t different = 0;
    for (int64_t i = 0; i < part.rows; i++) {
        different += memcmp(a + i * CHANNELS, b + i * part.channels, (size_t) part.channels * sizeof *a) != 0;
    }
    CHECK(different == 0, "%s: %lld rows have other factors in a smaller array", target->name, (long long) different);
    draw(target, &whole, random, b);
    CHECK(memcmp(a, b, (size_t) ELEMENTS * sizeof *a) == 0, "%s: the same draw gives another mask", target->name);
}

/* All backends must draw the same mask: a model trained on one resumes on another. */
static void check_same_mask(const target *target, const float *expected, float *factors) {
    pan_dropout_desc desc = description(0.1f, 99);
    draw(target, &desc, (pan_random_state){.seed = 1, .step = 77}, factors);
    int64_t different = 0;
    for (int64_t i = 0; i < ELEMENTS; i++) {
        different += (factors[i] != 0.0f) != (expected[i] != 0.0f);
    }
    CHECK(different == 0, "%s: %lld elements of the mask differ from the reference's", target->name,
          (long long) different);
}

int main(void) {
    target targets[MAX_TARGETS];
    int count = open_targets(targets);
    target reference = open_target(PAN_BACKEND_REFERENCE, PAN_ISA_BEST, 1);
    float *a = allocate(ELEMENTS, sizeof *a), *b = allocate(ELEMENTS, sizeof *b), *c = allocate(ELEMENTS, sizeof *c);
    pan_dropout_desc desc = description(0.1f, 99);
    draw(&reference, &desc, (pan_random_state){.seed = 1, .step = 77}, c);
    for (int t = 0; t < count; t++) {
        const target *target = &targets[t];
        check_same_mask(target, c, a);
        if (target->options.threads > 1) {
            continue; /* test_ops shows that threads change nothing */
        }
        for (float p = 0.0f; p < 1.0f; p += 0.3f) {
            check_rate(target, a, p);
        }
        check_independence(target, a, b);
        check_path(target, a);
        check_counter(target, a, b);
    }
    free(a);
    free(b);
    free(c);
    close_target(&reference);
    close_targets(targets, count);
    return report();
}
