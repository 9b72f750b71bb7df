// Element-by-element arithmetic with broadcasting.
#include "block.cuh"

namespace {

// Dimensions of y with the strides of the operands in them.
struct broadcast_shape {
    int rank;
    int64_t size[PAN_MAX_RANK], a_stride[PAN_MAX_RANK], b_stride[PAN_MAX_RANK], y_stride[PAN_MAX_RANK];
};

// Where one entry lies.
struct entry {
    int64_t a, b, y;
};

// Neighbouring dimensions that both operands step over as one become one; those of size 1 go away.
broadcast_shape merge_dimensions(const pan_arithmetic_desc *desc) {
    broadcast_shape merged = {};
    int64_t y_stride = 1;
    int count = 0;
    for (int d = desc->rank - 1; d >= 0; d--) { // the last dimension first
        const int64_t size = desc->shape[d], a = desc->a_stride[d], b = desc->b_stride[d];
        const int last = count - 1;
        if (size == 1) {
            continue;
        }
        if (count > 0 && a == merged.a_stride[last] * merged.size[last] &&
            b == merged.b_stride[last] * merged.size[last]) {
            merged.size[last] *= size;
        } else {
            merged.size[count] = size;
            merged.a_stride[count] = a;
            merged.b_stride[count] = b;
            merged.y_stride[count] = y_stride;
            count++;
        }
        y_stride *= size;
    }
    merged.rank = count;
    return merged;
}

// Adds the place of the index-th tuple, in row-major order, of a shape whose last dimension comes first.
__device__ entry step_to(const broadcast_shape &shape, int64_t index, entry at) {
    for (int d = 0; d < shape.rank; d++) {
        const int64_t i = index % shape.size[d];
        index /= shape.size[d];
        at.a += i * shape.a_stride[d];
        at.b += i * shape.b_stride[d];
        at.y += i * shape.y_stride[d];
    }
    return at;
}

int64_t count_of(const broadcast_shape &shape) {
    int64_t count = 1;
    for (int d = 0; d < shape.rank; d++) {
        count *= shape.size[d];
    }
    return count;
}

struct combine_element {
    broadcast_shape shape;
    pan_arithmetic_kind kind;
    const float *a, *b;
    float *y;

    __device__ void operator()(int64_t i) const {
        const entry at = step_to(shape, i, {0, 0, 0});
        const float x = a[at.a], z = b[at.b];
        switch (kind) {
        case PAN_ADD: y[i] = x + z; break;
        case PAN_SUBTRACT: y[i] = x - z; break;
        case PAN_MULTIPLY: y[i] = x * z; break;
        case PAN_DIVIDE: y[i] = x / z; break;
        default: y[i] = larger_or_nan()(x, z);
        }
    }
};

// The gradient of one operand: for every element of it, the sum over the dimensions where it was broadcast.
struct operand_gradient {
    broadcast_shape own;      // dimensions that the operand has
    broadcast_shape repeated; // dimensions over which it was broadcast
    int64_t repeats;
    pan_arithmetic_kind kind;
    bool of_a;
    const float *a, *b, *dy; // a and b are read only where the formula has them
    float *gradient;

    __device__ double term(const entry &at) const {
        const double g = dy[at.y];
        if (kind == PAN_MULTIPLY) {
            return g * (of_a ? b[at.b] : a[at.a]);
        }
        if (kind == PAN_DIVIDE) {
            const double z = b[at.b];
            return of_a ? g / z : -g * a[at.a] / (z * z);
        }
        if (kind == PAN_MAXIMUM) {
            return (a[at.a] >= b[at.b]) == of_a ? g : 0.0;
        }
        return kind == PAN_SUBTRACT && !of_a ? -g : g;
    }

    __device__ void write(const entry &element, double sum) const {
        gradient[of_a ? element.a : element.b] = static_cast<float>(sum);
    }

    // One thread for each element.
    __device__ void operator()(int64_t i) const {
        const entry element = step_to(own, i, {0, 0, 0});
        double sum = 0.0;
        for (int64_t j = 0; j < repeats; j++) {
            sum += term(step_to(repeated, j, element));
        }
        write(element, sum);
    }

    // A team for each element.
    template <int TEAM> __device__ void row(int64_t i) const {
        const entry element = step_to(own, i, {0, 0, 0});
        double sum = 0.0;
        for (int64_t j = threadIdx.x; j < repeats; j += TEAM) {
            sum += term(step_to(repeated, j, element));
        }
        sum = team_reduce<TEAM>(sum, plus());
        if (threadIdx.x == 0) {
            write(element, sum);
        }
    }
};

// So many sums keep a device busy with one thread each.
constexpr int64_t MANY_SUMS = 1 << 15;
constexpr int64_t SHORT_SUM = 8;

pan_status differentiate(pan_stream *stream, const pan_arithmetic_desc *desc, bool of_a, const void *a, const void *b,
                         const void *dy, void *gradient) {
    static const char op[] = "arithmetic_backward";
    const broadcast_shape all = merge_dimensions(desc);
    operand_gradient job = {{},
                            {},
                            1,
                            desc->kind,
                            of_a,
                            static_cast<const float *>(a),
                            static_cast<const float *>(b),
                            static_cast<const float *>(dy),
                            static_cast<float *>(gradient)};
    for (int d = 0; d < all.rank; d++) {
        broadcast_shape &part = (of_a ? all.a_stride : all.b_stride)[d] == 0 ? job.repeated : job.own;
        part.size[part.rank] = all.size[d];
        part.a_stride[part.rank] = all.a_stride[d];
        part.b_stride[part.rank] = all.b_stride[d];
        part.y_stride[part.rank] = all.y_stride[d];
        part.rank++;
    }
    job.repeats = count_of(job.repeated);
    const int64_t elements = count_of(job.own);
    return job.repeats <= SHORT_SUM || elements >= MANY_SUMS ? for_each(stream, op, 1, elements, job)
                                                             : for_each_row(stream, op, elements, job.repeats, job);
}

} // namespace

pan_status cuda_arithmetic_forward(pan_stream *stream, const pan_arithmetic_desc *desc, const void *a, const void *b,
                                   void *y) {
    const broadcast_shape shape = merge_dimensions(desc);
    return for_each(stream, "arithmetic_forward", 1, count_of(shape),
                    combine_element{shape, desc->kind, static_cast<const float *>(a), static_cast<const float *>(b),
                                    static_cast<float *>(y)});
}

pan_status cuda_arithmetic_backward(pan_stream *stream, const pan_arithmetic_desc *desc, const void *a, const void *b,
                                    const void *dy, void *da, void *db) {
    if (da != nullptr) {
        CUDA_TRY(differentiate(stream, desc, true, a, b, dy, da));
    }
    return db == nullptr ? PAN_OK : differentiate(stream, desc, false, a, b, dy, db);
}
