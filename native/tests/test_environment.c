/* What the surroundings decide: PANTHERA_MAX_ISA, a machine without CUDA, the facts that the library tells. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static const char VARIABLE[] = "PANTHERA_MAX_ISA";

static pan_status open_tier(pan_isa isa, pan_isa *opened) {
    pan_device_options options = {.struct_size = sizeof options, .backend = PAN_BACKEND_CPU, .threads = 1, .isa = isa};
    pan_device *device = NULL;
    pan_status status = pan_device_open(&options, &device);
    CHECK((status == PAN_OK) == (device != NULL), "status %d with device %p", status, (void *) device);
    if (device != NULL) {
        pan_device_info info = {.struct_size = sizeof info};
        CHECK_OK(pan_device_query(device, &info));
        *opened = info.isa;
        CHECK(strstr(info.name, pan_isa_name(info.isa)) != NULL, "device %s has tier %s", info.name,
              pan_isa_name(info.isa));
        CHECK(info.total_bytes > 0 && info.live_allocations == 0, "odd memory of %s", info.name);
        CHECK_OK(pan_device_close(device));
    }
    return status;
}

static void check_cap(void) {
    pan_isa opened = PAN_ISA_BEST;
    static const char *const unknown[] = {"sse9", "AVX2", "avx2 ", "3"};
    for (int i = 0; i < COUNT(unknown); i++) {
        setenv(VARIABLE, unknown[i], 1);
        CHECK(open_tier(PAN_ISA_BEST, &opened) == PAN_INVALID_ARGUMENT, "%s=%s is accepted", VARIABLE, unknown[i]);
        CHECK(strstr(pan_last_error(), unknown[i]) != NULL && strstr(pan_last_error(), VARIABLE) != NULL,
              "%s=%s: the message is '%s'", VARIABLE, unknown[i], pan_last_error());
    }
    for (pan_isa cap = PAN_ISA_BASELINE; cap <= PAN_ISA_AVX512; cap++) {
        setenv(VARIABLE, pan_isa_name(cap), 1);
        pan_isa best = cap < pan_isa_available() ? cap : pan_isa_available();
        CHECK(open_tier(PAN_ISA_BEST, &opened) == PAN_OK && opened == best, "%s=%s opens %s", VARIABLE,
              pan_isa_name(cap), pan_isa_name(opened));
        for (pan_isa isa = PAN_ISA_BASELINE; isa <= PAN_ISA_AVX512; isa++) {
            pan_status expected = isa <= best ? PAN_OK : PAN_UNSUPPORTED;
            CHECK(open_tier(isa, &opened) == expected, "%s=%s, tier %s: %s", VARIABLE, pan_isa_name(cap),
                  pan_isa_name(isa), pan_last_error());
            CHECK(expected != PAN_OK || opened == isa, "%s opened %s", pan_isa_name(isa), pan_isa_name(opened));
        }
    }
    setenv(VARIABLE, "", 1);
    CHECK(open_tier(PAN_ISA_BEST, &opened) == PAN_OK && opened == pan_isa_available(), "an empty %s caps", VARIABLE);
    unsetenv(VARIABLE);
}

/* Either CUDA works, or each way in says why it does not. */
static void check_cuda(void) {
    pan_status status = pan_backend_status(PAN_BACKEND_CUDA);
    if (status == PAN_OK) {
        target target = open_target(PAN_BACKEND_CUDA, PAN_ISA_BEST, 0);
        close_target(&target);
        return;
    }
    CHECK(status == PAN_NO_DEVICE && strlen(pan_last_error()) > 20, "CUDA: status %s, reason '%s'",
          pan_status_name(status), pan_last_error());
    pan_device_options options = {.struct_size = sizeof options, .backend = PAN_BACKEND_CUDA};
    pan_device *device = NULL;
    CHECK(pan_device_open(&options, &device) == PAN_NO_DEVICE && device == NULL && strlen(pan_last_error()) > 20,
          "opening CUDA: '%s'", pan_last_error());
    for (int32_t op = 0; op < pan_op_count(); op++) {
        CHECK(pan_op_supported(PAN_BACKEND_CUDA, op) == 0, "CUDA is absent but has %s", pan_op_name(op));
    }
}

static void check_facts(void) {
    CHECK(pan_abi_version() == PAN_ABI_VERSION, "ABI %u, header %d", pan_abi_version(), PAN_ABI_VERSION);
    CHECK(strlen(pan_version()) > 0 && strlen(pan_gemm_name()) > 0, "version '%s', GEMM '%s'", pan_version(),
          pan_gemm_name());
    CHECK(pan_op_name(-1) == NULL && pan_op_name(pan_op_count()) == NULL, "ops out of range have names");
    CHECK(pan_isa_name(PAN_ISA_BEST) == NULL && pan_isa_name(PAN_ISA_AVX512 + 1) == NULL, "odd tiers have names");
    CHECK(strcmp(pan_status_name(PAN_OUT_OF_MEMORY), "PAN_OUT_OF_MEMORY") == 0 &&
              strcmp(pan_status_name(99), "unknown status") == 0,
          "names of statuses");
    for (pan_backend backend = PAN_BACKEND_REFERENCE; backend <= PAN_BACKEND_REFERENCE_F64; backend++) {
        CHECK_OK(pan_backend_status(backend));
    }
    CHECK_OK(pan_backend_status(PAN_BACKEND_CPU));
}

int main(void) {
    unsetenv(VARIABLE);
    check_facts();
    check_cap();
    check_cuda();
    return report();
}
