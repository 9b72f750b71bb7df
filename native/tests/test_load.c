/* Opens the library as a JVM does and checks that this leaves the thread's floating-point mode alone: a library linked
 * with -ffast-math would switch the thread to flush-to-zero. Not linked with the library. */
#include <dlfcn.h>
#include <fenv.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t floating_point_mode(void) {
#if defined(__x86_64__)
    return __builtin_ia32_stmxcsr() & ~UINT32_C(0x3f);
#else
    return (uint32_t) fegetround();
#endif
}

/* A subnormal product, which flush-to-zero makes 0. */
static int subnormals_work(void) {
    volatile float small = 1e-30f, factor = 1e-10f;
    return small * factor != 0.0f;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: test_load LIBRARY\n");
        return EXIT_FAILURE;
    }
    uint32_t mode = floating_point_mode();
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        printf("%s\n", dlerror());
        return EXIT_FAILURE;
    }
    if (dlsym(library, "pan_abi_version") == NULL) {
        printf("%s exports no pan_abi_version\n", argv[1]);
        return EXIT_FAILURE;
    }
    if (floating_point_mode() != mode || !subnormals_work()) {
        printf("loading changed the floating-point mode from %x to %x\n", mode, floating_point_mode());
        return EXIT_FAILURE;
    }
    printf("floating-point mode %x before and after\n", mode);
    return EXIT_SUCCESS;
}
