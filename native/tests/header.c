/* Compiled with -Wpadded -Werror: the header needs no other, and no struct has implicit padding. */
#include "panthera.h"

#define ENUMERATE(name) extern __typeof__(pan_##name) pan_##name;
#define PAN_OP(name) ENUMERATE(name)
#define PAN_SIZE(name) ENUMERATE(name)
/* Each line of the op table has a prototype. */
#include "../src/core/ops.def"
