package dev.panthera.train;

import dev.panthera.UserException;
import dev.panthera.kernels.Backend;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.KernelException;
import dev.panthera.kernels.NativeInfo;
import java.util.Optional;

/**
 * Where a run computes, as the command line gives it.
 *
 * @param name {@code cpu}, {@code cuda:N} or {@code auto}: CUDA device 0 if one works and has every kernel that the CPU
 *     has, else the CPU
 * @param threads of the CPU; 0: one per core
 */
public record DeviceChoice(String name, int threads) {
    private static final String CUDA = "cuda:";

    public DeviceChoice {
        UserException.require(
                name.equals("cpu") || name.equals("auto") || name.matches("cuda:\\d{1,3}"),
                "--device %s: it must be cpu, cuda:N (for example cuda:0) or auto",
                name);
        UserException.require(
                threads >= 0 && threads <= 1024,
                "--threads %d: 1 to 1024 are possible, 0 means one per core",
                threads);
    }

    /**
     * Opens the device.
     *
     * @throws UserException if it is not there or lacks a kernel, or PANTHERA_MAX_ISA is wrong
     */
    public Device open() {
        boolean cuda = name.startsWith(CUDA);
        if (cuda) {
            var reason = cudaProblem();
            UserException.require(
                    reason.isEmpty(), "--device %s: %s; use --device cpu", name, reason.orElse(""));
        }
        try {
            if (cuda) {
                return Device.cuda(Integer.parseInt(name.substring(CUDA.length())));
            }
            return name.equals("auto") && cudaProblem().isEmpty()
                    ? Device.cuda(0)
                    : Device.cpu(threads);
        } catch (KernelException.NoDevice
                | KernelException.InvalidArgument
                | KernelException.Unsupported refused) {
            throw new UserException(
                    "--device %s: %s".formatted(name, refused.getMessage()), refused);
        }
    }

    /** Why nothing can be trained on CUDA; empty if it can. */
    private static Optional<String> cudaProblem() {
        return NativeInfo.backendProblem(Backend.CUDA)
                .or(() ->
                        NativeInfo.ops().stream()
                                .filter(op -> op.backends().contains(Backend.CPU))
                                .filter(op -> !op.backends().contains(Backend.CUDA))
                                .findFirst()
                                .map(op -> "CUDA has no kernel for %s".formatted(op.name())));
    }
}
