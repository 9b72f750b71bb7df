// The RWKV-4 recurrence and its gradient. A thread walks over a channel of an example, from one end to the other; see
// cpu/wkv.h and cpu/wkv_backward.c for how exponents are kept and what the gradient is made of.
#include "block.cuh"

namespace {

// Small blocks, because there are no more threads than channels of the batch: they are to reach all multiprocessors.
constexpr int COLUMN_THREADS = WARP_THREADS;
constexpr int READ_AHEAD = 8; // positions that are read before the first of them is needed
constexpr int BLOCK_POSITIONS = 16;
constexpr float LEAST_EXPONENT = -1e38f;
constexpr int STATE_ROWS = 3;

// base - decays * rate
struct wkv_exponent {
    float base, decays;
};

// By how much weights may exceed that of the exponent which they are relative to.
constexpr float MARGIN = 16.0f;

// Two weights, relative to the first exponent or, where that is larger by more than the margin, to the second.
struct wkv_weights {
    bool by_second;
    float first, second;

    __device__ explicit wkv_weights(float second_minus_first)
        : by_second(second_minus_first > MARGIN), first(1.0f), second(1.0f) {
        const float other = expf(by_second ? -second_minus_first : second_minus_first);
        (by_second ? first : second) = other;
    }
};

__device__ float quotient(float a, float b) {
    return b == 0.0f ? 0.0f : a / b;
}

// A channel of an example.
struct column {
    int64_t example, channel;
    int64_t begin; // of its first position in the arrays
    int64_t length, step;
    float rate, bonus;
};

struct wkv_arrays {
    const float *k, *v, *decay, *first;
    int64_t batch, length, channels;

    __device__ column at(int64_t i) const {
        const int64_t example = i / channels, channel = i % channels;
        const float bounded = decay[channel] > 69.0f ? 69.0f : decay[channel]; // NaN for NaN
        const double rate = exp(static_cast<double>(bounded));
        return {example,       channel,  example * length * channels + channel,
                length,        channels, static_cast<float>(rate),
                first[channel]};
    }
};

wkv_arrays arrays_of(const pan_wkv_desc *desc, const void *k, const void *v, const float *decay, const float *first) {
    return {static_cast<const float *>(k),
            static_cast<const float *>(v),
            decay,
            first,
            desc->batch,
            desc->length,
            desc->channels};
}

template <typename Body> __global__ void __launch_bounds__(COLUMN_THREADS) column_kernel(wkv_arrays arrays, Body body) {
    const int64_t step = static_cast<int64_t>(gridDim.x) * COLUMN_THREADS;
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * COLUMN_THREADS + threadIdx.x;
         i < arrays.batch * arrays.channels; i += step) {
        body(arrays.at(i));
    }
}

// body(column) for every channel of every example.
template <typename Body>
pan_status for_each_column(const pan_stream *stream, const char *op, const wkv_arrays &arrays, Body body) {
    return launch(stream, op, arrays.batch * arrays.length, arrays.channels,
                  {blocks_for(ceil_div(arrays.batch * arrays.channels, COLUMN_THREADS)), COLUMN_THREADS},
                  column_kernel<Body>, arrays, body);
}

// ---- forward ----

struct sums {
    float numerator, denominator;
    wkv_exponent exponent;

    __device__ float take(const column &column, float k, float v) {
        const float ahead = k - exponent.base;
        const wkv_weights now((ahead + column.rate * exponent.decays) + column.bonus);
        const float y = quotient(now.first * numerator + now.second * v, now.first * denominator + now.second);
        const float decays = exponent.decays + 1.0f;
        const wkv_weights later(ahead + column.rate * decays);
        numerator = later.first * numerator + later.second * v;
        denominator = later.first * denominator + later.second;
        exponent = later.by_second ? wkv_exponent{k, 0.0f} : wkv_exponent{exponent.base, decays};
        return y;
    }
};

struct walk_column {
    const float *k, *v, *initial_state;
    float *y, *final_state;

    __device__ void operator()(const column &column) const {
        const int64_t state = column.example * STATE_ROWS * column.step + column.channel;
        sums s = {0.0f, 0.0f, {LEAST_EXPONENT, 0.0f}};
        if (initial_state != nullptr && initial_state[state + column.step] != 0.0f) {
            s = {initial_state[state],
                 initial_state[state + column.step],
                 {initial_state[state + 2 * column.step], 0.0f}};
        }
        for (int64_t first = 0; first < column.length; first += READ_AHEAD) {
            float keys[READ_AHEAD], values[READ_AHEAD];
#pragma unroll
            for (int i = 0; i < READ_AHEAD; i++) {
                const int64_t at = column.begin + (first + i) * column.step;
                const bool exists = first + i < column.length;
                keys[i] = exists ? k[at] : 0.0f;
                values[i] = exists ? v[at] : 0.0f;
            }
#pragma unroll
            for (int i = 0; i < READ_AHEAD; i++) {
                if (first + i < column.length) {
                    y[column.begin + (first + i) * column.step] = s.take(column, keys[i], values[i]);
                }
            }
        }
        if (final_state != nullptr) {
            store(s, column, state);
        }
    }

    // What rounding to a float cuts off the exponent goes into the sums.
    __device__ void store(const sums &s, const column &column, int64_t state) const {
        const double exact = s.exponent.base - static_cast<double>(s.exponent.decays) * column.rate;
        const float rounded = fmaxf(static_cast<float>(exact), LEAST_EXPONENT);
        const float rest = static_cast<float>(exact - rounded);
        const float growth = fabsf(rest) < 1e-3f ? rest : 0.0f;
        final_state[state] = s.numerator + s.numerator * growth;
        final_state[state + column.step] = s.denominator + s.denominator * growth;
        final_state[state + 2 * column.step] = rounded;
    }
};

// ---- backward ----

// Sums over the positions so far.
struct past {
    wkv_exponent exponent;
    float mean;
    float weight;
    float age;     // sum of weight * decays
    float leaning; // sum of weight * decays * (value - mean)

    __device__ void pass(const column &column, float k, float v) {
        const float decays = exponent.decays + 1.0f;
        const wkv_weights later((k - exponent.base) + column.rate * decays);
        age = later.first * (age + weight);
        weight = later.first * weight + later.second;
        const float step = quotient(later.second, weight) * (v - mean);
        leaning = later.first * leaning - step * age;
        mean += step;
        exponent = later.by_second ? wkv_exponent{k, 0.0f} : wkv_exponent{exponent.base, decays};
    }
};

struct parameter_terms {
    double decay, first;
};

// What is kept of an output.
struct output {
    float gradient; // dy / denominator
    float mean;     // y
    float own;      // share * dy: of the value of the same position
    wkv_exponent exponent;
};

__device__ output output_at(const column &column, const past &past, float k, float v, float dy,
                            parameter_terms &terms) {
    const wkv_weights now(((k - past.exponent.base) + column.rate * past.exponent.decays) + column.bonus);
    const float before = now.first * past.weight;
    const float scale = quotient(1.0f, before + now.second);
    const float share = now.second * scale;
    const float step = share * (v - past.mean);
    const float gradient = dy * scale;
    terms.first += dy * step * (before * scale);
    terms.decay -= column.rate * (gradient * now.first * (past.leaning - step * past.age));
    wkv_exponent exponent = now.by_second ? wkv_exponent{k + column.bonus, 0.0f} : past.exponent;
    if (scale == 0.0f) { // nothing has weight: no exponent either
        exponent.base = -LEAST_EXPONENT;
    }
    return {gradient, past.mean + step, dy * share, exponent};
}

// Sums over the later outputs, relative to the exponential of -base + decays * rate.
struct future {
    wkv_exponent exponent;
    float gradient, product;

    __device__ void add(const column &column, const output &output) {
        const float decays = exponent.decays - 1.0f;
        const wkv_weights weights((exponent.base - output.exponent.base) +
                                  column.rate * (output.exponent.decays - decays));
        gradient = weights.first * gradient + weights.second * output.gradient;
        product = weights.first * product + weights.second * (output.gradient * output.mean);
        exponent = weights.by_second ? output.exponent : wkv_exponent{exponent.base, decays};
    }
};

struct walk_back {
    const float *k, *v, *dy;
    float *dk, *dv;  // may be NULL
    past *before;    // (blocks of positions, batch, channels)
    double *partial; // (2, batch, channels): of ddecay and of dfirst
    int64_t columns; // batch * channels

    __device__ void operator()(const column &column) const {
        const int64_t index = column.example * column.step + column.channel;
        keep_states(column, index);
        future future = {{-LEAST_EXPONENT, 0.0f}, 0.0f, 0.0f};
        parameter_terms terms = {0.0, 0.0};
        for (int64_t block = (column.length - 1) / BLOCK_POSITIONS; block >= 0; block--) {
            output outputs[BLOCK_POSITIONS];
            past past = before[block * columns + index];
            const int64_t first = block * BLOCK_POSITIONS;
            const int64_t left = column.length - first;
            const int count = left < BLOCK_POSITIONS ? static_cast<int>(left) : BLOCK_POSITIONS;
            for (int i = 0; i < count; i++) {
                const int64_t at = column.begin + (first + i) * column.step;
                outputs[i] = output_at(column, past, k[at], v[at], dy[at], terms);
                past.pass(column, k[at], v[at]);
            }
            for (int i = count - 1; i >= 0; i--) {
                pass_back(column, column.begin + (first + i) * column.step, outputs[i], future);
            }
        }
        partial[index] = terms.decay;
        partial[columns + index] = terms.first;
    }

    // The state before each block.
    __device__ void keep_states(const column &column, int64_t index) const {
        past past = {{LEAST_EXPONENT, 0.0f}, 0.0f, 0.0f, 0.0f, 0.0f};
        for (int64_t t = 0; t < column.length; t++) {
            if (t % BLOCK_POSITIONS == 0) {
                before[t / BLOCK_POSITIONS * columns + index] = past;
            }
            const int64_t at = column.begin + t * column.step;
            past.pass(column, k[at], v[at]);
        }
    }

    __device__ void pass_back(const column &column, int64_t at, const output &output, future &future) const {
        const float weight = expf((k[at] - future.exponent.base) + column.rate * future.exponent.decays);
        if (dv != nullptr) {
            dv[at] = weight * future.gradient + output.own;
        }
        if (dk != nullptr) {
            dk[at] = weight * (v[at] * future.gradient - future.product) + output.own * (v[at] - output.mean);
        }
        future.add(column, output);
    }
};

// target[c] += the sum over the examples
struct add_examples {
    const double *partial;
    int64_t batch, channels;
    float *target;

    __device__ void operator()(int64_t c) const {
        double sum = 0.0;
        for (int64_t example = 0; example < batch; example++) {
            sum += partial[example * channels + c];
        }
        target[c] = static_cast<float>(target[c] + sum);
    }
};

int64_t partial_bytes(const pan_wkv_desc *desc) {
    return align_up(2 * desc->batch * desc->channels * static_cast<int64_t>(sizeof(double)));
}

} // namespace

pan_status cuda_wkv_forward(pan_stream *stream, const pan_wkv_desc *desc, const void *k, const void *v,
                            const float *decay, const float *first, const float *initial_state, void *y,
                            float *final_state) {
    const wkv_arrays arrays = arrays_of(desc, k, v, decay, first);
    return for_each_column(stream, "wkv_forward", arrays,
                           walk_column{arrays.k, arrays.v, initial_state, static_cast<float *>(y), final_state});
}

pan_status cuda_wkv_backward_workspace_size(pan_stream *, const pan_wkv_desc *desc, int64_t *bytes) {
    const int64_t states = ceil_div(desc->length, BLOCK_POSITIONS) * desc->batch * desc->channels;
    *bytes = partial_bytes(desc) + states * static_cast<int64_t>(sizeof(past));
    return PAN_OK;
}

pan_status cuda_wkv_backward(pan_stream *stream, const pan_wkv_desc *desc, const void *k, const void *v,
                             const float *decay, const float *first, const void *dy, void *dk, void *dv, float *ddecay,
                             float *dfirst, void *workspace, int64_t) {
    static const char op[] = "wkv_backward";
    const wkv_arrays arrays = arrays_of(desc, k, v, decay, first);
    const int64_t columns = desc->batch * desc->channels;
    auto *partial = static_cast<double *>(workspace);
    auto *before = reinterpret_cast<past *>(static_cast<char *>(workspace) + partial_bytes(desc));
    CUDA_TRY(for_each_column(stream, op, arrays,
                             walk_back{arrays.k, arrays.v, static_cast<const float *>(dy), static_cast<float *>(dk),
                                       static_cast<float *>(dv), before, partial, columns}));
    if (ddecay != nullptr) {
        CUDA_TRY(for_each(stream, op, 1, desc->channels, add_examples{partial, desc->batch, desc->channels, ddecay}));
    }
    if (dfirst != nullptr) {
        CUDA_TRY(for_each(stream, op, 1, desc->channels,
                          add_examples{partial + columns, desc->batch, desc->channels, dfirst}));
    }
    return PAN_OK;
}
