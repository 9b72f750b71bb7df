// Reductions over one dimension. Sums are kept in double; "sum" stands for the maximum where that is wanted.
#include "block.cuh"

namespace {

// The reduced dimension is cut into parts by its extent alone.
constexpr int64_t PART_ELEMENTS = 4096;
constexpr int64_t MOST_PARTS = 1024;

int64_t parts_of(const pan_reduce_desc *desc) {
    const int64_t parts = ceil_div(desc->count, PART_ELEMENTS);
    return parts < MOST_PARTS ? parts : MOST_PARTS;
}

struct reduce_inputs {
    pan_reduction kind;
    int64_t count, inner, parts, part_elements;
    const float *x;

    __device__ double neutral() const {
        return kind == PAN_REDUCE_MAX ? -INFINITY : 0.0;
    }

    // Of two sums, or of a sum and a term.
    __device__ double operator()(double a, double b) const {
        return kind == PAN_REDUCE_MAX ? larger_or_nan()(a, b) : a + b;
    }

    __device__ double term(int64_t i) const {
        const float value = x[i];
        switch (kind) {
        case PAN_REDUCE_SUM_OF_SQUARES: return static_cast<double>(value) * value;
        case PAN_REDUCE_SUM_OF_MAGNITUDES: return fabsf(value);
        case PAN_REDUCE_NONFINITE: return std::isfinite(value) ? 0.0 : 1.0;
        default: return value;
        }
    }
};

// "Row" p of the parts of result (o, i) is row (o * inner + i) * parts + p; a team goes over its elements.
struct reduce_part {
    reduce_inputs in;
    double *sums;

    template <int TEAM> __device__ void row(int64_t row) const {
        const int64_t part = row % in.parts, result = row / in.parts;
        const int64_t first = result / in.inner * in.count * in.inner + result % in.inner;
        const int64_t begin = part * in.part_elements;
        const int64_t end = begin + in.part_elements < in.count ? begin + in.part_elements : in.count;
        double sum = in.neutral();
        for (int64_t k = begin + threadIdx.x; k < end; k += TEAM) {
            sum = in(sum, in.term(first + k * in.inner));
        }
        sum = team_reduce<TEAM>(sum, in);
        if (threadIdx.x == 0) {
            sums[row] = sum;
        }
    }
};

// Where neighbouring results lie side by side in memory, neighbouring threads take them.
struct reduce_part_of_columns {
    reduce_inputs in;
    double *sums;
    int64_t results;

    __device__ void operator()(int64_t i) const {
        const int64_t result = i % results, part = i / results;
        const int64_t first = result / in.inner * in.count * in.inner + result % in.inner;
        const int64_t begin = part * in.part_elements;
        const int64_t end = begin + in.part_elements < in.count ? begin + in.part_elements : in.count;
        double sum = in.neutral();
        for (int64_t k = begin; k < end; k++) {
            sum = in(sum, in.term(first + k * in.inner));
        }
        sums[result * in.parts + part] = sum;
    }
};

struct reduce_result {
    reduce_inputs in;
    const double *sums;
    int64_t parts;
    double divisor;
    float *y;

    __device__ void operator()(int64_t result) const {
        double sum = sums[result * parts];
        for (int64_t part = 1; part < parts; part++) {
            sum = in(sum, sums[result * parts + part]);
        }
        y[result] = static_cast<float>(sum / divisor);
    }
};

struct reduce_gradient_element {
    pan_reduction kind;
    int64_t count, inner;
    const float *x, *dy;
    float *dx;

    __device__ void operator()(int64_t at) const {
        const float gradient = dy[at / (count * inner) * inner + at % inner];
        switch (kind) {
        case PAN_REDUCE_MEAN: dx[at] = gradient / static_cast<float>(count); break;
        case PAN_REDUCE_SUM_OF_SQUARES: dx[at] = 2.0f * x[at] * gradient; break;
        case PAN_REDUCE_SUM_OF_MAGNITUDES:
            dx[at] = gradient * (x[at] > 0.0f ? 1.0f : x[at] < 0.0f ? -1.0f : x[at]);
            break;
        default: dx[at] = gradient;
        }
    }
};

// The gradient goes to the first of the largest. A team for each result.
struct maximum_gradient {
    int64_t count, inner;
    const float *x, *dy;
    float *dx;

    template <int TEAM> __device__ void row(int64_t result) const {
        const int64_t first = result / inner * count * inner + result % inner;
        float largest = -INFINITY;
        for (int64_t k = threadIdx.x; k < count; k += TEAM) {
            largest = larger_or_nan()(x[first + k * inner], largest);
        }
        largest = team_reduce<TEAM>(largest, larger_or_nan());
        long long where = count;
        for (int64_t k = threadIdx.x; k < count && where == count; k += TEAM) {
            const float value = x[first + k * inner];
            where = value == largest || value != value ? k : where;
        }
        where = team_reduce<TEAM>(where, smaller());
        for (int64_t k = threadIdx.x; k < count; k += TEAM) {
            dx[first + k * inner] = k == where ? dy[result] : 0.0f;
        }
    }
};

} // namespace

pan_status cuda_reduce_forward_workspace_size(pan_stream *, const pan_reduce_desc *desc, int64_t *bytes) {
    *bytes = desc->outer * desc->inner * parts_of(desc) * static_cast<int64_t>(sizeof(double));
    return PAN_OK;
}

pan_status cuda_reduce_forward(pan_stream *stream, const pan_reduce_desc *desc, const void *x, void *y, void *workspace,
                               int64_t) {
    static const char op[] = "reduce_forward";
    const int64_t results = desc->outer * desc->inner, parts = parts_of(desc);
    const int64_t part_elements = ceil_div(desc->count, parts);
    const reduce_inputs in = {desc->kind,    desc->count,
                              desc->inner,   ceil_div(desc->count, part_elements),
                              part_elements, static_cast<const float *>(x)};
    auto *sums = static_cast<double *>(workspace);
    CUDA_TRY(desc->inner < WARP_THREADS
                 ? for_each_row(stream, op, results * in.parts, part_elements, reduce_part{in, sums})
                 : for_each(stream, op, results, in.parts, reduce_part_of_columns{in, sums, results}));
    const double divisor = desc->kind == PAN_REDUCE_MEAN ? static_cast<double>(desc->count) : 1.0;
    return for_each(stream, op, 1, results, reduce_result{in, sums, in.parts, divisor, static_cast<float *>(y)});
}

pan_status cuda_reduce_backward(pan_stream *stream, const pan_reduce_desc *desc, const void *x, const void *dy,
                                void *dx) {
    static const char op[] = "reduce_backward";
    if (desc->kind == PAN_REDUCE_MAX) {
        return for_each_row(stream, op, desc->outer * desc->inner, desc->count,
                            maximum_gradient{desc->count, desc->inner, static_cast<const float *>(x),
                                             static_cast<const float *>(dy), static_cast<float *>(dx)});
    }
    return for_each(stream, op, desc->outer * desc->count, desc->inner,
                    reduce_gradient_element{desc->kind, desc->count, desc->inner, static_cast<const float *>(x),
                                            static_cast<const float *>(dy), static_cast<float *>(dx)});
}
