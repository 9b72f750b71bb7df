// The filter of a shift state space: a correlation of two arrays for every channel, summed in double.
#include "block.cuh"

namespace {

// A thread has a tap, and neighbouring threads neighbouring channels, as the filter lies in memory.
struct filter_tap {
    int64_t channels, size;
    const float *b, *c;
    float *filter;

    __device__ void operator()(int64_t i) const {
        const int64_t l = i / channels, first = i % channels * size;
        double sum = 0.0;
        for (int64_t n = 0; n + l < size; n++) {
            sum += static_cast<double>(b[first + n]) * c[first + n + l];
        }
        filter[i] = static_cast<float>(sum);
    }
};

// A thread has a place of a channel's state, and neighbouring threads neighbouring places.
struct state_gradient {
    int64_t channels, size, taps;
    const float *b, *c, *dfilter;
    float *db, *dc;

    __device__ void operator()(int64_t i) const {
        const int64_t h = i / size, n = i % size;
        double b_sum = 0.0, c_sum = 0.0;
        for (int64_t l = 0; l < taps; l++) {
            const double weight = dfilter[l * channels + h];
            b_sum += n + l < size ? weight * c[i + l] : 0.0;
            c_sum += l <= n ? weight * b[i - l] : 0.0;
        }
        if (db != nullptr) {
            db[i] = static_cast<float>(db[i] + b_sum);
        }
        if (dc != nullptr) {
            dc[i] = static_cast<float>(dc[i] + c_sum);
        }
    }
};

} // namespace

pan_status cuda_shift_ssm_forward(pan_stream *stream, const pan_shift_ssm_desc *desc, const float *b, const float *c,
                                  float *filter) {
    return for_each(stream, "shift_ssm_forward", desc->length, desc->channels,
                    filter_tap{desc->channels, desc->state_size, b, c, filter});
}

pan_status cuda_shift_ssm_backward(pan_stream *stream, const pan_shift_ssm_desc *desc, const float *b, const float *c,
                                   const float *dfilter, float *db, float *dc) {
    const int64_t taps = desc->state_size < desc->length ? desc->state_size : desc->length;
    return for_each(stream, "shift_ssm_backward", desc->channels, desc->state_size,
                    state_gradient{desc->channels, desc->state_size, taps, b, c, dfilter, db, dc});
}
