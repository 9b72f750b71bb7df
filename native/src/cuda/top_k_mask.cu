// The k largest elements of every row: the rank of the k-th largest is found bit by bit, then how far its equals are chosen.
#include "../core/float_rank.h"
#include "block.cuh"

namespace {

struct mask_row {
    const float *x;
    float *y;
    int64_t columns, k;

    // How many of the columns are as `wanted` says.
    template <int TEAM, typename Wanted> __device__ int64_t count(const float *from, Wanted wanted) const {
        int64_t found = 0;
        for (int64_t c = threadIdx.x; c < columns; c += TEAM) {
            found += wanted(pan_rank(from[c]), c) ? 1 : 0;
        }
        return team_reduce<TEAM>(found, plus());
    }

    template <int TEAM> __device__ void row(int64_t r) const {
        const float *from = x + r * columns;
        uint32_t last = 0;
        for (int bit = PAN_RANK_BITS - 1; bit >= 0; bit--) {
            const uint32_t higher = last | (1u << bit);
            const int64_t found = count<TEAM>(from, [=](uint32_t rank, int64_t) { return rank >= higher; });
            last = found >= k ? higher : last;
        }
        // Of the equals, those up to this column: as far on as fewer than wanted lie before.
        const int64_t equals = k - count<TEAM>(from, [=](uint32_t rank, int64_t) { return rank > last; });
        int64_t end = 0, step = 1;
        while (step < columns) {
            step *= 2;
        }
        for (; step > 0; step /= 2) {
            const int64_t further = end + step;
            const int64_t before =
                count<TEAM>(from, [=](uint32_t rank, int64_t c) { return rank == last && c < further; });
            end = before < equals ? further : end;
        }
        for (int64_t c = threadIdx.x; c < columns; c += TEAM) {
            const uint32_t rank = pan_rank(from[c]);
            y[r * columns + c] = rank > last || (rank == last && last > 0 && c <= end) ? 1.0f : 0.0f;
        }
    }
};

} // namespace

pan_status cuda_top_k_mask(pan_stream *stream, const pan_top_k_mask_desc *desc, const void *x, void *y) {
    return for_each_row(stream, "top_k_mask", desc->rows, desc->columns,
                        mask_row{static_cast<const float *>(x), static_cast<float *>(y), desc->columns, desc->k});
}
