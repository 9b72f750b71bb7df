package dev.panthera.train;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.panthera.e2e.ChildJvm;
import dev.panthera.task.RowStorage;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** What a training step may take: no device memory, little heap, and far less than the logits would need. */
class MemoryTest {
    private static final long HEAP_BYTES_PER_STEP = 64 << 10;
    private static final long PEAK_RESIDENT_KIB = 400 << 10;

    @TempDir private Path folder;

    /** Batches of both segments and the short ones come in every epoch, evaluations in between. */
    @Test
    void stepsAfterTheFirstEpochAllocateNoDeviceMemory() {
        var config = TinyRuns.config();
        try (var session = TinyRuns.session(config, 2);
                var step = new TrainingStep(session, AdamW.Options.withWeightDecay(0.1), 1);
                var train = config.data().trainDataset(RowStorage.MATERIALISED)) {
            for (int i = 0; i < train.batchesPerEpoch(); i++) {
                step.run(train.batch(0, i), 1e-3);
            }
            var device = session.device();
            long allocations = device.allocations();
            long nativeAllocations = device.info().liveAllocations();
            long reserved = session.arena().reservedBytes();
            for (int epoch = 1; epoch < 4; epoch++) {
                for (int i = 0; i < train.batchesPerEpoch(); i++) {
                    step.run(train.batch(epoch, i), 1e-3);
                    assertThat(session.arena().liveBytes()).isZero();
                }
            }
            assertThat(device.allocations()).isEqualTo(allocations);
            assertThat(device.info().liveAllocations()).isEqualTo(nativeAllocations);
            assertThat(session.arena().reservedBytes()).isEqualTo(reserved);
        }
    }

    /** From one step's report to the next, with batch, tape, metrics and all; the first ones also load classes. */
    @Test
    void aStepTakesLittleHeap() {
        var config = TinyRuns.config("data.train.0.examples=1600", "model.layers=4", "epochs=1");
        var threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        List<Long> allocated = new ArrayList<>();
        Trainer.run(
                config,
                TinyRuns.options(2, folder),
                new TrainListener() {
                    @Override
                    public void stepped(StepReport report) {
                        allocated.add(threads.getCurrentThreadAllocatedBytes());
                    }
                });
        int warm = allocated.size() / 2;
        long mean = (allocated.getLast() - allocated.get(warm)) / (allocated.size() - 1 - warm);
        assertThat(mean).isPositive().isLessThanOrEqualTo(HEAP_BYTES_PER_STEP);
    }

    /** The logits of this batch alone would take 1 GiB. */
    @Test
    @EnabledOnOs(OS.LINUX)
    void theLargestStepOfFigure2FitsIn400MiB() throws IOException, InterruptedException {
        var outcome = ChildJvm.of(folder, LargeStep.class.getName()).run();
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.exitCode()).isZero();
        assertThat(Long.parseLong(outcome.out().strip())).isBetween(1L, PEAK_RESIDENT_KIB);
    }
}
