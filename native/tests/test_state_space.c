/* Filters of diagonal state spaces at lengths where rounding adds up: against the closed form, and the recurrence, in
 * parts, against the filter. */
#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { LENGTH = 16384, HEADS = 5, MODES = 6, SPLIT = 5000 };

typedef struct model {
    float log_dt[HEADS], a_real_log[HEADS][MODES], a_imag[HEADS][MODES], b[HEADS][MODES][2], c[HEADS][MODES][2];
    float filter[LENGTH][HEADS], impulse[LENGTH][HEADS], response[LENGTH][HEADS], state[HEADS][MODES][2];
} model;

/* As a model begins, but for the last head: it has decayed below the smallest double long before the last tap. */
static void set_parameters(model *model) {
    generator random = {hash_text("diagonal ssm")};
    for (int h = 0; h < HEADS; h++) {
        model->log_dt[h] = (float) log(h == HEADS - 1 ? 2.5 : 0.001 * pow(4.0, h));
        for (int n = 0; n < MODES; n++) {
            model->a_real_log[h][n] = (float) log(0.5);
            model->a_imag[h][n] = (float) (3.14159265358979 * (n + 30 * (n % 2)));
            for (int part = 0; part < 2; part++) {
                model->b[h][n][part] = part == 0 ? 1.0f : 0.0f;
                model->c[h][n][part] = (float) next_normal(&random);
            }
        }
        model->impulse[0][h] = 1.0f;
    }
}

/* 2 Re sum_n Cbar exp(l log Abar). */
static double closed_form(const model *model, int h, int l) {
    const double dt = exp(model->log_dt[h]);
    double sum = 0.0;
    for (int n = 0; n < MODES; n++) {
        const double complex step = 0.5 * dt * (-exp(model->a_real_log[h][n]) + I * model->a_imag[h][n]);
        const double complex b = model->b[h][n][0] + I * model->b[h][n][1];
        const double complex c = model->c[h][n][0] + I * model->c[h][n][1];
        sum += 2.0 * creal(b * c * dt / (1.0 - step) * cexp(l * clog((1.0 + step) / (1.0 - step))));
    }
    return sum;
}

static void compute(const target *target, model *d) {
    const pan_diagonal_ssm_desc desc = {.struct_size = sizeof desc, .heads = HEADS, .modes = MODES, .length = LENGTH};
    int64_t bytes = 0;
    CHECK_OK(pan_diagonal_ssm_forward_workspace_size(target->stream, &desc, &bytes));
    void *workspace = new_memory(target, bytes);
    CHECK_OK(pan_diagonal_ssm_forward(target->stream, &desc, d->log_dt, d->a_real_log[0], d->a_imag[0], d->b[0][0],
                                      d->c[0][0], d->filter[0], workspace, bytes));
    CHECK_OK(pan_stream_synchronize(target->stream));
    free_memory(target, workspace);
    for (int first = 0; first < LENGTH; first += SPLIT) {
        const pan_diagonal_ssm_scan_desc scan = {.struct_size = sizeof scan,
                                                 .dtype = PAN_F32,
                                                 .batch = 1,
                                                 .length = first + SPLIT < LENGTH ? SPLIT : LENGTH - first,
                                                 .heads = HEADS,
                                                 .repeats = 1,
                                                 .modes = MODES};
        CHECK_OK(pan_diagonal_ssm_scan_workspace_size(target->stream, &scan, &bytes));
        workspace = new_memory(target, bytes);
        CHECK_OK(pan_diagonal_ssm_scan(target->stream, &scan, d->impulse[first], d->log_dt, d->a_real_log[0],
                                       d->a_imag[0], d->b[0][0], d->c[0][0], d->state[0][0], d->response[first],
                                       workspace, bytes));
        CHECK_OK(pan_stream_synchronize(target->stream));
        free_memory(target, workspace);
    }
}

static void check_target(const target *target) {
    model *host = allocate(1, sizeof *host);
    memset(host, 0, sizeof *host);
    set_parameters(host);
    model *device = copy_in(target, host, sizeof *host);
    compute(target, device);
    copy_out(target, device, host, sizeof *host);
    for (int h = 0; h < HEADS; h++) {
        double largest = 0.0, filter_error = 0.0, response_error = 0.0;
        for (int l = 0; l < LENGTH; l++) {
            const double expected = closed_form(host, h, l);
            largest = fmax(largest, fabs(expected));
            filter_error = fmax(filter_error, fabs(host->filter[l][h] - expected));
            response_error = fmax(response_error, fabs(host->response[l][h] - expected));
        }
        CHECK(filter_error <= 2e-7 * largest, "%s, head %d: relative error %g of the filter", target->name, h,
              filter_error / largest);
        CHECK(response_error <= 1e-6 * largest, "%s, head %d: relative error %g of the response", target->name, h,
              response_error / largest);
    }
    free(host);
}

int main(void) {
    target targets[MAX_TARGETS];
    const int count = open_targets(targets);
    for (int i = 0; i < count; i++) {
        check_target(&targets[i]);
    }
    close_targets(targets, count);
    return report();
}
