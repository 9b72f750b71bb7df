/*
 * panthera.h — the kernels of Panthera behind one C11 interface.
 *
 * CONVENTIONS, valid for every function unless its own comment says otherwise
 *
 * Status     Every call returns a pan_status: PAN_OK (0) or the cause of failure. pan_last_error() then holds a text
 *            with the function, the offending value and what was expected. Nothing here prints, exits or aborts.
 * Layout     Arrays are dense and row-major; the last dimension is contiguous. Where a stride is given it is the
 *            distance, in elements, between consecutive entries of that dimension, and at least the extent of what
 *            it steps over. (batch, length, channels) arrays seen as (rows, channels) have rows = batch * length.
 * Types      Activations are `const void *` / `void *` of the descriptor's dtype. Parameters, statistics and parameter
 *            gradients are f32. Token ids, labels and counts are int32. On PAN_BACKEND_REFERENCE_F64, which exists to
 *            check everything else, every floating-point array holds f64, whatever pointer type the prototype shows.
 * Gradients  A function computes y from x; its `_backward` computes dx = J^T dy. Gradients of activations are written;
 *            gradients of PARAMETERS ARE ADDED to what the array holds. A gradient pointer that may be NULL is then
 *            not computed.
 * Aliasing   No output may overlap any other array, except where "may alias" is said: then it starts at the same
 *            address with the same strides.
 * Alignment  Every array is aligned to its element size, every workspace to PAN_ALIGNMENT bytes.
 * Memory     The caller owns every array. A call allocates nothing (a GEMM library's packing buffers excepted). Where
 *            scratch is needed, `_workspace_size` says how many bytes; its contents need not be kept between calls.
 * Streams    Work is ordered by its stream. On a CPU stream a call is done on return; on a CUDA stream it is
 *            asynchronous. What changes from step to step (random counter, learning rate, number of labelled rows) is
 *            read through pointers to device memory, so that a sequence of calls can be captured once and replayed.
 * Threads    Any number of threads may use different streams. One stream belongs to one thread at a time. After fork()
 *            the child must not use a device that the parent opened.
 * Results    On the CPU results are bitwise equal for any number of threads and across runs, and no example of a batch
 *            depends on another. NaN and Inf pass through as the formula says, but for convolutions by FFT (see
 *            PAN_CONV_FFT); the thread's floating-point mode is never changed.
 *            On CUDA they are bitwise equal across runs on one device.
 *            Ids and labels out of range are PAN_INVALID_ARGUMENT on the CPU and leave the outputs unspecified; on CUDA
 *            they count as zeros and as ignored labels, and pan_stream_synchronize() reports them.
 * Structs    A descriptor starts with struct_size = sizeof of the struct the caller was compiled with. There is no
 *            implicit padding; fields named `reserved` are 0.
 */
#ifndef PANTHERA_H
#define PANTHERA_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PAN_API __attribute__((visibility("default")))
#else
#define PAN_API
#endif

/** Version of this interface. A client compares it with pan_abi_version() before any other call. */
#define PAN_ABI_VERSION 1
/** Alignment, in bytes, of memory from pan_memory_allocate() and of every workspace. */
#define PAN_ALIGNMENT 64
/** Most dimensions of an element-wise operation. */
#define PAN_MAX_RANK 6
/** A label with this value is ignored by the losses. */
#define PAN_IGNORE_LABEL (-100)

/** Outcome of a call: PAN_OK or one of the causes below. */
typedef int32_t pan_status;
enum {
    PAN_OK = 0,
    PAN_INVALID_ARGUMENT = 1, /**< a null, size, stride, alignment, overlap or id is wrong */
    PAN_UNSUPPORTED = 2,      /**< valid, but this backend has no such kernel, dtype or option */
    PAN_OUT_OF_MEMORY = 3,
    PAN_NO_DEVICE = 4,    /**< the backend's library, driver or device is not there */
    PAN_DEVICE_ERROR = 5, /**< the device reported a failure */
    PAN_INTERNAL = 6      /**< a defect of this library */
};

/** Element type of activations. */
typedef int32_t pan_dtype;
enum { PAN_F32 = 0, PAN_BF16 = 1, PAN_F64 = 2 };

/** Where kernels run. */
typedef int32_t pan_backend;
enum {
    PAN_BACKEND_CPU = 0,           /**< vectorised, multi-threaded, f32 */
    PAN_BACKEND_CUDA = 1,          /**< one NVIDIA device */
    PAN_BACKEND_REFERENCE = 2,     /**< plain scalar code: f32 storage, f64 accumulation, one thread */
    PAN_BACKEND_REFERENCE_F64 = 3, /**< the same code with f64 storage: the yardstick of all others */
    PAN_BACKEND_COUNT = 4
};

/** Instruction-set tier of the CPU backend. */
typedef int32_t pan_isa;
enum {
    PAN_ISA_BEST = 0,     /**< the best that the processor has and PANTHERA_MAX_ISA allows */
    PAN_ISA_BASELINE = 1, /**< x86-64 (SSE2) */
    PAN_ISA_AVX2 = 2,     /**< AVX2 and FMA */
    PAN_ISA_AVX512 = 3    /**< AVX-512 F, BW, DQ, VL */
};

/** A place where kernels run, with its own worker threads. Opaque. */
typedef struct pan_device pan_device;
/** An ordered queue of work on one device. Opaque. */
typedef struct pan_stream pan_stream;
/** A place in a stream's work, for others to wait for and for clocks. Opaque. */
typedef struct pan_event pan_event;
/** Work of a stream that was recorded once and can be repeated at little cost. Opaque. */
typedef struct pan_graph pan_graph;

/* ------------------------------------------------------------------------------------------------ library */

/** PAN_ABI_VERSION of the loaded library. */
PAN_API uint32_t pan_abi_version(void);

/** Version of the library as text, for example "0.1.0". Static storage. */
PAN_API const char *pan_version(void);

/** Name of a status, for example "PAN_OUT_OF_MEMORY"; "unknown status" for any other value. Static storage. */
PAN_API const char *pan_status_name(pan_status status);

/** Text of the calling thread's last failure; empty if none. Valid until the thread's next failing call. */
PAN_API const char *pan_last_error(void);

/** Number of entries of the op table. */
PAN_API int32_t pan_op_count(void);

/** Name of op `op` (0 <= op < pan_op_count()), for example "linear_forward"; NULL out of range. Static storage. */
PAN_API const char *pan_op_name(int32_t op);

/** 1 if `backend` has a kernel for op `op`, else 0. For CUDA: 0 for all where its library cannot be opened. */
PAN_API int32_t pan_op_supported(pan_backend backend, int32_t op);

/** Whether devices of `backend` can be opened: PAN_OK, or the cause with the reason in pan_last_error(). */
PAN_API pan_status pan_backend_status(pan_backend backend);

/** Number of devices of `backend` that pan_device_open() can be asked for, from index 0 on; 0 where there are none. */
PAN_API pan_status pan_device_count(pan_backend backend, int32_t *count);

/** Best tier that this processor can run, not capped by PANTHERA_MAX_ISA. */
PAN_API pan_isa pan_isa_available(void);

/** Name of a tier: "baseline", "avx2", "avx512" (the words PANTHERA_MAX_ISA takes); NULL for any other value. */
PAN_API const char *pan_isa_name(pan_isa isa);

/** The GEMM implementation of the CPU backend and its version, for example "oneDNN 3.13.0". Static storage. */
PAN_API const char *pan_gemm_name(void);

/* ------------------------------------------------------------------------------------------------ devices */

typedef struct pan_device_options {
    uint32_t struct_size;
    pan_backend backend;
    int32_t index;   /**< which device of the backend; 0 where there is only one */
    int32_t threads; /**< CPU: threads that work, the caller's included; 0: one per available core (at most 1024) */
    pan_isa isa;     /**< CPU: tier to use; PAN_ISA_BEST is right outside tests */
    int32_t reserved;
} pan_device_options;

typedef struct pan_device_info {
    uint32_t struct_size;
    pan_backend backend;
    int32_t index;
    int32_t threads;
    pan_isa isa;                /**< tier in use; 0 where it has no meaning */
    int32_t compute_capability; /**< CUDA: 10 * major + minor; else 0 */
    int64_t total_bytes;        /**< memory of the device (CPU: of the machine) */
    int64_t live_allocations;   /**< blocks from pan_memory_allocate() that were not freed */
    char name[128];             /**< for example "cpu:avx512" or the GPU's name, NUL-terminated */
} pan_device_info;

/**
 * Opens a device. The environment variable PANTHERA_MAX_ISA (baseline | avx2 | avx512) caps the CPU tier and the GEMM
 * library's; another value is PAN_INVALID_ARGUMENT. The device must be closed with pan_device_close().
 */
PAN_API pan_status pan_device_open(const pan_device_options *options, pan_device **device);

/** Joins the workers and frees the device. Its streams, events, graphs, plans and memory must be gone: otherwise PAN_INVALID_ARGUMENT. */
PAN_API pan_status pan_device_close(pan_device *device);

PAN_API pan_status pan_device_query(const pan_device *device, pan_device_info *info);

/**
 * What computes the device's matrix products: as pan_gemm_name(), or on CUDA for example "cuBLAS 13.0.2 (libcublas.so.13)".
 * The environment variable PANTHERA_CUBLAS names the library to use there, or is "off". NULL without a device. Static
 * storage.
 */
PAN_API const char *pan_device_gemm_name(const pan_device *device);

/** What bounds every kernel of a CPU device. */
typedef int32_t pan_ceiling;
enum {
    PAN_CEILING_FMA = 0,         /**< multiply-adds in registers, in floating-point operations a second */
    PAN_CEILING_COPY = 1,        /**< copying what no cache holds, in bytes read and written a second */
    PAN_CEILING_FRESH_PAGES = 2, /**< first writes to memory fresh from the operating system, in bytes a second */
    PAN_CEILING_COUNT = 3
};

/**
 * Measures a ceiling with all threads of the device and its instruction-set tier, the best of a few rounds: some tens of
 * milliseconds, and up to 256 MB of memory meanwhile. PAN_UNSUPPORTED on other backends than PAN_BACKEND_CPU.
 */
PAN_API pan_status pan_device_measure(pan_device *device, pan_ceiling ceiling, double *rate);

PAN_API pan_status pan_stream_create(pan_device *device, pan_stream **stream);

/**
 * Waits for the stream's work and frees it, whatever the status: a failure of the device that no call has reported yet. A
 * recording that has not ended is dropped.
 */
PAN_API pan_status pan_stream_destroy(pan_stream *stream);

/**
 * Waits until all work of the stream is done, and reports what went wrong with it: a failure of the device
 * (PAN_DEVICE_ERROR, then of every later call that uses the device, which must be closed), or on CUDA an id or label out
 * of range or a bad list of queries (PAN_INVALID_ARGUMENT, once, by the first of the device's streams that waits here or
 * in pan_copy_to_host(); the work itself was done).
 */
PAN_API pan_status pan_stream_synchronize(pan_stream *stream);

/** Makes an event without a mark. It must be destroyed before its device is closed. */
PAN_API pan_status pan_event_create(pan_device *device, pan_event **event);

PAN_API pan_status pan_event_destroy(pan_event *event);

/** Marks the place behind the stream's work so far, in place of an earlier mark. A recording stream is refused. */
PAN_API pan_status pan_event_record(pan_event *event, pan_stream *stream);

/** Lets work that the stream is given from now on wait for the event's mark, without waiting here. No mark: nothing.
 *  A recording stream is refused. */
PAN_API pan_status pan_stream_wait(pan_stream *stream, pan_event *event);

/** Waits until the work before the event's mark is done. No mark: returns at once. */
PAN_API pan_status pan_event_synchronize(pan_event *event);

/** Milliseconds of the device's clock from one mark to another; waits for both. Either without a mark is an error. */
PAN_API pan_status pan_event_elapsed(pan_event *start, pan_event *end, double *milliseconds);

/**
 * From here to pan_capture_end() the stream's work is recorded instead of done. Recorded calls must not wait for the
 * stream (no pan_copy_to_host(), no pan_stream_synchronize()) nor copy from the host, because a repetition would copy
 * what the host had at the time of recording; memory must be allocated before, and the same calls made once, because a
 * kernel's first use may load it. PAN_UNSUPPORTED on host backends.
 */
PAN_API pan_status pan_capture_begin(pan_stream *stream);

/**
 * Ends the recording; calls that were refused are not part of it. A failure leaves no graph and a stream that can be used
 * as before.
 * The graph refers to the arrays and plans of the recorded calls, which must outlive it; it is destroyed before its device
 * is closed. One thread at a time may launch it.
 */
PAN_API pan_status pan_capture_end(pan_stream *stream, pan_graph **graph);

/** Repeats the recorded work as part of a stream of the same device, with what its arrays and state blocks hold then.
 *  A recording stream is refused. */
PAN_API pan_status pan_graph_launch(pan_graph *graph, pan_stream *stream);

PAN_API pan_status pan_graph_destroy(pan_graph *graph);

/**
 * Allocates bytes >= 1 of device memory, PAN_ALIGNMENT-aligned, contents undefined. On CUDA freed memory is kept for
 * later allocations; PAN_OUT_OF_MEMORY says how much is free.
 */
PAN_API pan_status pan_memory_allocate(pan_device *device, int64_t bytes, void **address);

/**
 * Frees memory of pan_memory_allocate() of the same device. Work that streams were given before may still use it: it is
 * not reused until that is done.
 */
PAN_API pan_status pan_memory_free(pan_device *device, void *address);

/**
 * Copies bytes >= 0 from host memory to the stream's device. The source may be reused on return; on CUDA the copy itself
 * goes through pinned memory and does not wait for the stream's earlier work.
 */
PAN_API pan_status pan_copy_to_device(pan_stream *stream, void *device_address, const void *host_address,
                                      int64_t bytes);

/** Copies bytes >= 0 from the stream's device to host memory; complete on return. */
PAN_API pan_status pan_copy_to_host(pan_stream *stream, void *host_address, const void *device_address, int64_t bytes);

/** Copies bytes >= 0 within the stream's device. */
PAN_API pan_status pan_copy(pan_stream *stream, void *target, const void *source, int64_t bytes);

/** Sets bytes >= 0 of device memory to zero. */
PAN_API pan_status pan_zero(pan_stream *stream, void *target, int64_t bytes);

/* --------------------------------------------------------------------------------------------- randomness */

/**
 * Device memory that names the current draw. An element's random number is a pure function of (seed, step, the op's
 * key, the element's row, its column): masks are recomputed in backward, never stored, and do not depend on tiling or
 * threads. The function is specified in native/src/core/random.h and shared by all backends.
 */
typedef struct pan_random_state {
    uint64_t seed;
    uint64_t step;
} pan_random_state;

/* ------------------------------------------------------------------------------------------------- linear */

typedef struct pan_linear_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t rows;
    int64_t in_features;
    int64_t out_features;
    int64_t x_stride; /**< between rows of x and dx; >= in_features */
    int64_t y_stride; /**< between rows of y and dy; >= out_features */
} pan_linear_desc;

/**
 * Affine map of every row.
 *
 *     y[r,o] = sum_i x[r,i] weight[o,i] + bias[o]
 *
 * x       (rows, in_features) of dtype
 * weight  (out_features, in_features) f32
 * bias    (out_features) f32, may be NULL: 0
 * y       (rows, out_features) of dtype
 */
PAN_API pan_status pan_linear_forward(pan_stream *stream, const pan_linear_desc *desc, const void *x,
                                      const float *weight, const float *bias, void *y);

PAN_API pan_status pan_linear_backward_workspace_size(pan_stream *stream, const pan_linear_desc *desc, int64_t *bytes);

/**
 *     dx[r,i] = sum_o dy[r,o] weight[o,i]      dweight[o,i] += sum_r dy[r,o] x[r,i]      dbias[o] += sum_r dy[r,o]
 *
 * dx, dweight, dbias may be NULL. The sums over rows have an order fixed by the shape.
 */
PAN_API pan_status pan_linear_backward(pan_stream *stream, const pan_linear_desc *desc, const void *x,
                                       const float *weight, const void *dy, void *dx, float *dweight, float *dbias,
                                       void *workspace, int64_t workspace_bytes);

/* ---------------------------------------------------------------------------------------------- embedding */

typedef struct pan_embedding_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t batch;
    int64_t length;
    int64_t channels;
    int64_t vocab_size;
    int64_t positions; /**< rows of the position table, >= length; 0 without one */
} pan_embedding_desc;

/**
 * Token embedding, plus a learned absolute position where there is a table of them.
 *
 *     y[b,t,c] = table[ids[b,t],c] + position_table[t,c]
 *
 * ids             (batch, length) int32 in [0, vocab_size)
 * table           (vocab_size, channels) f32
 * position_table  (positions, channels) f32; NULL exactly if positions is 0
 * y               (batch, length, channels) of dtype
 */
PAN_API pan_status pan_embedding_forward(pan_stream *stream, const pan_embedding_desc *desc, const int32_t *ids,
                                         const float *table, const float *position_table, void *y);

/**
 *     dtable[v,c] += sum_{b,t: ids[b,t] = v} dy[b,t,c]      dposition_table[t,c] += sum_b dy[b,t,c]
 *
 * Each sum runs in an order fixed by the shape, on the CPU that of (b, t), so the scatter is deterministic. Either gradient
 * may be NULL.
 */
PAN_API pan_status pan_embedding_backward(pan_stream *stream, const pan_embedding_desc *desc, const int32_t *ids,
                                          const void *dy, float *dtable, float *dposition_table);

/* --------------------------------------------------------------------------------------------------- norms */

typedef int32_t pan_norm_kind;
enum { PAN_NORM_LAYER = 0, PAN_NORM_RMS = 1 };

typedef struct pan_norm_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    pan_norm_kind kind;
    float epsilon; /**< added to the variance (layer) or mean square (RMS); >= 0 */
    int64_t rows;
    int64_t channels;
    int64_t stride; /**< between rows of x, residual, sum, y and of their gradients; >= channels */
} pan_norm_desc;

/**
 * Normalisation of every row, fused with the residual addition in front of it.
 *
 *     sum[r,c]  = x[r,c] + residual[r,c]
 *     layer:  y = (sum - mean[r]) * rstd[r] * weight[c] + bias[c],  rstd = 1 / sqrt(var + epsilon), biased variance
 *     RMS:    y = sum * rstd[r] * weight[c] + bias[c],              rstd = 1 / sqrt(mean(sum^2) + epsilon)
 *
 * residual  may be NULL: 0. sum: may be NULL exactly if residual is; may alias x or residual.
 * weight    (channels) f32; bias (channels) f32, may be NULL: 0
 * mean      (rows) f32, output for backward; NULL exactly for RMS. rstd: (rows) f32, output for backward.
 * Source: Ba et al. 2016 (arXiv 1607.06450), eq. 3; Zhang and Sennrich 2019 (arXiv 1910.07467), eq. 4.
 */
PAN_API pan_status pan_norm_forward(pan_stream *stream, const pan_norm_desc *desc, const void *x, const void *residual,
                                    const float *weight, const float *bias, void *sum, void *y, float *mean,
                                    float *rstd);

PAN_API pan_status pan_norm_backward_workspace_size(pan_stream *stream, const pan_norm_desc *desc, int64_t *bytes);

/**
 * Gradient of pan_norm_forward. With g = dy * weight and n the normalised row,
 *
 *     layer:  dx = dsum + rstd * (g - mean_c(g) - n * mean_c(g n))
 *     RMS:    dx = dsum + rstd * (g - n * mean_c(g n))
 *     dweight[c] += sum_r dy n      dbias[c] += sum_r dy
 *
 * sum   what forward normalised: its `sum`, or x where residual was NULL
 * dsum  gradient of the output `sum`, may be NULL: 0. dy: gradient of y.
 * dx    gradient of x and, being the same, of residual; may alias dsum or dy; may be NULL.
 * dweight, dbias may be NULL.
 */
PAN_API pan_status pan_norm_backward(pan_stream *stream, const pan_norm_desc *desc, const void *sum,
                                     const float *weight, const float *mean, const float *rstd, const void *dsum,
                                     const void *dy, void *dx, float *dweight, float *dbias, void *workspace,
                                     int64_t workspace_bytes);

/* --------------------------------------------------------------------------------------------- activations */

typedef int32_t pan_activation;
enum {
    PAN_ACTIVATION_IDENTITY = 0,  /**< x */
    PAN_ACTIVATION_GELU = 1,      /**< x Phi(x), Phi by erf (Hendrycks and Gimpel 2016, arXiv 1606.08415) */
    PAN_ACTIVATION_GELU_TANH = 2, /**< x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
    PAN_ACTIVATION_SILU = 3,      /**< x sigmoid(x) */
    PAN_ACTIVATION_SIGMOID = 4,   /**< 1 / (1 + exp(-x)) */
    PAN_ACTIVATION_SINE = 5,      /**< sin(x), x in radians */
    PAN_ACTIVATION_RELU = 6,      /**< max(x, 0), NaN for NaN; derivative 0 at 0 */
    PAN_ACTIVATION_EXP = 7,
    PAN_ACTIVATION_LOG = 8, /**< natural; -Inf at 0, NaN below */
    PAN_ACTIVATION_TANH = 9,
    PAN_ACTIVATION_SOFTPLUS = 10,    /**< log(1 + exp(x)), without overflow */
    PAN_ACTIVATION_LOG_SIGMOID = 11, /**< -log(1 + exp(-x)), without overflow */
    PAN_ACTIVATION_ELU_PLUS_ONE =
        12, /**< x + 1 where x > 0, else exp(x) (Katharopoulos et al. 2020, arXiv 2006.16236, eq. 7) */
    PAN_ACTIVATION_SQUARE = 13,       /**< x^2 */
    PAN_ACTIVATION_RELU_SQUARED = 14, /**< max(x, 0)^2 (So et al. 2021, arXiv 2109.08668) */
    PAN_ACTIVATION_COUNT = 15
};

typedef struct pan_activation_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    pan_activation kind;
    int32_t reserved;
    int64_t count;
} pan_activation_desc;

/** y[i] = f(x[i]), i < count; y may alias x. */
PAN_API pan_status pan_activation_forward(pan_stream *stream, const pan_activation_desc *desc, const void *x, void *y);

/** dx[i] = f'(x[i]) dy[i]; dx may alias dy or x. */
PAN_API pan_status pan_activation_backward(pan_stream *stream, const pan_activation_desc *desc, const void *x,
                                           const void *dy, void *dx);

/* --------------------------------------------------------------------------- arithmetic with broadcasting */

typedef int32_t pan_arithmetic_kind;
enum {
    PAN_ADD = 0,
    PAN_SUBTRACT = 1,
    PAN_MULTIPLY = 2,
    PAN_DIVIDE = 3,
    PAN_MAXIMUM = 4, /**< NaN where either is */
    PAN_ARITHMETIC_COUNT = 5
};

typedef struct pan_arithmetic_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    pan_arithmetic_kind kind;
    int32_t rank;                   /**< 1..PAN_MAX_RANK */
    int64_t shape[PAN_MAX_RANK];    /**< of y, which is dense; entries past rank are ignored */
    int64_t a_stride[PAN_MAX_RANK]; /**< per dimension of shape; 0 where a is broadcast */
    int64_t b_stride[PAN_MAX_RANK]; /**< likewise; the last entry of either is 0 or 1 */
} pan_arithmetic_desc;

/**
 *     y = a + b,  a - b,  a * b,  a / b  or  max(a, b)        element by element, with broadcasting
 *
 * y may alias an operand of the same dense layout.
 */
PAN_API pan_status pan_arithmetic_forward(pan_stream *stream, const pan_arithmetic_desc *desc, const void *a,
                                          const void *b, void *y);

/**
 * Gradients of pan_arithmetic_forward; where an operand was broadcast, summed over the dimensions of stride 0 in an
 * order fixed by the shape.
 *
 *     add: da = dy, db = dy    subtract: da = dy, db = -dy    multiply: da = dy b, db = dy a
 *     divide: da = dy / b, db = -dy a / b^2         maximum: da = dy where a >= b, else 0; db = dy - da
 *
 * da, db  have the strides of a and b; may be NULL. a and b may be NULL for add and subtract.
 */
PAN_API pan_status pan_arithmetic_backward(pan_stream *stream, const pan_arithmetic_desc *desc, const void *a,
                                           const void *b, const void *dy, void *da, void *db);

/* --------------------------------------------------------------- products, copies and sums of any array */

typedef struct pan_matmul_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    float alpha;
    int32_t accumulate;   /**< 0: y is written; 1: the product is added to what y holds */
    int32_t a_transposed; /**< 0: a[b] is stored as (m, k); 1: as (k, m) */
    int32_t b_transposed; /**< 0: b[b] is stored as (k, n); 1: as (n, k) */
    int64_t batch;
    int64_t m;
    int64_t n;
    int64_t k;
    int64_t a_stride; /**< between stored rows of a; at least their extent; likewise below */
    int64_t b_stride;
    int64_t y_stride;
    int64_t a_batch_stride; /**< between matrices of a; 0: one matrix for all; likewise b */
    int64_t b_batch_stride;
    int64_t y_batch_stride; /**< at least the extent of a matrix */
} pan_matmul_desc;

PAN_API pan_status pan_matmul_workspace_size(pan_stream *stream, const pan_matmul_desc *desc, int64_t *bytes);

/**
 * Batched matrix product.
 *
 *     y[b,i,j] = alpha * sum_k a[b,i,k] b[b,k,j]   ( + y[b,i,j] where accumulate is 1 )
 *
 * a, b, y  of dtype, y (batch, m, n). A matrix's result does not depend on what the others of the batch hold.
 * The gradients are products again: da = alpha dy b^T, db = alpha a^T dy, summed over the batch where an operand is
 * shared.
 */
PAN_API pan_status pan_matmul(pan_stream *stream, const pan_matmul_desc *desc, const void *a, const void *b, void *y,
                              void *workspace, int64_t workspace_bytes);

typedef struct pan_strided_copy_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int32_t rank;       /**< 1..PAN_MAX_RANK */
    int32_t accumulate; /**< 0: elements of target are written; 1: added to */
    int64_t shape[PAN_MAX_RANK];
    int64_t source_stride[PAN_MAX_RANK]; /**< >= 0; 0: the source is broadcast along this dimension */
    int64_t target_stride[PAN_MAX_RANK]; /**< no two entries of the target share an element */
} pan_strided_copy_desc;

/**
 * Copies between arrays of any strides: permuting, slicing, concatenating, broadcasting.
 *
 *     target[sum_d i[d] target_stride[d]] = source[sum_d i[d] source_stride[d]]      for all i < shape
 *
 * What lies between the target's entries is left as it is. Without broadcast dimensions its adjoint is the copy back
 * with accumulate.
 */
PAN_API pan_status pan_strided_copy(pan_stream *stream, const pan_strided_copy_desc *desc, const void *source,
                                    void *target);

typedef struct pan_cumulative_sum_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int32_t reverse; /**< 0: from the first entry on; 1: from the last one back, which is the adjoint */
    int32_t reserved;
    int64_t outer;
    int64_t count; /**< extent of the dimension that is summed along */
    int64_t inner;
} pan_cumulative_sum_desc;

/**
 * y[o,k,i] = sum_{j <= k} x[o,j,i], or sum_{j >= k} in reverse; x and y (outer, count, inner), dense. y may alias x.
 * Sums are kept in higher precision than f32; an output depends on no later input in any bit.
 */
PAN_API pan_status pan_cumulative_sum(pan_stream *stream, const pan_cumulative_sum_desc *desc, const void *x, void *y);

typedef struct pan_cumulative_log_sum_exp_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t outer;
    int64_t count; /**< extent of the dimension that is summed along */
    int64_t inner;
} pan_cumulative_log_sum_exp_desc;

/**
 * y[o,k,i] = log sum_{j <= k} exp(x[o,j,i]); x and y (outer, count, inner), dense. Sums are kept relative to a running
 * maximum, so that no x overflows. x may be -infinity, and y is where all x so far are. y may alias x.
 */
PAN_API pan_status pan_cumulative_log_sum_exp_forward(pan_stream *stream, const pan_cumulative_log_sum_exp_desc *desc,
                                                      const void *x, void *y);

/** dx[o,j,i] = sum_{k >= j} dy[o,k,i] exp(x[o,j,i] - y[o,k,i]), 0 where x is -infinity; dx may alias dy. */
PAN_API pan_status pan_cumulative_log_sum_exp_backward(pan_stream *stream, const pan_cumulative_log_sum_exp_desc *desc,
                                                       const void *x, const void *y, const void *dy, void *dx);

typedef struct pan_triangular_solve_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t batch;
    int64_t size;    /**< rows and columns of a */
    int64_t columns; /**< of b and x */
} pan_triangular_solve_desc;

/**
 * Solves a x = b for lower triangular a, by substitution: x[i] = (b[i] - sum_{j < i} a[i,j] x[j]) / a[i,i].
 *
 * a  (batch, size, size) of dtype; what is above the diagonal is not read. A 0 on the diagonal gives infinities, as division does.
 * b, x  (batch, size, columns) of dtype; x may alias b
 * Row i of x depends on rows up to i of a and b only, in every bit.
 */
PAN_API pan_status pan_triangular_solve_forward(pan_stream *stream, const pan_triangular_solve_desc *desc,
                                                const void *a, const void *b, void *x);

/**
 * db = a^-T dx, by substitution from the last row back; da[i,j] = -db[i] . x[j] for j <= i, and 0 above the diagonal.
 *
 * db may alias dx
 */
PAN_API pan_status pan_triangular_solve_backward(pan_stream *stream, const pan_triangular_solve_desc *desc,
                                                 const void *a, const void *x, const void *dx, void *da, void *db);

/* ------------------------------------------------------------------------------------------------- gating */

typedef struct pan_gate_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    pan_activation activation;
    int32_t reserved;
    int64_t rows;
    int64_t channels;
    int64_t a_stride; /**< between rows of a and da; likewise below; each >= channels */
    int64_t b_stride;
    int64_t c_stride; /**< ignored where c is NULL */
    int64_t y_stride;
} pan_gate_desc;

/**
 * Gating in one pass: GLU variants (Shazeer 2020, arXiv 2002.05202) and gated convolutions.
 *
 *     y[r,j] = f(a[r,j]) * b[r,j] + c[r,j]
 *
 * c may be NULL: 0. y may alias a, b or c.
 */
PAN_API pan_status pan_gate_forward(pan_stream *stream, const pan_gate_desc *desc, const void *a, const void *b,
                                    const void *c, void *y);

/** da = f'(a) b dy,  db = f(a) dy  (and dc = dy, which needs no call). da, db may be NULL. */
PAN_API pan_status pan_gate_backward(pan_stream *stream, const pan_gate_desc *desc, const void *a, const void *b,
                                     const void *dy, void *da, void *db);

/* ------------------------------------------------------------------------------------------------ dropout */

typedef struct pan_dropout_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    float probability;      /**< of dropping an element, in [0, 1) */
    float path_probability; /**< of dropping a whole example (stochastic depth), in [0, 1) */
    int64_t rows;
    int64_t channels;
    int64_t rows_per_example; /**< rows [k n, (k+1) n) form example k; divides rows */
    uint64_t key;             /**< tells apart the dropouts of one step */
} pan_dropout_desc;

/**
 * Dropout and row-wise drop path from a counter.
 *
 *     y[r,c] = x[r,c] * keep(r,c) / (1 - probability) * keep_path(r / rows_per_example) / (1 - path_probability)
 *
 * Linear in x and its own adjoint: backward is this function applied to dy. y may alias x.
 * Source: Srivastava et al. 2014; Huang et al. 2016 (arXiv 1603.09382).
 */
PAN_API pan_status pan_dropout(pan_stream *stream, const pan_dropout_desc *desc, const pan_random_state *random,
                               const void *x, void *y);

/* ------------------------------------------------------------------------------------------------ softmax */

typedef struct pan_softmax_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t rows;
    int64_t columns;
} pan_softmax_desc;

/** y[r,c] = exp(x[r,c] - max_c x) / sum_c exp(x[r,c] - max_c x) over dense rows; y may alias x. */
PAN_API pan_status pan_softmax_forward(pan_stream *stream, const pan_softmax_desc *desc, const void *x, void *y);

/** dx[r,c] = y[r,c] (dy[r,c] - sum_j dy[r,j] y[r,j]); dx may alias dy. */
PAN_API pan_status pan_softmax_backward(pan_stream *stream, const pan_softmax_desc *desc, const void *y, const void *dy,
                                        void *dx);

/* ---------------------------------------------------------------------------------------------- attention */

/**
 * Where element (b, t, h, c) lies: b * batch_stride + t * length_stride + h * head_stride + c; of an array of listed
 * queries, whose element is (i, h, c): i * length_stride + h * head_stride + c.
 */
typedef struct pan_head_layout {
    int64_t batch_stride;
    int64_t length_stride;
    int64_t head_stride;
} pan_head_layout;

typedef struct pan_attention_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    float scale;               /**< multiplies the scores, usually 1 / sqrt(head_dim) */
    float dropout_probability; /**< of dropping a softmax weight, in [0, 1) */
    int64_t batch;
    int64_t heads;
    int64_t length;
    int64_t head_dim;
    int64_t window;  /**< how many positions a query sees, its own included; 0: all up to its own */
    int64_t queries; /**< rows of query_rows; 0 without it: every position is a query */
    uint64_t dropout_key;
    pan_head_layout q; /**< also of dq; likewise below. Rows of one array must not overlap each other. */
    pan_head_layout k;
    pan_head_layout v;
    pan_head_layout o;
} pan_attention_desc;

PAN_API pan_status pan_attention_forward_workspace_size(pan_stream *stream, const pan_attention_desc *desc,
                                                        int64_t *bytes);

/**
 * Causal multi-head attention, full or over a sliding window, computed in blocks: no array of length x length is ever
 * formed, and blocks outside the window cost nothing. With S(t) = { s : t - window < s <= t }, or { s <= t } if window
 * is 0,
 *
 *     p[t,s] = softmax over s in S(t) of (scale * q[t] . k[s])   o[t] = sum_{s in S(t)} keep(t,s) p[t,s] / (1 - dropout) v[s]
 *
 * q, k, v, o  (batch, length, heads, head_dim) of dtype, each with its own layout; q, k, v may interleave in one array
 * lse         (batch, heads, length) f32: log sum_{s in S(t)} exp(scale * q[t] . k[s]), kept for backward
 * random      may be NULL if dropout_probability is 0. The weight of (t, s) has row (b * heads + h) * length + t, column s.
 * query_rows  NULL: every position is a query, and desc.queries is 0. Else (queries) int32, the positions that are:
 *             each b * length + t, ascending; equal neighbours are two queries. Then q and o are (queries, heads,
 *             head_dim) and lse is (heads, queries), row i being what row t of sequence b would be without the list;
 *             k and v have all positions. Costs queries x length and not length x length. Entries out of range or not
 *             ascending are PAN_INVALID_ARGUMENT on the CPU, before any work; on CUDA they leave what is written
 *             unspecified, and pan_stream_synchronize() reports them.
 * Source: Vaswani et al. 2017 (arXiv 1706.03762), eq. 1; blocks after Dao 2023 (arXiv 2307.08691), algorithm 1.
 */
PAN_API pan_status pan_attention_forward(pan_stream *stream, const pan_attention_desc *desc,
                                         const pan_random_state *random, const int32_t *query_rows, const void *q,
                                         const void *k, const void *v, void *o, float *lse, void *workspace,
                                         int64_t workspace_bytes);

PAN_API pan_status pan_attention_backward_workspace_size(pan_stream *stream, const pan_attention_desc *desc,
                                                         int64_t *bytes);

/**
 * Gradient of pan_attention_forward by recomputation from lse. With m = keep / (1 - dropout), P = m p and
 * D[t] = sum_c do[t,c] o[t,c],
 *
 *     dv[s] = sum_t P[t,s] do[t]      dp[t,s] = p[t,s] (m[t,s] do[t] . v[s] - D[t])
 *     dq[t] = scale * sum_s dp[t,s] k[s]      dk[s] = scale * sum_t dp[t,s] q[t]
 *
 * dq, dk, dv  all required; layouts of q, k, v; may interleave in one array. d_o has the layout of o. With query_rows
 *             dq and d_o have the rows of q and o, sums over t are sums over the queries, and dk and dv are written for
 *             all positions: 0 where no query sees them.
 * Source: Dao 2023 (arXiv 2307.08691), algorithm 2.
 */
PAN_API pan_status pan_attention_backward(pan_stream *stream, const pan_attention_desc *desc,
                                          const pan_random_state *random, const int32_t *query_rows, const void *q,
                                          const void *k, const void *v, const void *o, const float *lse,
                                          const void *d_o, void *dq, void *dk, void *dv, void *workspace,
                                          int64_t workspace_bytes);

/* -------------------------------------------------------------------------------- attention by selection */

typedef struct pan_causal_top_k_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t batch;
    int64_t length;
    int64_t k; /**< at most so many are chosen of a prefix; 0: ceil(sqrt(its length)) */
} pan_causal_top_k_desc;

PAN_API pan_status pan_causal_top_k_workspace_size(pan_stream *stream, const pan_causal_top_k_desc *desc,
                                                   int64_t *bytes);

/**
 * Which positions are chosen by their scores, without a look ahead: position t is if its score is among the k(t) largest up
 * to t, k(t) = k or ceil(sqrt(t + 1)). An earlier one comes first among equal scores.
 *
 *     chosen[b,t] = 1 if score[b,t] > -infinity and #{ s < t : score[b,s] >= score[b,t] } < k(t), else 0
 *
 * score, chosen  (batch, length) of dtype. A NaN is not chosen and counts for nobody.
 * Whether t is chosen stays so whatever follows: more than k of a sequence can be. Costs length log length on the CPU.
 */
PAN_API pan_status pan_causal_top_k(pan_stream *stream, const pan_causal_top_k_desc *desc, const void *score,
                                    void *chosen, void *workspace, int64_t workspace_bytes);

typedef struct pan_top_k_mask_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t rows;
    int64_t columns;
    int64_t k; /**< at most so many are chosen of a row */
} pan_top_k_mask_desc;

/**
 * The k largest elements of every row. An earlier one comes first among equal ones.
 *
 *     y[r,c] = 1 if x[r,c] > -infinity and #{ j : x[r,j] > x[r,c], or x[r,j] = x[r,c] and j < c } < k, else 0
 *
 * x, y  (rows, columns) of dtype, dense. A NaN is not chosen and counts for nobody. No gradient passes.
 */
PAN_API pan_status pan_top_k_mask(pan_stream *stream, const pan_top_k_mask_desc *desc, const void *x, void *y);

PAN_API pan_status pan_selected_attention_forward_workspace_size(pan_stream *stream, const pan_attention_desc *desc,
                                                                 int64_t *bytes);

/**
 * pan_attention_forward of the chosen queries alone, which see all positions up to their own, or those of the window.
 *
 * desc    queries is 0; q and o have all positions, of which there are fewer than 2^31 over the batch
 * chosen  (batch, length) of dtype: position t attends if chosen[b,t] is not 0; else o[t] = 0 and lse[t] = -infinity
 * lse     (batch, heads, length) f32
 * Costs chosen positions x length x head_dim and not length x length; how many are chosen stays on the device. Dropout is that of
 * pan_attention_forward. No gradient passes to chosen. Source: Arora et al. 2023 (arXiv 2312.04927), section 5.
 */
PAN_API pan_status pan_selected_attention_forward(pan_stream *stream, const pan_attention_desc *desc,
                                                  const pan_random_state *random, const void *chosen, const void *q,
                                                  const void *k, const void *v, void *o, float *lse, void *workspace,
                                                  int64_t workspace_bytes);

PAN_API pan_status pan_selected_attention_backward_workspace_size(pan_stream *stream, const pan_attention_desc *desc,
                                                                  int64_t *bytes);

/**
 * Gradient of pan_selected_attention_forward; see pan_attention_backward. dq[t] = 0 where t is not chosen; dk and dv are
 * written for all positions.
 */
PAN_API pan_status pan_selected_attention_backward(pan_stream *stream, const pan_attention_desc *desc,
                                                   const pan_random_state *random, const void *chosen, const void *q,
                                                   const void *k, const void *v, const void *o, const float *lse,
                                                   const void *d_o, void *dq, void *dk, void *dv, void *workspace,
                                                   int64_t workspace_bytes);

typedef struct pan_earlier_occurrences_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t batch;
    int64_t length;
    int64_t ids_stride; /**< from one sequence's ids to those of the next; >= length */
    int64_t count;      /**< how many of the last positions are asked for; at most length */
} pan_earlier_occurrences_desc;

PAN_API pan_status pan_earlier_occurrences_workspace_size(pan_stream *stream, const pan_earlier_occurrences_desc *desc,
                                                          int64_t *bytes);

/**
 * How often a position's token has occurred before it.
 *
 *     y[b,i] = #{ s < t : ids[b,s] = ids[b,t] },     t = length - count + i
 *
 * ids  (batch, length) int32, sequences ids_stride apart; any values
 * y    (batch, count) of dtype; exact up to 2^24
 * Costs length log length a sequence on the CPU, and no more than length for a single position.
 * Source: the programmatic selection of Arora et al. 2023 (arXiv 2312.04927), section 5.
 */
PAN_API pan_status pan_earlier_occurrences(pan_stream *stream, const pan_earlier_occurrences_desc *desc,
                                           const int32_t *ids, void *y, void *workspace, int64_t workspace_bytes);

/* ------------------------------------------------------------------------------------- attention by blocks */

/**
 * Lists of blocks of keys, int32 (batches, heads, ceil(length / queries), slots). Entry j is the block of the positions from
 * j * block_size on, -1 none. A list names a block once at most; the entries' order makes no difference but for rounding.
 */
typedef struct pan_block_lists {
    int64_t slots;      /**< entries of a list; 0: there are no lists, and the others here are 0 */
    int64_t block_size; /**< positions of a block */
    int64_t queries;    /**< neighbouring queries that share a list */
    int64_t batches;    /**< batch, or 1: all examples share their lists */
    int64_t heads;      /**< kv_heads, or 1: all heads share their lists */
} pan_block_lists;

typedef struct pan_sparse_attention_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    float scale; /**< multiplies the scores, usually 1 / sqrt(head_dim) */
    int32_t reserved;
    int64_t batch;
    int64_t heads;    /**< of queries */
    int64_t kv_heads; /**< of keys and values; divides heads: query head h has those of h / (heads / kv_heads) */
    int64_t length;   /**< of queries */
    int64_t first;    /**< position of the first query, 0 but for decoding; there are first + length keys, below 2^31 */
    int64_t head_dim;
    int64_t window;        /**< the last positions that a query sees, its own included; 0: none by this */
    int64_t globals;       /**< the first positions, which all see; 0: none by this */
    pan_block_lists lists; /**< of blocks that a query sees */
    pan_head_layout q;     /**< also of dq; likewise below. Rows of one array must not overlap each other. */
    pan_head_layout k;
    pan_head_layout v;
    pan_head_layout o;
} pan_sparse_attention_desc;

PAN_API pan_status pan_sparse_attention_forward_workspace_size(pan_stream *stream,
                                                               const pan_sparse_attention_desc *desc, int64_t *bytes);

/**
 * Causal attention over few keys: a query sees the last positions, the first ones and listed blocks, each position once.
 * Here t is a position, that of query t - first.
 *
 *     S(t) = { s <= t : t - s < window, or s < globals, or s in a listed block of t }
 *     o[t] = sum_{s in S(t)} exp(scale * q[t] . k[s] - lse[t]) v[s]      lse[t] = log sum_{s in S(t)} exp(scale * q[t] . k[s])
 *
 * q, o    (batch, length, heads, head_dim) of dtype; k, v (batch, first + length, kv_heads, head_dim); may interleave in
 *         one array where first is 0
 * blocks  as desc.lists says; NULL exactly if it has no slots. Out of range: PAN_INVALID_ARGUMENT on the CPU, before any
 *         work; on CUDA reported by pan_stream_synchronize(), and what is written is unspecified.
 * lse     (batch, heads, length) f32
 * Where S(t) is empty, o[t] is 0 and lse[t] is -infinity. Costs the keys that are seen.
 * Source: Zaheer et al. 2020 (arXiv 2007.14062), section 2; Yuan et al. 2025 (arXiv 2502.11089), eq. 11 and 12.
 */
PAN_API pan_status pan_sparse_attention_forward(pan_stream *stream, const pan_sparse_attention_desc *desc,
                                                const int32_t *blocks, const void *q, const void *k, const void *v,
                                                void *o, float *lse, void *workspace, int64_t workspace_bytes);

PAN_API pan_status pan_sparse_attention_backward_workspace_size(pan_stream *stream,
                                                                const pan_sparse_attention_desc *desc, int64_t *bytes);

/**
 * Gradient of pan_sparse_attention_forward where first is 0, by recomputation from lse. With
 * p[t,s] = exp(scale * q[t] . k[s] - lse[t]) and D[t] = do[t] . o[t],
 *
 *     dv[s] = sum_t p[t,s] do[t]      dp[t,s] = p[t,s] (do[t] . v[s] - D[t] + dlse[t])
 *     dq[t] = scale * sum_s dp[t,s] k[s]      dk[s] = scale * sum_t dp[t,s] q[t]
 *
 * d_lse       may be NULL, which is 0. Where S(t) is empty, neither it nor d_o[t] counts.
 * dq, dk, dv  all required; layouts of q, k, v; may interleave in one array. d_o has the layout of o. Sums over t have an
 *             order fixed by the shapes and the lists.
 */
PAN_API pan_status pan_sparse_attention_backward(pan_stream *stream, const pan_sparse_attention_desc *desc,
                                                 const int32_t *blocks, const void *q, const void *k, const void *v,
                                                 const void *o, const float *lse, const void *d_o, const float *d_lse,
                                                 void *dq, void *dk, void *dv, void *workspace,
                                                 int64_t workspace_bytes);

typedef struct pan_attention_merge_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t batch;
    int64_t length;
    int64_t heads;
    int64_t head_dim;
} pan_attention_merge_desc;

/**
 * One attention over two sets of keys from the attentions over each.
 *
 *     lse = log(exp(lse1) + exp(lse2))      o = exp(lse1 - lse) o1 + exp(lse2 - lse) o2
 *
 * o1, o2, o        (batch, length, heads, head_dim) of dtype, dense
 * lse1, lse2, lse  (batch, heads, length) f32; -infinity of a set without keys, whose o1 or o2 does not count. o is 0 and lse
 *                  -infinity where both have none.
 */
PAN_API pan_status pan_attention_merge_forward(pan_stream *stream, const pan_attention_merge_desc *desc, const void *o1,
                                               const float *lse1, const void *o2, const float *lse2, void *o,
                                               float *lse);

/**
 * With w1 = exp(lse1 - lse), e[t] = do[t] . o[t], and the same for the second,
 *
 *     do1 = w1 do      dlse1 = w1 (do . o1 - e + dlse)
 *
 * d_lse  may be NULL, which is 0. Gradients are 0 where lse is -infinity.
 */
PAN_API pan_status pan_attention_merge_backward(pan_stream *stream, const pan_attention_merge_desc *desc,
                                                const void *o1, const float *lse1, const void *o2, const float *lse2,
                                                const void *o, const float *lse, const void *d_o, const float *d_lse,
                                                void *d_o1, float *d_lse1, void *d_o2, float *d_lse2);

/* ------------------------------------------------------------------------------- attention to pooled blocks */

typedef struct pan_pooled_attention_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    float scale; /**< multiplies q . k, usually 1 / sqrt(head_dim) */
    float bias;  /**< added to the scores of blocks: log(block_size) if a block counts for its positions; else 0 */
    int64_t batch;
    int64_t heads;    /**< of queries */
    int64_t kv_heads; /**< of keys and values; divides heads: query head h has those of h / (heads / kv_heads) */
    int64_t length;   /**< of queries */
    int64_t first;    /**< position of the first query, 0 but for decoding */
    int64_t head_dim;
    int64_t always;           /**< leading keys that all queries see, without bias */
    int64_t blocks;           /**< keys behind those, one for each block; at most (first + length) / block_size */
    int64_t block_size;       /**< positions of a block */
    pan_block_lists excluded; /**< blocks that a query does not see; its block_size is that above */
    pan_head_layout q;        /**< also of dq; likewise below. Rows of one array must not overlap each other. */
    pan_head_layout k;        /**< of always + blocks rows; likewise v */
    pan_head_layout v;
    pan_head_layout o;
} pan_pooled_attention_desc;

PAN_API pan_status pan_pooled_attention_forward_workspace_size(pan_stream *stream,
                                                               const pan_pooled_attention_desc *desc, int64_t *bytes);

/**
 * Causal attention to one key and value for each block of positions, once the block has ended. Here t is a position, that
 * of query t - first.
 *
 *     S(t) = { j < always } and { always + j : (j + 1) * block_size <= t, j not in an excluded block of t }
 *     x[t,j] = scale * q[t] . k[j] (+ bias where j >= always)
 *     o[t] = sum_{j in S(t)} exp(x[t,j] - lse[t]) v[j]      lse[t] = log sum_{j in S(t)} exp(x[t,j])
 *
 * q, o      (batch, length, heads, head_dim) of dtype; k, v (batch, always + blocks, kv_heads, head_dim)
 * excluded  as desc.excluded says; NULL exactly if it has no slots. Out of range: as of pan_sparse_attention_forward's blocks
 * lse       (batch, heads, length) f32
 * Where S(t) is empty, o[t] is 0 and lse[t] is -infinity.
 * Source: Yuan et al. 2025 (arXiv 2502.11089), eq. 7; Zeng et al. 2022 (arXiv 2207.10284), section 4.
 */
PAN_API pan_status pan_pooled_attention_forward(pan_stream *stream, const pan_pooled_attention_desc *desc,
                                                const int32_t *excluded, const void *q, const void *k, const void *v,
                                                void *o, float *lse, void *workspace, int64_t workspace_bytes);

PAN_API pan_status pan_pooled_attention_backward_workspace_size(pan_stream *stream,
                                                                const pan_pooled_attention_desc *desc, int64_t *bytes);

/** Gradient of pan_pooled_attention_forward where first is 0; as pan_sparse_attention_backward. */
PAN_API pan_status pan_pooled_attention_backward(pan_stream *stream, const pan_pooled_attention_desc *desc,
                                                 const int32_t *excluded, const void *q, const void *k, const void *v,
                                                 const void *o, const float *lse, const void *d_o, const float *d_lse,
                                                 void *dq, void *dk, void *dv, void *workspace,
                                                 int64_t workspace_bytes);

typedef struct pan_block_top_k_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    float scale;      /**< multiplies q . k */
    float min_weight; /**< blocks whose weight is not larger are left out; -1: none is */
    int64_t batch;
    int64_t heads;    /**< of queries */
    int64_t kv_heads; /**< divides heads; each has one list for all its query heads */
    int64_t length;   /**< of queries */
    int64_t first;    /**< position of the first query, 0 but for decoding */
    int64_t head_dim;
    int64_t blocks;     /**< keys; at most (first + length) / block_size */
    int64_t block_size; /**< positions of a block */
    int64_t k;          /**< blocks wanted of each query */
    int32_t own;        /**< 1: a last entry is the block that the query is in, finished or not */
    int32_t reserved;
    pan_head_layout q;
    pan_head_layout key;
} pan_block_top_k_desc;

PAN_API pan_status pan_block_top_k_workspace_size(pan_stream *stream, const pan_block_top_k_desc *desc, int64_t *bytes);

/**
 * The blocks whose keys fit a query best, of those that have ended before it. Here t is a position, that of query
 * t - first.
 *
 *     x[t,j] = scale * mean over the query heads of q[t] . key[j]      (j + 1) * block_size <= t
 *     weight[t,j] = exp(x[t,j]) / (exp(-1000) + sum_i exp(x[t,i]))
 *
 * q       (batch, length, heads, head_dim) of dtype; key (batch, blocks, kv_heads, head_dim), may be NULL if blocks is 0
 * listed  (batch, kv_heads, length, k + own) int32, a pan_block_lists of one query each: the k largest, ascending by block, of
 *         equal ones the first; -1 behind them where there are fewer; then the query's own. A score that is NaN or -infinity is
 *         not listed.
 * Source: Yuan et al. 2025 (arXiv 2502.11089), eq. 8 to 11; the dummy weight is that of the common implementations.
 */
PAN_API pan_status pan_block_top_k(pan_stream *stream, const pan_block_top_k_desc *desc, const void *q, const void *key,
                                   int32_t *listed, void *workspace, int64_t workspace_bytes);

/* -------------------------------------------------------------------------------------- rotary positions */

typedef struct pan_rotary_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int32_t interleaved; /**< 0: pairs are (i, i + head_dim / 2); 1: (2 i, 2 i + 1) */
    int32_t inverse;     /**< 1: rotates back, which is the adjoint */
    double base;         /**< > 0, usually 10000 */
    int64_t batch;
    int64_t heads;
    int64_t length;
    int64_t head_dim; /**< even */
    pan_head_layout x;
    pan_head_layout y;
} pan_rotary_desc;

/**
 * Rotary position embedding: turns pair i of the vector at position p by the angle p * base^(-2 i / head_dim).
 *
 *     y_first = x_first cos - x_second sin      y_second = x_second cos + x_first sin
 *
 * x, y            (batch, length, heads, head_dim) of dtype in their layouts; y may alias x of the same layout
 * first_position  (1) int32 in device memory, the position of entry 0 of the sequences; NULL: 0
 * Angles are computed in f64. Source: Su et al. 2021 (arXiv 2104.09864), eq. 34.
 */
PAN_API pan_status pan_rotary(pan_stream *stream, const pan_rotary_desc *desc, const int32_t *first_position,
                              const void *x, void *y);

/* ------------------------------------------------------------------------------------------- token shift */

typedef struct pan_token_shift_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t batch;
    int64_t length;
    int64_t channels;
} pan_token_shift_desc;

/**
 * Mixes every position with the one before it.
 *
 *     y[b,t,c] = mix[c] x[b,t,c] + (1 - mix[c]) x[b,t-1,c],     x[b,-1,c] = previous[b,c]
 *
 * x, y      (batch, length, channels) of dtype
 * mix       (channels) f32
 * previous  (batch, channels) of dtype, may be NULL: 0
 * Source: Peng et al. 2023 (arXiv 2305.13048), eq. 11 to 13.
 */
PAN_API pan_status pan_token_shift_forward(pan_stream *stream, const pan_token_shift_desc *desc, const void *x,
                                           const float *mix, const void *previous, void *y);

PAN_API pan_status pan_token_shift_backward_workspace_size(pan_stream *stream, const pan_token_shift_desc *desc,
                                                           int64_t *bytes);

/**
 * Gradient of pan_token_shift_forward without `previous`.
 *
 *     dx[b,t] = mix dy[b,t] + (1 - mix) dy[b,t+1]      dmix[c] += sum_{b,t} dy[b,t,c] (x[b,t,c] - x[b,t-1,c])
 *
 * dx, dmix may be NULL. The sums over (b, t) have an order fixed by the shape.
 */
PAN_API pan_status pan_token_shift_backward(pan_stream *stream, const pan_token_shift_desc *desc, const void *x,
                                            const float *mix, const void *dy, void *dx, float *dmix, void *workspace,
                                            int64_t workspace_bytes);

/* -------------------------------------------------------------------------------------- linear attention */

/** What turns a query or key into features phi. */
typedef int32_t pan_feature_map;
enum {
    PAN_FEATURES_GIVEN = 0, /**< q and k are features already */
    /** The exponential's Taylor series to the second order: phi(q) . phi(k) = 1 + s + s^2 / 2, s = q . k / sqrt(feature_dim).
     *  Computed from 1 + f + f (f + 1) / 2 features for f = feature_dim: each product of two channels once. */
    PAN_FEATURES_TAYLOR = 1,
    PAN_FEATURES_COUNT = 2
};

typedef struct pan_linear_attention_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    pan_feature_map features;
    int32_t normalised; /**< whether o is divided by the sum of the weights */
    float epsilon;      /**< added to that sum; >= 0 */
    int32_t reserved;
    int64_t batch;
    int64_t heads;
    int64_t length;
    int64_t feature_dim; /**< of q and k */
    int64_t value_dim;   /**< of v and o */
    pan_head_layout q;   /**< also of dq; likewise below. Rows of one array must not overlap each other. */
    pan_head_layout k;
    pan_head_layout v;
    pan_head_layout o;
} pan_linear_attention_desc;

/** Bytes of the recurrent state: (batch, heads, features, value_dim + 1) f32, the last column the sum of phi(k). */
PAN_API pan_status pan_linear_attention_state_size(pan_stream *stream, const pan_linear_attention_desc *desc,
                                                   int64_t *bytes);

PAN_API pan_status pan_linear_attention_forward_workspace_size(pan_stream *stream,
                                                               const pan_linear_attention_desc *desc, int64_t *bytes);

/**
 * Causal linear attention, in chunks: attention within a chunk, and from chunk to chunk a state that does not grow.
 *
 *     w[t,s] = phi(q[t]) . phi(k[s])      n[t] = sum_{s<=t} w[t,s] + epsilon, or 1 if not normalised
 *     o[t] = sum_{s<=t} w[t,s] v[s] / n[t]
 *
 * with the terms of an earlier sequence in the sums where there is an initial state.
 *
 * q, k           (batch, length, heads, feature_dim) of dtype, each with its own layout; q, k, v may interleave in one array
 * v, o           (batch, length, heads, value_dim) of dtype
 * initial_state  what an earlier call wrote as final_state; NULL: nothing came before
 * denominator    (batch, heads, length) f32: n[t], kept for backward; NULL exactly if not normalised
 * final_state    may be NULL, may alias initial_state: (S | z) = sum_s phi(k[s]) (v[s] | 1)
 * Time is proportional to length. The chunks' bounds depend on the sizes alone, and an output depends on no later input
 * in any bit. Source: Katharopoulos et al. 2020 (arXiv 2006.16236), eq. 9; Arora et al. 2024 (arXiv 2402.18668), eq. 5.
 */
PAN_API pan_status pan_linear_attention_forward(pan_stream *stream, const pan_linear_attention_desc *desc,
                                                const void *q, const void *k, const void *v, const float *initial_state,
                                                void *o, float *denominator, float *final_state, void *workspace,
                                                int64_t workspace_bytes);

PAN_API pan_status pan_linear_attention_backward_workspace_size(pan_stream *stream,
                                                                const pan_linear_attention_desc *desc, int64_t *bytes);

/**
 * Gradient of pan_linear_attention_forward without initial state, by the same chunks: queries' forwards, keys' and
 * values' backwards. With g[t] = do[t] / n[t] and e[t] = g[t] . o[t] (0 if not normalised),
 *
 *     dw[t,s] = g[t] . v[s] - e[t]      dv[s] = sum_{t>=s} w[t,s] g[t]
 *     dq[t] = sum_{s<=t} dw[t,s] dphi(q[t])^T phi(k[s])      dk[s] = sum_{t>=s} dw[t,s] dphi(k[s])^T phi(q[t])
 *
 * dq, dk, dv  all required; layouts of q, k, v; may interleave in one array. d_o has the layout of o.
 */
PAN_API pan_status pan_linear_attention_backward(pan_stream *stream, const pan_linear_attention_desc *desc,
                                                 const void *q, const void *k, const void *v, const void *o,
                                                 const float *denominator, const void *d_o, void *dq, void *dk,
                                                 void *dv, void *workspace, int64_t workspace_bytes);

/* ------------------------------------------------------------------------------------------------ scans */

typedef struct pan_wkv_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t batch;
    int64_t length;
    int64_t channels;
} pan_wkv_desc;

/**
 * The recurrence of RWKV-4: an average of the values with weights that decay, the current one with a bonus.
 *
 *     y[t] = ( sum_{s<t} exp(-(t-1-s) exp(decay) + k[s]) v[s] + exp(first + k[t]) v[t] )
 *            / ( the same without v )                                   for each example and channel
 *
 * Sums are kept relative to a running exponent, so that no k overflows: that of a position so far, with its decays. The
 * next one takes its place where it is larger by more than 16; smaller steps would round all sums again and again. A k of
 * -infinity has no weight; y is 0 where nothing has.
 *
 * k, v, y        (batch, length, channels) of dtype
 * decay, first   (channels) f32, the original's time_decay and time_first
 * initial_state  (batch, 3, channels) f32 that an earlier call wrote: numerator, denominator, and the exponent that
 *                both are relative to; zeros, or NULL: nothing came before
 * final_state    may be NULL, may alias initial_state
 * Source: Peng et al. 2023 (arXiv 2305.13048), eq. 16 and appendix D.
 */
PAN_API pan_status pan_wkv_forward(pan_stream *stream, const pan_wkv_desc *desc, const void *k, const void *v,
                                   const float *decay, const float *first, const float *initial_state, void *y,
                                   float *final_state);

PAN_API pan_status pan_wkv_backward_workspace_size(pan_stream *stream, const pan_wkv_desc *desc, int64_t *bytes);

/**
 * Gradient of pan_wkv_forward without initial state. dk, dv are written; ddecay, dfirst (channels) are added to, their
 * sums over the batch in an order fixed by the shape. Each may be NULL.
 */
PAN_API pan_status pan_wkv_backward(pan_stream *stream, const pan_wkv_desc *desc, const void *k, const void *v,
                                    const float *decay, const float *first, const void *dy, void *dk, void *dv,
                                    float *ddecay, float *dfirst, void *workspace, int64_t workspace_bytes);

typedef struct pan_selective_scan_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t batch;
    int64_t length;
    int64_t channels;
    int64_t state_size;
    int64_t u_stride;     /**< between positions of u and du; >= channels. Examples lie length * stride apart. */
    int64_t delta_stride; /**< likewise of delta and ddelta */
    int64_t b_stride;     /**< of b and db; >= state_size */
    int64_t c_stride;     /**< of c and dc; >= state_size */
    int64_t z_stride;     /**< of z and dz; >= channels; ignored where z is NULL */
    int64_t y_stride;     /**< of y and dy; >= channels */
} pan_selective_scan_desc;

/** Bytes of what forward keeps for backward: states at positions that the sizes alone determine. */
PAN_API pan_status pan_selective_scan_checkpoints_size(pan_stream *stream, const pan_selective_scan_desc *desc,
                                                       int64_t *bytes);

PAN_API pan_status pan_selective_scan_forward_workspace_size(pan_stream *stream, const pan_selective_scan_desc *desc,
                                                             int64_t *bytes);

/**
 * The selective scan of Mamba (S6), with its step size, skip and gate. For each example, with
 * d[t,e] = softplus(delta[t,e] + delta_bias[e]),
 *
 *     h[t,e,n] = exp(-d[t,e] exp(a_log[e,n])) h[t-1,e,n] + d[t,e] b[t,n] u[t,e]
 *     y[t,e] = ( sum_n c[t,n] h[t,e,n] + skip[e] u[t,e] ) * SiLU(z[t,e])
 *
 * u, delta, z, y  (batch, length, channels) of dtype, with strides; z may be NULL: no gate. They may be column ranges of
 *                 packed arrays, as may b and c.
 * b, c            (batch, length, state_size) of dtype, with strides
 * a_log           (channels, state_size) f32; skip, delta_bias: (channels) f32, may be NULL: 0
 * initial_state   (batch, state_size, channels) f32 that an earlier call wrote; NULL: 0
 * checkpoints     written for backward, opaque; NULL if there will be none
 * final_state     h at the last position; may be NULL, may alias initial_state
 * Source: Gu and Dao 2023 (arXiv 2312.00752), algorithm 2 and section 3.3.
 */
PAN_API pan_status pan_selective_scan_forward(pan_stream *stream, const pan_selective_scan_desc *desc, const void *u,
                                              const void *delta, const float *a_log, const void *b, const void *c,
                                              const float *skip, const float *delta_bias, const void *z,
                                              const float *initial_state, void *y, float *checkpoints,
                                              float *final_state, void *workspace, int64_t workspace_bytes);

PAN_API pan_status pan_selective_scan_backward_workspace_size(pan_stream *stream, const pan_selective_scan_desc *desc,
                                                              int64_t *bytes);

/**
 * Gradient of pan_selective_scan_forward without initial state, from its checkpoints. du, ddelta, db, dc, dz are written, in
 * the strides of their arrays; da_log, dskip, ddelta_bias are added to, in an order fixed by the shape. dz is NULL exactly if
 * z is; dskip and ddelta_bias may be NULL, the others not. The sums over channels in db and dc have a fixed order too.
 */
PAN_API pan_status pan_selective_scan_backward(pan_stream *stream, const pan_selective_scan_desc *desc, const void *u,
                                               const void *delta, const float *a_log, const void *b, const void *c,
                                               const float *skip, const float *delta_bias, const void *z,
                                               const float *checkpoints, const void *dy, void *du, void *ddelta,
                                               float *da_log, void *db, void *dc, float *dskip, float *ddelta_bias,
                                               void *dz, void *workspace, int64_t workspace_bytes);

/* ------------------------------------------------------------------------------------- short convolution */

typedef struct pan_short_conv_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t batch;
    int64_t length;
    int64_t channels;
    int64_t taps;
    int64_t x_stride; /**< between positions of x and dx; >= channels. Examples lie length * stride apart. */
    int64_t y_stride; /**< between positions of y and dy; >= channels */
} pan_short_conv_desc;

/**
 * Causal depthwise convolution with a few taps.
 *
 *     y[b,t,c] = bias[c] + sum_{j=0..taps-1} weight[c,j] x[b,t-(taps-1)+j,c],    x = 0 before the sequence
 *
 * x       (batch, length, channels) of dtype
 * weight  (channels, taps) f32: the last tap meets the current position
 * bias    (channels) f32, may be NULL: 0
 * y       (batch, length, channels) of dtype
 *
 * Any taps >= 1, also more than length. In the time domain: an output depends on no later input in any bit.
 */
PAN_API pan_status pan_short_conv_forward(pan_stream *stream, const pan_short_conv_desc *desc, const void *x,
                                          const float *weight, const float *bias, void *y);

PAN_API pan_status pan_short_conv_backward_workspace_size(pan_stream *stream, const pan_short_conv_desc *desc,
                                                          int64_t *bytes);

/**
 *     dx[b,s,c] = sum_{j: s+(taps-1)-j < length} weight[c,j] dy[b,s+(taps-1)-j,c]
 *     dweight[c,j] += sum_{b,t} dy[b,t,c] x[b,t-(taps-1)+j,c]      dbias[c] += sum_{b,t} dy[b,t,c]
 *
 * dx, dweight, dbias may be NULL. The sums over (b, t) have an order fixed by the shape.
 */
PAN_API pan_status pan_short_conv_backward(pan_stream *stream, const pan_short_conv_desc *desc, const void *x,
                                           const float *weight, const void *dy, void *dx, float *dweight, float *dbias,
                                           void *workspace, int64_t workspace_bytes);

/* -------------------------------------------------------------------------------------- long convolution */

/**
 * How a long convolution is computed.
 *
 * DIRECT is exact in what depends on what: each result is a sum of its own terms, whatever the others are.
 *
 * FFT mixes all positions of an (example, channel), and nothing else: an error is O(eps log length) relative to the
 * largest result that the magnitudes of that example, channel and filter allow, at every position alike. So a later
 * input changes an earlier output by rounding, a later input many orders larger than all earlier ones drowns them, and
 * a NaN or Inf in an input, a gradient or a tap makes the whole (example, channel) NaN or Inf.
 */
typedef int32_t pan_conv_method;
enum {
    PAN_CONV_AUTO = 0,   /**< the faster one, by crossovers that were measured (docs/kernels.md) */
    PAN_CONV_DIRECT = 1, /**< in the time domain: an output depends on no later input in any bit */
    PAN_CONV_FFT = 2     /**< by fast Fourier transforms */
};

typedef struct pan_long_conv_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    pan_conv_method method;
    int32_t reserved;
    int64_t batch;
    int64_t length;
    int64_t channels;
    int64_t taps;             /**< of the filter; those beyond length never reach an output */
    int64_t h_channel_stride; /**< h[c,j] and dh[c,j] lie at c * h_channel_stride + j * h_tap_stride; one of the two */
    int64_t h_tap_stride;     /**< is 1, the other at least the extent of what it steps over */
    int64_t u_stride;         /**< between positions of u and du; >= channels. Examples lie length * stride apart. */
    int64_t pre_stride;       /**< likewise of pre and dpre; ignored where pre is NULL */
    int64_t post_stride;      /**< likewise of post and dpost; ignored where post is NULL */
    int64_t y_stride;         /**< likewise of y and dy */
} pan_long_conv_desc;

/** Tables of the long convolutions of one descriptor on one device. Read-only: any threads may share it. Opaque. */
typedef struct pan_long_conv_plan pan_long_conv_plan;

/** Makes a plan. It must be destroyed before the device is closed. */
PAN_API pan_status pan_long_conv_plan_create(pan_device *device, const pan_long_conv_desc *desc,
                                             pan_long_conv_plan **plan);

PAN_API pan_status pan_long_conv_plan_destroy(pan_long_conv_plan *plan);

/** The method that the plan uses: PAN_CONV_DIRECT or PAN_CONV_FFT. */
PAN_API pan_status pan_long_conv_plan_method(const pan_long_conv_plan *plan, pan_conv_method *method);

/** Bytes of the prepared spectrum of one filter bank. */
PAN_API pan_status pan_long_conv_spectrum_size(pan_stream *stream, const pan_long_conv_plan *plan, int64_t *bytes);

PAN_API pan_status pan_long_conv_prepare_workspace_size(pan_stream *stream, const pan_long_conv_plan *plan,
                                                        int64_t *bytes);

/**
 * Brings a filter into the form that the convolution uses: its spectrum, or its taps in kernel order.
 *
 * h         (channels, taps) f32 in the layout of the descriptor
 * spectrum  pan_long_conv_spectrum_size() bytes, PAN_ALIGNMENT-aligned, opaque; valid for this plan until h changes
 */
PAN_API pan_status pan_long_conv_prepare(pan_stream *stream, const pan_long_conv_plan *plan, const float *h,
                                         void *spectrum, void *workspace, int64_t workspace_bytes);

PAN_API pan_status pan_long_conv_forward_workspace_size(pan_stream *stream, const pan_long_conv_plan *plan,
                                                        int64_t *bytes);

/**
 * Causal depthwise long convolution with optional gates and skip.
 *
 *     y[b,t,c] = post[b,t,c] * ( sum_{s=0..t} h[c,t-s] x[b,s,c] + skip[c] x[b,t,c] ),    x = pre * u
 *
 * spectrum         of h, from pan_long_conv_prepare()
 * u, pre, post, y  (batch, length, channels) of dtype; y may alias u. pre, post may be NULL: 1.
 * skip             (channels) f32, may be NULL: 0
 *
 * Any length >= 1 and taps >= 1. An example never depends on its neighbours, nor a channel on another. By FFT, each
 * (example, channel) is scaled by a power of two first, so that columns of huge or of tiny inputs lose no digits.
 * Source: Poli et al. 2023 (arXiv 2302.10866), eq. 4; fusion of gates after Fu et al. 2023 (arXiv 2311.05908).
 */
PAN_API pan_status pan_long_conv_forward(pan_stream *stream, const pan_long_conv_plan *plan, const void *spectrum,
                                         const void *u, const void *pre, const void *post, const float *skip, void *y,
                                         void *workspace, int64_t workspace_bytes);

PAN_API pan_status pan_long_conv_backward_workspace_size(pan_stream *stream, const pan_long_conv_plan *plan,
                                                         int64_t *bytes);

/**
 * Gradient of pan_long_conv_forward. With g = post dy, v = conv(h, x) + skip x, and
 * dx[b,s,c] = sum_{t>=s} h[c,t-s] g[b,t,c] + skip[c] g[b,s,c],
 *
 *     du = pre dx      dpre = u dx      dpost = v dy
 *     dh[c,j] += sum_{b,t} g[b,t,c] x[b,t-j,c]      dskip[c] += sum_{b,t} g[b,t,c] x[b,t,c]
 *
 * du, dpre, dpost, dh, dskip may be NULL; dpre needs pre and dpost needs post. dh[c,j] for j >= length is left as it
 * is. du may alias dy. The sums over the batch have an order fixed by the shape.
 */
PAN_API pan_status pan_long_conv_backward(pan_stream *stream, const pan_long_conv_plan *plan, const void *spectrum,
                                          const void *u, const void *pre, const void *post, const float *skip,
                                          const void *dy, void *du, void *dpre, void *dpost, float *dh, float *dskip,
                                          void *workspace, int64_t workspace_bytes);

/* -------------------------------------------------------------------------------------- implicit filters */

typedef struct pan_positional_features_desc {
    uint32_t struct_size;
    int32_t reserved;
    int64_t length;
    int64_t bands; /**< pairs of features beside the time itself; >= 1 */
} pan_positional_features_desc;

/**
 * The features of a position from which an implicit filter is computed. With w[t] = 2 pi t / length and frequencies
 * f[k] spaced evenly from 1e-4 to bands - 1 (1e-4 alone if bands is 1),
 *
 *     z[t,0] = t / (length - 1), 0 if length is 1      z[t,1+k] = cos(f[k] w[t])      z[t,1+bands+k] = -sin(f[k] w[t])
 *
 * z  (length, 2 bands + 1) f32
 * Source: Poli et al. 2023 (arXiv 2302.10866), appendix D.3.
 */
PAN_API pan_status pan_positional_features(pan_stream *stream, const pan_positional_features_desc *desc, float *z);

typedef struct pan_sine_layer_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t rows;
    int64_t channels;
} pan_sine_layer_desc;

/**
 * y[r,c] = sin(frequency[c] x[r,c]) over dense rows; frequency (channels) f32. y may alias x.
 * Source: Sitzmann et al. 2020 (arXiv 2006.09661), eq. 1, with a learned frequency for each channel.
 */
PAN_API pan_status pan_sine_layer_forward(pan_stream *stream, const pan_sine_layer_desc *desc, const void *x,
                                          const float *frequency, void *y);

PAN_API pan_status pan_sine_layer_backward_workspace_size(pan_stream *stream, const pan_sine_layer_desc *desc,
                                                          int64_t *bytes);

/**
 *     dx = frequency cos(frequency x) dy      dfrequency[c] += sum_r x cos(frequency x) dy
 *
 * dx may alias dy; dx, dfrequency may be NULL. The sum over rows has an order fixed by the shape.
 */
PAN_API pan_status pan_sine_layer_backward(pan_stream *stream, const pan_sine_layer_desc *desc, const void *x,
                                           const float *frequency, const void *dy, void *dx, float *dfrequency,
                                           void *workspace, int64_t workspace_bytes);

typedef struct pan_exponential_modulation_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t length;
    int64_t channels;
    double time_step; /**< of consecutive positions, usually 1 / (longest length - 1); >= 0 */
    double shift;     /**< added to the window; finite */
} pan_exponential_modulation_desc;

/**
 * Lets an implicit filter decay.
 *
 *     y[t,c] = x[t,c] * ( exp(-t * time_step * |rate[c]|) + shift )
 *
 * x, y  (length, channels) of dtype, dense; rate (channels) f32, a constant. y may alias x.
 * Linear in x and its own adjoint: backward is this function applied to dy.
 * Source: Poli et al. 2023 (arXiv 2302.10866), eq. 7.
 */
PAN_API pan_status pan_exponential_modulation(pan_stream *stream, const pan_exponential_modulation_desc *desc,
                                              const void *x, const float *rate, void *y);

/* ------------------------------------------------------------------------------- filters of state spaces */

typedef struct pan_diagonal_ssm_desc {
    uint32_t struct_size;
    int32_t reserved;
    int64_t heads;
    int64_t modes;  /**< complex modes of each head: half its real state */
    int64_t length; /**< taps of the filter */
} pan_diagonal_ssm_desc;

PAN_API pan_status pan_diagonal_ssm_forward_workspace_size(pan_stream *stream, const pan_diagonal_ssm_desc *desc,
                                                           int64_t *bytes);

/**
 * The filter of a diagonal state-space model, discretised by the bilinear transform. With dt = exp(log_dt[h]),
 * A = -exp(a_real_log[h,n]) + i a_imag[h,n] and a complex b and c,
 *
 *     Abar = (1 + dt A / 2) / (1 - dt A / 2)      Cbar = b[h,n] c[h,n] dt / (1 - dt A / 2)
 *     filter[l,h] = 2 Re sum_n Cbar Abar^l
 *
 * log_dt              (heads) f32
 * a_real_log, a_imag  (heads, modes) f32
 * b, c                (heads, modes, 2) f32: real and imaginary parts
 * filter              (length, heads) f32
 * Powers are computed in f64. Source: Gu et al. 2022 (arXiv 2206.11893), section 3 and table 1; Fu et al. 2022
 * (arXiv 2212.14052), section 3.
 */
PAN_API pan_status pan_diagonal_ssm_forward(pan_stream *stream, const pan_diagonal_ssm_desc *desc, const float *log_dt,
                                            const float *a_real_log, const float *a_imag, const float *b,
                                            const float *c, float *filter, void *workspace, int64_t workspace_bytes);

PAN_API pan_status pan_diagonal_ssm_backward_workspace_size(pan_stream *stream, const pan_diagonal_ssm_desc *desc,
                                                            int64_t *bytes);

/** Gradient of pan_diagonal_ssm_forward; each of the five gradients is added to, and may be NULL. */
PAN_API pan_status pan_diagonal_ssm_backward(pan_stream *stream, const pan_diagonal_ssm_desc *desc, const float *log_dt,
                                             const float *a_real_log, const float *a_imag, const float *b,
                                             const float *c, const float *dfilter, float *dlog_dt, float *da_real_log,
                                             float *da_imag, float *db, float *dc, void *workspace,
                                             int64_t workspace_bytes);

typedef struct pan_diagonal_ssm_scan_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t batch;
    int64_t length;
    int64_t heads;
    int64_t repeats; /**< channels that have the model of a head in common */
    int64_t modes;
} pan_diagonal_ssm_scan_desc;

PAN_API pan_status pan_diagonal_ssm_scan_workspace_size(pan_stream *stream, const pan_diagonal_ssm_scan_desc *desc,
                                                        int64_t *bytes);

/**
 * The convolution with the filter of pan_diagonal_ssm_forward as a recurrence, to go on from a state. Channel
 * c = i * heads + h has the model of head h; with its Abar and Cbar, for t = 0, 1, ...,
 *
 *     state[b,c,n] = Abar[h,n] state[b,c,n] + u[b,t,c]      y[b,t,c] = 2 Re sum_n Cbar[h,n] state[b,c,n]
 *
 * u, y   (batch, length, repeats * heads) of dtype, dense; y may alias u
 * state  (batch, repeats * heads, modes, 2) f32: real and imaginary parts, 0 before a sequence; updated in place
 *
 * The other arrays are those of pan_diagonal_ssm_forward. Computed in f64, the state between positions of a call too.
 * Has no gradient.
 */
PAN_API pan_status pan_diagonal_ssm_scan(pan_stream *stream, const pan_diagonal_ssm_scan_desc *desc, const void *u,
                                         const float *log_dt, const float *a_real_log, const float *a_imag,
                                         const float *b, const float *c, float *state, void *y, void *workspace,
                                         int64_t workspace_bytes);

typedef struct pan_shift_ssm_desc {
    uint32_t struct_size;
    int32_t reserved;
    int64_t channels;
    int64_t state_size;
    int64_t length; /**< taps of the filter; those from state_size on are 0 */
} pan_shift_ssm_desc;

/**
 * The filter of a shift state-space model.
 *
 *     filter[l,h] = sum_{n=0}^{state_size-1-l} b[h,n] c[h,n+l]      for l < state_size, else 0
 *
 * b, c: (channels, state_size) f32; filter: (length, channels) f32. Source: Fu et al. 2022 (arXiv 2212.14052), section 3.
 */
PAN_API pan_status pan_shift_ssm_forward(pan_stream *stream, const pan_shift_ssm_desc *desc, const float *b,
                                         const float *c, float *filter);

/** Gradient of pan_shift_ssm_forward; db and dc are added to, and may be NULL. */
PAN_API pan_status pan_shift_ssm_backward(pan_stream *stream, const pan_shift_ssm_desc *desc, const float *b,
                                          const float *c, const float *dfilter, float *db, float *dc);

/* --------------------------------------------------------------------------------------- vocabulary loss */

typedef struct pan_vocabulary_loss_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    int64_t rows; /**< below 2^31, as vocab_size */
    int64_t channels;
    int64_t vocab_size;
    int64_t hidden_stride; /**< between rows of hidden and dhidden; >= channels */
} pan_vocabulary_loss_desc;

PAN_API pan_status pan_vocabulary_loss_forward_workspace_size(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                                              int64_t *bytes);

/**
 * Cross entropy of a linear vocabulary head, over the labelled rows only.
 *
 *     z[r,v] = sum_c hidden[r,c] weight[v,c]      lse[r] = log sum_v exp z[r,v]
 *     row_loss[r] = lse[r] - z[r,labels[r]]       loss = mean of row_loss over rows with labels[r] != PAN_IGNORE_LABEL
 *
 * Labelled rows are gathered first and the logits formed tile by tile: no array of rows x vocab_size exists, and
 * unlabelled rows cost nothing. If no row is labelled, loss is 0.
 *
 * hidden          (rows, channels) of dtype
 * weight          (vocab_size, channels) f32
 * labels          (rows) int32, in [0, vocab_size) or PAN_IGNORE_LABEL
 * loss            (1) f32. labelled_count: (1) int32, rows that have a label.
 * row_loss        (rows) f32, 0 where ignored; lse: (rows) f32 kept for backward, 0 where ignored
 * arg_max         (rows) int32: argmax_v z[r,v], the smallest such v; -1 where ignored
 */
PAN_API pan_status pan_vocabulary_loss_forward(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                               const void *hidden, const float *weight, const int32_t *labels,
                                               float *loss, int32_t *labelled_count, float *row_loss, float *lse,
                                               int32_t *arg_max, void *workspace, int64_t workspace_bytes);

PAN_API pan_status pan_vocabulary_loss_backward_workspace_size(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                                               int64_t *bytes);

/**
 * Gradient of pan_vocabulary_loss_forward. With n = labelled_count and
 * g[r,v] = dloss / n * (exp(z[r,v] - lse[r]) - [v = labels[r]]) on labelled rows,
 *
 *     dhidden[r,c] = sum_v g[r,v] weight[v,c], 0 on ignored rows      dweight[v,c] += sum_r g[r,v] hidden[r,c]
 *
 * dloss  (1) f32. dhidden, dweight may be NULL. If no row is labelled the gradients are zero.
 */
PAN_API pan_status pan_vocabulary_loss_backward(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                                const void *hidden, const float *weight, const int32_t *labels,
                                                const int32_t *labelled_count, const float *lse, const float *dloss,
                                                void *dhidden, float *dweight, void *workspace,
                                                int64_t workspace_bytes);

PAN_API pan_status pan_vocabulary_loss_with_gradient_workspace_size(pan_stream *stream,
                                                                    const pan_vocabulary_loss_desc *desc,
                                                                    int64_t *bytes);

/**
 * pan_vocabulary_loss_forward and pan_vocabulary_loss_backward in one call, for who knows dloss and wants the gradient: each
 * logit is formed once, and kept while its rows are in work. On CUDA the same work as the two calls.
 *
 * dhidden (rows, channels) of dtype is written, dweight (vocab_size, channels) f32 is added to; all else as in the two
 * calls. If no row is labelled the gradients are zero.
 */
PAN_API pan_status pan_vocabulary_loss_with_gradient(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                                     const void *hidden, const float *weight, const int32_t *labels,
                                                     const float *dloss, float *loss, int32_t *labelled_count,
                                                     float *row_loss, float *lse, int32_t *arg_max, void *dhidden,
                                                     float *dweight, void *workspace, int64_t workspace_bytes);

/* ---------------------------------------------------------------------------------------------- reductions */

typedef int32_t pan_reduction;
enum {
    PAN_REDUCE_SUM = 0,
    PAN_REDUCE_MEAN = 1,
    PAN_REDUCE_SUM_OF_SQUARES = 2,
    PAN_REDUCE_NONFINITE = 3,         /**< how many elements are NaN or infinite; has no gradient */
    PAN_REDUCE_SUM_OF_MAGNITUDES = 4, /**< sum of |x|, the L1 norm; its gradient is 0 where x is */
    PAN_REDUCE_MAX = 5,               /**< NaN if an element is; its gradient goes to the first element that is it */
    PAN_REDUCE_COUNT = 6
};

typedef struct pan_reduce_desc {
    uint32_t struct_size;
    pan_dtype dtype;
    pan_reduction kind;
    int32_t reserved;
    int64_t outer;
    int64_t count; /**< extent of the reduced dimension */
    int64_t inner;
} pan_reduce_desc;

PAN_API pan_status pan_reduce_forward_workspace_size(pan_stream *stream, const pan_reduce_desc *desc, int64_t *bytes);

/**
 * y[o,i] = reduction over k of x[o,k,i];  x (outer, count, inner), y (outer, inner), both dense and of dtype.
 * The order of summation is fixed by the shape; partial sums are kept in higher precision than f32.
 */
PAN_API pan_status pan_reduce_forward(pan_stream *stream, const pan_reduce_desc *desc, const void *x, void *y,
                                      void *workspace, int64_t workspace_bytes);

/**
 * sum: dx = dy;  mean: dx = dy / count;  sum of squares: dx = 2 x dy;  sum of magnitudes: dx = sign(x) dy;
 * maximum: dx = dy at the first largest x[o,k,i] of (o, i), 0 elsewhere.
 * x may be NULL for sum and mean.
 */
PAN_API pan_status pan_reduce_backward(pan_stream *stream, const pan_reduce_desc *desc, const void *x, const void *dy,
                                       void *dx);

/* ----------------------------------------------------------------------------------------------- optimizer */

/** Device memory with what changes from step to step. Bias corrections are 1 - beta^t for step t = 1, 2, ... */
typedef struct pan_adamw_state {
    double learning_rate;
    double beta1;
    double beta2;
    double epsilon;
    double weight_decay;
    double bias_correction1;
    double bias_correction2;
    int64_t skip; /**< if not 0, the step changes nothing */
} pan_adamw_state;

typedef struct pan_adamw_desc {
    uint32_t struct_size;
    int32_t reserved;
    int64_t count;
} pan_adamw_desc;

/**
 * One step of AdamW over a flat array of parameters, in one pass:
 *
 *     p *= 1 - learning_rate * weight_decay
 *     m = beta1 m + (1 - beta1) g      v = beta2 v + (1 - beta2) g^2
 *     p -= learning_rate / bias_correction1 * m / (sqrt(v / bias_correction2) + epsilon)
 *
 * parameters, exp_avg (m), exp_avg_sq (v): (count) f32, updated in place. gradients: (count) f32.
 * Source: Loshchilov and Hutter 2019 (arXiv 1711.05101), algorithm 2, with the schedule folded into learning_rate.
 */
PAN_API pan_status pan_adamw_step(pan_stream *stream, const pan_adamw_desc *desc, const pan_adamw_state *state,
                                  float *parameters, const float *gradients, float *exp_avg, float *exp_avg_sq);

#ifdef __cplusplus
}
#endif

#endif
