#include "isa.h"

#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "gemm.h"
#include "status.h"

static const char MAX_ISA_VARIABLE[] = "PANTHERA_MAX_ISA";

static pan_isa processor_isa(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        return PAN_ISA_AVX512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return PAN_ISA_AVX2;
    }
#endif
    return PAN_ISA_BASELINE;
}

pan_isa pan_isa_available(void) {
    pan_isa isa = processor_isa();
    while (isa > PAN_ISA_BASELINE && pan_cpu_ops(isa) == NULL) {
        isa--;
    }
    return isa;
}

const char *pan_isa_name(pan_isa isa) {
    static const char *const names[] = {NULL, "baseline", "avx2", "avx512"};
    return isa >= PAN_ISA_BASELINE && isa <= PAN_ISA_AVX512 ? names[isa] : NULL;
}

static pan_status read_cap(pan_isa *cap) {
    *cap = PAN_ISA_AVX512;
    const char *value = getenv(MAX_ISA_VARIABLE);
    if (value == NULL || value[0] == '\0') {
        return PAN_OK;
    }
    for (pan_isa isa = PAN_ISA_BASELINE; isa <= PAN_ISA_AVX512; isa++) {
        if (strcmp(value, pan_isa_name(isa)) == 0) {
            *cap = isa;
            return PAN_OK;
        }
    }
    return pan_fail(PAN_INVALID_ARGUMENT, "device_open: %s is '%s'; expected baseline, avx2 or avx512",
                    MAX_ISA_VARIABLE, value);
}

pan_status pan_isa_choose(pan_isa requested, pan_isa *chosen) {
    if (requested < PAN_ISA_BEST || requested > PAN_ISA_AVX512) {
        return pan_fail(PAN_INVALID_ARGUMENT, "device_open: isa is %d; expected 0 (best) to %d", requested,
                        PAN_ISA_AVX512);
    }
    pan_isa cap;
    PAN_TRY(read_cap(&cap));
    pan_isa available = pan_isa_available();
    pan_isa best = available < cap ? available : cap;
    pan_gemm_cap_isa(cap);
    if (requested > best) {
        return pan_fail(PAN_UNSUPPORTED, "device_open: tier %s; this processor and %s allow %s at most",
                        pan_isa_name(requested), MAX_ISA_VARIABLE, pan_isa_name(best));
    }
    *chosen = requested == PAN_ISA_BEST ? best : requested;
    return PAN_OK;
}
