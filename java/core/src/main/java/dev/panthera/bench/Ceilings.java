package dev.panthera.bench;

import dev.panthera.kernels.Ceiling;
import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.LinearKernel;

/**
 * What a CPU device can do at most.
 *
 * @param fma multiply-adds in registers, in GFLOP/s
 * @param gemm a product of square matrices of size {@link #GEMM_SIZE}, in GFLOP/s
 * @param copy copying what no cache holds, in GB/s read and written
 * @param freshPages first writes to memory fresh from the operating system, in GB/s
 */
public record Ceilings(double fma, double gemm, double copy, double freshPages) {
    /** Rows, columns and summands of the matrix product. */
    public static final int GEMM_SIZE = 1024;

    private static final double GIGA = 1e9;
    private static final Timing.Rounds ROUNDS = new Timing.Rounds(3, 0, 15, 15, 0);

    /** Measures a device; about a second. */
    public static Ceilings measure(Device device) {
        return new Ceilings(
                device.measure(Ceiling.FMA) / GIGA,
                gemm(device) / GIGA,
                device.measure(Ceiling.COPY) / GIGA,
                device.measure(Ceiling.FRESH_PAGES) / GIGA);
    }

    private static double gemm(Device device) {
        long elements = (long) GEMM_SIZE * GEMM_SIZE;
        var kernel = new LinearKernel(GEMM_SIZE, GEMM_SIZE, GEMM_SIZE);
        try (var stream = device.newStream();
                var x = device.allocate(DataType.F32, elements);
                var weight = device.allocate(DataType.F32, elements);
                var y = device.allocate(DataType.F32, elements)) {
            stream.copyToDevice(x, Noise.floats(1, elements));
            stream.copyToDevice(weight, Noise.floats(2, elements));
            var timing =
                    Timing.measure(
                            ROUNDS,
                            () -> {},
                            () -> {
                                kernel.forward(stream, x, weight, null, y);
                                stream.synchronize();
                            });
            return 2.0 * elements * GEMM_SIZE / (timing.minMs() / 1e3);
        }
    }

    /** The larger of the shares of arithmetic and of copying that work reaches in its time. */
    public double share(double gflops, double gigabytesPerSecond) {
        return Math.max(gflops / fma, gigabytesPerSecond / copy);
    }
}
