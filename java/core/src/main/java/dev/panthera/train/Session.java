package dev.panthera.train;

import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.DeviceStream;
import dev.panthera.kernels.RandomState;
import dev.panthera.model.LanguageModel;
import dev.panthera.model.ModelConfig;
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
import java.util.ArrayDeque;
import java.util.Deque;
import org.jspecify.annotations.Nullable;

/** A model on a device with what one step needs: parameters, step memory, and room for a batch. */
final class Session implements AutoCloseable {
    private final Deque<AutoCloseable> owned = new ArrayDeque<>();
    private final Device device;
    private final DeviceStream stream;
    private final StepArena arena;
    private final RandomState random;
    private final Tape tape;
    private final LanguageModel model;
    private final ParameterStore parameters;
    private final DeviceBuffer inputs;
    private final DeviceBuffer labels;
    private final DeviceBuffer rows;
    private final MemorySegment hostRows;
    private final MemorySegment hostLabels;

    /**
     * Takes over the device and closes it at the end, or now if there is no memory for the model.
     *
     * @param positions most tokens of a batch
     */
    Session(Device device, ModelConfig config, long seed, long positions) {
        this.device = own(device);
        try {
            stream = own(device.newStream());
            arena = own(new StepArena(device));
            random = RandomState.allocate(device, stream);
            own(random.block());
            tape = new Tape(stream, arena, random, DataType.F32);
            model = LanguageModel.of(config, seed);
            parameters =
                    own(new ParameterStore(device, stream, DataType.F32, Parameters.of(model)));
            inputs = own(device.allocate(DataType.I32, positions));
            labels = own(device.allocate(DataType.I32, positions));
            rows = own(device.allocate(DataType.I32, positions));
            var host = own(Arena.ofShared());
            hostRows = host.allocate(ValueLayout.JAVA_INT, positions);
            hostLabels = host.allocate(ValueLayout.JAVA_INT, positions);
        } catch (RuntimeException | Error failure) {
            try {
                closeOwned();
            } catch (RuntimeException second) {
                failure.addSuppressed(second);
            }
            throw failure;
        }
    }

    private <T extends AutoCloseable> T own(T resource) {
        owned.push(resource);
        return resource;
    }

    private void closeOwned() {
        while (!owned.isEmpty()) {
            try {
                owned.pop().close();
            } catch (RuntimeException failure) {
                throw failure;
            } catch (Exception impossible) {
                throw new AssertionError(
                        "closing device memory throws unchecked exceptions only", impossible);
            }
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

    LanguageModel model() {
        return model;
    }

    ParameterStore parameters() {
        return parameters;
    }

    /** Ids and labels of a batch on the device, {@code (batch, length)}; overwritten by the next one. */
    record Loaded(Tensor inputs, Tensor labels) {}

    Loaded load(Batch batch) {
        return new Loaded(
                upload(inputs, batch, batch.inputs()), upload(labels, batch, batch.labels()));
    }

    /**
     * Ids of a batch, {@code (batch, length)}, and its labelled positions with their labels, {@code (1, count)}; null where
     * nothing is labelled. Overwritten by the next batch.
     */
    record Labelled(Tensor inputs, Tensor rows, Tensor labels) {}

    @Nullable Labelled loadLabelled(Batch batch) {
        long count = 0;
        for (long i = 0; i < batch.labels().byteSize() / Integer.BYTES; i++) {
            int label = batch.labels().getAtIndex(ValueLayout.JAVA_INT, i);
            if (label != TaskConfig.IGNORE) {
                hostRows.setAtIndex(ValueLayout.JAVA_INT, count, (int) i);
                hostLabels.setAtIndex(ValueLayout.JAVA_INT, count++, label);
            }
        }
        if (count == 0) {
            return null;
        }
        return new Labelled(
                upload(inputs, batch, batch.inputs()),
                upload(rows, 1, (int) count, hostRows),
                upload(labels, 1, (int) count, hostLabels));
    }

    private Tensor upload(DeviceBuffer target, Batch batch, MemorySegment values) {
        return upload(target, batch.rows(), batch.length(), values);
    }

    private Tensor upload(DeviceBuffer target, int count, int length, MemorySegment values) {
        DeviceBuffer used = target.slice(0, (long) count * length);
        stream.copyToDevice(used, values.asSlice(0, used.byteSize()));
        return Tensor.wrap(used, count, length);
    }

    @Override
    public void close() {
        tape.end();
        closeOwned();
    }
}
