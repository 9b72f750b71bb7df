/* Public functions of the ops that work element by element, of the reductions and of the optimizer. */
#include "front.h"

static pan_status check_activation(const char *op, const pan_stream *stream, const pan_activation_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_reserved(op, desc->reserved));
    PAN_TRY(pan_check_kind(op, "kind", desc->kind, PAN_ACTIVATION_COUNT));
    return pan_check_size(op, "count", desc->count);
}

pan_status pan_activation_forward(pan_stream *stream, const pan_activation_desc *desc, const void *x, void *y) {
    PAN_FRONT(activation_forward)
    PAN_TRY(check_activation(op, stream, desc));
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t bytes = desc->count * element;
    const pan_array arrays[] = {PAN_INPUT(x, bytes), PAN_OUTPUT(y, bytes, "x")};
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->activation_forward(stream, desc, x, y);
}

pan_status pan_activation_backward(pan_stream *stream, const pan_activation_desc *desc, const void *x, const void *dy,
                                   void *dx) {
    PAN_FRONT(activation_backward)
    PAN_TRY(check_activation(op, stream, desc));
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t bytes = desc->count * element;
    const pan_array arrays[] = {PAN_INPUT(x, bytes), PAN_INPUT(dy, bytes), PAN_OUTPUT(dx, bytes, "dy", "x")};
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->activation_backward(stream, desc, x, dy, dx);
}

static pan_status check_operand_strides(const char *op, const char *name, const pan_arithmetic_desc *desc,
                                        const int64_t *stride) {
    for (int i = 0; i < desc->rank; i++) {
        if (stride[i] != 0) {
            PAN_TRY(pan_check_size(op, name, stride[i]));
        }
    }
    if (!pan_strides_nest(desc->rank, desc->shape, stride)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: with this %s two entries share an element", op, name);
    }
    if (stride[desc->rank - 1] > 1) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the last %s is %lld; expected 0 or 1", op, name,
                        (long long) stride[desc->rank - 1]);
    }
    return PAN_OK;
}

static pan_status check_arithmetic(const char *op, const pan_stream *stream, const pan_arithmetic_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_kind(op, "kind", desc->kind, PAN_ARITHMETIC_COUNT));
    if (desc->rank < 1 || desc->rank > PAN_MAX_RANK) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: rank is %d; expected 1 to %d", op, desc->rank, PAN_MAX_RANK);
    }
    int64_t count = 1;
    for (int i = 0; i < desc->rank; i++) {
        PAN_TRY(pan_check_size(op, "shape", desc->shape[i]));
        count = pan_product(count, desc->shape[i], 1);
        if (count < 0 || pan_product(count, 8, 1) < 0) {
            return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of y overflows", op);
        }
    }
    PAN_TRY(check_operand_strides(op, "a_stride", desc, desc->a_stride));
    return check_operand_strides(op, "b_stride", desc, desc->b_stride);
}

static int64_t operand_bytes(const pan_arithmetic_desc *desc, const int64_t *stride, int64_t element) {
    int64_t last = 0;
    for (int i = 0; i < desc->rank; i++) {
        int64_t step = pan_product(desc->shape[i] - 1, stride[i], 1);
        if (step < 0 || __builtin_add_overflow(last, step, &last)) {
            return -1;
        }
    }
    return __builtin_add_overflow(last, 1, &last) ? -1 : pan_product(last, element, 1);
}

static int64_t dense_bytes(const pan_arithmetic_desc *desc, int64_t element) {
    int64_t count = element;
    for (int i = 0; i < desc->rank; i++) {
        count *= desc->shape[i];
    }
    return count;
}

static bool is_dense(const pan_arithmetic_desc *desc, const int64_t *stride) {
    int64_t expected = 1;
    for (int i = desc->rank - 1; i >= 0; i--) {
        if (desc->shape[i] != 1 && stride[i] != expected) {
            return false;
        }
        expected *= desc->shape[i];
    }
    return true;
}

pan_status pan_arithmetic_forward(pan_stream *stream, const pan_arithmetic_desc *desc, const void *a, const void *b,
                                  void *y) {
    PAN_FRONT(arithmetic_forward)
    PAN_TRY(check_arithmetic(op, stream, desc));
    int64_t element = pan_element_bytes(desc->dtype);
    const pan_array arrays[] = {
        PAN_INPUT(a, operand_bytes(desc, desc->a_stride, element)),
        PAN_INPUT(b, operand_bytes(desc, desc->b_stride, element)),
        PAN_OUTPUT(y, dense_bytes(desc, element), is_dense(desc, desc->a_stride) ? "a" : NULL,
                   is_dense(desc, desc->b_stride) ? "b" : NULL),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->arithmetic_forward(stream, desc, a, b, y);
}

pan_status pan_arithmetic_backward(pan_stream *stream, const pan_arithmetic_desc *desc, const void *a, const void *b,
                                   const void *dy, void *da, void *db) {
    PAN_FRONT(arithmetic_backward)
    PAN_TRY(check_arithmetic(op, stream, desc));
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t a_bytes = operand_bytes(desc, desc->a_stride, element);
    int64_t b_bytes = operand_bytes(desc, desc->b_stride, element);
    int32_t operands = desc->kind == PAN_ADD || desc->kind == PAN_SUBTRACT ? PAN_ARRAY_OPTIONAL : PAN_ARRAY_INPUT;
    const pan_array arrays[] = {
        {.name = "a", .address = a, .bytes = a_bytes, .flags = operands},
        {.name = "b", .address = b, .bytes = b_bytes, .flags = operands},
        PAN_INPUT(dy, dense_bytes(desc, element)),
        PAN_OPTIONAL_OUTPUT(da, a_bytes),
        PAN_OPTIONAL_OUTPUT(db, b_bytes),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->arithmetic_backward(stream, desc, a, b, dy, da, db);
}

static pan_status check_gate(const char *op, const pan_stream *stream, const pan_gate_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_reserved(op, desc->reserved));
    PAN_TRY(pan_check_kind(op, "activation", desc->activation, PAN_ACTIVATION_COUNT));
    PAN_TRY(pan_check_size(op, "rows", desc->rows));
    PAN_TRY(pan_check_size(op, "channels", desc->channels));
    PAN_TRY(pan_check_stride(op, "a_stride", desc->a_stride, desc->channels));
    PAN_TRY(pan_check_stride(op, "b_stride", desc->b_stride, desc->channels));
    return pan_check_stride(op, "y_stride", desc->y_stride, desc->channels);
}

/* An operand of a gate, which may be a column range of a packed array. The stride of an absent one is not checked. */
static pan_array gate_array(const pan_gate_desc *desc, const char *name, const void *address, int64_t stride,
                            int32_t flags) {
    int64_t element = pan_element_bytes(desc->dtype);
    if (address == NULL) {
        return (pan_array){.name = name, .flags = flags};
    }
    return (pan_array){.name = name,
                       .address = address,
                       .bytes = pan_extent(desc->rows, stride, desc->channels, element),
                       .flags = flags,
                       .stride = stride * element,
                       .row = desc->channels * element};
}

pan_status pan_gate_forward(pan_stream *stream, const pan_gate_desc *desc, const void *a, const void *b, const void *c,
                            void *y) {
    PAN_FRONT(gate_forward)
    PAN_TRY(check_gate(op, stream, desc));
    if (c != NULL) {
        PAN_TRY(pan_check_stride(op, "c_stride", desc->c_stride, desc->channels));
    }
    pan_array arrays[] = {
        gate_array(desc, "a", a, desc->a_stride, PAN_ARRAY_INPUT),
        gate_array(desc, "b", b, desc->b_stride, PAN_ARRAY_INPUT),
        gate_array(desc, "c", c, desc->c_stride, PAN_ARRAY_OPTIONAL),
        gate_array(desc, "y", y, desc->y_stride, PAN_ARRAY_OUTPUT),
    };
    for (int i = 0; i < 3; i++) {
        arrays[3].may_alias[i] = arrays[i].stride == arrays[3].stride ? arrays[i].name : NULL;
    }
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->gate_forward(stream, desc, a, b, c, y);
}

pan_status pan_gate_backward(pan_stream *stream, const pan_gate_desc *desc, const void *a, const void *b,
                             const void *dy, void *da, void *db) {
    PAN_FRONT(gate_backward)
    PAN_TRY(check_gate(op, stream, desc));
    const pan_array arrays[] = {
        gate_array(desc, "a", a, desc->a_stride, PAN_ARRAY_INPUT),
        gate_array(desc, "b", b, desc->b_stride, PAN_ARRAY_INPUT),
        gate_array(desc, "dy", dy, desc->y_stride, PAN_ARRAY_INPUT),
        gate_array(desc, "da", da, desc->a_stride, PAN_ARRAY_OUTPUT | PAN_ARRAY_OPTIONAL),
        gate_array(desc, "db", db, desc->b_stride, PAN_ARRAY_OUTPUT | PAN_ARRAY_OPTIONAL),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->gate_backward(stream, desc, a, b, dy, da, db);
}

pan_status pan_dropout(pan_stream *stream, const pan_dropout_desc *desc, const pan_random_state *random, const void *x,
                       void *y) {
    PAN_FRONT(dropout)
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_probability(op, "probability", desc->probability));
    PAN_TRY(pan_check_probability(op, "path_probability", desc->path_probability));
    PAN_TRY(pan_check_size(op, "rows", desc->rows));
    PAN_TRY(pan_check_size(op, "channels", desc->channels));
    PAN_TRY(pan_check_size(op, "rows_per_example", desc->rows_per_example));
    if (desc->rows % desc->rows_per_example != 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: rows_per_example is %lld; expected a divisor of rows = %lld", op,
                        (long long) desc->rows_per_example, (long long) desc->rows);
    }
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t bytes = pan_product(desc->rows, desc->channels, element);
    const pan_array arrays[] = {PAN_STATE_INPUT(random), PAN_INPUT(x, bytes), PAN_OUTPUT(y, bytes, "x")};
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->dropout(stream, desc, random, x, y);
}

static pan_status check_reduce(const char *op, const pan_stream *stream, const pan_reduce_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_reserved(op, desc->reserved));
    PAN_TRY(pan_check_kind(op, "kind", desc->kind, PAN_REDUCE_COUNT));
    PAN_TRY(pan_check_size(op, "outer", desc->outer));
    PAN_TRY(pan_check_size(op, "count", desc->count));
    PAN_TRY(pan_check_size(op, "inner", desc->inner));
    int64_t rows = pan_product(desc->outer, desc->count, 1);
    if (rows < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of x overflows", op);
    }
    return pan_check_extent(op, "x", rows, desc->inner);
}

pan_status pan_reduce_forward_workspace_size(pan_stream *stream, const pan_reduce_desc *desc, int64_t *bytes) {
    PAN_FRONT_SIZE(reduce_forward_workspace_size, check_reduce)
}

pan_status pan_reduce_forward(pan_stream *stream, const pan_reduce_desc *desc, const void *x, void *y, void *workspace,
                              int64_t workspace_bytes) {
    PAN_FRONT(reduce_forward)
    PAN_TRY(check_reduce(op, stream, desc));
    PAN_FRONT_WORKSPACE(reduce_forward_workspace_size)
    int64_t element = pan_element_bytes(desc->dtype);
    const pan_array arrays[] = {
        PAN_INPUT(x, desc->outer * desc->count * desc->inner * element),
        PAN_OUTPUT(y, desc->outer * desc->inner * element),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->reduce_forward(stream, desc, x, y, workspace, workspace_bytes);
}

pan_status pan_reduce_backward(pan_stream *stream, const pan_reduce_desc *desc, const void *x, const void *dy,
                               void *dx) {
    PAN_FRONT(reduce_backward)
    PAN_TRY(check_reduce(op, stream, desc));
    if (desc->kind == PAN_REDUCE_NONFINITE) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: PAN_REDUCE_NONFINITE has no gradient", op);
    }
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t bytes = desc->outer * desc->count * desc->inner * element;
    const pan_array arrays[] = {
        {.name = "x",
         .address = x,
         .bytes = bytes,
         .flags = desc->kind == PAN_REDUCE_SUM || desc->kind == PAN_REDUCE_MEAN ? PAN_ARRAY_OPTIONAL : PAN_ARRAY_INPUT},
        PAN_INPUT(dy, desc->outer * desc->inner * element),
        PAN_OUTPUT(dx, bytes),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->reduce_backward(stream, desc, x, dy, dx);
}

pan_status pan_adamw_step(pan_stream *stream, const pan_adamw_desc *desc, const pan_adamw_state *state,
                          float *parameters, const float *gradients, float *exp_avg, float *exp_avg_sq) {
    PAN_FRONT(adamw_step)
    int64_t real = pan_real_bytes(stream);
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, real == 8 ? PAN_F64 : PAN_F32));
    PAN_TRY(pan_check_reserved(op, desc->reserved));
    PAN_TRY(pan_check_size(op, "count", desc->count));
    int64_t bytes = desc->count * real;
    const pan_array arrays[] = {
        PAN_STATE_INPUT(state),     PAN_OUTPUT(parameters, bytes), PAN_INPUT(gradients, bytes),
        PAN_OUTPUT(exp_avg, bytes), PAN_OUTPUT(exp_avg_sq, bytes),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), real));
    return ops->adamw_step(stream, desc, state, parameters, gradients, exp_avg, exp_avg_sq);
}
