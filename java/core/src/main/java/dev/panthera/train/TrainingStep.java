package dev.panthera.train;

import dev.panthera.kernels.DataType;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.ReduceKernel;
import dev.panthera.kernels.Reduction;
import dev.panthera.task.Batch;
import dev.panthera.tensor.NonFiniteException;
import dev.panthera.tensor.Tape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * One step of training: forward, loss, backward, a look at loss and gradient norm, optimizer. If either is NaN or infinite
 * the parameters are left as they are, and the same step is run again with a check behind each operation to name the first
 * that went wrong: the step's dropout comes from a counter, so the second run is the first one exactly.
 */
final class TrainingStep implements AutoCloseable {
    private final Session session;
    private final AdamW optimizer;
    private final long seed;
    private final ReduceKernel squares;
    private final DeviceBuffer gradientNorm;
    private final @Nullable DeviceBuffer workspace;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment readBack = arena.allocate(ValueLayout.JAVA_FLOAT);

    TrainingStep(Session session, AdamW.Options options, long seed) {
        this.session = session;
        this.seed = seed;
        var device = session.device();
        optimizer = new AdamW(device, session.stream(), session.parameters(), options);
        squares =
                new ReduceKernel(
                        Reduction.SUM_OF_SQUARES, 1, session.parameters().trainableElements(), 1);
        gradientNorm = device.allocate(DataType.F32, 1);
        long bytes = squares.forwardWorkspaceBytes(session.stream());
        workspace = bytes == 0 ? null : device.allocate(DataType.BYTE, bytes);
    }

    AdamW optimizer() {
        return optimizer;
    }

    /** Trains on a batch and returns its loss. */
    float run(Batch batch, double learningRate) {
        float loss = gradients(batch);
        float squaredNorm = squaredGradientNorm();
        if (!Float.isFinite(loss) || !Float.isFinite(squaredNorm)) {
            throw diverged(batch, loss, squaredNorm);
        }
        optimizer.step(session.stream(), learningRate);
        return loss;
    }

    private float gradients(Batch batch) {
        var tape = session.tape();
        session.random().write(session.stream(), seed, optimizer.steps());
        session.parameters().zeroGradients(session.stream());
        var loaded = session.loadLabelled(batch);
        if (loaded == null) {
            return 0;
        }
        tape.begin(Tape.Mode.TRAINING);
        var result = session.model().loss(tape, loaded.inputs(), loaded.rows(), loaded.labels());
        float loss = read(result.loss().values());
        tape.backward(result.loss());
        return loss;
    }

    private float squaredGradientNorm() {
        var gradients = session.parameters().gradients();
        if (gradients == null) {
            return 0;
        }
        squares.forward(session.stream(), gradients, gradientNorm, workspace);
        return read(gradientNorm);
    }

    private float read(DeviceBuffer scalar) {
        session.stream().copyToHost(readBack, scalar);
        return readBack.get(ValueLayout.JAVA_FLOAT, 0);
    }

    private DivergedException diverged(Batch batch, float loss, float squaredNorm) {
        String where = "no single operation shows it: the gradient norm overflows";
        session.tape().checkEachOperation(true);
        try {
            gradients(batch);
        } catch (NonFiniteException e) {
            where = "first in " + e.getMessage();
        } finally {
            session.tape().checkEachOperation(false);
        }
        return new DivergedException(
                "step %d: loss %s, squared gradient norm %s; %s; try a smaller --lr"
                        .formatted(optimizer.steps() + 1, loss, squaredNorm, where));
    }

    @Override
    public void close() {
        arena.close();
        optimizer.close();
        gradientNorm.close();
        if (workspace != null) {
            workspace.close();
        }
    }
}
