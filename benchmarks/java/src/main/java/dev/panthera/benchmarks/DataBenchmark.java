package dev.panthera.benchmarks;

import dev.panthera.task.Batch;
import dev.panthera.task.BatchOrder;
import dev.panthera.task.DataSegment;
import dev.panthera.task.Dataset;
import dev.panthera.task.Mqar;
import dev.panthera.task.RowStorage;
import dev.panthera.task.Split;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** MQAR rows a second in the batches of a shuffled training: made anew, or copied from those that were made once. */
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class DataBenchmark {
    private static final int BATCH = 64;

    /** More than caches close to the core hold, as in a training. */
    private static final int EXAMPLES = 128 * BATCH;

    private static final long SEED = 123;

    /** Length and pairs of a row. */
    @Param({"64x4", "256x16", "512x64"})
    String rows;

    @Param RowStorage storage;

    private Dataset dataset;
    private int epoch;
    private int index;

    @Setup
    public void open() {
        String[] sizes = rows.split("x");
        var task = Mqar.of(Integer.parseInt(sizes[0]), Integer.parseInt(sizes[1]));
        dataset =
                new Dataset(
                        List.of(new DataSegment(task, EXAMPLES)),
                        SEED,
                        Split.TRAIN,
                        BATCH,
                        BatchOrder.SHUFFLED,
                        storage);
    }

    @TearDown
    public void close() {
        dataset.close();
    }

    @Benchmark
    @OperationsPerInvocation(BATCH)
    public Batch batch() {
        if (index == dataset.batchesPerEpoch()) {
            index = 0;
            epoch++;
        }
        return dataset.batch(epoch, index++);
    }
}
