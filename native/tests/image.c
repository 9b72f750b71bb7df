/* Calls in the memory of a device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void) (address), (void) (size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void) (address), (void) (size))
#endif

enum {
    GUARD = PAN_ALIGNMENT,
    NAN_BYTE = 0xff,    /* a float and a double of these bytes are NaN */
    INTEGER_BYTE = 0x5a /* an int32 of these bytes is no id, label, index or count */
};

static int64_t element_bytes(const target *target, element element) {
    return element == REAL ? target->real_bytes : element == INTEGER ? 4 : 8;
}

static int64_t shift_bytes(const image *image, int block) {
    element element = image->call->blocks[block].element;
    return element == STATE ? 0 : image->shift * element_bytes(image->target, element);
}

static int64_t data_offset(const image *image, int block) {
    return GUARD + shift_bytes(image, block);
}

static void put_value(const target *target, const block *block, int64_t index, unsigned char *data) {
    double value = block->values[index];
    if (block->element == STATE) {
        memcpy(data + index * 8, &block->values[index], 8);
    } else if (block->element == INTEGER) {
        memcpy(data + index * 4, &(int32_t){(int32_t) value}, 4);
    } else if (target->real_bytes == 8) {
        memcpy(data + index * 8, &value, 8);
    } else {
        memcpy(data + index * 4, &(float){(float) value}, 4);
    }
}

static double get_value(const target *target, element element, const unsigned char *data) {
    double value;
    if (element == INTEGER) {
        int32_t integer;
        memcpy(&integer, data, 4);
        value = integer;
    } else if (target->real_bytes == 8) {
        memcpy(&value, data, 8);
    } else {
        float narrow;
        memcpy(&narrow, data, 4);
        value = narrow;
    }
    return value;
}

static void fill_block(image *image, int index) {
    const block *block = &image->call->blocks[index];
    int64_t width = element_bytes(image->target, block->element);
    image->bytes[index] = data_offset(image, index) + block->count * width + GUARD;
    image->before[index] = allocate(image->bytes[index], 1);
    image->after[index] = allocate(image->bytes[index], 1);
    memset(image->before[index], block->element == INTEGER ? INTEGER_BYTE : NAN_BYTE, (size_t) image->bytes[index]);
    for (int v = 0; v < image->call->view_count; v++) {
        const view *view = &image->call->views[v];
        int64_t count = view->block == index && view->role != OUTPUT ? view_count(view) : 0;
        for (int64_t i = 0; i < count; i++) {
            put_value(image->target, block, view_element(view, i), image->before[index] + data_offset(image, index));
        }
    }
}

/* Makes the guards unreadable, where the address sanitizer runs, or readable again. */
static void protect(const image *image, bool on) {
    if (image->target->options.backend == PAN_BACKEND_CUDA) {
        return;
    }
    for (int i = 0; i < image->call->block_count; i++) {
        unsigned char *memory = image->memory[i];
        if (on) {
            ASAN_POISON_MEMORY_REGION(memory, (size_t) data_offset(image, i));
            ASAN_POISON_MEMORY_REGION(memory + image->bytes[i] - GUARD, GUARD);
        } else {
            ASAN_UNPOISON_MEMORY_REGION(memory, (size_t) image->bytes[i]);
        }
    }
    unsigned char *end = image->workspace + image->workspace_bytes;
    if (on) {
        ASAN_POISON_MEMORY_REGION(end, GUARD);
    } else {
        ASAN_UNPOISON_MEMORY_REGION(end, GUARD);
    }
}

static void allocate_block(image *image, int index) {
    fill_block(image, index);
    void *memory = NULL;
    CHECK_OK(pan_memory_allocate(image->target->device, image->bytes[index], &memory));
    CHECK_OK(pan_copy_to_device(image->target->stream, memory, image->before[index], image->bytes[index]));
    image->memory[index] = memory;
}

static void allocate_workspace(image *image) {
    if (image->call->op->workspace != NULL) {
        CHECK_OK(image->call->op->workspace(image->target->stream, image->desc, &image->workspace_bytes));
    }
    int64_t bytes = image->workspace_bytes + 2 * GUARD;
    unsigned char *poison = allocate(bytes, 1);
    memset(poison, NAN_BYTE, (size_t) bytes);
    CHECK_OK(pan_memory_allocate(image->target->device, bytes, &image->workspace_memory));
    CHECK_OK(pan_copy_to_device(image->target->stream, image->workspace_memory, poison, bytes));
    image->workspace = (unsigned char *) image->workspace_memory + GUARD;
    free(poison);
}

image *make_image(const target *target, const call *call, int64_t shift) {
    image *made = allocate(1, sizeof *made);
    made->target = target;
    made->call = call;
    made->shift = shift;
    memcpy(made->desc, call->desc, sizeof made->desc);
    if (!call->op->no_dtype) {
        memcpy(made->desc + sizeof(uint32_t), &target->dtype, sizeof target->dtype);
    }
    for (int i = 0; i < call->block_count; i++) {
        allocate_block(made, i);
    }
    for (int v = 0; v < call->view_count; v++) {
        const view *view = &call->views[v];
        int64_t width = element_bytes(target, call->blocks[view->block].element);
        made->argument[v] =
            view->present ? made->memory[view->block] + data_offset(made, view->block) + view->offset * width : NULL;
    }
    allocate_workspace(made);
    protect(made, true);
    return made;
}

void read_image(image *image) {
    protect(image, false);
    for (int i = 0; i < image->call->block_count; i++) {
        CHECK_OK(pan_copy_to_host(image->target->stream, image->after[i], image->memory[i], image->bytes[i]));
    }
}

/* Copies a view's elements from one image of its block to another. */
static void copy_view(const view *view, int64_t width, unsigned char *to, const unsigned char *from) {
    int64_t count = view_count(view);
    if (view->dense) {
        memcpy(to + view->offset * width, from + view->offset * width, (size_t) (count * width));
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t at = view_element(view, i) * width;
        memcpy(to + at, from + at, (size_t) width);
    }
}

/* What a block must hold after the call: what it held before, but for what the call may have written. */
static unsigned char *expected_bytes(const image *image, int index, run_options options, bool written) {
    unsigned char *expected = allocate(image->bytes[index], 1);
    memcpy(expected, image->before[index], (size_t) image->bytes[index]);
    int64_t width = element_bytes(image->target, image->call->blocks[index].element);
    int64_t data = data_offset(image, index);
    bool aliased = options.alias_output != options.alias_input;
    for (int v = 0; written && v < image->call->view_count; v++) {
        const view *view = &image->call->views[v];
        bool moved = aliased && (v == options.alias_output || v == options.alias_input);
        bool output = moved ? v == options.alias_input : view->role != INPUT;
        if (view->block == index && view->present && output) {
            copy_view(view, width, expected + data, image->after[index] + data);
        }
    }
    return expected;
}

static void check_workspace_guards(const image *image) {
    const unsigned char *places[] = {image->workspace_memory, image->workspace + image->workspace_bytes};
    for (int i = 0; i < COUNT(places); i++) {
        unsigned char expected[GUARD], guard[GUARD];
        memset(expected, NAN_BYTE, GUARD);
        CHECK_OK(pan_copy_to_host(image->target->stream, guard, places[i], GUARD));
        CHECK(memcmp(guard, expected, GUARD) == 0, "%s, variant %d, %s: wrote %s its workspace of %lld bytes",
              image->call->op->op, image->call->variant, image->target->name, i == 0 ? "before" : "past",
              (long long) image->workspace_bytes);
    }
}

static const char *block_name(const call *call, int block) {
    for (int v = 0; v < call->view_count; v++) {
        if (call->views[v].block == block) {
            return call->views[v].name;
        }
    }
    return "?";
}

void check_image(const image *image, run_options options, bool written) {
    for (int i = 0; i < image->call->block_count; i++) {
        unsigned char *expected = expected_bytes(image, i, options, written);
        if (memcmp(expected, image->after[i], (size_t) image->bytes[i]) != 0) {
            int64_t at = 0;
            while (expected[at] == image->after[i][at]) {
                at++;
            }
            CHECK(false, "%s, variant %d, %s: changed byte %lld of %s's memory, which has %lld bytes from byte %lld",
                  image->call->op->op, image->call->variant, image->target->name, (long long) at,
                  block_name(image->call, i), (long long) (image->bytes[i] - GUARD - data_offset(image, i)),
                  (long long) data_offset(image, i));
        }
        free(expected);
    }
    check_workspace_guards(image);
}

void free_image(image *image) {
    for (int i = 0; i < image->call->block_count; i++) {
        CHECK_OK(pan_memory_free(image->target->device, image->memory[i]));
        free(image->before[i]);
        free(image->after[i]);
    }
    CHECK_OK(pan_memory_free(image->target->device, image->workspace_memory));
    free(image);
}

/* Copies what a view holds after the call; it lies where `place` does. */
static void take_output(const image *image, int v, const view *place, outcome *result) {
    element element = image->call->blocks[place->block].element;
    int64_t width = element_bytes(image->target, element);
    const unsigned char *data = image->after[place->block] + data_offset(image, place->block);
    result->bytes[v] = allocate(view_count(place), width);
    result->values[v] = allocate(view_count(place), sizeof(double));
    int64_t count = view_count(place);
    for (int64_t i = 0; i < count; i++) {
        const unsigned char *source = data + view_element(place, i) * width;
        memcpy(result->bytes[v] + i * width, source, (size_t) width);
        result->values[v][i] = get_value(image->target, element, source);
    }
}

/* The thread's rounding, flush-to-zero and exception masks, without the sticky flags. */
static uint32_t floating_point_mode(void) {
#if defined(__x86_64__)
    return __builtin_ia32_stmxcsr() & ~UINT32_C(0x3f);
#else
    return 0;
#endif
}

outcome run_call(const target *target, const call *call, run_options options) {
    image *image = make_image(target, call, options.shift);
    bool aliased = options.alias_output != options.alias_input;
    if (aliased) {
        image->argument[options.alias_output] = image->argument[options.alias_input];
    }
    uint32_t mode = floating_point_mode();
    outcome result = {.status = call->op->invoke(target->stream, image->desc, image->argument, image->workspace,
                                                 image->workspace_bytes)};
    CHECK(floating_point_mode() == mode, "%s, variant %d, %s: changed the floating-point mode", call->op->op,
          call->variant, target->name);
    read_image(image);
    check_image(image, options, true);
    for (int v = 0; v < call->view_count; v++) {
        const view *view = &call->views[v];
        if (view->role != INPUT && view->present) {
            bool moved = aliased && v == options.alias_output;
            take_output(image, v, moved ? &call->views[options.alias_input] : view, &result);
        }
    }
    free_image(image);
    return result;
}

void free_outcome(outcome *outcome) {
    for (int v = 0; v < MAX_VIEWS; v++) {
        free(outcome->bytes[v]);
        free(outcome->values[v]);
    }
}
