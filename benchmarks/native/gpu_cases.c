/* What gpu_bench measures: every op at the sizes of MQAR training and at sizes that fill a device. */
#include "gpu_cases.h"

#include <stddef.h>

int add_array(work *work, const char *name, fill fill, int64_t count) {
    work->arrays[work->array_count] = (array){.name = name, .fill = fill, .count = count};
    return work->array_count++;
}

void add_call(work *work, call call) {
    work->calls[work->call_count++] = call;
}

void add_size(work *work, const char *name, int64_t value) {
    for (int i = 0; i < MAX_SIZES - 1; i++) {
        if (work->sizes[i].name == NULL) {
            work->sizes[i] = (size){name, value};
            return;
        }
    }
}

int add_labels(work *work, int64_t count, int64_t limit, int64_t period) {
    const int at = add_array(work, "labels", FILL_LABEL, count);
    work->arrays[at].limit = limit;
    work->arrays[at].period = period;
    return at;
}

int add_steps(work *work, const char *name, int64_t count, int64_t period) {
    const int at = add_array(work, name, FILL_STEPS, count);
    work->arrays[at].period = period;
    return at;
}

int add_bytes(work *work, const char *name, const void *bytes, int64_t count) {
    const int at = add_array(work, name, FILL_BYTES, count);
    work->arrays[at].bytes = bytes;
    return at;
}

double product(int64_t a, int64_t b) {
    return (double) a * (double) b;
}

/* ---- all ---- */

static void visit(visit_work *visitor, void *context, work w) {
    visitor(&w, context);
}

static void for_each_small(visit_work *v, void *context) {
    visit(v, context, linear_work(70, 33, 65));
    visit(v, context, embedding_work(3, 17, 40, 50));
    visit(v, context, norm_work(70, 33));
    visit(v, context, gelu_work(1000));
    visit(v, context, scale_rows_work(65, 33));
    visit(v, context, swiglu_work(65, 36));
    visit(v, context, dropout_work(65, 33));
    visit(v, context, softmax_work(65, 70));
    visit(v, context, attention_work(2, 2, 70, 16, 0));
    visit(v, context, attention_work(2, 1, 140, 80, 33));
    visit(v, context, listed_attention_work(2, 2, 140, 16, 0, 3));
    visit(v, context, listed_attention_work(3, 1, 200, 80, 33, 7));
    visit(v, context, short_conv_work(2, 70, 33, 3));
    visit(v, context, long_conv_work(2, 70, 33, 70, PAN_CONV_DIRECT, true));
    visit(v, context, long_conv_work(2, 70, 33, 70, PAN_CONV_FFT, true));
    visit(v, context, long_conv_work(2, 70, 33, 40, PAN_CONV_FFT, false));
    visit(v, context, features_work(65, 1));
    visit(v, context, sine_work(65, 33));
    visit(v, context, modulation_work(65, 33));
    visit(v, context, vocabulary_work(130, 33, 200, 3));
    visit(v, context, reduce_work("sum_of_squares", PAN_REDUCE_SUM_OF_SQUARES, 5000, 1));
    visit(v, context, reduce_work("sum_of_rows", PAN_REDUCE_SUM, 70, 40));
    visit(v, context, adamw_work(1000));
}

void for_each_work(bool small, visit_work *v, void *context) {
    enum { MANY = 1 << 25 };
    if (small) {
        for_each_small(v, context);
        return;
    }
    visit(v, context, linear_work(32768, 64, 192));
    visit(v, context, linear_work(32768, 128, 512));
    visit(v, context, linear_work(8192, 1024, 4096));
    visit(v, context, embedding_work(512, 64, 64, 8192));
    visit(v, context, embedding_work(32, 2048, 512, 8192));
    visit(v, context, norm_work(32768, 64));
    visit(v, context, norm_work(65536, 512));
    visit(v, context, gelu_work(32768 * 256));
    visit(v, context, gelu_work(MANY));
    visit(v, context, scale_rows_work(65536, 512));
    visit(v, context, swiglu_work(65536, 512));
    visit(v, context, dropout_work(32768, 64));
    visit(v, context, dropout_work(65536, 512));
    visit(v, context, softmax_work(32768, 64));
    visit(v, context, softmax_work(16384, 2048));
    visit(v, context, attention_work(512, 1, 64, 64, 0));
    visit(v, context, attention_work(64, 2, 512, 64, 0));
    visit(v, context, attention_work(4, 16, 2048, 64, 0));
    visit(v, context, attention_work(4, 8, 2048, 128, 0));
    visit(v, context, attention_work(4, 16, 4096, 64, 256));
    visit(v, context, listed_attention_work(512, 1, 64, 64, 0, 16));
    visit(v, context, listed_attention_work(64, 2, 512, 64, 0, 8));
    visit(v, context, short_conv_work(512, 64, 192, 3));
    visit(v, context, short_conv_work(16, 2048, 1024, 4));
    visit(v, context, long_conv_work(512, 64, 64, 64, PAN_CONV_DIRECT, true));
    visit(v, context, long_conv_work(512, 64, 64, 64, PAN_CONV_FFT, true));
    visit(v, context, long_conv_work(64, 512, 128, 512, PAN_CONV_FFT, true));
    visit(v, context, long_conv_work(8, 4096, 512, 4096, PAN_CONV_FFT, false));
    visit(v, context, long_conv_work(4, 65536, 128, 65536, PAN_CONV_FFT, true));
    visit(v, context, features_work(65536, 1));
    visit(v, context, sine_work(65536, 64));
    visit(v, context, modulation_work(65536, 128));
    visit(v, context, vocabulary_work(2048, 64, 8192, 1));
    visit(v, context, vocabulary_work(32768, 64, 8192, 16));
    visit(v, context, vocabulary_work(8192, 128, 8192, 1));
    visit(v, context, reduce_work("sum_of_squares", PAN_REDUCE_SUM_OF_SQUARES, MANY, 1));
    visit(v, context, reduce_work("sum_of_rows", PAN_REDUCE_SUM, 65536, 512));
    visit(v, context, adamw_work(1 << 20));
    visit(v, context, adamw_work(MANY));
}
