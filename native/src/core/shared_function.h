/* What a function is that the CUDA backend computes with as well: one for the host and, in CUDA code, for the device. */
#ifndef PAN_CORE_SHARED_FUNCTION_H
#define PAN_CORE_SHARED_FUNCTION_H

#ifdef __CUDACC__
#define PAN_SHARED_FUNCTION __host__ __device__ static inline
#else
#define PAN_SHARED_FUNCTION static inline
#endif

#endif
