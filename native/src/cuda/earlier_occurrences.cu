// How often a position's token has occurred before it. A team looks through what came before the position.
#include "block.cuh"

namespace {

struct count_row {
    int64_t length, ids_stride, count;
    const int32_t *ids;
    float *y;

    template <int TEAM> __device__ void row(int64_t r) const {
        const int32_t *sequence = ids + r / count * ids_stride;
        const int64_t t = length - count + r % count;
        int earlier = 0;
        for (int64_t s = threadIdx.x; s < t; s += TEAM) {
            earlier += sequence[s] == sequence[t];
        }
        earlier = team_reduce<TEAM>(earlier, plus());
        if (threadIdx.x == 0) {
            y[r] = static_cast<float>(earlier);
        }
    }
};

} // namespace

pan_status cuda_earlier_occurrences_workspace_size(pan_stream *, const pan_earlier_occurrences_desc *, int64_t *bytes) {
    *bytes = 0;
    return PAN_OK;
}

pan_status cuda_earlier_occurrences(pan_stream *stream, const pan_earlier_occurrences_desc *desc, const int32_t *ids,
                                    void *y, void *, int64_t) {
    return for_each_row(stream, "earlier_occurrences", desc->batch * desc->count, desc->length,
                        count_row{desc->length, desc->ids_stride, desc->count, ids, static_cast<float *>(y)});
}
