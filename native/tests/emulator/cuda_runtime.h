/* Emulation of the CUDA runtime on the host, for tests: the CUDA sources are compiled by the host's C++ compiler against
 * this header, and the driver, the kernels' logic and all that is built on them run where there is no GPU.
 *
 * Each thread of a block is a fiber; __syncthreads() and shuffles switch between them, and what no device would forgive
 * (a barrier that not all threads reach, a host address in an argument, shared memory past its end) ends the process
 * with a message. Work is done when it is given, or recorded in a capture. Kernels run one at a time.
 *
 * What it cannot show: races between the blocks or streams of a device, occupancy, speed, the rounding of the device's
 * functions. Its environment variables:
 *
 *   PANTHERA_EMULATOR_DEVICES     devices; 2; -1: a driver that is too old
 *   PANTHERA_EMULATOR_MEMORY      bytes of each; 4 GiB
 *   PANTHERA_EMULATOR_SHARED      bytes of shared memory that a block can be given; 101376
 *   PANTHERA_EMULATOR_ORDER       forward | reverse: which thread of a warp, and which warp, goes first
 *   PANTHERA_EMULATOR_FAIL_AFTER  kernels until the device is lost; never */
#ifndef PAN_TESTS_EMULATOR_CUDA_RUNTIME_H
#define PAN_TESTS_EMULATOR_CUDA_RUNTIME_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define EMULATOR_API __attribute__((visibility("default")))

#define CUDART_VERSION 13000

/* ---- types ---- */

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct alignas(8) float2 {
    float x, y;
};

struct alignas(16) float4 {
    float x, y, z, w;
};

inline float2 make_float2(float x, float y) {
    return {x, y};
}

inline float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w};
}

typedef enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInsufficientDriver = 35,
    cudaErrorInvalidDevice = 101,
    cudaErrorInvalidResourceHandle = 400,
    cudaErrorNotReady = 600,
    cudaErrorLaunchFailure = 719,
    cudaErrorStreamCaptureUnsupported = 900,
    cudaErrorStreamCaptureInvalidated = 901,
} cudaError_t;

enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaDeviceAttr { cudaDevAttrMaxSharedMemoryPerBlockOptin = 97, cudaDevAttrMemoryPoolsSupported = 115 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeRelaxed = 2 };
enum cudaStreamCaptureStatus { cudaStreamCaptureStatusNone = 0, cudaStreamCaptureStatusActive = 1 };
enum cudaMemPoolAttr { cudaMemPoolAttrReleaseThreshold = 4 };
enum cudaMemAllocationType { cudaMemAllocationTypePinned = 1 };
enum cudaMemLocationType { cudaMemLocationTypeDevice = 1 };
enum {
    cudaStreamNonBlocking = 1,
    cudaEventDefault = 0,
    cudaEventDisableTiming = 2,
    cudaHostAllocPortable = 1,
    cudaHostAllocMapped = 2
};

struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem;
    size_t sharedMemPerBlockOptin;
    int major, minor;
    int multiProcessorCount;
};

struct cudaMemLocation {
    cudaMemLocationType type;
    int id;
};

struct cudaMemPoolProps {
    cudaMemAllocationType allocType;
    cudaMemLocation location;
};

typedef struct emulated_stream *cudaStream_t;
typedef struct emulated_event *cudaEvent_t;
typedef struct emulated_graph *cudaGraph_t;
typedef struct emulated_graph *cudaGraphExec_t;
typedef struct emulated_pool *cudaMemPool_t;

struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    void *attrs;
    unsigned numAttrs;
};

/* ---- runtime ---- */

extern "C" {
EMULATOR_API cudaError_t cudaGetDeviceCount(int *count);
EMULATOR_API cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
EMULATOR_API cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device);
EMULATOR_API cudaError_t cudaSetDevice(int device);
EMULATOR_API cudaError_t cudaMemGetInfo(size_t *free, size_t *total);
EMULATOR_API cudaError_t cudaMalloc(void **address, size_t bytes);
EMULATOR_API cudaError_t cudaFree(void *address);
EMULATOR_API cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const cudaMemPoolProps *properties);
EMULATOR_API cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool);
EMULATOR_API cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void *value);
EMULATOR_API cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t bytes);
EMULATOR_API cudaError_t cudaMallocFromPoolAsync(void **address, size_t bytes, cudaMemPool_t pool, cudaStream_t stream);
EMULATOR_API cudaError_t cudaFreeAsync(void *address, cudaStream_t stream);
EMULATOR_API cudaError_t cudaHostAlloc(void **address, size_t bytes, unsigned flags);
EMULATOR_API cudaError_t cudaFreeHost(void *address);
EMULATOR_API cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
EMULATOR_API cudaError_t cudaStreamDestroy(cudaStream_t stream);
EMULATOR_API cudaError_t cudaStreamSynchronize(cudaStream_t stream);
EMULATOR_API cudaError_t cudaStreamQuery(cudaStream_t stream);
EMULATOR_API cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
EMULATOR_API cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
EMULATOR_API cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
EMULATOR_API cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status);
EMULATOR_API cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long flags);
EMULATOR_API cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
EMULATOR_API cudaError_t cudaGraphDestroy(cudaGraph_t graph);
EMULATOR_API cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);
EMULATOR_API cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
EMULATOR_API cudaError_t cudaEventDestroy(cudaEvent_t event);
EMULATOR_API cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
EMULATOR_API cudaError_t cudaEventSynchronize(cudaEvent_t event);
EMULATOR_API cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end);
EMULATOR_API cudaError_t cudaMemcpyAsync(void *target, const void *source, size_t bytes, cudaMemcpyKind kind,
                                         cudaStream_t stream);
EMULATOR_API cudaError_t cudaMemsetAsync(void *target, int value, size_t bytes, cudaStream_t stream);
EMULATOR_API cudaError_t cudaGetLastError(void);
EMULATOR_API const char *cudaGetErrorString(cudaError_t error);
EMULATOR_API const char *cudaGetErrorName(cudaError_t error);
}

/* ---- what kernels see ---- */

EMULATOR_API extern uint3 threadIdx, blockIdx;
EMULATOR_API extern dim3 blockDim, gridDim;

/* The block's dynamic shared memory. */
EMULATOR_API extern unsigned char *emulated_shared;

EMULATOR_API void __syncthreads();
EMULATOR_API void __syncwarp(unsigned mask = 0xffffffffu);

/* Leaves `bits` for the warp's other lanes, waits for them, and returns what all lanes left. */
EMULATOR_API const uint64_t *emulated_exchange(unsigned mask, uint64_t bits);

template <typename T> T emulated_shuffle(unsigned mask, T value, int lane) {
    static_assert(sizeof(T) <= sizeof(uint64_t), "wider than a shuffle can be");
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    const uint64_t *all = emulated_exchange(mask, bits);
    std::memcpy(&value, &all[lane], sizeof value);
    return value;
}

inline int emulated_lane() {
    return static_cast<int>((threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32);
}

template <typename T> T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
    const int own = emulated_lane();
    return emulated_shuffle(mask, value, own / width * width + lane % width);
}

template <typename T> T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int = 32) {
    return emulated_shuffle(mask, value, emulated_lane() ^ lane_mask);
}

template <typename T> T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    const int own = emulated_lane();
    const int from = own - static_cast<int>(distance);
    return emulated_shuffle(mask, value, from < own / width * width ? own : from);
}

inline unsigned __ballot_sync(unsigned mask, bool vote) {
    const uint64_t *all = emulated_exchange(mask, vote);
    unsigned ballot = 0;
    for (int lane = 0; lane < 32; lane++) {
        ballot |= (mask >> lane & 1) != 0 && all[lane] != 0 ? 1u << lane : 0;
    }
    return ballot;
}

inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}

template <typename T> T __ldg(const T *address) {
    return *address;
}

inline float normcdff(float x) {
    return static_cast<float>(0.5 * std::erfc(-static_cast<double>(x) * 0.70710678118654752440));
}

inline float rsqrtf(float x) {
    return static_cast<float>(1.0 / std::sqrt(static_cast<double>(x)));
}

inline int __float_as_int(float x) {
    int bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

inline float __int_as_float(int bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

template <typename T> constexpr T min(T a, T b) {
    return b < a ? b : a;
}

template <typename T> constexpr T max(T a, T b) {
    return a < b ? b : a;
}

/* ---- launches ---- */

/* Ends the process if a part of the argument is an address of host memory that is not pinned. */
EMULATOR_API void emulated_check_argument(const void *argument, size_t bytes);
EMULATOR_API cudaError_t emulated_launch(const cudaLaunchConfig_t &config, const void *kernel,
                                         std::function<void()> thread);
EMULATOR_API void emulated_allow_shared(const void *kernel, int bytes);

template <typename Kernel> cudaError_t cudaFuncSetAttribute(Kernel *kernel, cudaFuncAttribute, int value) {
    emulated_allow_shared(reinterpret_cast<const void *>(kernel), value);
    return cudaSuccess;
}

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(Parameters...),
                               Arguments... arguments) {
    /* What a stack left in the padding of a struct could look like an address. */
    (__builtin_clear_padding(&arguments), ...);
    (emulated_check_argument(&arguments, sizeof arguments), ...);
    return emulated_launch(*config, reinterpret_cast<const void *>(kernel),
                           [=] { kernel(static_cast<Parameters>(arguments)...); });
}

#endif
