// Layer and RMS normalisation, fused with the residual addition.
#include "block.cuh"

namespace {

struct norm_row {
    const float *x, *residual, *weight, *bias;
    float *sum, *y, *mean, *rstd;
    int64_t channels, stride;
    float epsilon;

    // The row that is normalised; where there is a residual it is formed and kept. A thread reads again only what it
    // wrote itself.
    template <int TEAM> __device__ const float *add_residual(int64_t first) const {
        if (residual == nullptr) {
            return x + first;
        }
        for (int64_t c = threadIdx.x; c < channels; c += TEAM) {
            sum[first + c] = x[first + c] + residual[first + c];
        }
        return sum + first;
    }

    // In double, because an array far from 0 would lose digits to a rounded mean.
    template <int TEAM> __device__ double mean_of(const float *from) const {
        double total = 0.0;
        for (int64_t c = threadIdx.x; c < channels; c += TEAM) {
            total += from[c];
        }
        return team_reduce<TEAM>(total, plus()) / static_cast<double>(channels);
    }

    template <int TEAM> __device__ void row(int64_t r) const {
        const float *from = add_residual<TEAM>(r * stride);
        const double centre = mean == nullptr ? 0.0 : mean_of<TEAM>(from);
        double squares = 0.0;
        for (int64_t c = threadIdx.x; c < channels; c += TEAM) {
            const double off = from[c] - centre;
            squares += off * off;
        }
        squares = team_reduce<TEAM>(squares, plus()) / static_cast<double>(channels);
        const auto scale = static_cast<float>(1.0 / sqrt(squares + static_cast<double>(epsilon)));
        for (int64_t c = threadIdx.x; c < channels; c += TEAM) {
            const float shift = bias == nullptr ? 0.0f : bias[c];
            y[r * stride + c] = fmaf(static_cast<float>(from[c] - centre) * scale, weight[c], shift);
        }
        if (threadIdx.x == 0) {
            rstd[r] = scale;
            if (mean != nullptr) {
                mean[r] = static_cast<float>(centre);
            }
        }
    }
};

// What backward reads; `mean` is NULL for RMS, `dsum` where nothing else depends on the sum.
struct norm_inputs {
    const float *sum, *weight, *mean, *rstd, *dsum, *dy;
    int64_t channels, stride;

    __device__ float normalised(int64_t r, int64_t c) const {
        return (sum[r * stride + c] - (mean == nullptr ? 0.0f : mean[r])) * rstd[r];
    }
};

struct norm_gradient_row {
    norm_inputs in;
    float *dx;

    template <int TEAM> __device__ void row(int64_t r) const {
        const auto count = static_cast<float>(in.channels);
        float g_mean = 0.0f, product_mean = 0.0f;
        for (int64_t c = threadIdx.x; c < in.channels; c += TEAM) {
            const float g = in.dy[r * in.stride + c] * in.weight[c];
            g_mean += g;
            product_mean = fmaf(g, in.normalised(r, c), product_mean);
        }
        product_mean = team_reduce<TEAM>(product_mean, plus()) / count;
        g_mean = in.mean == nullptr ? 0.0f : team_reduce<TEAM>(g_mean, plus()) / count;
        const float scale = in.rstd[r];
        for (int64_t c = threadIdx.x; c < in.channels; c += TEAM) {
            const int64_t i = r * in.stride + c;
            const float g = in.dy[i] * in.weight[c];
            const float through = in.dsum == nullptr ? 0.0f : in.dsum[i];
            dx[i] = through + scale * (g - g_mean - in.normalised(r, c) * product_mean);
        }
    }
};

struct norm_parameter_terms {
    norm_inputs in;

    __device__ void operator()(int64_t r, int64_t c, double (&sums)[2]) const {
        const double dy = in.dy[r * in.stride + c];
        sums[0] += dy * in.normalised(r, c);
        sums[1] += dy;
    }
};

} // namespace

pan_status cuda_norm_forward(pan_stream *stream, const pan_norm_desc *desc, const void *x, const void *residual,
                             const float *weight, const float *bias, void *sum, void *y, float *mean, float *rstd) {
    return for_each_row(stream, "norm_forward", desc->rows, desc->channels,
                        norm_row{static_cast<const float *>(x), static_cast<const float *>(residual), weight, bias,
                                 static_cast<float *>(sum), static_cast<float *>(y), mean, rstd, desc->channels,
                                 desc->stride, desc->epsilon});
}

pan_status cuda_norm_backward_workspace_size(pan_stream *, const pan_norm_desc *desc, int64_t *bytes) {
    *bytes = column_sums_bytes(desc->rows, desc->channels, 2);
    return PAN_OK;
}

pan_status cuda_norm_backward(pan_stream *stream, const pan_norm_desc *desc, const void *sum, const float *weight,
                              const float *mean, const float *rstd, const void *dsum, const void *dy, void *dx,
                              float *dweight, float *dbias, void *workspace, int64_t) {
    const norm_inputs in = {
        static_cast<const float *>(sum), weight,         mean,        rstd, static_cast<const float *>(dsum),
        static_cast<const float *>(dy),  desc->channels, desc->stride};
    // First, because dx may lie where dy does.
    if (dweight != nullptr || dbias != nullptr) {
        CUDA_TRY(add_column_sums<2>(stream, "norm_backward", desc->rows, desc->channels, norm_parameter_terms{in},
                                    workspace, {dweight, dbias}));
    }
    return dx == nullptr ? PAN_OK
                         : for_each_row(stream, "norm_backward", desc->rows, desc->channels,
                                        norm_gradient_row{in, static_cast<float *>(dx)});
}
