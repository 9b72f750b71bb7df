package dev.panthera.train;

import dev.panthera.mixer.Attention;
import dev.panthera.mixer.BlockKind;
import dev.panthera.mixer.Passthrough;
import dev.panthera.model.Loss;
import dev.panthera.nn.EmbeddingInit;
import dev.panthera.task.BatchOrder;
import dev.panthera.task.DataSegment;
import dev.panthera.task.Filler;
import dev.panthera.task.Mqar;
import dev.panthera.task.RowStorage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Trains attention with L = 512, D = 64, V = 8192, d = 64 on three batches of 64 and prints its peak memory in KiB. */
final class LargeStep {
    private static final int BATCH = 64;
    private static final int STEPS = 3;

    private LargeStep() {}

    public static void main(String[] arguments) throws IOException {
        var task = Mqar.of(512, 64).withPowerA(0.1).withFiller(Filler.ZERO);
        var segments = List.of(new DataSegment(task, STEPS * BATCH));
        var data =
                new DataOptions(segments, segments, segments, BATCH, BATCH, BatchOrder.SHUFFLED, 1);
        var model =
                new ModelOptions(
                        new Attention.Config(1),
                        BlockKind.AUTO,
                        2,
                        64,
                        new Passthrough.Config(),
                        true,
                        true,
                        EmbeddingInit.DEFAULT,
                        0.1,
                        0,
                        0);
        var config =
                new TrainConfig(
                        model,
                        data,
                        Loss.CROSS_ENTROPY,
                        1,
                        1e-3,
                        0.1,
                        2,
                        TrainConfig.Protocol.VALIDATION,
                        1);
        try (var session =
                        new Session(
                                new DeviceChoice("cpu", 2).open().device(),
                                config,
                                data.trainPositions());
                var step =
                        new TrainingStep(
                                session, AdamW.Options.withWeightDecay(0.1), config.seed());
                var train = data.trainDataset(RowStorage.MATERIALISED)) {
            for (int i = 0; i < STEPS; i++) {
                step.run(train.batch(0, i), config.learningRate());
            }
        }
        System.out.println(peakResidentKib());
    }

    private static long peakResidentKib() throws IOException {
        return Files.readAllLines(Path.of("/proc/self/status")).stream()
                .filter(line -> line.startsWith("VmHWM:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
                .findFirst()
                .orElseThrow();
    }
}
