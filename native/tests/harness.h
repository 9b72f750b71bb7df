/* What the C tests share: checks that count failures, random numbers and the devices under test. */
#ifndef PAN_TESTS_HARNESS_H
#define PAN_TESTS_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "panthera.h"

/* Counts a failure and prints it with its place, unless `condition`; evaluates to the condition. */
#define CHECK(condition, ...) check((condition), __FILE__, __LINE__, __VA_ARGS__)

/* A call that must succeed. */
#define CHECK_OK(call)                                                                                       \
    do {                                                                                                     \
        pan_status check_status = (call);                                                                    \
        CHECK(check_status == PAN_OK, "%s: %s: %s", #call, pan_status_name(check_status), pan_last_error()); \
    } while (0)

#define COUNT(array) ((int) (sizeof(array) / sizeof((array)[0])))

bool check(bool condition, const char *file, int line, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Prints the number of checks and failures; the exit status of main(). */
int report(void);

/* Memory that is never NULL. */
void *allocate(int64_t count, int64_t size);

/* A generator with a period of 2^64. */
typedef struct generator {
    uint64_t state;
} generator;

uint64_t next_bits(generator *random);
/* In [0, 1). */
double next_uniform(generator *random);
/* Of mean 0 and variance 1, rounded to float, so that f32 and f64 backends see the same number. */
double next_normal(generator *random);
uint64_t hash_text(const char *text);

/* A device under test with one stream. */
typedef struct target {
    char name[160];
    pan_device_options options;
    pan_device *device;
    pan_stream *stream;
    int64_t real_bytes; /* of what the header calls f32 */
    pan_dtype dtype;
} target;

enum { MAX_TARGETS = 24 };

/* The device of a stream that open_target() or remember_stream() named; NULL for other streams. */
pan_device *device_of(const pan_stream *stream);
void remember_stream(const pan_stream *stream, pan_device *device);
void forget_stream(const pan_stream *stream);

/* Opens one device; a failure is a failed check and leaves device NULL. */
target open_target(pan_backend backend, pan_isa isa, int32_t threads);
void close_target(target *target);

/* Whether the environment variable PANTHERA_TEST_BACKEND is "cuda": then other backends need not be tested, and a CUDA
 * device that cannot be opened is a failure. */
bool tests_cuda_alone(void);

/* Every backend of this machine but the f64 reference: each tier with 1, 2 and 3 threads, the f32 reference, CUDA.
 * If tests_cuda_alone(), CUDA. If PANTHERA_TEST_BACKEND is "threads", the CPU's best tier with 3 threads, for the thread
 * sanitizer, to which the others show nothing more. */
int open_targets(target *targets);
void close_targets(target *targets, int count);

/* A copy of host memory on the device, which copy_out() frees after it has copied it back. An op's arguments can be
 * places in it: of a struct of arrays one copy is enough, and copy->array is an address that the host only computes. */
void *copy_in(const target *target, const void *host, int64_t bytes);
void copy_out(const target *target, void *device, void *host, int64_t bytes);

/* Uninitialised memory of the device, which pan_memory_free() frees; of no bytes too. */
void *new_memory(const target *target, int64_t bytes);
void free_memory(const target *target, void *memory);

#endif
