// The filter of a diagonal state space, and the same model as a recurrence. All arithmetic is in double.
#include "../core/diagonal_ssm.h"
#include "block.cuh"

namespace {

struct ssm_arrays {
    int64_t heads, modes;
    const float *log_dt, *a_real_log, *a_imag, *b, *c;

    // Mode n of head h.
    __device__ pan_ssm_parameters parameters(int64_t h, int64_t n) const {
        const int64_t i = h * modes + n;
        pan_ssm_parameters p;
        p.log_dt = log_dt[h];
        p.a_real_log = a_real_log[i];
        p.a_imag = a_imag[i];
        p.b = pan_complex_of(b[2 * i], b[2 * i + 1]);
        p.c = pan_complex_of(c[2 * i], c[2 * i + 1]);
        return p;
    }
};

// What the taps of a mode are made of.
struct ssm_factors {
    pan_complex ratio, coefficient;
};

// Discretises a mode, into (modes, heads) factors for threads that are heads, or (heads, modes) for threads that are modes.
template <bool HEADS_FASTEST> struct discretize_element {
    ssm_arrays arrays;
    ssm_factors *factors;

    __device__ void operator()(int64_t i) const {
        const int64_t h = HEADS_FASTEST ? i % arrays.heads : i / arrays.modes;
        const int64_t n = HEADS_FASTEST ? i / arrays.heads : i % arrays.modes;
        const pan_ssm_parameters parameters = arrays.parameters(h, n);
        const pan_ssm_mode mode = pan_ssm_discretize(&parameters);
        factors[i] = {mode.ratio, mode.coefficient};
    }
};

__device__ pan_complex power_of(pan_complex square, int64_t exponent) {
    pan_complex power = pan_complex_of(1.0, 0.0);
    for (; exponent > 0; exponent /= 2) {
        power = exponent % 2 == 1 ? pan_complex_multiply(power, square) : power;
        square = pan_complex_multiply(square, square);
    }
    return power;
}

// ---- the filter ----

constexpr int RUN_TAPS = 16; // neighbouring taps of a thread

// A thread has a run of taps of a head, and neighbouring threads neighbouring heads.
struct filter_run {
    int64_t heads, modes, length;
    const ssm_factors *factors;
    float *filter;

    __device__ void operator()(int64_t i) const {
        const int64_t h = i % heads, first = i / heads * RUN_TAPS;
        double sums[RUN_TAPS] = {};
        for (int64_t n = 0; n < modes; n++) {
            const ssm_factors mode = factors[n * heads + h];
            pan_complex term = pan_complex_multiply(power_of(mode.ratio, first), mode.coefficient);
            for (double &sum : sums) {
                sum += term.re;
                term = pan_complex_multiply(term, mode.ratio);
            }
        }
        for (int t = 0; t < RUN_TAPS; t++) {
            if (first + t < length) {
                filter[(first + t) * heads + h] = static_cast<float>(2.0 * sums[t]);
            }
        }
    }
};

// ---- its gradient ----

constexpr int64_t PART_TAPS = 128;
constexpr int64_t MOST_PARTS = 16;

int64_t parts_of(const pan_diagonal_ssm_desc *desc) {
    const int64_t parts = ceil_div(desc->length, PART_TAPS);
    return parts < MOST_PARTS ? parts : MOST_PARTS;
}

struct tap_sums {
    pan_complex powers, slopes;
};

// Sums over a part of the taps for mode n of head h: number (part * modes + n) * heads + h.
struct sums_part {
    ssm_arrays arrays;
    int64_t length, part_taps;
    const float *dfilter;
    tap_sums *sums;

    __device__ void operator()(int64_t i) const {
        const int64_t h = i % arrays.heads, n = i / arrays.heads % arrays.modes;
        const int64_t begin = i / arrays.heads / arrays.modes * part_taps;
        const int64_t end = begin + part_taps < length ? begin + part_taps : length;
        const pan_ssm_parameters parameters = arrays.parameters(h, n);
        const pan_ssm_mode mode = pan_ssm_discretize(&parameters);
        tap_sums sum = {pan_complex_of(0.0, 0.0), pan_complex_of(0.0, 0.0)};
        pan_complex power = power_of(mode.ratio, begin);
        for (int64_t l = begin; l < end; l++) {
            const double weight = dfilter[l * arrays.heads + h];
            const double next = l + 1 < length ? dfilter[(l + 1) * arrays.heads + h] : 0.0;
            sum.powers = pan_complex_add(sum.powers, pan_complex_scale(power, weight));
            sum.slopes = pan_complex_add(sum.slopes, pan_complex_scale(power, static_cast<double>(l + 1) * next));
            power = pan_complex_multiply(power, mode.ratio);
        }
        sums[i] = sum;
    }
};

__device__ void add_at(float *array, int64_t index, double value) {
    if (array != nullptr) {
        array[index] = static_cast<float>(array[index] + value);
    }
}

// Adds up the parts of mode n of head h, number n * heads + h, and passes them on to its parameters. A share of the
// gradient of the head's time step takes the place of what was summed first.
struct mode_gradient {
    ssm_arrays arrays;
    int64_t parts;
    tap_sums *sums;
    float *da_real_log, *da_imag, *db, *dc;

    __device__ void operator()(int64_t i) const {
        const int64_t h = i % arrays.heads, n = i / arrays.heads;
        tap_sums sum = sums[i];
        for (int64_t part = 1; part < parts; part++) {
            const tap_sums more = sums[part * arrays.modes * arrays.heads + i];
            sum.powers = pan_complex_add(sum.powers, more.powers);
            sum.slopes = pan_complex_add(sum.slopes, more.slopes);
        }
        const pan_ssm_parameters parameters = arrays.parameters(h, n);
        const pan_ssm_parameters gradient = pan_ssm_gradient(&parameters, sum.powers, sum.slopes);
        const int64_t at = h * arrays.modes + n;
        add_at(da_real_log, at, gradient.a_real_log);
        add_at(da_imag, at, gradient.a_imag);
        add_at(db, 2 * at, gradient.b.re);
        add_at(db, 2 * at + 1, gradient.b.im);
        add_at(dc, 2 * at, gradient.c.re);
        add_at(dc, 2 * at + 1, gradient.c.im);
        sums[i].powers.re = gradient.log_dt;
    }
};

struct time_step_gradient {
    int64_t heads, modes;
    const tap_sums *sums;
    float *dlog_dt;

    __device__ void operator()(int64_t h) const {
        double sum = 0.0;
        for (int64_t n = 0; n < modes; n++) {
            sum += sums[n * heads + h].powers.re;
        }
        add_at(dlog_dt, h, sum);
    }
};

// ---- the recurrence ----

// "Row" b * channels + c is a channel of an example, whose modes a team shares; the state waits as doubles.
struct scan_row {
    int64_t length, channels, heads, modes;
    const float *u;
    const ssm_factors *factors; // (heads, modes)
    float *state;
    pan_complex *states;
    float *y;

    template <int TEAM> __device__ void row(int64_t row) const {
        const int64_t channel = row % channels;
        const ssm_factors *of_head = factors + channel % heads * modes;
        pan_complex *z = states + row * modes;
        float *kept = state + row * 2 * modes;
        for (int64_t n = threadIdx.x; n < modes; n += TEAM) {
            z[n] = pan_complex_of(kept[2 * n], kept[2 * n + 1]);
        }
        for (int64_t t = 0; t < length; t++) {
            const int64_t at = (row / channels * length + t) * channels + channel;
            const double input = u[at];
            double sum = 0.0;
            for (int64_t n = threadIdx.x; n < modes; n += TEAM) {
                z[n] = pan_complex_multiply(of_head[n].ratio, z[n]);
                z[n].re += input;
                sum += pan_complex_multiply(of_head[n].coefficient, z[n]).re;
            }
            sum = team_reduce<TEAM>(sum, plus()); // after which all have read u, where y may lie
            if (threadIdx.x == 0) {
                y[at] = static_cast<float>(2.0 * sum);
            }
        }
        for (int64_t n = threadIdx.x; n < modes; n += TEAM) {
            kept[2 * n] = static_cast<float>(z[n].re);
            kept[2 * n + 1] = static_cast<float>(z[n].im);
        }
    }
};

int64_t factors_bytes(int64_t heads, int64_t modes) {
    return align_up(heads * modes * static_cast<int64_t>(sizeof(ssm_factors)));
}

} // namespace

pan_status cuda_diagonal_ssm_forward_workspace_size(pan_stream *, const pan_diagonal_ssm_desc *desc, int64_t *bytes) {
    *bytes = factors_bytes(desc->heads, desc->modes);
    return PAN_OK;
}

pan_status cuda_diagonal_ssm_forward(pan_stream *stream, const pan_diagonal_ssm_desc *desc, const float *log_dt,
                                     const float *a_real_log, const float *a_imag, const float *b, const float *c,
                                     float *filter, void *workspace, int64_t) {
    const ssm_arrays arrays = {desc->heads, desc->modes, log_dt, a_real_log, a_imag, b, c};
    auto *factors = static_cast<ssm_factors *>(workspace);
    CUDA_TRY(
        for_each(stream, "diagonal_ssm_forward", desc->modes, desc->heads, discretize_element<true>{arrays, factors}));
    return for_each(stream, "diagonal_ssm_forward", ceil_div(desc->length, RUN_TAPS), desc->heads,
                    filter_run{desc->heads, desc->modes, desc->length, factors, filter});
}

pan_status cuda_diagonal_ssm_backward_workspace_size(pan_stream *, const pan_diagonal_ssm_desc *desc, int64_t *bytes) {
    *bytes = parts_of(desc) * desc->modes * desc->heads * static_cast<int64_t>(sizeof(tap_sums));
    return PAN_OK;
}

pan_status cuda_diagonal_ssm_backward(pan_stream *stream, const pan_diagonal_ssm_desc *desc, const float *log_dt,
                                      const float *a_real_log, const float *a_imag, const float *b, const float *c,
                                      const float *dfilter, float *dlog_dt, float *da_real_log, float *da_imag,
                                      float *db, float *dc, void *workspace, int64_t) {
    const ssm_arrays arrays = {desc->heads, desc->modes, log_dt, a_real_log, a_imag, b, c};
    const int64_t parts = parts_of(desc);
    auto *sums = static_cast<tap_sums *>(workspace);
    CUDA_TRY(for_each(stream, "diagonal_ssm_backward", parts * desc->modes, desc->heads,
                      sums_part{arrays, desc->length, ceil_div(desc->length, parts), dfilter, sums}));
    CUDA_TRY(for_each(stream, "diagonal_ssm_backward", desc->modes, desc->heads,
                      mode_gradient{arrays, parts, sums, da_real_log, da_imag, db, dc}));
    return dlog_dt == nullptr ? PAN_OK
                              : for_each(stream, "diagonal_ssm_backward", 1, desc->heads,
                                         time_step_gradient{desc->heads, desc->modes, sums, dlog_dt});
}

pan_status cuda_diagonal_ssm_scan_workspace_size(pan_stream *, const pan_diagonal_ssm_scan_desc *desc, int64_t *bytes) {
    *bytes = factors_bytes(desc->heads, desc->modes) +
             desc->batch * desc->repeats * desc->heads * desc->modes * static_cast<int64_t>(sizeof(pan_complex));
    return PAN_OK;
}

pan_status cuda_diagonal_ssm_scan(pan_stream *stream, const pan_diagonal_ssm_scan_desc *desc, const void *u,
                                  const float *log_dt, const float *a_real_log, const float *a_imag, const float *b,
                                  const float *c, float *state, void *y, void *workspace, int64_t) {
    const ssm_arrays arrays = {desc->heads, desc->modes, log_dt, a_real_log, a_imag, b, c};
    const int64_t channels = desc->repeats * desc->heads;
    auto *factors = static_cast<ssm_factors *>(workspace);
    auto *states =
        reinterpret_cast<pan_complex *>(static_cast<char *>(workspace) + factors_bytes(desc->heads, desc->modes));
    CUDA_TRY(
        for_each(stream, "diagonal_ssm_scan", desc->heads, desc->modes, discretize_element<false>{arrays, factors}));
    return for_each_row(stream, "diagonal_ssm_scan", desc->batch * channels, desc->modes,
                        scan_row{desc->length, channels, desc->heads, desc->modes, static_cast<const float *>(u),
                                 factors, state, states, static_cast<float *>(y)});
}
