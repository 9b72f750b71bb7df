package dev.panthera.train;

import dev.panthera.io.SafetensorsFile;
import dev.panthera.mixer.Attention;
import dev.panthera.mixer.BlockKind;
import dev.panthera.mixer.Mlp;
import dev.panthera.model.Loss;
import dev.panthera.nn.EmbeddingInit;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import dev.panthera.task.BatchOrder;
import dev.panthera.task.DataSegment;
import dev.panthera.task.Filler;
import dev.panthera.task.Mqar;
import java.io.IOException;
import java.nio.IntBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Runs that take a moment and yet use everything: two segments, a short batch, every kind of dropout, shuffling. */
final class TinyRuns {
    /** Training steps of an epoch of {@link #config}: 40 and 24 examples in batches of 16. */
    static final int STEPS_PER_EPOCH = 5;

    private static final TrainConfig CONFIG =
            new TrainConfig(
                    new ModelOptions(
                            new Attention.Config(2),
                            BlockKind.AUTO,
                            2,
                            16,
                            new Mlp.Config(2),
                            true,
                            true,
                            EmbeddingInit.DEFAULT,
                            0.1,
                            0.1,
                            0.1),
                    new DataOptions(
                            segments(40, 24),
                            segments(20, 10),
                            segments(30, 15),
                            16,
                            16,
                            BatchOrder.SHUFFLED,
                            11),
                    Loss.CROSS_ENTROPY,
                    3,
                    3e-3,
                    0.1,
                    1,
                    TrainConfig.Protocol.VALIDATION,
                    7);

    private static final DeviceChoice CPU = new DeviceChoice("cpu", 2);

    private static final List<String> TIMES = List.of("seconds", "tokens_per_second");

    private TinyRuns() {}

    private static List<DataSegment> segments(int longer, int shorter) {
        return List.of(new DataSegment(task(16, 2), longer), new DataSegment(task(12, 1), shorter));
    }

    private static Mqar task(int length, int pairs) {
        return Mqar.of(length, pairs).withVocabSize(64).withPowerA(0.1).withFiller(Filler.ZERO);
    }

    /** The tiny configuration with some values set, each as {@code path=yaml}. */
    static TrainConfig config(String... settings) {
        var draft = ConfigDraft.of(CONFIG);
        for (String setting : settings) {
            int equals = setting.indexOf('=');
            draft.setYaml(setting.substring(0, equals), setting.substring(equals + 1));
        }
        return draft.toConfig();
    }

    static RunOptions options(int threads, @Nullable Path folder) {
        return new RunOptions(new DeviceChoice("cpu", threads), folder, false, () -> false);
    }

    static RunOptions options(Path folder, boolean resume, BooleanSupplier stopRequested) {
        return new RunOptions(CPU, folder, resume, stopRequested);
    }

    /** A new run in a folder, to its end. */
    static TrainResult run(TrainConfig config, Path folder) {
        return Trainer.run(config, options(2, folder), TrainListener.SILENT);
    }

    /** A new run that is asked to stop after so many steps. */
    static TrainResult runUntil(int steps, TrainConfig config, Path folder) {
        return runUntil(steps, config, CPU, folder, false);
    }

    /** Goes on with a run until so many steps after that. */
    static TrainResult resumeUntil(int steps, TrainConfig config, Path folder) {
        return runUntil(steps, config, CPU, folder, true);
    }

    /** A new or resumed run on a device that is asked to stop after so many steps. */
    static TrainResult runUntil(
            int steps, TrainConfig config, DeviceChoice device, Path folder, boolean resume) {
        var made = new int[1];
        var counter =
                new TrainListener() {
                    @Override
                    public void stepped(StepReport report) {
                        made[0]++;
                    }
                };
        return Trainer.run(
                config, new RunOptions(device, folder, resume, () -> made[0] >= steps), counter);
    }

    /** Goes on with a run to its end. */
    static TrainResult resume(Path folder) {
        TrainConfig config = Checkpoint.readConfig(Checkpoint.locate(folder));
        return Trainer.run(config, options(folder, true, () -> false), TrainListener.SILENT);
    }

    static byte[] checkpoint(Path folder) throws IOException {
        return Files.readAllBytes(folder.resolve(Checkpoint.FILE));
    }

    /** A checkpoint's metadata, without the times and speeds of its epochs. */
    static Map<String, String> metadata(Path folder) {
        Map<String, String> metadata =
                new TreeMap<>(SafetensorsFile.read(folder.resolve(Checkpoint.FILE)).metadata());
        metadata.computeIfPresent("history", (key, json) -> withoutTimes(json));
        return metadata;
    }

    private static String withoutTimes(String history) {
        var epochs = JsonMapper.shared().readTree(history);
        epochs.forEach(epoch -> ((ObjectNode) epoch).remove(TIMES));
        return epochs.toString();
    }

    /** A result's epochs without their times and speeds. */
    static List<EpochReport> history(TrainResult result) {
        return result.history().stream()
                .map(epoch ->
                        new EpochReport(
                                epoch.epoch(),
                                epoch.trainLoss(),
                                epoch.learningRate(),
                                epoch.deciding(),
                                0,
                                0))
                .toList();
    }

    /** The lines of a run's metrics without times and speeds. */
    static List<String> metrics(Path folder) throws IOException {
        var json = JsonMapper.shared();
        return Files.readAllLines(folder.resolve(MetricsLog.FILE)).stream()
                .map(line -> ((ObjectNode) json.readTree(line)).remove(TIMES).toString())
                .toList();
    }

    /** A session for a configuration, with room for its training and its test batches. */
    static Session session(TrainConfig config, int threads) {
        return session(config, new DeviceChoice("cpu", threads));
    }

    static Session session(TrainConfig config, DeviceChoice device) {
        var data = config.data();
        return new Session(
                device.open().device(),
                config,
                Math.max(data.trainPositions(), data.testPositions()));
    }

    /** The bits of all parameters. */
    static Map<String, IntBuffer> parameters(Session session) {
        Map<String, IntBuffer> bits = new TreeMap<>();
        session.parameters()
                .named()
                .forEach((name, tensor) ->
                        bits.put(name, bits(session.stream().toFloatArray(tensor.values()))));
        return bits;
    }

    /** The bits of all tensors of a run's checkpoint. */
    static Map<String, IntBuffer> tensors(Path folder) {
        Map<String, IntBuffer> bits = new TreeMap<>();
        SafetensorsFile.read(folder.resolve(Checkpoint.FILE))
                .tensors()
                .forEach((name, tensor) -> bits.put(name, bits(tensor.toFloats())));
        return bits;
    }

    private static IntBuffer bits(float[] values) {
        var bits = IntBuffer.allocate(values.length);
        for (float value : values) {
            bits.put(Float.floatToRawIntBits(value));
        }
        return bits.flip();
    }

    /** Replaces a parameter by normal values of that standard deviation. */
    static void randomize(Session session, String parameter, double standardDeviation) {
        var random = CounterRandom.of(5, Purpose.INIT, parameter.hashCode());
        var values = new float[(int) session.parameters().named().get(parameter).size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (standardDeviation * random.nextGaussian());
        }
        session.parameters().load(session.stream(), parameter, values);
    }
}
