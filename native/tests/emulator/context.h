/* A place of execution with a stack of its own. */
#ifndef PAN_TESTS_EMULATOR_CONTEXT_H
#define PAN_TESTS_EMULATOR_CONTEXT_H

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)

/* Without system calls, which swapcontext() makes twice for the signal mask: tests switch hundreds of millions of times.
 * What a function must preserve goes to the stack that is left. */
struct context {
    void **top = nullptr;
};

extern "C" void emulated_switch(void ***left, void **entered);
asm(R"(
    .text
    .hidden emulated_switch
    .globl emulated_switch
    .type emulated_switch, @function
emulated_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size emulated_switch, .-emulated_switch
)");

inline void switch_context(context &left, context &entered) {
    emulated_switch(&left.top, entered.top);
}

/* `run` never returns. On its entry the stack is as after a call: 8 bytes off a multiple of 16. */
inline void make_context(context &made, char *stack, size_t bytes, void (*run)()) {
    auto end = reinterpret_cast<uintptr_t>(stack + bytes) / 16 * 16;
    made.top = reinterpret_cast<void **>(end) - 8;
    for (int i = 0; i < 8; i++) {
        made.top[i] = nullptr;
    }
    made.top[6] = reinterpret_cast<void *>(run);
}

#else

#include <ucontext.h>

struct context {
    ucontext_t state;
};

inline void switch_context(context &left, context &entered) {
    swapcontext(&left.state, &entered.state);
}

inline void make_context(context &made, char *stack, size_t bytes, void (*run)()) {
    getcontext(&made.state);
    made.state.uc_stack.ss_sp = stack;
    made.state.uc_stack.ss_size = bytes;
    made.state.uc_link = nullptr;
    makecontext(&made.state, run, 0);
}

#endif

#endif
