// Gating: an activation, a product and a sum in one pass over strided rows.
#include "activation.cuh"
#include "block.cuh"

namespace {

constexpr int64_t MAX_GRID_COLUMNS = 1024; // further columns are taken by the same blocks

// WIDTH neighbouring floats, moved by one instruction.
template <int WIDTH> struct alignas(WIDTH * sizeof(float)) pack { float lane[WIDTH]; };

struct gate_rows {
    int64_t rows;
    int64_t packs; // of a row
    int64_t a_stride, b_stride, c_stride, y_stride;
};

// Calls body(row, first channel) for every pack.
template <int WIDTH, typename Body> __device__ void for_each_pack(const gate_rows &shape, Body body) {
    const int64_t row_step = static_cast<int64_t>(gridDim.y) * blockDim.y;
    const int64_t pack_step = static_cast<int64_t>(gridDim.x) * blockDim.x;
    for (int64_t row = static_cast<int64_t>(blockIdx.y) * blockDim.y + threadIdx.y; row < shape.rows; row += row_step) {
        for (int64_t p = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; p < shape.packs; p += pack_step) {
            body(row, p * WIDTH);
        }
    }
}

template <int WIDTH> __device__ pack<WIDTH> read_pack(const float *x) {
    return *reinterpret_cast<const pack<WIDTH> *>(x);
}

template <int WIDTH> __device__ void write_pack(float *x, const pack<WIDTH> &value) {
    *reinterpret_cast<pack<WIDTH> *>(x) = value;
}

template <pan_activation KIND, int WIDTH>
__global__ void __launch_bounds__(BLOCK_THREADS)
    forward_kernel(gate_rows shape, const float *a, const float *b, const float *c, float *y) {
    for_each_pack<WIDTH>(shape, [=](int64_t row, int64_t channel) {
        const auto a_pack = read_pack<WIDTH>(a + row * shape.a_stride + channel);
        const auto b_pack = read_pack<WIDTH>(b + row * shape.b_stride + channel);
        pack<WIDTH> result{};
        if (c != nullptr) {
            result = read_pack<WIDTH>(c + row * shape.c_stride + channel);
        }
        for (int i = 0; i < WIDTH; i++) {
            const float gated = activate<KIND>(a_pack.lane[i]).value * b_pack.lane[i];
            result.lane[i] = c != nullptr ? gated + result.lane[i] : gated;
        }
        write_pack<WIDTH>(y + row * shape.y_stride + channel, result);
    });
}

template <pan_activation KIND, int WIDTH>
__global__ void __launch_bounds__(BLOCK_THREADS)
    backward_kernel(gate_rows shape, const float *a, const float *b, const float *dy, float *da, float *db) {
    for_each_pack<WIDTH>(shape, [=](int64_t row, int64_t channel) {
        const auto a_pack = read_pack<WIDTH>(a + row * shape.a_stride + channel);
        const auto b_pack = read_pack<WIDTH>(b + row * shape.b_stride + channel);
        const auto dy_pack = read_pack<WIDTH>(dy + row * shape.y_stride + channel);
        pack<WIDTH> a_gradient, b_gradient;
        for (int i = 0; i < WIDTH; i++) {
            const activation_value f = activate<KIND>(a_pack.lane[i]);
            a_gradient.lane[i] = f.slope * b_pack.lane[i] * dy_pack.lane[i];
            b_gradient.lane[i] = f.value * dy_pack.lane[i];
        }
        if (da != nullptr) {
            write_pack<WIDTH>(da + row * shape.a_stride + channel, a_gradient);
        }
        if (db != nullptr) {
            write_pack<WIDTH>(db + row * shape.b_stride + channel, b_gradient);
        }
    });
}

// Rows that follow each other without gaps are one long row.
gate_rows rows_of(const pan_gate_desc *desc, bool with_c) {
    const int64_t channels = desc->channels;
    const bool dense = desc->a_stride == channels && desc->b_stride == channels && desc->y_stride == channels &&
                       (!with_c || desc->c_stride == channels);
    return {dense ? 1 : desc->rows,
            dense ? desc->rows * channels : channels,
            desc->a_stride,
            desc->b_stride,
            with_c ? desc->c_stride : 0,
            desc->y_stride};
}

// Whether every row of every array can be moved in packs of four.
template <typename... Pointers> bool allows_packs(const gate_rows &shape, Pointers... addresses) {
    const bool aligned = ((reinterpret_cast<uintptr_t>(addresses) % (4 * sizeof(float)) == 0) && ...);
    const int64_t strides = shape.a_stride | shape.b_stride | shape.c_stride | shape.y_stride;
    return aligned && shape.packs % 4 == 0 && (shape.rows == 1 || strides % 4 == 0);
}

// Threads side by side cover a row, or as much of it as a block can; the block's other threads take further rows.
launch_shape shape_of(const gate_rows &shape) {
    unsigned across = 1;
    while (across < BLOCK_THREADS && across < shape.packs) {
        across *= 2;
    }
    const unsigned down = BLOCK_THREADS / across;
    const int64_t columns = (shape.packs + across - 1) / across;
    const int64_t rows = (shape.rows + down - 1) / down;
    // One long row needs more blocks side by side to fill the device.
    const int64_t most = shape.rows == 1 ? MAX_GRID_YZ : MAX_GRID_COLUMNS;
    return {dim3(static_cast<unsigned>(columns < most ? columns : most),
                 static_cast<unsigned>(rows < MAX_GRID_YZ ? rows : MAX_GRID_YZ)),
            dim3(across, down)};
}

} // namespace

pan_status cuda_gate_forward(pan_stream *stream, const pan_gate_desc *desc, const void *a, const void *b, const void *c,
                             void *y) {
    gate_rows shape = rows_of(desc, c != nullptr);
    const bool packed = allows_packs(shape, a, b, c, y);
    shape.packs /= packed ? 4 : 1;
    return with_activation(desc->activation, [&](auto kind) {
        const auto kernel =
            packed ? forward_kernel<decltype(kind)::value, 4> : forward_kernel<decltype(kind)::value, 1>;
        return launch(stream, "gate_forward", desc->rows, desc->channels, shape_of(shape), kernel, shape,
                      static_cast<const float *>(a), static_cast<const float *>(b), static_cast<const float *>(c),
                      static_cast<float *>(y));
    });
}

pan_status cuda_gate_backward(pan_stream *stream, const pan_gate_desc *desc, const void *a, const void *b,
                              const void *dy, void *da, void *db) {
    gate_rows shape = rows_of(desc, false);
    const bool packed = allows_packs(shape, a, b, dy, da, db);
    shape.packs /= packed ? 4 : 1;
    return with_activation(desc->activation, [&](auto kind) {
        const auto kernel =
            packed ? backward_kernel<decltype(kind)::value, 4> : backward_kernel<decltype(kind)::value, 1>;
        return launch(stream, "gate_backward", desc->rows, desc->channels, shape_of(shape), kernel, shape,
                      static_cast<const float *>(a), static_cast<const float *>(b), static_cast<const float *>(dy),
                      static_cast<float *>(da), static_cast<float *>(db));
    });
}
