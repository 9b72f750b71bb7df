package dev.panthera.mixer;

import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.IntStream;

/**
 * Random pairs of a position and an earlier one. Through the pair (row, column) queries row and row + 1 see keys column and
 * column + 1. What a query sees follows from its position alone.
 */
public sealed interface RandomPairs {

    /** The columns of the pairs in a row, all before it. */
    IntStream columns(int row);

    /** At least as many as {@link #keys} has for any query. */
    int most();

    /** The keys that query t sees, ascending. */
    default IntStream keys(int t) {
        var keys = new TreeSet<Integer>();
        for (int row = Math.max(0, t - 1); row <= t; row++) {
            columns(row)
                    .forEach(column -> {
                        keys.add(column);
                        keys.add(column + 1);
                    });
        }
        return keys.stream().mapToInt(Integer::intValue);
    }

    /**
     * As many as if {@code count} pairs of row and column were drawn uniformly from sequences of a length, and those of an earlier
     * row than column left out: a row has {@code count / length} columns on average, uniform over the length, of which those
     * before the row stay.
     *
     * @param layer of the model: each has pairs of its own
     */
    record Drawn(long seed, int layer, int count, int length) implements RandomPairs {

        /** How often a row draws, with success or not. */
        private int draws() {
            return Math.ceilDiv(count, length);
        }

        @Override
        public IntStream columns(int row) {
            var random = CounterRandom.of(seed, Purpose.PATTERN, layer, row);
            double chance = (double) count / length / draws();
            int[] columns = new int[draws()];
            int found = 0;
            for (int i = 0; i < columns.length; i++) {
                boolean drawn = random.nextDouble() < chance;
                int column = random.nextInt(length);
                if (drawn && column < row) {
                    columns[found++] = column;
                }
            }
            return Arrays.stream(columns, 0, found);
        }

        @Override
        public int most() {
            return Math.multiplyExact(4, draws());
        }
    }

    /** These, in any order. */
    record Given(List<Pair> pairs) implements RandomPairs {

        record Pair(int row, int column) {}

        /** Those of some draws whose column is before the row. */
        public static Given of(int[] rows, int[] columns) {
            return new Given(
                    IntStream.range(0, rows.length)
                            .filter(i -> columns[i] < rows[i])
                            .mapToObj(i -> new Pair(rows[i], columns[i]))
                            .toList());
        }

        @Override
        public IntStream columns(int row) {
            return pairs.stream().filter(pair -> pair.row == row).mapToInt(Pair::column);
        }

        @Override
        public int most() {
            return Math.multiplyExact(4, Math.max(1, pairs.size()));
        }
    }
}
