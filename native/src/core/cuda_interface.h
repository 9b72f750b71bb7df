/* What libpanthera_cuda.so offers to libpanthera.so. Both are built from the same sources and versions. */
#ifndef PAN_CORE_CUDA_INTERFACE_H
#define PAN_CORE_CUDA_INTERFACE_H

#include <stddef.h>

#include "backend.h"

typedef struct pan_cuda_backend {
    pan_driver driver;
    pan_ops ops;
} pan_cuda_backend;

/* Records an error text and returns the status, like pan_fail(). */
typedef pan_status pan_fail_function(pan_status status, const char *format, ...);

/* The only exported symbol. NULL, with the reason in `reason`, if there is no usable device or the versions differ. */
typedef const pan_cuda_backend *pan_cuda_entry(uint32_t abi_version, pan_fail_function *fail, char *reason,
                                               size_t reason_size);
#define PAN_CUDA_ENTRY_NAME "pan_cuda_backend_open"

#endif
