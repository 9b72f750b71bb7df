/* Fibers: each runs until it waits at a barrier or ends. A fiber is made once, with a stack of its own, and then runs one
 * thread after another. */
#include "fibers.h"

#include "context.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;
unsigned char *emulated_shared;

namespace {

constexpr size_t STACK_BYTES = 128 << 10;
constexpr unsigned WARP = 32;
constexpr unsigned MAX_THREADS = 1024;
constexpr unsigned char CANARY = 0xa5;
constexpr size_t CANARY_BYTES = 256;

enum class state { READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER, DONE };

struct fiber {
    context at_rest;
    std::unique_ptr<char[]> stack;
    state at = state::DONE;
    bool parity = false;
    uint3 index{};
};

struct warp_slots {
    uint64_t bits[2][WARP];
};

fiber fibers[MAX_THREADS];
warp_slots slots[MAX_THREADS / WARP];
context scheduler;
unsigned current;
const std::function<void()> *body;

[[noreturn]] void die(const char *what) {
    std::fprintf(stderr, "CUDA emulator: %s (block %u,%u,%u, thread %u,%u,%u)\n", what, blockIdx.x, blockIdx.y,
                 blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
    std::abort();
}

/* Back to the scheduler, until it enters this fiber again. */
void leave() {
    switch_context(fibers[current].at_rest, scheduler);
    threadIdx = fibers[current].index;
}

void run_threads() {
    for (;;) {
        (*body)();
        fibers[current].at = state::DONE;
        leave();
    }
}

/* Runs a thread until it waits or ends. */
void enter(unsigned thread) {
    current = thread;
    fiber &entered = fibers[thread];
    threadIdx = entered.index;
    if (entered.stack == nullptr) {
        entered.stack = std::make_unique<char[]>(STACK_BYTES);
        make_context(entered.at_rest, entered.stack.get(), STACK_BYTES, run_threads);
    }
    switch_context(scheduler, entered.at_rest);
}

bool reverse_order() {
    static const bool reverse = [] {
        const char *order = std::getenv("PANTHERA_EMULATOR_ORDER");
        return order != nullptr && std::string_view(order) == "reverse";
    }();
    return reverse;
}

unsigned in_order(unsigned i, unsigned count) {
    return reverse_order() ? count - 1 - i : i;
}

/* Lets the lanes of a warp go on once all have reached the warp barrier. */
bool release_warp(unsigned first, unsigned lanes) {
    for (unsigned lane = 0; lane < lanes; lane++) {
        if (lanes != WARP || fibers[first + lane].at != state::AT_WARP_BARRIER) {
            return false;
        }
    }
    for (unsigned lane = 0; lane < lanes; lane++) {
        fibers[first + lane].at = state::READY;
    }
    return true;
}

/* Runs the threads of a warp until each waits for other warps or has ended. */
void run_warp(unsigned first, unsigned lanes) {
    do {
        for (unsigned i = 0; i < lanes; i++) {
            const unsigned thread = first + in_order(i, lanes);
            if (fibers[thread].at == state::READY) {
                enter(thread);
            }
        }
    } while (release_warp(first, lanes));
}

unsigned count_at(unsigned threads, state wanted) {
    unsigned count = 0;
    for (unsigned i = 0; i < threads; i++) {
        count += fibers[i].at == wanted;
    }
    return count;
}

void run_block(unsigned threads) {
    unsigned i = 0;
    for (unsigned z = 0; z < blockDim.z; z++) {
        for (unsigned y = 0; y < blockDim.y; y++) {
            for (unsigned x = 0; x < blockDim.x; x++, i++) {
                fibers[i].at = state::READY;
                fibers[i].parity = false;
                fibers[i].index = {x, y, z};
            }
        }
    }
    const unsigned warps = (threads + WARP - 1) / WARP;
    for (;;) {
        for (unsigned w = 0; w < warps; w++) {
            const unsigned first = in_order(w, warps) * WARP;
            run_warp(first, threads - first < WARP ? threads - first : WARP);
        }
        const unsigned done = count_at(threads, state::DONE);
        if (done == threads) {
            return;
        }
        if (count_at(threads, state::AT_BLOCK_BARRIER) != threads) {
            die(done > 0 ? "threads have ended while others wait at a barrier"
                         : "threads of a block wait at different barriers");
        }
        for (unsigned t = 0; t < threads; t++) {
            fibers[t].at = state::READY;
        }
    }
}

} // namespace

void __syncthreads() {
    fibers[current].at = state::AT_BLOCK_BARRIER;
    leave();
}

void __syncwarp(unsigned mask) {
    if (mask != 0xffffffffu) {
        die("a warp barrier of a part of the warp, which the emulator does not have");
    }
    fibers[current].at = state::AT_WARP_BARRIER;
    leave();
}

/* Two sets of slots take turns: a lane that is one exchange ahead cannot disturb what the others still read. */
const uint64_t *emulated_exchange(unsigned mask, uint64_t bits) {
    fiber &own = fibers[current];
    uint64_t *const set = slots[current / WARP].bits[own.parity];
    own.parity = !own.parity;
    set[current % WARP] = bits;
    __syncwarp(mask);
    return set;
}

void run_grid(dim3 grid, dim3 block, size_t shared, const std::function<void()> &thread) {
    std::vector<unsigned char> memory(shared + CANARY_BYTES + 16);
    emulated_shared = memory.data() + (16 - reinterpret_cast<uintptr_t>(memory.data()) % 16) % 16;
    body = &thread;
    gridDim = grid;
    blockDim = block;
    for (unsigned z = 0; z < grid.z; z++) {
        for (unsigned y = 0; y < grid.y; y++) {
            for (unsigned x = 0; x < grid.x; x++) {
                blockIdx = {x, y, z};
                std::memset(emulated_shared, 0xff, shared);
                std::memset(emulated_shared + shared, CANARY, CANARY_BYTES);
                run_block(block.x * block.y * block.z);
                for (size_t i = 0; i < CANARY_BYTES; i++) {
                    if (emulated_shared[shared + i] != CANARY) {
                        die("a block wrote past its shared memory");
                    }
                }
            }
        }
    }
}
