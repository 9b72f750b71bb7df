package dev.panthera.train;

import dev.panthera.kernels.DataType;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.ReduceKernel;
import dev.panthera.kernels.Reduction;
import dev.panthera.model.LabelledBatch;
import dev.panthera.task.Batch;
import dev.panthera.tensor.NonFiniteException;
import dev.panthera.tensor.StepProfile;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * One step of training, in three parts: what changes from step to step goes to the device; the device computes forward, loss,
 * backward, gradient norm and optimizer without the host; loss and norm come back. The middle part reads and writes nothing of
 * the host and, once it has run, allocates nothing, so that it can be captured in a graph.
 *
 * <p>If loss or norm is NaN or infinite the device leaves the parameters as they are, and the same step is run again with a
 * check behind each operation to name the first that went wrong: the step's dropout comes from a counter, so the second run is
 * the first one exactly.
 */
final class TrainingStep implements AutoCloseable {
    /** Places of {@link #outcome}. */
    private static final int LOSS = 0;

    private static final int SQUARED_NORM = 1;
    private static final int OUTCOMES = 2;

    /** Reads of parameter, gradient and both moments, and writes of all but the gradient. */
    private static final int OPTIMIZER_PASSES = 7;

    private final OwnedResources owned = new OwnedResources();
    private final Session session;
    private final AdamW optimizer;
    private final long seed;
    private final ReduceKernel squares;
    private final ReduceKernel nonFinite = new ReduceKernel(Reduction.NONFINITE, 1, OUTCOMES, 1);
    private final DeviceBuffer outcome;
    private final DeviceBuffer nonFiniteCount;
    private final @Nullable DeviceBuffer workspace;
    private final MemorySegment readBack;
    private @Nullable StepProfile profile;

    TrainingStep(Session session, AdamW.Options options, long seed) {
        this.session = session;
        this.seed = seed;
        var device = session.device();
        var stream = session.stream();
        squares =
                new ReduceKernel(
                        Reduction.SUM_OF_SQUARES, 1, session.parameters().trainableElements(), 1);
        try {
            optimizer = owned.own(new AdamW(device, stream, session.parameters(), options));
            outcome = owned.own(device.allocate(DataType.F32, OUTCOMES));
            nonFiniteCount = owned.own(device.allocate(DataType.F32, 1));
            long bytes =
                    Math.max(
                            squares.forwardWorkspaceBytes(stream),
                            nonFinite.forwardWorkspaceBytes(stream));
            workspace = bytes == 0 ? null : owned.own(device.allocate(DataType.BYTE, bytes));
            readBack = owned.own(Arena.ofShared()).allocate(ValueLayout.JAVA_FLOAT, OUTCOMES);
        } catch (RuntimeException | Error failure) {
            owned.closeAfter(failure);
            throw failure;
        }
    }

    /** Measures the parts of each step from now on; null: no longer. */
    void profileWith(@Nullable StepProfile newProfile) {
        profile = newProfile;
        session.tape().profileWith(newProfile);
    }

    AdamW optimizer() {
        return optimizer;
    }

    /** Trains on a batch and returns its loss. */
    float run(Batch batch, double learningRate) {
        var loaded = session.loadLabelled(batch);
        begin(learningRate);
        compute(loaded);
        return finish(loaded);
    }

    /** Tells the device which step comes next. */
    void begin(double learningRate) {
        session.random().write(session.stream(), seed, optimizer.steps());
        optimizer.begin(session.stream(), learningRate);
    }

    /** The whole step on the device. */
    void compute(LabelledBatch loaded) {
        gradients(loaded);
        measured("gradient norm", 1, this::checkFinite);
        measured("optimizer", OPTIMIZER_PASSES, () -> optimizer.apply(session.stream()));
    }

    private void checkFinite() {
        var stream = session.stream();
        squares.forward(
                stream,
                session.parameters().gradients(),
                outcome.slice(SQUARED_NORM, 1),
                workspace);
        nonFinite.forward(stream, outcome, nonFiniteCount, workspace);
        optimizer.skipUnlessZero(stream, nonFiniteCount);
    }

    private void measured(String name, int passes, Runnable work) {
        if (profile == null) {
            work.run();
        } else {
            double bytes = (double) passes * session.parameters().gradients().byteSize();
            profile.measure(session.stream(), name, bytes, 0, work);
        }
    }

    private void gradients(LabelledBatch loaded) {
        var tape = session.tape();
        measured("zero gradients", 1, () -> session.parameters().zeroGradients(session.stream()));
        tape.begin(Tape.Mode.TRAINING);
        Tensor loss = session.loss().mean(tape, session.model(), loaded);
        session.stream().copy(outcome.slice(LOSS, 1), loss.values());
        tape.backward(loss);
    }

    /** Waits for the step and returns its loss. */
    float finish(LabelledBatch loaded) {
        session.stream().copyToHost(readBack, outcome);
        float loss = readBack.getAtIndex(ValueLayout.JAVA_FLOAT, LOSS);
        float squaredNorm = readBack.getAtIndex(ValueLayout.JAVA_FLOAT, SQUARED_NORM);
        if (!Float.isFinite(loss) || !Float.isFinite(squaredNorm)) {
            throw diverged(loaded, loss, squaredNorm);
        }
        return loss;
    }

    private DivergedException diverged(LabelledBatch loaded, float loss, float squaredNorm) {
        String where = "no single operation shows it: the gradient norm overflows";
        session.tape().checkEachOperation(true);
        try {
            gradients(loaded);
        } catch (NonFiniteException e) {
            where = "first in " + e.getMessage();
        } finally {
            session.tape().checkEachOperation(false);
        }
        return new DivergedException(
                "step %d: loss %s, squared gradient norm %s; %s; try a smaller --lr"
                        .formatted(optimizer.steps(), loss, squaredNorm, where));
    }

    @Override
    public void close() {
        owned.close();
    }
}
