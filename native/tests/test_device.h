/* The parts of the device test. Each takes one device; those of recordings and of reports, a CUDA device. */
#ifndef PAN_TESTS_TEST_DEVICE_H
#define PAN_TESTS_TEST_DEVICE_H

#include <string.h>

#include "harness.h"

/* A call that must fail with a text that holds `part`. */
#define REFUSED(expected, part, call)                                                                        \
    do {                                                                                                     \
        pan_status refused = (call);                                                                         \
        CHECK(refused == (expected), "%s: %s instead of %s", #call, pan_status_name(refused),                \
              pan_status_name(expected));                                                                    \
        CHECK(strstr(pan_last_error(), part) != NULL, "%s: '%s' lacks '%s'", #call, pan_last_error(), part); \
    } while (0)

/* test_device_memory.c */
void check_uploads(const target *target);
/* Memory that is freed while a stream still has work with it, and is allocated for another stream at once. */
void check_reuse(const target *target, int64_t bytes, int rounds);

/* test_device_event.c */
void check_events(const target *target);

/* test_device_capture.c */
void check_no_capture(const target *target);
void check_captures(const target *target);

/* test_device_step.c: a step of training that is recorded once and repeated. */
void check_training_graph(const target *target);

/* test_device_report.c: ids and labels out of range. */
void check_reports(const target *target);

#endif
