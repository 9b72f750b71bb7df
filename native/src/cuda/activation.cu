// Element-wise activations.
#include "activation.cuh"
#include "block.cuh"

namespace {

template <pan_activation KIND> struct activate_element {
    const float *x;
    float *y;

    __device__ void operator()(int64_t i) const {
        y[i] = activate<KIND>(x[i]).value;
    }
};

template <pan_activation KIND> struct differentiate_element {
    const float *x, *dy;
    float *dx;

    __device__ void operator()(int64_t i) const {
        dx[i] = activate<KIND>(x[i]).slope * dy[i];
    }
};

} // namespace

pan_status cuda_activation_forward(pan_stream *stream, const pan_activation_desc *desc, const void *x, void *y) {
    return with_activation(desc->kind, [&](auto kind) {
        return for_each(
            stream, "activation_forward", 1, desc->count,
            activate_element<decltype(kind)::value>{static_cast<const float *>(x), static_cast<float *>(y)});
    });
}

pan_status cuda_activation_backward(pan_stream *stream, const pan_activation_desc *desc, const void *x, const void *dy,
                                    void *dx) {
    return with_activation(desc->kind, [&](auto kind) {
        return for_each(stream, "activation_backward", 1, desc->count,
                        differentiate_element<decltype(kind)::value>{
                            static_cast<const float *>(x), static_cast<const float *>(dy), static_cast<float *>(dx)});
    });
}
