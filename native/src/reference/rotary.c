/* Rotary position embedding. */
#include "real.h"

static int64_t start_of(const pan_head_layout *layout, int64_t batch, int64_t position, int64_t head) {
    return batch * layout->batch_stride + position * layout->length_stride + head * layout->head_stride;
}

/* Pair i of every head at a position. */
static void rotate(const pan_rotary_desc *desc, int64_t t, int64_t i, double angle, const real *x, real *y) {
    int64_t half = desc->head_dim / 2;
    int64_t first = desc->interleaved ? 2 * i : i, second = desc->interleaved ? 2 * i + 1 : i + half;
    double cosine = cos(angle), sine = desc->inverse ? -sin(angle) : sin(angle);
    for (int64_t b = 0; b < desc->batch; b++) {
        for (int64_t h = 0; h < desc->heads; h++) {
            int64_t from = start_of(&desc->x, b, t, h), to = start_of(&desc->y, b, t, h);
            double u = x[from + first], v = x[from + second];
            y[to + first] = (real) (u * cosine - v * sine);
            y[to + second] = (real) (v * cosine + u * sine);
        }
    }
}

pan_status PAN_BODY(rotary)(pan_stream *stream, const pan_rotary_desc *desc, const int32_t *first_position,
                            const void *x, void *y) {
    (void) stream;
    double first = first_position == NULL ? 0.0 : *first_position;
    for (int64_t t = 0; t < desc->length; t++) {
        for (int64_t i = 0; i < desc->head_dim / 2; i++) {
            double frequency = pow(desc->base, -2.0 * (double) i / (double) desc->head_dim);
            rotate(desc, t, i, (first + (double) t) * frequency, x, y);
        }
    }
    return PAN_OK;
}
