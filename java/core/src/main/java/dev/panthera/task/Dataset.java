package dev.panthera.task;

import dev.panthera.UserException;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;

/**
 * The batches of a split. Batch (epoch, index) is a pure function of the constructor's arguments, so a run resumes by
 * asking for the batch after its last one. Closing frees all its memory, batches included. Not thread-safe.
 */
public final class Dataset implements AutoCloseable {

    private static final long CACHE_LINE = 64;

    private final List<Part> parts = new ArrayList<>();
    private final List<Slice> slices = new ArrayList<>();
    private final BatchOrder order;
    private final CounterRandom batchRandom;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment inputs;
    private final MemorySegment labels;
    private int[] sliceOrder;
    private int orderedEpoch = -1;

    /** Consecutive rows, in the epoch's order, that make up a batch. */
    private record Slice(Part part, int begin, int end) {}

    /** A segment and the current epoch's order of its rows. */
    private static final class Part {

        private final TaskConfig task;
        private final RowSource source;
        private final CounterRandom random;
        private int[] rows;

        Part(DataSegment segment, RowStream stream, RowStorage storage, Arena arena) {
            task = segment.task();
            source = RowSource.of(segment, stream, storage, arena);
            random = stream.random(Purpose.SHUFFLE);
            rows = identity(segment.examples());
        }

        void shuffle(int epoch) {
            rows = random.reset(epoch).permutation(rows.length);
        }
    }

    /**
     * Prepares batches; materialised rows are made here.
     *
     * @param segments  at least one
     * @param seed      seed of rows and of their order
     * @param split     split that the segments belong to
     * @param batchSize rows of a batch, at least 1
     * @throws UserException if there is no segment or the batch size is not positive
     */
    public Dataset(
            List<DataSegment> segments,
            long seed,
            Split split,
            int batchSize,
            BatchOrder order,
            RowStorage storage) {
        UserException.require(
                !segments.isEmpty(),
                "no %s data: give at least one segment",
                split.name().toLowerCase(Locale.ROOT));
        UserException.require(
                batchSize >= 1, "--batch %d: a batch needs at least one row; try 32", batchSize);
        this.order = order;
        long ids = 0;
        long positions = 0;
        for (DataSegment segment : segments) {
            var part = new Part(segment, new RowStream(seed, split, parts.size()), storage, arena);
            parts.add(part);
            for (int begin = 0; begin < segment.examples(); ) {
                int end = begin + Math.min(batchSize, segment.examples() - begin);
                slices.add(new Slice(part, begin, end));
                ids = Math.max(ids, (long) (end - begin) * part.task.inputsPerRow());
                positions = Math.max(positions, (long) (end - begin) * part.task.length());
                begin = end;
            }
        }
        inputs = arena.allocate(ids * Integer.BYTES, CACHE_LINE);
        labels = arena.allocate(positions * Integer.BYTES, CACHE_LINE);
        sliceOrder = identity(slices.size());
        batchRandom = new RowStream(seed, split, 0).random(Purpose.BATCH_ORDER);
    }

    /** Number of batches of each epoch. */
    public int batchesPerEpoch() {
        return slices.size();
    }

    /** Number of rows of each epoch. */
    public long examples() {
        return parts.stream().mapToLong(part -> part.rows.length).sum();
    }

    /**
     * Fills the batch buffer, which overwrites the batch returned before. Batches of one epoch are best asked for in a
     * run: going to another epoch permutes all rows anew.
     *
     * @param epoch at least 0
     * @param index in [0, batchesPerEpoch())
     * @throws IndexOutOfBoundsException if there is no such batch
     */
    public Batch batch(int epoch, int index) {
        Objects.checkIndex(epoch, Integer.MAX_VALUE);
        Objects.checkIndex(index, slices.size());
        if (order == BatchOrder.SHUFFLED && epoch != orderedEpoch) {
            parts.forEach(part -> part.shuffle(epoch));
            sliceOrder = batchRandom.reset(epoch).permutation(slices.size());
            orderedEpoch = epoch;
        }
        Slice slice = slices.get(sliceOrder[index]);
        Part part = slice.part();
        for (int place = slice.begin(); place < slice.end(); place++) {
            part.source.copy(part.rows[place], inputs, labels, place - slice.begin());
        }
        int rows = slice.end() - slice.begin();
        long inputBytes = (long) rows * part.task.inputsPerRow() * Integer.BYTES;
        long labelBytes = (long) rows * part.task.length() * Integer.BYTES;
        return new Batch(
                part.task, rows, inputs.asSlice(0, inputBytes), labels.asSlice(0, labelBytes));
    }

    @Override
    public void close() {
        arena.close();
    }

    private static int[] identity(int size) {
        int[] values = new int[size];
        for (int i = 0; i < size; i++) {
            values[i] = i;
        }
        return values;
    }
}
