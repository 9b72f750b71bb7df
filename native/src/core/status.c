#include "status.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_error[1024];

pan_status pan_fail(pan_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    return status;
}

const char *pan_last_error(void) {
    return last_error;
}

const char *pan_status_name(pan_status status) {
    switch (status) {
    case PAN_OK: return "PAN_OK";
    case PAN_INVALID_ARGUMENT: return "PAN_INVALID_ARGUMENT";
    case PAN_UNSUPPORTED: return "PAN_UNSUPPORTED";
    case PAN_OUT_OF_MEMORY: return "PAN_OUT_OF_MEMORY";
    case PAN_NO_DEVICE: return "PAN_NO_DEVICE";
    case PAN_DEVICE_ERROR: return "PAN_DEVICE_ERROR";
    case PAN_INTERNAL: return "PAN_INTERNAL";
    default: return "unknown status";
    }
}
