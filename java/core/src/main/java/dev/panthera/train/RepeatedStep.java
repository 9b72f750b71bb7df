package dev.panthera.train;

import dev.panthera.kernels.Device;
import dev.panthera.kernels.KernelException;
import dev.panthera.task.Dataset;
import dev.panthera.task.RowStorage;
import dev.panthera.tensor.StepProfile;
import org.jspecify.annotations.Nullable;

/** Training steps on the first batch of a configuration's data, again and again: what a benchmark measures. */
public final class RepeatedStep implements AutoCloseable {
    private final OwnedResources owned = new OwnedResources();
    private final TrainConfig config;
    private final Dataset data;
    private final Session session;
    private final TrainingStep step;

    /**
     * Takes over the device and closes it at the end, or now if this fails.
     *
     * @throws UserException if the device has too little memory, or failed
     */
    public RepeatedStep(TrainConfig config, Device device) {
        this.config = config;
        try {
            data = owned.own(config.data().trainDataset(RowStorage.MATERIALISED));
            session = owned.own(new Session(device, config, config.data().trainPositions()));
            step =
                    owned.own(
                            new TrainingStep(
                                    session,
                                    AdamW.Options.withWeightDecay(config.weightDecay()),
                                    config.seed()));
        } catch (KernelException.OutOfMemory | KernelException.DeviceFailure trouble) {
            var explained = DeviceTrouble.explain(trouble, null);
            owned.closeAfter(explained);
            throw explained;
        } catch (RuntimeException | Error failure) {
            owned.closeAfter(failure);
            throw failure;
        }
    }

    /** Makes a step and returns its loss, which waits for the device. */
    public float run() {
        return step.run(data.batch(0, 0), config.learningRate());
    }

    /** Measures the operations of each step from now on; null: no longer. */
    public void profileWith(@Nullable StepProfile profile) {
        step.profileWith(profile);
    }

    /** Tokens of the batch. */
    public long tokens() {
        var batch = data.batch(0, 0);
        return (long) batch.rows() * batch.length();
    }

    /** Number of parameters. */
    public long parameters() {
        return session.parameters().trainableParameters();
    }

    /** Bytes of the model's recurrent state for the longest test rows, counted as in the published figures. */
    public long stateBytes() {
        return session.model().publishedStateBytes(config.data().maxTestLength());
    }

    /** Bytes that the device has given out: parameters, optimizer, step memory. */
    public long deviceBytes() {
        return session.device().liveBytes();
    }

    /** The gradients of all parameters, of the last step. */
    public double[] gradients() {
        return session.stream().toDoubleArray(session.parameters().gradients());
    }

    @Override
    public void close() {
        owned.close();
    }
}
