/* The emulated CUDA runtime; see cuda_runtime.h. */
#include "cuda_runtime.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "fibers.h"

namespace {

/* One call at a time, from whichever thread. */
std::recursive_mutex one_at_a_time;
using guard = std::lock_guard<std::recursive_mutex>;

[[noreturn]] void die(const char *what) {
    std::fprintf(stderr, "CUDA emulator: %s\n", what);
    std::abort();
}

int64_t setting(const char *name, int64_t otherwise) {
    const char *text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoll(text, nullptr, 10);
}

struct allocation {
    int device; /* -1: pinned host memory */
    size_t bytes;
};

constexpr size_t POISONED_BYTES = 8 << 20;

std::map<uintptr_t, allocation> allocations;
std::map<int, size_t> used;
int64_t kernels_left;
bool lost;
thread_local int current_device;
thread_local cudaError_t last_error;

int device_count() {
    static const int count = static_cast<int>(setting("PANTHERA_EMULATOR_DEVICES", 2));
    return count;
}

size_t device_bytes() {
    static const int64_t bytes = setting("PANTHERA_EMULATOR_MEMORY", INT64_C(4) << 30);
    return static_cast<size_t>(bytes);
}

size_t shared_bytes() {
    static const int64_t bytes = setting("PANTHERA_EMULATOR_SHARED", 101376);
    return static_cast<size_t>(bytes);
}

cudaError_t answer(cudaError_t error) {
    if (lost) {
        error = cudaErrorLaunchFailure;
    }
    if (error != cudaSuccess && error != cudaErrorNotReady) {
        last_error = error;
    }
    return error;
}

/* The allocation that holds an address; end() if none does. */
std::map<uintptr_t, allocation>::iterator find(uintptr_t address) {
    auto next = allocations.upper_bound(address);
    if (next == allocations.begin()) {
        return allocations.end();
    }
    --next;
    return address < next->first + next->second.bytes ? next : allocations.end();
}

void check_device_range(const char *op, const void *address, size_t bytes) {
    const auto place = find(reinterpret_cast<uintptr_t>(address));
    if (place == allocations.end() || place->second.device < 0 ||
        reinterpret_cast<uintptr_t>(address) + bytes > place->first + place->second.bytes) {
        die(op);
    }
}

cudaError_t allocate(void **address, size_t bytes, int device) {
    if (lost) {
        return answer(cudaErrorLaunchFailure);
    }
    if (device >= 0 && used[device] + bytes > device_bytes()) {
        return answer(cudaErrorMemoryAllocation);
    }
    if (posix_memalign(address, 256, bytes) != 0) {
        return answer(cudaErrorMemoryAllocation);
    }
    allocations[reinterpret_cast<uintptr_t>(*address)] = {device, bytes};
    if (device >= 0) {
        used[device] += bytes;
    }
    return cudaSuccess;
}

cudaError_t release(void *address) {
    const auto place = allocations.find(reinterpret_cast<uintptr_t>(address));
    if (place == allocations.end()) {
        return answer(cudaErrorInvalidValue);
    }
    if (place->second.device >= 0) {
        used[place->second.device] -= place->second.bytes;
    }
    allocations.erase(place);
    std::free(address);
    return answer(cudaSuccess);
}

} // namespace

struct emulated_graph {
    std::vector<std::function<void()>> work;
};

struct emulated_stream {
    emulated_graph *capture = nullptr;
    bool invalid = false; /* the capture */
};

struct emulated_event {
    timespec time{};
};

struct emulated_pool {
    int device;
};

namespace {

cudaError_t invalidate(cudaStream_t stream) {
    stream->invalid = true;
    return answer(cudaErrorStreamCaptureUnsupported);
}

/* Does the work, or records it. */
cudaError_t give(cudaStream_t stream, std::function<void()> work) {
    if (stream != nullptr && stream->capture != nullptr) {
        stream->capture->work.push_back(std::move(work));
    } else if (!lost) {
        work();
    }
    return answer(cudaSuccess);
}

} // namespace

/* ---- devices and memory ---- */

cudaError_t cudaGetDeviceCount(int *count) {
    *count = device_count();
    return *count < 0 ? cudaErrorInsufficientDriver : cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
    *properties = {};
    std::snprintf(properties->name, sizeof properties->name, "emulated device %d", device);
    properties->totalGlobalMem = device_bytes();
    properties->sharedMemPerBlockOptin = shared_bytes();
    properties->major = 9;
    properties->multiProcessorCount = 4;
    return device < device_count() ? cudaSuccess : answer(cudaErrorInvalidDevice);
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int) {
    *value = attribute == cudaDevAttrMemoryPoolsSupported ? 1 : static_cast<int>(shared_bytes());
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    current_device = device;
    return device < device_count() ? answer(cudaSuccess) : answer(cudaErrorInvalidDevice);
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
    guard lock(one_at_a_time);
    *total = device_bytes();
    *free = device_bytes() - used[current_device];
    return answer(cudaSuccess);
}

cudaError_t cudaMalloc(void **address, size_t bytes) {
    guard lock(one_at_a_time);
    return allocate(address, bytes, current_device);
}

cudaError_t cudaFree(void *address) {
    guard lock(one_at_a_time);
    return address == nullptr ? answer(cudaSuccess) : release(address);
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const cudaMemPoolProps *properties) {
    *pool = new emulated_pool{properties->location.id};
    return answer(cudaSuccess);
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
    delete pool;
    return answer(cudaSuccess);
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void *) {
    return answer(cudaSuccess);
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) {
    return answer(cudaSuccess);
}

cudaError_t cudaMallocFromPoolAsync(void **address, size_t bytes, cudaMemPool_t pool, cudaStream_t stream) {
    guard lock(one_at_a_time);
    if (stream->capture != nullptr) {
        return invalidate(stream);
    }
    const cudaError_t error = allocate(address, bytes, pool->device);
    if (error == cudaSuccess) {
        /* NaN, where somebody reads before anybody writes; the size of cuBLAS's workspace would take its time. */
        std::memset(*address, 0xff, bytes < POISONED_BYTES ? bytes : POISONED_BYTES);
    }
    return error;
}

cudaError_t cudaFreeAsync(void *address, cudaStream_t stream) {
    guard lock(one_at_a_time);
    return stream->capture != nullptr ? invalidate(stream) : release(address);
}

cudaError_t cudaHostAlloc(void **address, size_t bytes, unsigned) {
    guard lock(one_at_a_time);
    return allocate(address, bytes, -1);
}

cudaError_t cudaFreeHost(void *address) {
    guard lock(one_at_a_time);
    return release(address);
}

/* ---- streams, events, graphs ---- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned) {
    *stream = new emulated_stream;
    return answer(cudaSuccess);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    delete stream;
    return answer(cudaSuccess);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    return stream->capture != nullptr ? invalidate(stream) : answer(cudaSuccess);
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
    return stream->capture != nullptr ? invalidate(stream) : answer(cudaSuccess);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) {
    return answer(cudaSuccess);
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    if (stream->capture != nullptr) {
        return answer(cudaErrorInvalidValue);
    }
    stream->capture = new emulated_graph;
    stream->invalid = false;
    return answer(cudaSuccess);
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    if (stream->capture == nullptr) {
        return answer(cudaErrorInvalidValue);
    }
    *graph = stream->capture;
    stream->capture = nullptr;
    if (stream->invalid) {
        delete *graph;
        *graph = nullptr;
        return answer(cudaErrorStreamCaptureInvalidated);
    }
    return answer(cudaSuccess);
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status) {
    *status = stream->capture == nullptr ? cudaStreamCaptureStatusNone : cudaStreamCaptureStatusActive;
    return answer(cudaSuccess);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long) {
    *executable = new emulated_graph(*graph);
    return answer(cudaSuccess);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    guard lock(one_at_a_time);
    for (const auto &work : executable->work) {
        give(stream, work);
    }
    return answer(cudaSuccess);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return answer(cudaSuccess);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    delete executable;
    return answer(cudaSuccess);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) {
    *event = new emulated_event;
    return answer(cudaSuccess);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return answer(cudaSuccess);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
    clock_gettime(CLOCK_MONOTONIC, &event->time);
    return answer(cudaSuccess);
}

cudaError_t cudaEventSynchronize(cudaEvent_t) {
    return answer(cudaSuccess);
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end) {
    *milliseconds = static_cast<float>(1e3 * static_cast<double>(end->time.tv_sec - start->time.tv_sec) +
                                       1e-6 * static_cast<double>(end->time.tv_nsec - start->time.tv_nsec));
    return answer(cudaSuccess);
}

cudaError_t cudaMemcpyAsync(void *target, const void *source, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    guard lock(one_at_a_time);
    if (kind != cudaMemcpyDeviceToHost) {
        check_device_range("a copy's target is not an array of the device", target, bytes);
    }
    if (kind != cudaMemcpyHostToDevice) {
        check_device_range("a copy's source is not an array of the device", source, bytes);
    }
    return give(stream, [=] { std::memmove(target, source, bytes); });
}

cudaError_t cudaMemsetAsync(void *target, int value, size_t bytes, cudaStream_t stream) {
    guard lock(one_at_a_time);
    check_device_range("a memset's target is not an array of the device", target, bytes);
    return give(stream, [=] { std::memset(target, value, bytes); });
}

cudaError_t cudaGetLastError(void) {
    const cudaError_t error = last_error;
    last_error = cudaSuccess;
    return answer(error);
}

const char *cudaGetErrorString(cudaError_t error) {
    switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorLaunchFailure: return "unspecified launch failure";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated: return "operation failed due to a previous error during capture";
    default: return "invalid argument";
    }
}

const char *cudaGetErrorName(cudaError_t error) {
    switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    default: return "cudaErrorInvalidValue";
    }
}

/* ---- launches ---- */

namespace {

std::map<const void *, int> shared_allowed;
constexpr size_t DEFAULT_SHARED = 48 << 10;

/* Whether the page of an address is mapped in this process. */
bool is_mapped(uintptr_t address) {
    static const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    return msync(reinterpret_cast<void *>(address / page * page), page, MS_ASYNC) == 0 || errno != ENOMEM;
}

bool counts_down_to_loss() {
    static std::once_flag once;
    std::call_once(once, [] { kernels_left = setting("PANTHERA_EMULATOR_FAIL_AFTER", -1); });
    return kernels_left >= 0;
}

void check_launch(const cudaLaunchConfig_t &config, const void *kernel) {
    const dim3 grid = config.gridDim, block = config.blockDim;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) {
        die("a grid has a size that no device accepts");
    }
    if (block.x == 0 || block.y == 0 || block.z == 0 || block.x * block.y * block.z > 1024) {
        die("a block has a size that no device accepts");
    }
    const auto allowed = shared_allowed.find(kernel);
    const size_t limit = allowed == shared_allowed.end() ? DEFAULT_SHARED : static_cast<size_t>(allowed->second);
    if (config.dynamicSmemBytes > limit || config.dynamicSmemBytes > shared_bytes()) {
        die("a block is given more shared memory than was asked for");
    }
}

} // namespace

void emulated_check_argument(const void *argument, size_t bytes) {
    guard lock(one_at_a_time);
    for (size_t at = 0; at + sizeof(uintptr_t) <= bytes; at += sizeof(uintptr_t)) {
        uintptr_t word;
        std::memcpy(&word, static_cast<const char *>(argument) + at, sizeof word);
        const bool could_be_address = word > UINT64_C(1) << 40 && word < UINT64_C(1) << 47;
        if (could_be_address && find(word) == allocations.end() && is_mapped(word)) {
            die("a kernel's argument holds an address of host memory");
        }
    }
}

void emulated_allow_shared(const void *kernel, int bytes) {
    guard lock(one_at_a_time);
    if (static_cast<size_t>(bytes) > shared_bytes()) {
        die("a kernel asks for more shared memory than the device has");
    }
    shared_allowed[kernel] = bytes;
}

cudaError_t emulated_launch(const cudaLaunchConfig_t &config, const void *kernel, std::function<void()> thread) {
    guard lock(one_at_a_time);
    check_launch(config, kernel);
    return give(config.stream, [=] {
        if (counts_down_to_loss() && kernels_left-- == 0) {
            lost = true;
        }
        if (!lost) {
            run_grid(config.gridDim, config.blockDim, config.dynamicSmemBytes, thread);
        }
    });
}
