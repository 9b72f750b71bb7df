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
import dev.panthera.tensor.ParameterStore;
import dev.panthera.tensor.StepArena;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.ArrayDeque;
import java.util.Deque;

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
        long positions = (long) batch.rows() * batch.length();
        DeviceBuffer ids = inputs.slice(0, positions);
        DeviceBuffer targets = labels.slice(0, positions);
        stream.copyToDevice(ids, batch.inputs());
        stream.copyToDevice(targets, batch.labels());
        return new Loaded(
                Tensor.wrap(ids, batch.rows(), batch.length()),
                Tensor.wrap(targets, batch.rows(), batch.length()));
    }

    @Override
    public void close() {
        tape.end();
        closeOwned();
    }
}
