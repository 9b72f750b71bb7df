// Cumulative sums along the middle dimension of (outer, count, inner), kept in double.
#include "block.cuh"

namespace {

struct cumulative_sum {
    int64_t count, inner;
    bool reverse;
    const float *x;
    float *y;

    // Where entry k, in the order of summation, of result (o, i) lies.
    __device__ int64_t place(int64_t result, int64_t k) const {
        const int64_t entry = reverse ? count - 1 - k : k;
        return (result / inner * count + entry) * inner + result % inner;
    }

    // Where neighbouring sums lie side by side, a thread for each.
    __device__ void operator()(int64_t result) const {
        double sum = 0.0;
        for (int64_t k = 0; k < count; k++) {
            const int64_t at = place(result, k);
            sum += x[at];
            y[at] = static_cast<float>(sum);
        }
    }

    // Else a warp: a lane adds up what lies between it and the first lane, and all add what came before.
    template <int TEAM> __device__ void row(int64_t result) const {
        static_assert(TEAM == WARP_THREADS, "lanes exchange their sums");
        const int lane = static_cast<int>(threadIdx.x);
        double before = 0.0;
        for (int64_t first = 0; first < count; first += TEAM) {
            const int64_t k = first + lane, at = k < count ? place(result, k) : 0;
            double sum = k < count ? x[at] : 0.0;
            for (int distance = 1; distance < TEAM; distance *= 2) {
                const double earlier = __shfl_up_sync(WHOLE_WARP, sum, distance);
                sum += lane < distance ? 0.0 : earlier;
            }
            sum += before;
            if (k < count) {
                y[at] = static_cast<float>(sum);
            }
            before = __shfl_sync(WHOLE_WARP, sum, TEAM - 1);
        }
    }
};

} // namespace

pan_status cuda_cumulative_sum(pan_stream *stream, const pan_cumulative_sum_desc *desc, const void *x, void *y) {
    static const char op[] = "cumulative_sum";
    constexpr int WARPS = BLOCK_THREADS / WARP_THREADS;
    const cumulative_sum job = {desc->count, desc->inner, desc->reverse != 0, static_cast<const float *>(x),
                                static_cast<float *>(y)};
    const int64_t results = desc->outer * desc->inner;
    if (desc->inner >= WARP_THREADS) {
        return for_each(stream, op, desc->outer, desc->inner, job);
    }
    return launch(stream, op, results, desc->count, {blocks_for(ceil_div(results, WARPS)), dim3(WARP_THREADS, WARPS)},
                  rows_kernel<WARP_THREADS, cumulative_sum>, results, job);
}
