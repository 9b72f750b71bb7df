package dev.panthera.mixer;

import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Earlier positions that queries of {@link BigBird} see by chance. They come from pairs (row, column) with row &gt; column, through each
 * of which queries row and row + 1 see keys column and column + 1.
 *
 * @param byQuery the keys of each query that has any; none is later than the query
 */
public record RandomKeys(SortedMap<Integer, SortedSet<Integer>> byQuery) {

    public RandomKeys {
        byQuery = Collections.unmodifiableSortedMap(byQuery);
    }

    /**
     * Pairs of two lists of positions, as they were drawn: those whose column is not before the row are left out.
     *
     * @param rows as many as columns
     */
    public static RandomKeys ofPairs(int[] rows, int[] columns) {
        SortedMap<Integer, SortedSet<Integer>> keys = new TreeMap<>();
        for (int i = 0; i < rows.length; i++) {
            if (columns[i] < rows[i]) {
                for (int query = rows[i]; query <= rows[i] + 1; query++) {
                    keys.computeIfAbsent(query, none -> new TreeSet<>())
                            .addAll(List.of(columns[i], columns[i] + 1));
                }
            }
        }
        return new RandomKeys(keys);
    }

    /**
     * {@code count} pairs, whose rows and columns are uniform over a length.
     *
     * @param layer of the model: each has pairs of its own
     */
    static RandomKeys drawn(long seed, int layer, int count, int length) {
        var random = CounterRandom.of(seed, Purpose.PATTERN, layer);
        int[] rows = new int[count];
        int[] columns = new int[count];
        for (int i = 0; i < count; i++) {
            rows[i] = random.nextInt(length);
            columns[i] = random.nextInt(length);
        }
        return ofPairs(rows, columns);
    }

    /** Whether a query sees a key by chance. */
    boolean sees(int query, int key) {
        var keys = byQuery.get(query);
        return keys != null && keys.contains(key);
    }

    /** The most keys that a query has. */
    int most() {
        return byQuery.values().stream().mapToInt(SortedSet::size).max().orElse(0);
    }
}
