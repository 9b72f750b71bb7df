/* Facts about the library and its op table. */
#include <stddef.h>

#include "backend.h"
#include "status.h"

uint32_t pan_abi_version(void) {
    return PAN_ABI_VERSION;
}

const char *pan_version(void) {
    return PANTHERA_VERSION;
}

typedef struct op_entry {
    const char *name;
    size_t slot; /* offset in pan_ops */
} op_entry;

static const op_entry OPS[] = {
#define PAN_OP(name) {#name, offsetof(pan_ops, name)},
#define PAN_SIZE(name)
#include "ops.def"
#undef PAN_OP
#undef PAN_SIZE
};

enum { OP_COUNT = sizeof OPS / sizeof OPS[0] };

int32_t pan_op_count(void) {
    return OP_COUNT;
}

const char *pan_op_name(int32_t op) {
    return op >= 0 && op < OP_COUNT ? OPS[op].name : NULL;
}

static const pan_ops *backend_ops(pan_backend backend) {
    switch (backend) {
    case PAN_BACKEND_CPU: return pan_cpu_ops(pan_isa_available());
    case PAN_BACKEND_CUDA: return pan_cuda_ops();
    case PAN_BACKEND_REFERENCE: return pan_reference_ops();
    case PAN_BACKEND_REFERENCE_F64: return pan_reference_f64_ops();
    default: return NULL;
    }
}

int32_t pan_op_supported(pan_backend backend, int32_t op) {
    const pan_ops *ops = backend_ops(backend);
    if (ops == NULL || op < 0 || op >= OP_COUNT) {
        return 0;
    }
    return *(void *const *) ((const char *) ops + OPS[op].slot) != NULL;
}

pan_status pan_backend_status(pan_backend backend) {
    if (backend < 0 || backend >= PAN_BACKEND_COUNT) {
        return pan_fail(PAN_INVALID_ARGUMENT, "backend_status: backend is %d; expected 0 to %d", backend,
                        PAN_BACKEND_COUNT - 1);
    }
    return backend == PAN_BACKEND_CUDA && pan_cuda_driver() == NULL ? PAN_NO_DEVICE : PAN_OK;
}

pan_status pan_device_count(pan_backend backend, int32_t *count) {
    if (count == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "device_count: count is NULL");
    }
    *count = 0;
    if (backend < 0 || backend >= PAN_BACKEND_COUNT) {
        return pan_fail(PAN_INVALID_ARGUMENT, "device_count: backend is %d; expected 0 to %d", backend,
                        PAN_BACKEND_COUNT - 1);
    }
    const pan_driver *driver = backend == PAN_BACKEND_CUDA ? pan_cuda_driver() : pan_host_driver();
    return driver == NULL ? PAN_OK : driver->count(count);
}
