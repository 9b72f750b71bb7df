/* Opens libpanthera_cuda.so, which lies beside this library, on first use. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cuda_interface.h"
#include "status.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const pan_cuda_backend *backend;
static char reason[512];

/* A driver is asked for first: without one the library need not be there at all. */
static bool driver_present(void) {
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (driver == NULL) {
        snprintf(reason, sizeof reason, "no NVIDIA driver (libcuda.so.1 was not found)");
        return false;
    }
    dlclose(driver);
    return true;
}

static bool library_path(char *path, size_t size) {
    static const char file[] = "libpanthera_cuda.so";
    Dl_info info;
    if (dladdr((void *) pan_abi_version, &info) == 0 || info.dli_fname == NULL) {
        snprintf(reason, sizeof reason, "the folder of libpanthera.so cannot be determined");
        return false;
    }
    const char *slash = strrchr(info.dli_fname, '/');
    int folder = slash == NULL ? 0 : (int) (slash - info.dli_fname + 1);
    return snprintf(path, size, "%.*s%s", folder, info.dli_fname, file) < (int) size;
}

static void load(void) {
    char path[4096];
    if (!driver_present() || !library_path(path, sizeof path)) {
        return;
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        snprintf(reason, sizeof reason, "%s", dlerror());
        return;
    }
    pan_cuda_entry *entry = (pan_cuda_entry *) dlsym(library, PAN_CUDA_ENTRY_NAME);
    if (entry == NULL) {
        snprintf(reason, sizeof reason, "libpanthera_cuda.so has no %s", PAN_CUDA_ENTRY_NAME);
        return;
    }
    backend = entry(PAN_ABI_VERSION, pan_fail, reason, sizeof reason);
}

const pan_driver *pan_cuda_driver(void) {
    pthread_once(&once, load);
    if (backend == NULL) {
        pan_fail(PAN_NO_DEVICE, "%s", reason);
        return NULL;
    }
    return &backend->driver;
}

const pan_ops *pan_cuda_ops(void) {
    pthread_once(&once, load);
    return backend == NULL ? NULL : &backend->ops;
}
