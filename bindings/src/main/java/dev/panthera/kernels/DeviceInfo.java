package dev.panthera.kernels;

/**
 * Facts about an open device.
 *
 * @param name              for example {@code cpu:avx512} or the GPU's name
 * @param backend           where its kernels run
 * @param index             which device of the backend
 * @param threads           CPU: threads that work, the caller's included
 * @param isa               CPU: tier in use; {@link Isa#BEST} where it has no meaning
 * @param computeCapability CUDA: 10 * major + minor; else 0
 * @param totalBytes        memory of the device (CPU: of the machine)
 * @param liveAllocations   native blocks that were not freed
 */
public record DeviceInfo(
        String name,
        Backend backend,
        int index,
        int threads,
        Isa isa,
        int computeCapability,
        long totalBytes,
        long liveAllocations) {}
