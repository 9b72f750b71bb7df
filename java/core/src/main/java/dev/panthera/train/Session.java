package dev.panthera.train;

import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.DeviceStream;
import dev.panthera.kernels.RandomState;
import dev.panthera.model.LabelledBatch;
import dev.panthera.model.Loss;
import dev.panthera.model.SequenceModel;
import dev.panthera.nn.Parameters;
import dev.panthera.task.Batch;
import dev.panthera.task.TaskConfig;
import dev.panthera.tensor.ParameterStore;
import dev.panthera.tensor.StepArena;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A model on a device with what one step needs: parameters, step memory, and room for a batch. */
final class Session implements AutoCloseable {
    private final OwnedResources owned = new OwnedResources();
    private final Device device;
    private final DeviceStream stream;
    private final StepArena arena;
    private final RandomState random;
    private final Tape tape;
    private final SequenceModel model;
    private final Loss loss;
    private final ParameterStore parameters;
    private final DeviceBuffer inputs;
    private final DeviceBuffer labels;
    private final DeviceBuffer rows;
    private final DeviceBuffer targets;
    private final DeviceBuffer shares;
    private final MemorySegment hostRows;
    private final MemorySegment hostLabels;
    private final MemorySegment hostTargets;
    private final MemorySegment hostShares;

    /**
     * Takes over the device and closes it at the end, or now if there is no memory for the model.
     *
     * @param positions most positions of a batch
     */
    Session(Device device, TrainConfig config, long positions) {
        this.device = owned.own(device);
        loss = config.loss();
        try {
            stream = owned.own(device.newStream());
            arena = owned.own(new StepArena(device));
            random = owned.own(RandomState.allocate(device, stream));
            tape = new Tape(stream, arena, random, DataType.F32);
            model = SequenceModel.of(config.model().config(config.data()), config.seed());
            parameters =
                    owned.own(
                            new ParameterStore(device, stream, DataType.F32, Parameters.of(model)));
            int idsPerPosition = config.data().continuous() ? 2 : 1;
            inputs = owned.own(device.allocate(DataType.I32, idsPerPosition * positions));
            labels = owned.own(device.allocate(DataType.I32, positions));
            rows = owned.own(device.allocate(DataType.I32, positions));
            targets = owned.own(device.allocate(DataType.I32, positions));
            shares = owned.own(device.allocate(DataType.F32, positions));
            var host = owned.own(Arena.ofShared());
            hostRows = host.allocate(ValueLayout.JAVA_INT, positions);
            hostLabels = host.allocate(ValueLayout.JAVA_INT, positions);
            hostTargets = host.allocate(ValueLayout.JAVA_INT, positions);
            hostShares = host.allocate(ValueLayout.JAVA_FLOAT, positions);
        } catch (RuntimeException | Error failure) {
            owned.closeAfter(failure);
            throw failure;
        }
    }

    Device device() {
        return device;
    }

    DeviceStream stream() {
        return stream;
    }

    StepArena arena() {
        return arena;
    }

    RandomState random() {
        return random;
    }

    Tape tape() {
        return tape;
    }

    SequenceModel model() {
        return model;
    }

    Loss loss() {
        return loss;
    }

    ParameterStore parameters() {
        return parameters;
    }

    /** As {@link #loadLabelled(Batch, int)} with room for exactly the labels that there are, or for one if there are none. */
    LabelledBatch loadLabelled(Batch batch) {
        int count = collectLabels(batch);
        return uploadLabelled(batch, count, Math.max(1, count));
    }

    /**
     * Brings a batch to the device, over the batch before.
     *
     * @param capacity length of the list of labelled positions, at least as many as there are. What is left of it are
     *     positions without a label: batches with different numbers of labels then have tensors of the same shapes.
     */
    LabelledBatch loadLabelled(Batch batch, int capacity) {
        int count = collectLabels(batch);
        if (count > capacity) {
            throw new IllegalArgumentException(
                    "%d positions have labels; there is room for %d".formatted(count, capacity));
        }
        return uploadLabelled(batch, count, capacity);
    }

    private int collectLabels(Batch batch) {
        int count = 0;
        for (int i = 0; i < batch.rows() * batch.length(); i++) {
            int label = batch.labels().getAtIndex(ValueLayout.JAVA_INT, i);
            if (label != TaskConfig.IGNORE) {
                hostRows.setAtIndex(ValueLayout.JAVA_INT, count, i);
                hostLabels.setAtIndex(ValueLayout.JAVA_INT, count, label);
                hostTargets.setAtIndex(ValueLayout.JAVA_INT, count++, label);
            }
        }
        for (int i = 0; i < count; i++) {
            hostShares.setAtIndex(ValueLayout.JAVA_FLOAT, i, 1f / count);
        }
        return count;
    }

    private LabelledBatch uploadLabelled(Batch batch, int count, int capacity) {
        int last = count == 0 ? 0 : hostRows.getAtIndex(ValueLayout.JAVA_INT, count - 1);
        for (int i = count; i < capacity; i++) {
            hostRows.setAtIndex(ValueLayout.JAVA_INT, i, last);
            hostLabels.setAtIndex(ValueLayout.JAVA_INT, i, TaskConfig.IGNORE);
            hostTargets.setAtIndex(ValueLayout.JAVA_INT, i, 0);
            hostShares.setAtIndex(ValueLayout.JAVA_FLOAT, i, 0);
        }
        return new LabelledBatch(
                upload(inputs, batch.inputs(), batch.rows(), batch.task().inputsPerRow()),
                upload(rows, hostRows, 1, capacity),
                upload(labels, hostLabels, 1, capacity),
                upload(targets, hostTargets, 1, capacity),
                upload(shares, hostShares, 1, capacity, 1));
    }

    private Tensor upload(DeviceBuffer target, MemorySegment values, int... shape) {
        DeviceBuffer used = target.slice(0, (long) shape[0] * shape[1]);
        stream.copyToDevice(used, values.asSlice(0, used.byteSize()));
        return Tensor.wrap(used, shape);
    }

    @Override
    public void close() {
        tape.end();
        owned.close();
    }
}
