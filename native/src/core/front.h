/* Helpers of the public op functions: check the arguments, then call the backend's body. */
#ifndef PAN_CORE_FRONT_H
#define PAN_CORE_FRONT_H

#include "backend.h"
#include "check.h"
#include "status.h"

/* First lines of every public op: the names `op` and `ops`, a stream and a descriptor that can be read, and a backend
 * that has the op. */
#define PAN_FRONT(slot)                                                                                      \
    static const char op[] = #slot;                                                                          \
    if (stream == NULL || desc == NULL) {                                                                    \
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s is NULL", op, stream == NULL ? "stream" : "desc");     \
    }                                                                                                        \
    if ((uintptr_t) desc % _Alignof(int64_t) != 0) {                                                         \
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: desc is misaligned", op);                                 \
    }                                                                                                        \
    const pan_ops *ops = stream->device->ops;                                                                \
    if (ops->slot == NULL) {                                                                                 \
        return pan_fail(PAN_UNSUPPORTED, "%s: device %s has no such kernel", op, stream->device->info.name); \
    }

/* The body of a public workspace-size query whose descriptor is checked by `check(op, stream, desc)`. */
#define PAN_FRONT_SIZE(slot, check)                                     \
    PAN_FRONT(slot)                                                     \
    PAN_TRY(check(op, stream, desc));                                   \
    if (bytes == NULL) {                                                \
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: bytes is NULL", op); \
    }                                                                   \
    return ops->slot(stream, desc, bytes);

/* Needs `workspace` and `workspace_bytes` to satisfy the backend's query; yields `needed`. */
#define PAN_FRONT_WORKSPACE(query)              \
    int64_t needed = 0;                         \
    PAN_TRY(ops->query(stream, desc, &needed)); \
    PAN_TRY(pan_check_workspace(op, workspace, workspace_bytes, needed));

/* An enumerator in [0, count). */
static inline pan_status pan_check_kind(const char *op, const char *name, int32_t kind, int32_t count) {
    if (kind < 0 || kind >= count) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s is %d; expected 0 to %d", op, name, kind, count - 1);
    }
    return PAN_OK;
}

#define PAN_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PAN_INPUT(argument, size) \
    { .name = #argument, .address = argument, .bytes = size }
/* Integer arrays and blocks of step state, whose alignment is not that of the floating-point arrays. */
#define PAN_INTEGER_INPUT(argument, size) \
    { .name = #argument, .address = argument, .bytes = size, .alignment = _Alignof(int32_t) }
#define PAN_INTEGER_OUTPUT(argument, size) \
    { .name = #argument, .address = argument, .bytes = size, .flags = PAN_ARRAY_OUTPUT, .alignment = _Alignof(int32_t) }
#define PAN_OPTIONAL_INTEGERS(argument, size)                                               \
    {                                                                                       \
        .name = #argument, .address = argument, .bytes = size, .flags = PAN_ARRAY_OPTIONAL, \
        .alignment = _Alignof(int32_t)                                                      \
    }
#define PAN_STATE_INPUT(argument) \
    { .name = #argument, .address = argument, .bytes = sizeof *argument, .alignment = _Alignof(int64_t) }
#define PAN_OPTIONAL_INPUT(argument, size) \
    { .name = #argument, .address = argument, .bytes = size, .flags = PAN_ARRAY_OPTIONAL }
#define PAN_OUTPUT(argument, size, ...)                                                                                \
    {                                                                                                                  \
        .name = #argument, .address = argument, .bytes = size, .flags = PAN_ARRAY_OUTPUT, .may_alias = { __VA_ARGS__ } \
    }
#define PAN_OPTIONAL_OUTPUT(argument, size, ...)                                                               \
    {                                                                                                          \
        .name = #argument, .address = argument, .bytes = size, .flags = PAN_ARRAY_OUTPUT | PAN_ARRAY_OPTIONAL, \
        .may_alias = {                                                                                         \
            __VA_ARGS__                                                                                        \
        }                                                                                                      \
    }
#define PAN_WORKSPACE \
    { .name = "workspace", .address = workspace, .bytes = needed, .flags = PAN_ARRAY_WORKSPACE | PAN_ARRAY_OPTIONAL }

#endif
