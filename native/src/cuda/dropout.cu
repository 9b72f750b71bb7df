// Dropout and drop path from a counter.
#include "../core/random.h"
#include "block.cuh"

namespace {

struct dropout_row {
    const pan_random_state *random;
    const float *x;
    float *y;
    int64_t channels, rows_per_example;
    uint64_t key;
    uint32_t threshold, path_threshold;
    float scale;

    template <int TEAM> __device__ void row(int64_t r) const {
        const auto example = static_cast<uint64_t>(r / rows_per_example);
        const bool keep_path = pan_random_path_bits(random, key, example) >= path_threshold;
        const uint64_t row_state = pan_random_row(random, key, static_cast<uint64_t>(r));
        for (int64_t c = threadIdx.x; c < channels; c += TEAM) {
            const bool keep = keep_path && pan_random_bits(row_state, static_cast<uint32_t>(c)) >= threshold;
            const int64_t i = r * channels + c;
            y[i] = x[i] * (keep ? scale : 0.0f);
        }
    }
};

} // namespace

pan_status cuda_dropout(pan_stream *stream, const pan_dropout_desc *desc, const pan_random_state *random, const void *x,
                        void *y) {
    const double kept = 1.0 / (1.0 - static_cast<double>(desc->probability));
    const double kept_paths = 1.0 / (1.0 - static_cast<double>(desc->path_probability));
    return for_each_row(stream, "dropout", desc->rows, desc->channels,
                        dropout_row{random, static_cast<const float *>(x), static_cast<float *>(y), desc->channels,
                                    desc->rows_per_example, desc->key, pan_random_threshold(desc->probability),
                                    pan_random_threshold(desc->path_probability),
                                    static_cast<float>(kept * kept_paths)});
}
