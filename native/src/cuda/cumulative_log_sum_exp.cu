// Cumulative log-sum-exp along the middle dimension of (outer, count, inner), kept in double.
#include "block.cuh"

namespace {

// exp(a - b), and 1 where they are equal, infinities included.
__device__ double share(double a, double b) {
    return a == b ? 1.0 : exp(a - b);
}

__device__ bool infinite(double x) {
    return fabs(x) == INFINITY;
}

// A sum of exponentials: sum * exp(largest).
struct exponentials {
    double largest = -INFINITY, sum = 0.0;

    __device__ void add(const exponentials &other) {
        const double above = other.largest > largest ? other.largest : largest;
        sum = sum * share(largest, above) + other.sum * share(other.largest, above);
        largest = above;
    }
};

// What of a gradient at y the later entries send back: grows towards the first entry.
struct sent_back {
    double y = INFINITY, sum = 0.0; // the sum of dy[k] exp(y - y[k])

    // Takes up what later entries have. An infinite y has no part in the gradient of a finite x.
    __device__ void add(const sent_back &later) {
        sum += infinite(y) || infinite(later.y) ? 0.0 : later.sum * exp(y - later.y);
    }

    __device__ float gradient(float x) const {
        return x == -INFINITY ? 0.0f : static_cast<float>(infinite(y) && x < y ? 0.0 : sum * exp(x - y));
    }
};

struct forward_scan {
    int64_t count, inner;
    const float *x;
    float *y;

    __device__ int64_t place(int64_t result, int64_t k) const {
        return (result / inner * count + k) * inner + result % inner;
    }

    // Where neighbouring sequences lie side by side, a thread for each.
    __device__ void operator()(int64_t result) const {
        exponentials all;
        for (int64_t k = 0; k < count; k++) {
            const int64_t at = place(result, k);
            all.add({x[at], 1.0});
            y[at] = static_cast<float>(all.largest + log(all.sum));
        }
    }

    // Else a warp: a lane adds up what lies between it and the first lane, and all add what came before.
    template <int TEAM> __device__ void row(int64_t result) const {
        static_assert(TEAM == WARP_THREADS, "lanes exchange their sums");
        const int lane = static_cast<int>(threadIdx.x);
        exponentials before;
        for (int64_t first = 0; first < count; first += TEAM) {
            const int64_t k = first + lane, at = k < count ? place(result, k) : 0;
            exponentials all;
            if (k < count) {
                all = {x[at], 1.0};
            }
            for (int distance = 1; distance < TEAM; distance *= 2) {
                const exponentials earlier = {__shfl_up_sync(WHOLE_WARP, all.largest, distance),
                                              __shfl_up_sync(WHOLE_WARP, all.sum, distance)};
                if (lane >= distance) {
                    all.add(earlier);
                }
            }
            all.add(before);
            if (k < count) {
                y[at] = static_cast<float>(all.largest + log(all.sum));
            }
            before = {__shfl_sync(WHOLE_WARP, all.largest, TEAM - 1), __shfl_sync(WHOLE_WARP, all.sum, TEAM - 1)};
        }
    }
};

struct backward_scan {
    forward_scan forward;
    const float *y, *dy;
    float *dx;

    __device__ sent_back own(int64_t at) const {
        return {y[at], infinite(y[at]) ? 0.0 : dy[at]};
    }

    __device__ void operator()(int64_t result) const {
        sent_back later;
        for (int64_t k = forward.count - 1; k >= 0; k--) {
            const int64_t at = forward.place(result, k);
            sent_back all = own(at);
            all.add(later);
            dx[at] = all.gradient(forward.x[at]);
            later = all;
        }
    }

    // Lane 0 has the last entry.
    template <int TEAM> __device__ void row(int64_t result) const {
        static_assert(TEAM == WARP_THREADS, "lanes exchange their sums");
        const int lane = static_cast<int>(threadIdx.x);
        sent_back before;
        for (int64_t last = forward.count - 1; last >= 0; last -= TEAM) {
            const int64_t k = last - lane, at = k >= 0 ? forward.place(result, k) : 0;
            sent_back all;
            if (k >= 0) {
                all = own(at);
            }
            for (int distance = 1; distance < TEAM; distance *= 2) {
                const sent_back later = {__shfl_up_sync(WHOLE_WARP, all.y, distance),
                                         __shfl_up_sync(WHOLE_WARP, all.sum, distance)};
                if (lane >= distance) {
                    all.add(later);
                }
            }
            all.add(before);
            if (k >= 0) {
                dx[at] = all.gradient(forward.x[at]);
            }
            before = {__shfl_sync(WHOLE_WARP, all.y, TEAM - 1), __shfl_sync(WHOLE_WARP, all.sum, TEAM - 1)};
        }
    }
};

template <typename Scan>
pan_status scan(pan_stream *stream, const char *op, const pan_cumulative_log_sum_exp_desc *desc, const Scan &job) {
    constexpr int WARPS = BLOCK_THREADS / WARP_THREADS;
    const int64_t results = desc->outer * desc->inner;
    if (desc->inner >= WARP_THREADS) {
        return for_each(stream, op, desc->outer, desc->inner, job);
    }
    return launch(stream, op, results, desc->count, {blocks_for(ceil_div(results, WARPS)), dim3(WARP_THREADS, WARPS)},
                  rows_kernel<WARP_THREADS, Scan>, results, job);
}

} // namespace

pan_status cuda_cumulative_log_sum_exp_forward(pan_stream *stream, const pan_cumulative_log_sum_exp_desc *desc,
                                               const void *x, void *y) {
    return scan(stream, "cumulative_log_sum_exp_forward", desc,
                forward_scan{desc->count, desc->inner, static_cast<const float *>(x), static_cast<float *>(y)});
}

pan_status cuda_cumulative_log_sum_exp_backward(pan_stream *stream, const pan_cumulative_log_sum_exp_desc *desc,
                                                const void *x, const void *y, const void *dy, void *dx) {
    const forward_scan forward = {desc->count, desc->inner, static_cast<const float *>(x), nullptr};
    return scan(stream, "cumulative_log_sum_exp_backward", desc,
                backward_scan{forward, static_cast<const float *>(y), static_cast<const float *>(dy),
                              static_cast<float *>(dx)});
}
