// The header is valid C++ and its functions have C linkage.
#include "panthera.h"

extern "C" pan_status pan_zero(pan_stream *stream, void *target, int64_t bytes);
static_assert(sizeof(pan_random_state) == 16, "layout is the same as in C");
