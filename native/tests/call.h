/* One call of an op, described as data: its descriptor and its arrays. The runner allocates the arrays on any device,
 * surrounds them with guards, poisons what is to be written, makes the call and hands back what it wrote. So each op's
 * case says only what the op's arguments are, and every property is checked for all ops by the same code. */
#ifndef PAN_TESTS_CALL_H
#define PAN_TESTS_CALL_H

#include "harness.h"

typedef enum role { INPUT, OUTPUT, ADDED } role;       /* ADDED: the op adds to what is there */
typedef enum element { REAL, INTEGER, STATE } element; /* STATE: one C struct of 8-byte fields */

/* What an array of a backward op is to the forward op: value, cotangent or gradient of one of its arrays. */
typedef enum relation { UNRELATED, VALUE_OF, COTANGENT_OF, GRADIENT_OF } relation;

enum { MAX_VIEWS = 20, MAX_DIMENSIONS = PAN_MAX_RANK, DESC_BYTES = 256 };

/* One array argument: a strided window into a block of memory. */
typedef struct view {
    const char *name;
    role role;
    bool present; /* else the argument is NULL */
    bool optional;
    int block;
    int64_t offset;
    int64_t size[MAX_DIMENSIONS];
    int64_t stride[MAX_DIMENSIONS];
    bool dense;
    relation relation;
    int forward_view;
    bool detached; /* of a call that precedes the op's own, which therefore cannot know whether arrays overlap it */
} view;

/* Memory of its own. Elements that no view covers are poisoned and must stay so. */
typedef struct block {
    element element;
    int64_t count;
    double *values; /* of input and added views; of a STATE the bytes of the struct */
} block;

struct op_case;

typedef struct call {
    const struct op_case *op;
    int variant;
    _Alignas(8) unsigned char desc[DESC_BYTES];
    int view_count;
    view views[MAX_VIEWS]; /* in the order of the arguments */
    int block_count;
    block blocks[MAX_VIEWS];
    generator random;
    double work; /* multiply-adds of a call, roughly: a test repeats a dear call less often */
} call;

/* Descriptor fields that the bad-input test knows how to spoil. */
typedef enum field_kind { FIELD_SIZE, FIELD_STRIDE, FIELD_KIND, FIELD_PROBABILITY, FIELD_EPSILON } field_kind;
typedef struct field {
    const char *name;
    field_kind kind;
    size_t offset;
    int32_t count; /* FIELD_KIND: number of enumerators */
} field;

#define FIELD(desc, name, kind) \
    { #name, kind, offsetof(desc, name), 0 }
#define FIELD_ENUM(desc, name, count) \
    { #name, FIELD_KIND, offsetof(desc, name), count }
/* Only 0 is valid. */
#define FIELD_RESERVED(desc) FIELD_ENUM(desc, reserved, 1)

/* An op: how to set it up in each of `variants` ways and how to call it. */
typedef struct op_case {
    const char *op;           /* its name in the op table */
    const char *also;         /* another op that the call makes use of and covers; NULL: none */
    const char *error_prefix; /* with which messages begin; NULL: the op's name */
    const char *title;        /* what the case is about; NULL: the op itself */
    int variants;
    double tolerance; /* of max |a - b| / max |b| for each output in f32 */
    /* Size of the terms whose difference an output is where they cancel, when max |b| may be smaller; NULL: 0. */
    double (*cancelling)(const call *call, int view);
    void (*prepare)(call *call, int variant);
    pan_status (*invoke)(pan_stream *stream, const void *desc, void *const *a, void *workspace, int64_t bytes);
    pan_status (*workspace)(pan_stream *stream, const void *desc, int64_t *bytes); /* NULL: takes none */
    const struct op_case *forward;                                                 /* of a backward op */
    struct {
        int output, input;
    } aliases[4]; /* allowed aliasing, by view, ended by equal numbers */
    size_t desc_size;
    bool no_dtype; /* the descriptor has none */
    field fields[16];
} op_case;

/* Sets up a call. Views that are VALUE_OF the forward op's hold what the f64 reference computes, rounded to float
 * unless `exact`. */
call *prepare_call(const op_case *op, int variant, const target *reference, bool exact);
void free_call(call *call);

/* For use by prepare functions. Each adds the next argument and returns its view's number. */
int add_block(call *call, element element, int64_t count);
/* A window of `rank` dimensions, the last ones of the view's. */
int add_window(call *call, const char *name, role role, int block, int64_t offset, int rank, const int64_t *size,
               const int64_t *stride);
int add_rows(call *call, const char *name, role role, int64_t rows, int64_t columns, int64_t stride);
int add_vector(call *call, const char *name, role role, int64_t count);
int add_integers(call *call, const char *name, role role, int64_t count, int64_t low, int64_t high);
int add_state(call *call, const char *name, const void *state, int64_t bytes);
/* An argument that may be NULL; here it is, or it is not. */
void make_optional(call *call, int view, bool present);
void relate(call *call, int view, relation relation, int forward_view);
void scale_values(call *call, int view, double factor);

/* The values of one view, densely. */
int64_t view_count(const view *view);
int64_t view_element(const view *view, int64_t index); /* its place in the block */

typedef struct run_options {
    int64_t shift;                 /* elements by which arrays are moved off the alignment of their memory */
    int alias_output, alias_input; /* views placed at one address, or equal: none */
} run_options;

typedef struct outcome {
    pan_status status;
    unsigned char *bytes[MAX_VIEWS]; /* of each output view, densely */
    double *values[MAX_VIEWS];       /* likewise, as numbers */
} outcome;

/* Makes the call and checks guards, inputs and gaps. */
outcome run_call(const target *target, const call *call, run_options options);
void free_outcome(outcome *outcome);

/* max |a - b| / max(max |b|, floor); equal NaN and Inf count as equal, others as infinite. */
double relative_error(const double *a, const double *b, int64_t count, double floor);

/* The largest absolute value of a view of a prepared call. */
double largest_value(const call *call, int view);

/* Arrays of a call laid out in a device's memory, for tests that make the call themselves. */
typedef struct image {
    const target *target;
    const call *call;
    int64_t shift;
    unsigned char *memory[MAX_VIEWS]; /* on the device: guard, array, guard */
    unsigned char *before[MAX_VIEWS]; /* the same bytes on the host */
    unsigned char *after[MAX_VIEWS];
    int64_t bytes[MAX_VIEWS];
    void *argument[MAX_VIEWS];
    void *workspace_memory;
    unsigned char *workspace; /* PAN_ALIGNMENT-aligned, between guards */
    int64_t workspace_bytes;
    _Alignas(8) unsigned char desc[DESC_BYTES];
} image;

image *make_image(const target *target, const call *call, int64_t shift);
/* Reads the memory back; afterwards `after` holds it. */
void read_image(image *image);
/* Checks that guards are intact and that nothing has changed but, if the call was to write them, the outputs. */
void check_image(const image *image, run_options options, bool written);
void free_image(image *image);

#endif
