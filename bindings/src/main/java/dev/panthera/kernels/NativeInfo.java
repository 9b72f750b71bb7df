package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Facts about the native library and this machine, for diagnosis. Every method loads the library first. */
public final class NativeInfo {

    /**
     * An op and where it runs.
     *
     * @param name     for example {@code linear_forward}
     * @param backends those that have a kernel for it
     */
    public record OpSupport(String name, Set<Backend> backends) {

        public OpSupport {
            var inOrder = EnumSet.noneOf(Backend.class);
            inOrder.addAll(backends);
            backends = Collections.unmodifiableSet(inOrder);
        }
    }

    private NativeInfo() {}

    /** Version of the library, for example {@code 0.1.0}. */
    public static String version() {
        NativeLibrary.load();
        return NativeText.of(PantheraAbi.pan_version());
    }

    /** Version of the interface between Java and the library. */
    public static int abiVersion() {
        NativeLibrary.load();
        return PantheraAbi.pan_abi_version();
    }

    /** Where the library was loaded from: a file name. */
    public static String path() {
        return NativeLibrary.load().toString();
    }

    /** The best tier that this processor can run, not capped by PANTHERA_MAX_ISA. */
    public static Isa isaAvailable() {
        NativeLibrary.load();
        return Isa.of(PantheraAbi.pan_isa_available());
    }

    /** The GEMM implementation of the CPU backend and its version, for example {@code oneDNN 3.13.0}. */
    public static String gemmName() {
        NativeLibrary.load();
        return NativeText.of(PantheraAbi.pan_gemm_name());
    }

    /** Why devices of a backend cannot be opened; empty if they can. */
    public static Optional<String> backendProblem(Backend backend) {
        NativeLibrary.load();
        return PantheraAbi.pan_backend_status(backend.code()) == PantheraAbi.PAN_OK()
                ? Optional.empty()
                : Optional.of(NativeText.of(PantheraAbi.pan_last_error()));
    }

    /**
     * How many devices of a backend there are, from index 0 on; 0 where it cannot be used.
     *
     * @throws KernelException if they cannot be counted
     */
    public static int deviceCount(Backend backend) {
        NativeLibrary.load();
        try (var arena = Arena.ofConfined()) {
            MemorySegment count = arena.allocate(ValueLayout.JAVA_INT);
            int status = PantheraAbi.pan_device_count(backend.code(), count);
            if (status != PantheraAbi.PAN_OK()) {
                throw KernelException.ofStatus(status, "device_count", backend.toString(), "");
            }
            return count.get(ValueLayout.JAVA_INT, 0);
        }
    }

    /** The ops of the library in its order, with the backends that have them. */
    public static List<OpSupport> ops() {
        NativeLibrary.load();
        var ops = new ArrayList<OpSupport>();
        for (int op = 0; op < PantheraAbi.pan_op_count(); op++) {
            var backends = EnumSet.noneOf(Backend.class);
            for (Backend backend : Backend.values()) {
                if (PantheraAbi.pan_op_supported(backend.code(), op) == 1) {
                    backends.add(backend);
                }
            }
            ops.add(new OpSupport(NativeText.of(PantheraAbi.pan_op_name(op)), backends));
        }
        return List.copyOf(ops);
    }
}
