/* Lower triangular systems of equations, by substitution. */
#include "real.h"

pan_status PAN_BODY(triangular_solve_forward)(pan_stream *stream, const pan_triangular_solve_desc *desc, const void *a_,
                                              const void *b_, void *x_) {
    (void) stream;
    const int64_t size = desc->size, columns = desc->columns;
    for (int64_t batch = 0; batch < desc->batch; batch++) {
        const real *a = (const real *) a_ + batch * size * size;
        const real *b = (const real *) b_ + batch * size * columns;
        real *x = (real *) x_ + batch * size * columns;
        for (int64_t i = 0; i < size; i++) {
            for (int64_t c = 0; c < columns; c++) {
                double rest = b[i * columns + c];
                for (int64_t j = 0; j < i; j++) {
                    rest -= (double) a[i * size + j] * x[j * columns + c];
                }
                x[i * columns + c] = (real) (rest / a[i * size + i]);
            }
        }
    }
    return PAN_OK;
}

pan_status PAN_BODY(triangular_solve_backward)(pan_stream *stream, const pan_triangular_solve_desc *desc,
                                               const void *a_, const void *x_, const void *dx_, void *da_, void *db_) {
    (void) stream;
    const int64_t size = desc->size, columns = desc->columns;
    for (int64_t batch = 0; batch < desc->batch; batch++) {
        const real *a = (const real *) a_ + batch * size * size;
        const real *x = (const real *) x_ + batch * size * columns;
        const real *dx = (const real *) dx_ + batch * size * columns;
        real *da = (real *) da_ + batch * size * size;
        real *db = (real *) db_ + batch * size * columns;
        for (int64_t i = size - 1; i >= 0; i--) {
            for (int64_t c = 0; c < columns; c++) {
                double rest = dx[i * columns + c];
                for (int64_t j = i + 1; j < size; j++) {
                    rest -= (double) a[j * size + i] * db[j * columns + c];
                }
                db[i * columns + c] = (real) (rest / a[i * size + i]);
            }
            for (int64_t j = 0; j < size; j++) {
                double sum = 0.0;
                for (int64_t c = 0; c < columns && j <= i; c++) {
                    sum -= (double) db[i * columns + c] * x[j * columns + c];
                }
                da[i * size + j] = (real) sum;
            }
        }
    }
    return PAN_OK;
}
