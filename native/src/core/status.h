/* Failures: a status for the program, a text for the person. */
#ifndef PAN_CORE_STATUS_H
#define PAN_CORE_STATUS_H

#include "panthera.h"

/* Records the thread's error text and returns `status`. */
pan_status pan_fail(pan_status status, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/* Leaves the function with the status of a failing call. */
#define PAN_TRY(call)                   \
    do {                                \
        pan_status try_status = (call); \
        if (try_status != PAN_OK) {     \
            return try_status;          \
        }                               \
    } while (0)

#endif
