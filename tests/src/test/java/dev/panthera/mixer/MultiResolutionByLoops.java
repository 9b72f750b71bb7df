package dev.panthera.mixer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/** Multi-resolution attention of one head as its definitions say, position by position. All arrays are {@code [position][channel]}. */
record MultiResolutionByLoops(double[][] q, double[][] k, double[][] v, int blockSize) {

    private double scale() {
        return 1 / Math.sqrt(q[0].length);
    }

    private int blocks() {
        return q.length / blockSize;
    }

    private static double product(double[] a, double[] b) {
        return IntStream.range(0, a.length).mapToDouble(c -> a[c] * b[c]).sum();
    }

    private double[] mean(double[][] x, int block) {
        double[] mean = new double[x[0].length];
        for (int s = block * blockSize; s < (block + 1) * blockSize; s++) {
            for (int c = 0; c < mean.length; c++) {
                mean[c] += x[s][c] / blockSize;
            }
        }
        return mean;
    }

    /** Values with their exponents, of which softmax makes one. */
    private static final class Weighed {
        final List<Double> exponents = new ArrayList<>();
        final List<double[]> values = new ArrayList<>();

        void add(double exponent, double[] value) {
            exponents.add(exponent);
            values.add(value);
        }

        /** @param epsilon added to the sum of the weights, the largest of which is {@code exp(x - largest)} */
        double[] sum(int channels, double largest, double epsilon) {
            double[] sum = new double[channels];
            double total = epsilon;
            for (int i = 0; i < exponents.size(); i++) {
                double weight = Math.exp(exponents.get(i) - largest);
                total += weight;
                for (int c = 0; c < channels; c++) {
                    sum[c] += weight * values.get(i)[c];
                }
            }
            for (int c = 0; c < channels; c++) {
                sum[c] /= total;
            }
            return sum;
        }

        double largest() {
            return exponents.stream().mapToDouble(x -> x).max().orElse(Double.NEGATIVE_INFINITY);
        }
    }

    private void addPositions(Weighed weighed, int query, int block, int last) {
        for (int s = block * blockSize; s <= Math.min(last, (block + 1) * blockSize - 1); s++) {
            weighed.add(scale() * product(q[query], k[s]), v[s]);
        }
    }

    /** The causal form. */
    double[][] causal(int blocksPerRow, boolean sparse) {
        double[][] o = new double[q.length][];
        for (int t = 0; t < q.length; t++) {
            int own = t / blockSize;
            double[] query = q[t];
            List<Integer> byScore =
                    IntStream.range(0, own)
                            .boxed()
                            .sorted(Comparator.comparingDouble(j -> -product(query, mean(k, j))))
                            .toList();
            var weighed = new Weighed();
            for (int i = 0; i < byScore.size(); i++) {
                int block = byScore.get(i);
                if (i < blocksPerRow) {
                    addPositions(weighed, t, block, t);
                } else if (!sparse) {
                    weighed.add(
                            scale() * product(query, mean(k, block)) + Math.log(blockSize),
                            mean(v, block));
                }
            }
            addPositions(weighed, t, own, t);
            o[t] = weighed.sum(v[0].length, weighed.largest(), 0);
        }
        return o;
    }

    /** The published form with pairs of blocks chosen from the whole grid. */
    double[][] published(int pairs, boolean sparse, int firstBlocks, int diagonalBlocks) {
        double[][] coarse = new double[blocks()][blocks()];
        double[] rowMax = new double[blocks()];
        double[] scores = new double[blocks() * blocks()];
        for (int i = 0; i < blocks(); i++) {
            for (int j = 0; j < blocks(); j++) {
                coarse[i][j] = scale() * product(mean(q, i), mean(k, j));
            }
            rowMax[i] = Arrays.stream(coarse[i]).max().orElseThrow();
            for (int j = 0; j < blocks(); j++) {
                double score = coarse[i][j] - rowMax[i];
                score += diagonalBlocks > 0 && Math.abs(i - j) <= diagonalBlocks / 2 ? 5e3 : 0;
                score += i < firstBlocks ? 5e3 : 0;
                score += j < firstBlocks ? 5e3 : 0;
                scores[i * blocks() + j] = score;
            }
        }
        List<Integer> chosen =
                IntStream.range(0, scores.length)
                        .boxed()
                        .sorted(Comparator.comparingDouble(pair -> -scores[pair]))
                        .limit(pairs)
                        .toList();
        double threshold = scores[chosen.getLast()];
        double[][] o = new double[q.length][];
        for (int t = 0; t < q.length; t++) {
            int row = t / blockSize;
            var weighed = new Weighed();
            for (int j = 0; j < blocks(); j++) {
                if (chosen.contains(row * blocks() + j)) {
                    addPositions(weighed, t, j, q.length);
                }
            }
            double largest = Math.max(weighed.largest(), sparse ? -1e5 : rowMax[row]);
            for (int j = 0; j < blocks() && !sparse; j++) {
                if (scores[row * blocks() + j] < threshold) {
                    weighed.add(coarse[row][j] + Math.log(blockSize), mean(v, j));
                }
            }
            o[t] = weighed.sum(v[0].length, largest, 1e-6);
        }
        return o;
    }
}
