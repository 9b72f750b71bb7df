package dev.panthera.mixer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Native sparse attention of one sequence by its definition, one query, head and key after the other, in double precision.
 *
 * @param parameters under their state names
 */
record NativeSparseAttentionByLoops(
        Map<String, double[]> parameters, NativeSparseAttention.Config config, int width) {
    private static final double LEAST_WEIGHT = 1e-10;

    /** A key or value of a head. */
    private interface Vectors {
        double[] at(int position, int keyHead);
    }

    private int headDim() {
        return width / config.heads();
    }

    private int keyHeads() {
        return config.keyHeads() == 0 ? config.heads() : config.keyHeads();
    }

    private int group() {
        return config.heads() / keyHeads();
    }

    /** {@code (length, width)} to the same shape. */
    double[] apply(double[] x) {
        int length = x.length / width;
        double[][] rows = new double[length][];
        for (int t = 0; t < length; t++) {
            rows[t] = normalised(Arrays.copyOfRange(x, t * width, (t + 1) * width));
        }
        double[][] packed = new double[length][];
        for (int t = 0; t < length; t++) {
            packed[t] = product("to_qkv.weight", null, rows[t]);
        }
        double[] y = new double[x.length];
        for (int t = 0; t < length; t++) {
            double[] gates =
                    product("to_strategy_combine.0.weight", "to_strategy_combine.0.bias", rows[t]);
            double[] joined = new double[width];
            for (int head = 0; head < config.heads(); head++) {
                double[][] branches = {
                    compressed(packed, t, head), selected(packed, t, head), sliding(packed, t, head)
                };
                for (int branch = 0; branch < branches.length; branch++) {
                    double gate = 1 / (1 + Math.exp(-gates[3 * head + branch]));
                    for (int c = 0; c < headDim(); c++) {
                        joined[head * headDim() + c] += gate * branches[branch][c];
                    }
                }
            }
            double[] out = product("combine_heads.weight", null, joined);
            System.arraycopy(out, 0, y, t * width, width);
        }
        return y;
    }

    private double[] normalised(double[] x) {
        if (!config.norm()) {
            return x;
        }
        double meanSquare = Arrays.stream(x).map(v -> v * v).average().orElseThrow();
        double[] weight = parameters.get("norm.weight");
        return IntStream.range(0, width)
                .mapToDouble(i -> weight[i] * x[i] / Math.sqrt(meanSquare + 0x1p-23))
                .toArray();
    }

    private double[] product(String weightName, String biasName, double[] x) {
        double[] weight = parameters.get(weightName);
        double[] y = new double[weight.length / x.length];
        for (int i = 0; i < y.length; i++) {
            y[i] = biasName == null ? 0 : parameters.get(biasName)[i];
            for (int j = 0; j < x.length; j++) {
                y[i] += weight[i * x.length + j] * x[j];
            }
        }
        return y;
    }

    private double[] query(double[][] packed, int t, int head) {
        return part(packed[t], head * headDim());
    }

    private double[] key(double[][] packed, int t, int keyHead) {
        return part(packed[t], (config.heads() + keyHead) * headDim());
    }

    private double[] value(double[][] packed, int t, int keyHead) {
        return part(packed[t], (config.heads() + keyHeads() + keyHead) * headDim());
    }

    private double[] part(double[] row, int first) {
        return Arrays.copyOfRange(row, first, first + headDim());
    }

    private double[] turned(double[] x, int position) {
        double[] y = new double[x.length];
        for (int i = 0; i < x.length; i += 2) {
            double angle = position * Math.pow(10_000, -(double) i / x.length);
            y[i] = x[i] * Math.cos(angle) - x[i + 1] * Math.sin(angle);
            y[i + 1] = x[i + 1] * Math.cos(angle) + x[i] * Math.sin(angle);
        }
        return y;
    }

    /** The key ("k") or value ("v") of a block. */
    private double[] ofBlock(String kind, Vectors vectors, int block, int keyHead) {
        double[] places = parameters.get(kind + "_intrablock_positions");
        double[] joined = new double[config.blockSize() * headDim()];
        for (int i = 0; i < config.blockSize(); i++) {
            double[] vector = vectors.at(block * config.blockSize() + i, keyHead);
            for (int c = 0; c < headDim(); c++) {
                int at = i * headDim() + c;
                joined[at] = vector[c] + places[keyHead * joined.length + at];
            }
        }
        String network = kind + "_compress.";
        double[] hidden = product(network + "1.weight", network + "1.bias", joined);
        double[] positive = Arrays.stream(hidden).map(v -> Math.max(v, 0)).toArray();
        return product(network + "3.weight", network + "3.bias", positive);
    }

    private double[] compressed(double[][] packed, int t, int head) {
        int keyHead = head / group();
        List<double[]> keys = new ArrayList<>();
        List<double[]> values = new ArrayList<>();
        double[] memory = parameters.get("compress_mem_kv");
        for (int m = 0; m < config.memories(); m++) {
            int at = (keyHead * config.memories() + m) * headDim();
            keys.add(part(memory, at));
            values.add(part(memory, memory.length / 2 + at));
        }
        for (int block = 0; (block + 1) * config.blockSize() <= t; block++) {
            keys.add(ofBlock("k", (s, h) -> key(packed, s, h), block, keyHead));
            values.add(ofBlock("v", (s, h) -> value(packed, s, h), block, keyHead));
        }
        return attend(query(packed, t, head), keys, values);
    }

    private double[] selected(double[][] packed, int t, int head) {
        int own = t / config.blockSize();
        List<Integer> blocks = new ArrayList<>();
        if (config.selectedBlocks() == 0) {
            IntStream.range(0, own).forEach(blocks::add);
        } else {
            blocks.addAll(chosen(packed, t, head, own));
        }
        blocks.add(own);
        List<Integer> positions = new ArrayList<>();
        for (int block : blocks) {
            for (int i = 0; i < config.blockSize(); i++) {
                int s = block * config.blockSize() + i;
                if (s <= t) {
                    positions.add(s);
                }
            }
        }
        return attendTo(packed, t, head, positions);
    }

    /** The blocks of the largest scores, of the {@code count} that have ended. */
    private List<Integer> chosen(double[][] packed, int t, int head, int count) {
        int keyHead = head / group();
        int firstHead = config.sharedSelection() ? keyHead * group() : head;
        int heads = config.sharedSelection() ? group() : 1;
        double[] scores = new double[count];
        for (int block = 0; block < count; block++) {
            double[] key = ofBlock("k", (s, h) -> key(packed, s, h), block, keyHead);
            for (int h = firstHead; h < firstHead + heads; h++) {
                scores[block] += score(query(packed, t, h), key) / heads;
            }
        }
        double sum = Arrays.stream(scores).map(Math::exp).sum();
        return IntStream.range(0, count)
                .boxed()
                .sorted(Comparator.comparingDouble(block -> -scores[block]))
                .limit(config.selectedBlocks())
                .filter(block -> Math.exp(scores[block]) / sum > LEAST_WEIGHT)
                .toList();
    }

    private double[] sliding(double[][] packed, int t, int head) {
        int reach = config.window() - 1;
        int last = t;
        if (!config.causal()) {
            int padded = reach == 0 ? packed.length : Math.ceilDiv(packed.length, reach) * reach;
            last = Math.min(t + reach, padded - 1);
        }
        List<Integer> positions =
                IntStream.rangeClosed(Math.max(0, t - reach), last).boxed().toList();
        return attendTo(packed, t, head, positions);
    }

    /** Positions behind the last one have keys and values of zeros. */
    private double[] attendTo(double[][] packed, int t, int head, List<Integer> positions) {
        double[] zeros = new double[headDim()];
        int keyHead = head / group();
        return attend(
                turned(query(packed, t, head), t),
                positions.stream()
                        .map(s -> s < packed.length ? turned(key(packed, s, keyHead), s) : zeros)
                        .toList(),
                positions.stream()
                        .map(s -> s < packed.length ? value(packed, s, keyHead) : zeros)
                        .toList());
    }

    private double[] attend(double[] query, List<double[]> keys, List<double[]> values) {
        double[] weights = keys.stream().mapToDouble(key -> Math.exp(score(query, key))).toArray();
        double sum = Arrays.stream(weights).sum();
        double[] y = new double[headDim()];
        for (int i = 0; i < weights.length; i++) {
            for (int c = 0; c < y.length; c++) {
                y[c] += weights[i] / sum * values.get(i)[c];
            }
        }
        return y;
    }

    private double score(double[] query, double[] key) {
        double product = 0;
        for (int c = 0; c < query.length; c++) {
            product += query[c] * key[c];
        }
        return product / Math.sqrt(query.length);
    }
}
