package dev.panthera.train;

import dev.panthera.UserException;
import dev.panthera.kernels.Backend;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.KernelException;
import dev.panthera.kernels.NativeInfo;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Where a run computes, as the command line gives it.
 *
 * @param name {@code cpu}, {@code cuda:N} or {@code auto}: the first CUDA device that works and has every kernel that the CPU
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
     * @throws UserException if it is not there, busy or full, or lacks a kernel, or PANTHERA_MAX_ISA is wrong
     */
    public ChosenDevice open() {
        if (name.equals("auto")) {
            return openAny();
        }
        try {
            return new ChosenDevice(
                    name.startsWith(CUDA)
                            ? openCuda(Integer.parseInt(name.substring(CUDA.length())))
                            : Device.cpu(threads),
                    null);
        } catch (KernelException.NoDevice
                | KernelException.InvalidArgument
                | KernelException.Unsupported
                | KernelException.OutOfMemory
                | KernelException.DeviceFailure refused) {
            String instead = name.equals("cpu") ? "" : "; use another device or --device cpu";
            throw new UserException(
                    "--device %s: %s%s".formatted(name, refused.getMessage(), instead), refused);
        }
    }

    private Device openCuda(int index) {
        var problem = cudaProblem();
        UserException.require(
                problem.isEmpty(), "--device %s: %s; use --device cpu", name, problem.orElse(""));
        int count = NativeInfo.deviceCount(Backend.CUDA);
        UserException.require(
                index < count,
                "--device %s: this machine has %d CUDA devices; use %s",
                name,
                count,
                IntStream.range(0, count)
                        .mapToObj(i -> CUDA + i)
                        .collect(Collectors.joining(" or ")));
        return Device.cuda(index);
    }

    private ChosenDevice openAny() {
        var problem = cudaProblem();
        if (problem.isEmpty()) {
            for (int i = 0; i < NativeInfo.deviceCount(Backend.CUDA); i++) {
                try {
                    return new ChosenDevice(Device.cuda(i), null);
                } catch (KernelException.NoDevice
                        | KernelException.OutOfMemory
                        | KernelException.DeviceFailure refused) {
                    problem = problem.or(() -> Optional.of(refused.getMessage()));
                }
            }
        }
        try {
            return new ChosenDevice(Device.cpu(threads), problem.orElse("there is no device"));
        } catch (KernelException.InvalidArgument refused) {
            throw new UserException("--device auto: " + refused.getMessage(), refused);
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
