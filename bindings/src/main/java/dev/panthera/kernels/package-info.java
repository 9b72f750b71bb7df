/**
 * The native kernels as a safe Java API. Open a {@link dev.panthera.kernels.Device}, allocate
 * {@link dev.panthera.kernels.DeviceBuffer}s, and call kernels on a {@link dev.panthera.kernels.DeviceStream}:
 * {@snippet :
 * try (var device = Device.cpu();
 *         var stream = device.newStream();
 *         var x = device.allocate(DataType.F32, 2 * 3);
 *         var weight = device.allocate(DataType.F32, 4 * 3);
 *         var y = device.allocate(DataType.F32, 2 * 4)) {
 *     x.copyFrom(new float[] {1, 2, 3, 4, 5, 6});
 *     weight.copyFrom(new float[] {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1});
 *     new LinearKernel(2, 3, 4).forward(stream, x, weight, null, y);
 *     System.out.println(Arrays.toString(y.toFloatArray())); // [1, 2, 3, 6, 4, 5, 6, 15]
 * }
 * }
 *
 * <p>A kernel is a record of shapes with one method per op. Arrays are dense and row-major unless a stride is given.
 * Activations have the type of a call's first array; parameters, statistics and parameter gradients are of
 * {@link dev.panthera.kernels.Device#parameterType()}. Gradients of activations are written, those of parameters are
 * ADDED to what the buffer holds. No output may overlap another array unless its description says so.
 *
 * <p>On CUDA the calls of a stream are asynchronous. {@link dev.panthera.kernels.DeviceEvent}s let streams wait for each other
 * and measure time, and {@link dev.panthera.kernels.DeviceStream#capture} records calls as a
 * {@link dev.panthera.kernels.DeviceGraph} that repeats them.
 *
 * <p>Every null, type and length is checked before native code runs, every size and stride by the native library:
 * whatever is wrong is a {@link dev.panthera.kernels.KernelException}. The contract of each op, with formulas and
 * sources, is in {@code native/include/panthera.h}.
 */
@NullMarked
package dev.panthera.kernels;

import org.jspecify.annotations.NullMarked;
