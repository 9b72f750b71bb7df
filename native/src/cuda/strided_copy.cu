// Copies between arrays of any strides: a thread for each element, neighbours in the target beside each other.
#include "block.cuh"

namespace {

// The last dimension is that in which the target's elements lie closest.
struct copy_element {
    int rank;
    int64_t size[PAN_MAX_RANK], source_stride[PAN_MAX_RANK], target_stride[PAN_MAX_RANK];
    bool accumulate;
    const float *source;
    float *target;

    __device__ void operator()(int64_t i) const {
        const float *from = source;
        float *to = target;
        for (int d = rank - 1; d >= 0; d--) {
            const int64_t index = i % size[d];
            i /= size[d];
            from += index * source_stride[d];
            to += index * target_stride[d];
        }
        *to = accumulate ? *to + *from : *from;
    }
};

// Dimensions of more than one entry, from that of the target's largest stride to the smallest.
void sort_dimensions(const pan_strided_copy_desc *desc, copy_element *job) {
    for (int d = 0; d < desc->rank; d++) {
        if (desc->shape[d] == 1) {
            continue;
        }
        int at = job->rank++;
        for (; at > 0 && job->target_stride[at - 1] < desc->target_stride[d]; at--) {
            job->size[at] = job->size[at - 1];
            job->source_stride[at] = job->source_stride[at - 1];
            job->target_stride[at] = job->target_stride[at - 1];
        }
        job->size[at] = desc->shape[d];
        job->source_stride[at] = desc->source_stride[d];
        job->target_stride[at] = desc->target_stride[d];
    }
}

// Neighbouring dimensions that both arrays step over as one become one.
void merge_dimensions(copy_element *job) {
    int kept = 0;
    for (int d = 1; d < job->rank; d++) {
        const bool as_one = job->source_stride[kept] == job->source_stride[d] * job->size[d] &&
                            job->target_stride[kept] == job->target_stride[d] * job->size[d];
        const int64_t outer = as_one ? job->size[kept] : 1;
        kept += as_one ? 0 : 1;
        job->size[kept] = outer * job->size[d];
        job->source_stride[kept] = job->source_stride[d];
        job->target_stride[kept] = job->target_stride[d];
    }
    job->rank = job->rank == 0 ? 0 : kept + 1;
}

} // namespace

pan_status cuda_strided_copy(pan_stream *stream, const pan_strided_copy_desc *desc, const void *source, void *target) {
    copy_element job = {};
    sort_dimensions(desc, &job);
    merge_dimensions(&job);
    job.accumulate = desc->accumulate != 0;
    job.source = static_cast<const float *>(source);
    job.target = static_cast<float *>(target);
    int64_t count = 1;
    for (int d = 0; d < job.rank; d++) {
        count *= job.size[d];
    }
    return for_each(stream, "strided_copy", 1, count, job);
}
