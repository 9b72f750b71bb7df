// Rotary position embedding: a thread has one pair at one position, whose angle it computes once for several heads.
#include "block.cuh"

namespace {

constexpr int64_t GROUP_HEADS = 16; // of an example or of several

struct rotate_pairs {
    pan_rotary_desc desc;
    const int32_t *first_position; // may be NULL
    const float *x;
    float *y;

    __device__ void operator()(int64_t index) const {
        const int64_t half = desc.head_dim / 2;
        const int64_t i = index % half, t = index / half % desc.length, group = index / half / desc.length;
        const double position = static_cast<double>(t) + (first_position == nullptr ? 0 : *first_position);
        const double angle = position * pow(desc.base, -2.0 * static_cast<double>(i) / desc.head_dim);
        const auto cosine = static_cast<float>(cos(angle));
        const auto sine = static_cast<float>(desc.inverse ? -sin(angle) : sin(angle));
        const int64_t first = desc.interleaved ? 2 * i : i, second = desc.interleaved ? 2 * i + 1 : i + half;
        const int64_t heads = desc.batch * desc.heads;
        const int64_t end = (group + 1) * GROUP_HEADS < heads ? (group + 1) * GROUP_HEADS : heads;
        for (int64_t head = group * GROUP_HEADS; head < end; head++) {
            const int64_t b = head / desc.heads, h = head % desc.heads;
            const float *from = x + b * desc.x.batch_stride + t * desc.x.length_stride + h * desc.x.head_stride;
            float *to = y + b * desc.y.batch_stride + t * desc.y.length_stride + h * desc.y.head_stride;
            const float a = from[first], c = from[second];
            to[first] = a * cosine - c * sine;
            to[second] = c * cosine + a * sine;
        }
    }
};

} // namespace

pan_status cuda_rotary(pan_stream *stream, const pan_rotary_desc *desc, const int32_t *first_position, const void *x,
                       void *y) {
    const int64_t groups = ceil_div(desc->batch * desc->heads, GROUP_HEADS);
    return for_each(stream, "rotary", groups * desc->length, desc->head_dim / 2,
                    rotate_pairs{*desc, first_position, static_cast<const float *>(x), static_cast<float *>(y)});
}
