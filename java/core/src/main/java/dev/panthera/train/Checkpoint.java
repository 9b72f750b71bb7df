package dev.panthera.train;

import dev.panthera.UserException;
import dev.panthera.io.SafetensorsFile;
import dev.panthera.io.SafetensorsWriter;
import dev.panthera.io.StoredType;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.tensor.Tensor;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A run at a standstill, as one safetensors file: the parameters under their state names, the optimizer's moments under
 * {@code optimizer.exp_avg.<name>} and {@code optimizer.exp_avg_sq.<name>}, and in the metadata the configuration and the
 * position with the finished epochs. Random numbers need no state of their own, since they are functions of seed and position.
 * A run that goes on from a checkpoint is bitwise equal to one that never stopped, but for the times in its history.
 */
public final class Checkpoint {
    /** Name of the file in a run's folder. */
    public static final String FILE = "checkpoint.safetensors";

    private static final String FORMAT = "panthera-checkpoint-2";
    private static final String FIRST_MOMENT = "optimizer.exp_avg.";
    private static final String SECOND_MOMENT = "optimizer.exp_avg_sq.";

    private Checkpoint() {}

    /**
     * How far a run has come.
     *
     * @param epoch that is next or under way, from 0
     * @param batch of that epoch that is next, from 0
     * @param steps made so far
     * @param lossSum of the epoch's steps so far
     * @param stoppedEarly whether the run has ended because its accuracy was reached
     * @param history the finished epochs
     */
    record Position(
            int epoch,
            int batch,
            long steps,
            double lossSum,
            boolean stoppedEarly,
            List<EpochReport> history) {
        static final Position START = new Position(0, 0, 0, 0, false, List.of());

        Position {
            history = List.copyOf(history);
        }

        /** After one more step of the same epoch. */
        Position stepped(float loss) {
            return new Position(epoch, batch + 1, steps + 1, lossSum + loss, false, history);
        }

        /** After the epoch's last step. */
        Position epochEnded(EpochReport report, boolean stop) {
            var longer = new ArrayList<>(history);
            longer.add(report);
            return new Position(epoch + 1, 0, steps, 0, stop, longer);
        }
    }

    /** The checkpoint file that a path means: itself, or that of a run's folder. */
    public static Path locate(Path path) {
        Path file = Files.isDirectory(path) ? path.resolve(FILE) : path;
        UserException.require(
                Files.isRegularFile(file),
                "%s: there is no checkpoint; give a run's folder or its %s",
                path,
                FILE);
        return file;
    }

    /** The configuration of the run that wrote a checkpoint. */
    public static TrainConfig readConfig(Path file) {
        return config(open(file));
    }

    private static SafetensorsFile open(Path file) {
        var stored = SafetensorsFile.read(file);
        UserException.require(
                FORMAT.equals(stored.metadata().get("format")),
                "%s: it is no checkpoint of this version (%s); train a model first",
                file,
                FORMAT);
        return stored;
    }

    private static TrainConfig config(SafetensorsFile stored) {
        String json = metadata(stored, "config");
        try {
            return ConfigFile.fromJson(json);
        } catch (UserException problem) {
            throw new UserException(
                    "%s: its configuration: %s".formatted(stored.path(), problem.getMessage()),
                    problem);
        }
    }

    private static String metadata(SafetensorsFile stored, String key) {
        String value = stored.metadata().get(key);
        UserException.require(value != null, "%s: the checkpoint lacks its %s", stored.path(), key);
        return value;
    }

    /** Writes a checkpoint; on failure the file is what it was before. */
    static void write(
            Path file, TrainConfig config, Session session, AdamW optimizer, Position position) {
        var writer =
                new SafetensorsWriter()
                        .metadata("format", FORMAT)
                        .metadata("config", ConfigFile.toJson(config))
                        .metadata("epoch", Integer.toString(position.epoch()))
                        .metadata("batch", Integer.toString(position.batch()))
                        .metadata("steps", Long.toString(position.steps()))
                        .metadata("loss_sum", Double.toHexString(position.lossSum()))
                        .metadata("stopped_early", Boolean.toString(position.stoppedEarly()))
                        .metadata("history", ConfigFile.toJsonLine(position.history()));
        distinct(session)
                .forEach((name, tensor) -> {
                    long[] shape = longs(tensor.shape());
                    add(writer, name, shape, session, tensor.values());
                    if (tensor.requiresGradient()) {
                        var parameters = session.parameters();
                        var first = parameters.part(optimizer.firstMoment(), tensor);
                        var second = parameters.part(optimizer.secondMoment(), tensor);
                        add(writer, FIRST_MOMENT + name, shape, session, first);
                        add(writer, SECOND_MOMENT + name, shape, session, second);
                    }
                });
        writer.write(file);
    }

    /** Host memory is written where it lies; that of another device is copied first. */
    private static void add(
            SafetensorsWriter writer,
            String name,
            long[] shape,
            Session session,
            DeviceBuffer values) {
        if (values.isHost() && ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN) {
            writer.tensor(name, StoredType.F32, shape, values.segment());
        } else {
            writer.tensor(name, shape, session.stream().toFloatArray(values));
        }
    }

    /** Restores parameters, optimizer and position. */
    static Position resume(Path file, Session session, AdamW optimizer) {
        var stored = open(file);
        var position = position(stored);
        distinct(session)
                .forEach((name, tensor) -> {
                    copy(stored, name, session, tensor, tensor.values());
                    if (tensor.requiresGradient()) {
                        var parameters = session.parameters();
                        copy(
                                stored,
                                FIRST_MOMENT + name,
                                session,
                                tensor,
                                parameters.part(optimizer.firstMoment(), tensor));
                        copy(
                                stored,
                                SECOND_MOMENT + name,
                                session,
                                tensor,
                                parameters.part(optimizer.secondMoment(), tensor));
                    }
                });
        optimizer.restoreSteps(position.steps());
        return position;
    }

    private static Position position(SafetensorsFile stored) {
        try {
            var position =
                    new Position(
                            Integer.parseInt(metadata(stored, "epoch")),
                            Integer.parseInt(metadata(stored, "batch")),
                            Long.parseLong(metadata(stored, "steps")),
                            Double.parseDouble(metadata(stored, "loss_sum")),
                            Boolean.parseBoolean(metadata(stored, "stopped_early")),
                            history(stored));
            UserException.require(
                    Math.min(position.epoch(), position.batch()) >= 0 && position.steps() >= 0,
                    "%s: the checkpoint's position is negative; go on from another one",
                    stored.path());
            UserException.require(
                    position.history().size() == position.epoch(),
                    "%s: the checkpoint knows %d epochs, and stands at epoch %d; go on from another one",
                    stored.path(),
                    position.history().size(),
                    position.epoch());
            return position;
        } catch (NumberFormatException damaged) {
            throw new UserException(
                    "%s: the checkpoint's position is no number (%s); go on from another one"
                            .formatted(stored.path(), damaged.getMessage()),
                    damaged);
        }
    }

    private static List<EpochReport> history(SafetensorsFile stored) {
        String json = metadata(stored, "history");
        try {
            EpochReport[] epochs = ConfigFile.fromJson(json, EpochReport[].class);
            UserException.require(
                    epochs != null && !Arrays.asList(epochs).contains(null), "an epoch is null");
            return List.of(epochs);
        } catch (UserException damaged) {
            throw new UserException(
                    "%s: the checkpoint's history is damaged (%s); go on from another one"
                            .formatted(stored.path(), damaged.getMessage()),
                    damaged);
        }
    }

    /** Restores the parameters alone. */
    static void readParameters(Path file, Session session) {
        var stored = open(file);
        distinct(session)
                .forEach((name, tensor) -> copy(stored, name, session, tensor, tensor.values()));
    }

    /** Each parameter once, under the first of its names. */
    private static Map<String, Tensor> distinct(Session session) {
        var seen = new IdentityHashMap<Tensor, Boolean>();
        var result = new LinkedHashMap<String, Tensor>();
        session.parameters()
                .named()
                .forEach((name, tensor) -> {
                    if (seen.put(tensor, true) == null) {
                        result.put(name, tensor);
                    }
                });
        return result;
    }

    private static void copy(
            SafetensorsFile stored,
            String name,
            Session session,
            Tensor parameter,
            DeviceBuffer target) {
        long[] expected = longs(parameter.shape());
        long[] found = stored.tensor(name).shape();
        UserException.require(
                Arrays.equals(expected, found),
                "%s: %s has shape %s; the model of its configuration has %s",
                stored.path(),
                name,
                Arrays.toString(found),
                Arrays.toString(expected));
        session.stream().copyToDevice(target, stored.tensor(name).toFloats());
    }

    private static long[] longs(int[] shape) {
        return Arrays.stream(shape).asLongStream().toArray();
    }
}
