package dev.panthera.train;

import dev.panthera.UserException;
import dev.panthera.kernels.Backend;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.NativeInfo;

/**
 * Where a run computes, as the command line gives it.
 *
 * @param name {@code cpu}, {@code cuda:N} or {@code auto}: CUDA device 0 if one works, else the CPU
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

    /** Opens the device. */
    public Device open() {
        if (name.startsWith(CUDA)) {
            var reason = NativeInfo.backendProblem(Backend.CUDA);
            UserException.require(
                    reason.isEmpty(), "--device %s: %s; use --device cpu", name, reason.orElse(""));
            return Device.cuda(Integer.parseInt(name.substring(CUDA.length())));
        }
        if (name.equals("auto") && NativeInfo.backendProblem(Backend.CUDA).isEmpty()) {
            return Device.cuda(0);
        }
        return Device.cpu(threads);
    }
}
