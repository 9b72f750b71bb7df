/* Values at the edge of cumulative sums and of systems of equations. */
#include <math.h>
#include <string.h>

#include "test_edges.h"

/* A NaN and what comes after it are NaN; no bit of an earlier sum changes, nor of its neighbours'. */
static void check_cumulative_sum(const target *target, int64_t inner) {
    enum { ENTRIES = 90, SUMS = 38, N = ENTRIES * SUMS, BAD = 40 };
    struct {
        float x[N], y[N];
    } clean, h, *d;
    for (int32_t reverse = 0; reverse < 2; reverse++) {
        pan_cumulative_sum_desc desc = {.struct_size = sizeof desc,
                                        .dtype = PAN_F32,
                                        .reverse = reverse,
                                        .outer = SUMS / inner,
                                        .count = ENTRIES,
                                        .inner = inner};
        fill(clean.x, N, 8, 1.0);
        h = clean;
        const int64_t at = (desc.outer / 2 * ENTRIES + BAD) * inner + inner / 2;
        h.x[at] = NAN;
        d = copy_in(target, &clean, sizeof clean);
        CHECK_OK(pan_cumulative_sum(target->stream, &desc, d->x, d->y));
        copy_out(target, d, &clean, sizeof clean);
        d = copy_in(target, &h, sizeof h);
        CHECK_OK(pan_cumulative_sum(target->stream, &desc, d->x, d->y));
        copy_out(target, d, &h, sizeof h);
        for (int64_t i = 0; i < N; i++) {
            const int64_t k = i / inner % ENTRIES;
            const bool same_sum = i % inner == at % inner && i / inner / ENTRIES == at / inner / ENTRIES;
            const bool reached = same_sum && (reverse ? k <= BAD : k >= BAD);
            CHECK(reached ? isnan(h.y[i]) : memcmp(&h.y[i], &clean.y[i], sizeof(float)) == 0,
                  "%s: a NaN at %d of a cumulative sum gives %g at %d", target->name, (int) at, (double) h.y[i],
                  (int) i);
        }
    }
}

/* Entries of -infinity add nothing, one of infinity is all there is from then on, a NaN reaches what follows, and none of
 * them an earlier bit or another sequence. A gradient passes what is infinite by. */
static void check_log_sum_exp(const target *target, int64_t inner) {
    enum { ENTRIES = 90, SUMS = 38, N = ENTRIES * SUMS, FIRST = 3, BAD = 40 };
    static const float bad[] = {-INFINITY, INFINITY, NAN};
    struct {
        float x[N], y[N], dy[N], dx[N];
    } clean, h, *d;
    pan_cumulative_log_sum_exp_desc desc = {
        .struct_size = sizeof desc, .dtype = PAN_F32, .outer = SUMS / inner, .count = ENTRIES, .inner = inner};
    for (int b = -1; b < COUNT(bad); b++) {
        fill(h.x, N, 12, 20.0);
        fill(h.dy, N, 13, 1.0);
        const int64_t at = (desc.outer / 2 * ENTRIES + BAD) * inner + inner / 2;
        for (int64_t i = 0; i < N; i++) {
            h.x[i] = i / inner % ENTRIES < FIRST ? -INFINITY : h.x[i];
        }
        h.x[at] = b < 0 ? h.x[at] : bad[b];
        d = copy_in(target, &h, sizeof h);
        CHECK_OK(pan_cumulative_log_sum_exp_forward(target->stream, &desc, d->x, d->y));
        CHECK_OK(pan_cumulative_log_sum_exp_backward(target->stream, &desc, d->x, d->y, d->dy, d->dx));
        copy_out(target, d, &h, sizeof h);
        if (b < 0) {
            clean = h;
            continue;
        }
        for (int64_t i = 0; i < N; i++) {
            const int64_t k = i / inner % ENTRIES;
            const bool same_sum = i % inner == at % inner && i / inner / ENTRIES == at / inner / ENTRIES;
            const bool kept = !same_sum || k < BAD;
            const bool right = k < FIRST            ? h.y[i] == -INFINITY
                               : kept               ? memcmp(&h.y[i], &clean.y[i], sizeof(float)) == 0
                               : bad[b] == INFINITY ? h.y[i] == INFINITY
                                                    : isnan(h.y[i]) == isnan(bad[b]);
            CHECK(right, "%s: %g at %d of a cumulative log-sum-exp gives %g at %d", target->name, (double) bad[b],
                  (int) at, (double) h.y[i], (int) i);
            const bool nan = same_sum && k >= FIRST && (isnan(bad[b]) || (bad[b] == INFINITY && k == BAD));
            const bool zero = h.x[i] == -INFINITY || (same_sum && bad[b] == INFINITY && k > BAD);
            CHECK(nan    ? isnan(h.dx[i])
                  : zero ? h.dx[i] == 0.0f
                         : isfinite(h.dx[i]),
                  "%s: %g at %d of a cumulative log-sum-exp gives a gradient of %g at %d", target->name,
                  (double) bad[b], (int) at, (double) h.dx[i], (int) i);
        }
    }
}

/* A NaN in the matrix or on the right reaches no earlier row, column or system; a 0 on the diagonal divides. */
static void check_triangular_solve(const target *target) {
    enum { SYSTEMS = 2, SIZE = 70, COLUMNS = 37, N = SYSTEMS * SIZE * COLUMNS, BAD = 41, COLUMN = 34 };
    static struct { float a[SYSTEMS * SIZE * SIZE], b[N], x[N]; } clean, h, *d;
    const pan_triangular_solve_desc desc = {
        .struct_size = sizeof desc, .dtype = PAN_F32, .batch = SYSTEMS, .size = SIZE, .columns = COLUMNS};
    for (int what = 0; what < 4; what++) { /* nothing; in the matrix; on the right; a 0 */
        fill(h.a, COUNT(h.a), 14, 0.1);
        fill(h.b, N, 15, 1.0);
        float *system = h.a + (SYSTEMS - 1) * SIZE * SIZE;
        for (int64_t i = 0; i < SYSTEMS * SIZE; i++) {
            h.a[i * SIZE + i % SIZE] = 2.0f;
        }
        system[BAD * SIZE + (what == 3 ? BAD : 5)] = what == 3 ? 0.0f : what == 1 ? NAN : 0.5f;
        h.b[((SYSTEMS - 1) * SIZE + BAD) * COLUMNS + COLUMN] = what == 2 ? NAN : 0.5f;
        d = copy_in(target, &h, sizeof h);
        CHECK_OK(pan_triangular_solve_forward(target->stream, &desc, d->a, d->b, d->x));
        copy_out(target, d, &h, sizeof h);
        if (what == 0) {
            clean = h;
        }
        for (int64_t i = 0; i < N; i++) {
            const int64_t row = i / COLUMNS % SIZE;
            const bool reached =
                i / COLUMNS / SIZE == SYSTEMS - 1 && row >= BAD && (what != 2 || i % COLUMNS == COLUMN);
            const bool spoilt = what == 3 && row == BAD ? isinf(h.x[i]) : !isfinite(h.x[i]);
            CHECK(what > 0 && reached ? spoilt : memcmp(&h.x[i], &clean.x[i], sizeof(float)) == 0,
                  "%s: triangular systems, spoilt in way %d: x[%d] is %g", target->name, what, (int) i,
                  (double) h.x[i]);
        }
    }
}

void check_sums_and_systems(const target *target) {
    check_cumulative_sum(target, 1);
    check_cumulative_sum(target, 38);
    check_log_sum_exp(target, 1);
    check_log_sum_exp(target, 38);
    check_triangular_solve(target);
}
