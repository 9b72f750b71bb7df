package com.example.embedding;

import dev.panthera.kernels.AttentionKernel;
import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.LongConvKernel;
import dev.panthera.kernels.NativeInfo;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;

/** Runs the README's example and compares some of its results with sums in double; exit code 1 if one differs. */
final class Main {
    private static final int BATCH = 2;
    private static final int LENGTH = 1000;
    private static final int CHANNELS = 64;
    private static final int HEADS = 4;
    private static final int HEAD_DIM = 16;
    private static final double TOLERANCE = 1e-4;

    private Main() {}

    public static void main(String[] arguments) {
        try (var arena = Arena.ofConfined()) {
            MemorySegment u = noise(arena, BATCH * LENGTH * CHANNELS, 1);
            MemorySegment h = noise(arena, CHANNELS * LENGTH, 2);
            MemorySegment y = noise(arena, BATCH * LENGTH * CHANNELS, 3);
            MemorySegment qkv = noise(arena, BATCH * LENGTH * 3 * CHANNELS, 4);
            MemorySegment o = noise(arena, BATCH * LENGTH * CHANNELS, 5);
            convolveAndAttend(u, h, y, qkv, o);
            double error = Math.max(convolutionError(u, h, y), attentionError(qkv, o));
            System.out.printf("%s: largest error %.1e%n", NativeInfo.path(), error);
            if (!(error < TOLERANCE)) {
                System.exit(1);
            }
        }
    }

    private static void convolveAndAttend(
            MemorySegment u, MemorySegment h, MemorySegment y, MemorySegment qkv, MemorySegment o) {
        // README: begin
        var attention = AttentionKernel.packed(2, 1000, 4, 16, 0, 0); // batch, length, heads, head_dim
        try (var device = Device.cpu(); var stream = device.newStream();
                var plan = LongConvKernel.dense(2, 1000, 64, 1000).plan(device); // batch, length, channels, taps
                var spectrum = device.allocate(DataType.BYTE, plan.spectrumBytes(stream));
                var scratch = device.allocate(DataType.BYTE, plan.forwardWorkspaceBytes(stream));
                var lse = device.allocate(DataType.F32, 2 * 4 * 1000);
                var tiles = device.allocate(DataType.BYTE, attention.forwardWorkspaceBytes(stream))) {
            plan.prepare(stream, DeviceBuffer.of(h, DataType.F32), spectrum, scratch);
            plan.forward(stream, spectrum, DeviceBuffer.of(u, DataType.F32), null, null, null, DeviceBuffer.of(y, DataType.F32), scratch);
            attention.forwardPacked(stream, null, DeviceBuffer.of(qkv, DataType.F32), DeviceBuffer.of(o, DataType.F32), lse, tiles);
        }
        // README: end
    }

    private static MemorySegment noise(Arena arena, int count, long seed) {
        var random = new Random(seed);
        MemorySegment values = arena.allocate(ValueLayout.JAVA_FLOAT, count);
        for (int i = 0; i < count; i++) {
            values.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
        }
        return values;
    }

    private static double at(MemorySegment values, long index) {
        return values.getAtIndex(ValueLayout.JAVA_FLOAT, index);
    }

    /** Of the last example's last channel. */
    private static double convolutionError(MemorySegment u, MemorySegment h, MemorySegment y) {
        int b = BATCH - 1;
        int c = CHANNELS - 1;
        double error = 0;
        double largest = 0;
        for (int t = 0; t < LENGTH; t++) {
            double sum = 0;
            for (int s = 0; s <= t; s++) {
                sum += at(h, c * LENGTH + t - s) * at(u, (b * LENGTH + s) * CHANNELS + c);
            }
            error = Math.max(error, Math.abs(sum - at(y, (b * LENGTH + t) * CHANNELS + c)));
            largest = Math.max(largest, Math.abs(sum));
        }
        return error / largest;
    }

    /** Of the last example's last position. */
    private static double attentionError(MemorySegment qkv, MemorySegment o) {
        int first = (BATCH - 1) * LENGTH;
        int t = first + LENGTH - 1;
        double error = 0;
        for (int head = 0; head < HEADS; head++) {
            double[] weights = new double[LENGTH];
            double total = 0;
            for (int s = 0; s < LENGTH; s++) {
                double score = 0;
                for (int c = 0; c < HEAD_DIM; c++) {
                    score += projection(qkv, t, 0, head, c) * projection(qkv, first + s, 1, head, c);
                }
                weights[s] = Math.exp(score / Math.sqrt(HEAD_DIM));
                total += weights[s];
            }
            for (int c = 0; c < HEAD_DIM; c++) {
                double sum = 0;
                for (int s = 0; s < LENGTH; s++) {
                    sum += weights[s] / total * projection(qkv, first + s, 2, head, c);
                }
                error = Math.max(error, Math.abs(sum - at(o, t * CHANNELS + head * HEAD_DIM + c)));
            }
        }
        return error;
    }

    private static double projection(MemorySegment qkv, int row, int part, int head, int c) {
        return at(qkv, (row * 3 + part) * CHANNELS + head * HEAD_DIM + c);
    }
}
