// Convolutions by fast Fourier transforms, in the ring of cpu/fft.h: C[x] / (x^points - i), where the causal convolution of
// real signals is a real part and needs no padding. Spectra stay in the order in which decimation in frequency leaves
// them; arrays of complex numbers are (example, point, channel), channels contiguous.
//
// A block transforms some channels of a column in shared memory. Columns that do not fit are first split, four parts at a
// time, by passes over device memory, and joined by as many passes on the way back.
#ifndef PAN_CUDA_FFT_CUH
#define PAN_CUDA_FFT_CUH

#include "../core/long_conv_plan.h"
#include "block.cuh"

// ---- powers of two, by which columns are scaled exactly ----

constexpr int EXPONENT_MIN = -126, EXPONENT_MAX = 126, EXPONENT_BIAS = 127;
// The exponent of a column of zeros: none of its products needs room.
constexpr int EXPONENT_NONE = 4 * EXPONENT_MIN;

__device__ inline int clamp_exponent(int e, int low) {
    return e < low ? low : e > EXPONENT_MAX ? EXPONENT_MAX : e;
}

// e with 2^e <= largest < 2^(e + 1), within the range that power() can invert; 0 if that is not finite.
__device__ inline int exponent_of(float largest) {
    const int biased = __float_as_int(largest) >> 23 & 255;
    return biased == 255 ? 0 : clamp_exponent(biased - EXPONENT_BIAS, EXPONENT_MIN);
}

// 2^e for e in [EXPONENT_MIN, EXPONENT_MAX]; others count as the nearer end.
__device__ inline float power(int e) {
    return __int_as_float((clamp_exponent(e, EXPONENT_MIN) + EXPONENT_BIAS) << 23);
}

// 2^e for e <= EXPONENT_MAX; 0 for one below EXPONENT_MIN.
__device__ inline float power_or_zero(int e) {
    return e < EXPONENT_MIN ? 0.0f : power(e);
}

// ---- complex numbers ----

__device__ inline float2 add(float2 a, float2 b) {
    return make_float2(a.x + b.x, a.y + b.y);
}

__device__ inline float2 subtract(float2 a, float2 b) {
    return make_float2(a.x - b.x, a.y - b.y);
}

// i a
__device__ inline float2 turn(float2 a) {
    return make_float2(-a.y, a.x);
}

__device__ inline float2 multiply(float2 a, float2 b) {
    return make_float2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

// a times the conjugate of b
__device__ inline float2 multiply_conjugate(float2 a, float2 b) {
    return make_float2(a.x * b.x + a.y * b.y, a.y * b.x - a.x * b.y);
}

// Transform of four points: x[k] = sum_j (-i)^(j k) x[j].
__device__ inline void split_points(float2 (&x)[4]) {
    const float2 even_sum = add(x[0], x[2]), even_difference = subtract(x[0], x[2]);
    const float2 odd_sum = add(x[1], x[3]), odd_difference = turn(subtract(x[1], x[3]));
    x[0] = add(even_sum, odd_sum);
    x[1] = subtract(even_difference, odd_difference);
    x[2] = subtract(even_sum, odd_sum);
    x[3] = add(even_difference, odd_difference);
}

// Its inverse, times 4.
__device__ inline void join_points(float2 (&x)[4]) {
    const float2 even_sum = add(x[0], x[2]), even_difference = subtract(x[0], x[2]);
    const float2 odd_sum = add(x[1], x[3]), odd_difference = turn(subtract(x[1], x[3]));
    x[0] = add(even_sum, odd_sum);
    x[1] = add(even_difference, odd_difference);
    x[2] = subtract(even_sum, odd_sum);
    x[3] = subtract(even_difference, odd_difference);
}

// ---- how a plan's transforms are cut ----

struct fft_shape {
    int64_t channels;
    int64_t points;        // of a column
    int inner;             // points of a part that is transformed in shared memory
    int width;             // channels of a block
    const float2 *twist;   // exp(i pi j / (2 points))
    const float2 *twiddle; // exp(-2 pi i j / points)
};

constexpr int FFT_THREADS = 256;
constexpr int FFT_NARROWEST = 4; // channels of a block; 32 bytes of complex numbers
constexpr int FFT_WIDEST = 32;
constexpr size_t FFT_SHARED_GOAL = 48 << 10; // lets several blocks share a multiprocessor

inline size_t shared_bytes_of(const fft_shape &shape) {
    return static_cast<size_t>(shape.inner) * shape.width * sizeof(float2);
}

inline fft_shape shape_of(const pan_stream *stream, const pan_long_conv_plan *plan) {
    const auto limit = static_cast<size_t>(state_of(stream)->device->shared_bytes);
    fft_shape shape = {plan->desc.channels,
                       plan->points,
                       0,
                       FFT_NARROWEST,
                       reinterpret_cast<const float2 *>(plan->twist),
                       reinterpret_cast<const float2 *>(plan->twiddle)};
    int64_t inner = plan->points;
    while (static_cast<size_t>(inner) * FFT_NARROWEST * sizeof(float2) > limit) {
        inner /= 4;
    }
    shape.inner = static_cast<int>(inner);
    while (shape.width < FFT_WIDEST && shape.width < shape.channels && 2 * shared_bytes_of(shape) <= FFT_SHARED_GOAL) {
        shape.width *= 2;
    }
    return shape;
}

inline bool fits_in_shared(const fft_shape &shape) {
    return shape.inner == shape.points;
}

// ---- where transforms begin and end ----

// A stored array of complex numbers.
struct stored_points {
    float2 *z;
    int64_t points, channels;

    __device__ float2 &at(int64_t example, int64_t point, int64_t channel) const {
        return z[(example * points + point) * channels + channel];
    }
    __device__ float2 load(int64_t example, int64_t point, int64_t channel) const {
        return at(example, point, channel);
    }
    __device__ void store(int64_t example, int64_t point, int64_t channel, float2 value) const {
        at(example, point, channel) = value;
    }
};

inline stored_points stored_at(const fft_shape &shape, void *z) {
    return {static_cast<float2 *>(z), shape.points, shape.channels};
}

// A real column, scaled and twisted; Column has at(example, position, channel), `count` and exponent(example, channel).
template <typename Column> struct column_source {
    Column column;
    const float2 *twist;

    __device__ float2 load(int64_t example, int64_t point, int64_t channel) const {
        if (point >= column.count) {
            return make_float2(0.0f, 0.0f);
        }
        const float value = column.at(example, point, channel) * power(-column.exponent(example, channel));
        return make_float2(value * twist[point].x, value * twist[point].y);
    }
};

// The real column of a restored transform; Result has `count`, exponent(example, channel) and
// finish(example, position, channel, value).
template <typename Result> struct column_sink {
    Result result;
    const float2 *twist;

    // In two steps, because 2^exponent need not be a float even where the result is.
    __device__ void store(int64_t example, int64_t point, int64_t channel, float2 value) const {
        if (point < result.count) {
            const int exponent = result.exponent(example, channel);
            const float real = value.x * twist[point].x + value.y * twist[point].y;
            result.finish(example, point, channel, real * power(exponent >> 1) * power(exponent - (exponent >> 1)));
        }
    }
};

// ---- passes over device memory ----

// The four points of a butterfly that starts `part` points of n each and `within` points in.
struct butterfly {
    int64_t example, channel, first, within, quarter, step;
};

__device__ inline butterfly butterfly_at(const fft_shape &shape, int64_t n, int64_t i) {
    const int64_t channel = i % shape.channels, rest = i / shape.channels;
    const int64_t each = shape.points / 4, quarter = n / 4;
    const int64_t j = rest % each;
    return {rest / each, channel, j / quarter * n + j % quarter, j % quarter, quarter, shape.points / n};
}

template <typename Source> struct split_pass {
    fft_shape shape;
    int64_t n;
    Source source;
    stored_points target;

    __device__ void operator()(int64_t i) const {
        const butterfly b = butterfly_at(shape, n, i);
        float2 x[4];
#pragma unroll
        for (int q = 0; q < 4; q++) {
            x[q] = source.load(b.example, b.first + q * b.quarter, b.channel);
        }
        split_points(x);
        target.store(b.example, b.first, b.channel, x[0]);
#pragma unroll
        for (int q = 1; q < 4; q++) {
            target.store(b.example, b.first + q * b.quarter, b.channel,
                         multiply(x[q], shape.twiddle[q * b.within * b.step]));
        }
    }
};

template <typename Sink> struct join_pass {
    fft_shape shape;
    int64_t n;
    stored_points source;
    Sink sink;

    __device__ void operator()(int64_t i) const {
        const butterfly b = butterfly_at(shape, n, i);
        float2 x[4];
        x[0] = source.load(b.example, b.first, b.channel);
#pragma unroll
        for (int q = 1; q < 4; q++) {
            x[q] = multiply_conjugate(source.load(b.example, b.first + q * b.quarter, b.channel),
                                      shape.twiddle[q * b.within * b.step]);
        }
        join_points(x);
#pragma unroll
        for (int q = 0; q < 4; q++) {
            sink.store(b.example, b.first + q * b.quarter, b.channel, x[q]);
        }
    }
};

// ---- transforms in shared memory ----

// A stage over n points: butterfly(z of the first of its points, within, quarter) for each butterfly and channel.
template <typename Body> __device__ void for_each_butterfly(const fft_shape &shape, float2 *z, int n, Body body) {
    const int quarter = n / 4;
    for (int i = static_cast<int>(threadIdx.x); i < shape.inner / 4 * shape.width; i += FFT_THREADS) {
        const int lane = i % shape.width, j = i / shape.width;
        body(z + (j / quarter * n + j % quarter) * shape.width + lane, j % quarter, quarter * shape.width);
    }
    __syncthreads();
}

// The innermost stage has two points where the number of points is an odd power of two. It is its own inverse, times 2.
__device__ inline void innermost_pairs(const fft_shape &shape, float2 *z) {
    for (int i = static_cast<int>(threadIdx.x); i < shape.inner / 2 * shape.width; i += FFT_THREADS) {
        float2 *pair = z + i / shape.width * 2 * shape.width + i % shape.width;
        const float2 first = pair[0], second = pair[shape.width];
        pair[0] = add(first, second);
        pair[shape.width] = subtract(first, second);
    }
    __syncthreads();
}

__device__ inline void transform_shared(const fft_shape &shape, float2 *z) {
    int n = shape.inner;
    for (; n >= 4; n /= 4) {
        const int64_t step = shape.points / n;
        for_each_butterfly(shape, z, n, [&](float2 *at, int within, int quarter) {
            float2 x[4] = {at[0], at[quarter], at[2 * quarter], at[3 * quarter]};
            split_points(x);
            at[0] = x[0];
#pragma unroll
            for (int q = 1; q < 4; q++) {
                at[q * quarter] = multiply(x[q], shape.twiddle[q * within * step]);
            }
        });
    }
    if (n == 2) {
        innermost_pairs(shape, z);
    }
}

__device__ inline void restore_shared(const fft_shape &shape, float2 *z) {
    int n = 4;
    if (__popc(static_cast<unsigned>(shape.inner - 1)) % 2 != 0) {
        innermost_pairs(shape, z);
        n = 8;
    }
    for (; n <= shape.inner; n *= 4) {
        const int64_t step = shape.points / n;
        for_each_butterfly(shape, z, n, [&](float2 *at, int within, int quarter) {
            float2 x[4];
            x[0] = at[0];
#pragma unroll
            for (int q = 1; q < 4; q++) {
                x[q] = multiply_conjugate(at[q * quarter], shape.twiddle[q * within * step]);
            }
            join_points(x);
#pragma unroll
            for (int q = 0; q < 4; q++) {
                at[q * quarter] = x[q];
            }
        });
    }
}

// What is done to a column's spectrum, point by point.
struct keep_spectrum {
    __device__ float2 operator()(float2 z, int64_t, int64_t) const {
        return z;
    }
};

// Times a spectrum (point, channel), or its conjugate.
template <bool CONJUGATE> struct times_spectrum {
    const float2 *h;
    int64_t channels;

    __device__ float2 operator()(float2 z, int64_t point, int64_t channel) const {
        const float2 factor = h[point * channels + channel];
        return CONJUGATE ? multiply_conjugate(z, factor) : multiply(z, factor);
    }
};

// Whether a part comes as a spectrum, and whether it leaves as one.
enum fft_direction { FFT_TRANSFORM = 1, FFT_RESTORE = 2 };

template <int DIRECTIONS, typename Source, typename Middle, typename Sink>
__global__ void __launch_bounds__(FFT_THREADS)
    inner_kernel(fft_shape shape, int64_t parts, Source source, Middle middle, Sink sink) {
    DYNAMIC_SHARED(float2, z);
    const int64_t column_parts = shape.points / shape.inner;
    const int64_t first_channel = static_cast<int64_t>(blockIdx.y) * shape.width;
    for (int64_t part = blockIdx.x; part < parts; part += gridDim.x) {
        const int64_t example = part / column_parts, first = part % column_parts * shape.inner;
        for (int i = static_cast<int>(threadIdx.x); i < shape.inner * shape.width; i += FFT_THREADS) {
            const int64_t channel = first_channel + i % shape.width;
            z[i] = channel < shape.channels ? source.load(example, first + i / shape.width, channel)
                                            : make_float2(0.0f, 0.0f);
        }
        __syncthreads();
        if constexpr ((DIRECTIONS & FFT_TRANSFORM) != 0) {
            transform_shared(shape, z);
        }
        for (int i = static_cast<int>(threadIdx.x); i < shape.inner * shape.width; i += FFT_THREADS) {
            const int64_t channel = first_channel + i % shape.width;
            z[i] = middle(z[i], first + i / shape.width, channel < shape.channels ? channel : 0);
        }
        __syncthreads();
        if constexpr ((DIRECTIONS & FFT_RESTORE) != 0) {
            restore_shared(shape, z);
        }
        for (int i = static_cast<int>(threadIdx.x); i < shape.inner * shape.width; i += FFT_THREADS) {
            const int64_t channel = first_channel + i % shape.width;
            if (channel < shape.channels) {
                sink.store(example, first + i / shape.width, channel, z[i]);
            }
        }
        __syncthreads();
    }
}

// ---- transforms of any size ----

template <int DIRECTIONS, typename Source, typename Middle, typename Sink>
pan_status inner_parts(const pan_stream *stream, const char *op, const fft_shape &shape, int64_t examples,
                       const Source &source, const Middle &middle, const Sink &sink) {
    const int64_t parts = examples * (shape.points / shape.inner);
    const int64_t across = ceil_div(shape.channels, shape.width);
    if (across > MAX_GRID_YZ) {
        return pan_cuda_fail(PAN_UNSUPPORTED, "%s: channels is %lld; this kernel takes at most %lld", op,
                             static_cast<long long>(shape.channels), static_cast<long long>(MAX_GRID_YZ * shape.width));
    }
    return launch(stream, op, examples * shape.points, shape.channels,
                  {dim3(blocks_for(parts), static_cast<unsigned>(across)), dim3(FFT_THREADS), shared_bytes_of(shape)},
                  inner_kernel<DIRECTIONS, Source, Middle, Sink>, shape, parts, source, middle, sink);
}

// Passes of one kind over the columns of `examples`.
template <typename Pass>
pan_status pass(const pan_stream *stream, const char *op, const fft_shape &shape, int64_t examples, const Pass &body) {
    return for_each(stream, op, examples * (shape.points / 4), shape.channels, body);
}

template <typename Source>
pan_status split_columns(const pan_stream *stream, const char *op, const fft_shape &shape, int64_t examples,
                         const Source &source, const stored_points &z) {
    CUDA_TRY(pass(stream, op, shape, examples, split_pass<Source>{shape, shape.points, source, z}));
    for (int64_t n = shape.points / 4; n > shape.inner; n /= 4) {
        CUDA_TRY(pass(stream, op, shape, examples, split_pass<stored_points>{shape, n, z, z}));
    }
    return PAN_OK;
}

template <typename Sink>
pan_status join_columns(const pan_stream *stream, const char *op, const fft_shape &shape, int64_t examples,
                        const stored_points &z, const Sink &sink) {
    for (int64_t n = 4 * static_cast<int64_t>(shape.inner); n < shape.points; n *= 4) {
        CUDA_TRY(pass(stream, op, shape, examples, join_pass<stored_points>{shape, n, z, z}));
    }
    return pass(stream, op, shape, examples, join_pass<Sink>{shape, shape.points, z, sink});
}

// z becomes the spectra of the source's columns.
template <typename Source>
pan_status transform_columns(const pan_stream *stream, const char *op, const fft_shape &shape, int64_t examples,
                             const Source &source, const stored_points &z) {
    if (fits_in_shared(shape)) {
        return inner_parts<FFT_TRANSFORM>(stream, op, shape, examples, source, keep_spectrum(), z);
    }
    CUDA_TRY(split_columns(stream, op, shape, examples, source, z));
    return inner_parts<FFT_TRANSFORM>(stream, op, shape, examples, z, keep_spectrum(), z);
}

// The sink gets the columns of the spectra z after `middle`; z is used up.
template <typename Middle, typename Sink>
pan_status restore_columns(const pan_stream *stream, const char *op, const fft_shape &shape, int64_t examples,
                           const stored_points &z, const Middle &middle, const Sink &sink) {
    if (fits_in_shared(shape)) {
        return inner_parts<FFT_RESTORE>(stream, op, shape, examples, z, middle, sink);
    }
    CUDA_TRY(inner_parts<FFT_RESTORE>(stream, op, shape, examples, z, middle, z));
    return join_columns(stream, op, shape, examples, z, sink);
}

// Both at once. z is scratch memory, which columns that fit into shared memory do not need.
template <typename Source, typename Middle, typename Sink>
pan_status convolve_columns(const pan_stream *stream, const char *op, const fft_shape &shape, int64_t examples,
                            const Source &source, const Middle &middle, const Sink &sink, const stored_points &z) {
    constexpr int BOTH = FFT_TRANSFORM | FFT_RESTORE;
    if (fits_in_shared(shape)) {
        return inner_parts<BOTH>(stream, op, shape, examples, source, middle, sink);
    }
    CUDA_TRY(split_columns(stream, op, shape, examples, source, z));
    CUDA_TRY(inner_parts<BOTH>(stream, op, shape, examples, z, middle, z));
    return join_columns(stream, op, shape, examples, z, sink);
}

#endif
