package dev.panthera.tensor;

import dev.panthera.kernels.DataType;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.ReduceKernel;
import dev.panthera.kernels.Reduction;
import java.util.Arrays;

/** Searches buffers for NaN and infinity; see {@link Tape#checkEachOperation}. */
final class FiniteCheck {

    void check(Tape tape, Operation operation, int index, DeviceBuffer buffer, String pass) {
        if (buffer.type() != tape.type()) {
            return;
        }
        double count = count(tape, buffer);
        if (count > 0) {
            String outputs = Arrays.toString(operation.outputs());
            throw new NonFiniteException(operation.name(), index, pass, (long) count, outputs);
        }
    }

    private static double count(Tape tape, DeviceBuffer buffer) {
        var kernel = new ReduceKernel(Reduction.NONFINITE, 1, buffer.elements(), 1);
        Tensor result = tape.allocateConstant(tape.type(), 1);
        try (var workspace = tape.scratch(kernel.forwardWorkspaceBytes(tape.stream()))) {
            kernel.forward(tape.stream(), buffer, result.values(), Tape.Scratch.of(workspace));
            return tape.type() == DataType.F64
                    ? tape.stream().toDoubleArray(result.values())[0]
                    : tape.stream().toFloatArray(result.values())[0];
        } finally {
            result.release();
        }
    }
}
