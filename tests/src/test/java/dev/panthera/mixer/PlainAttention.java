package dev.panthera.mixer;

import dev.panthera.tensor.ParameterStore;
import dev.panthera.testing.Rig;
import java.util.Arrays;

/** Attention by the formula, for one sequence: any weights of pairs, in double. */
final class PlainAttention {

    private PlainAttention() {}

    /** How much a query weighs a key, before all weights are divided by their sum. */
    interface Weight {
        double of(int t, int s, double[] query, double[] key);
    }

    /** {@code exp(q . k / sqrt(head_dim))} */
    static double softmax(double[] query, double[] key) {
        return Math.exp(dot(query, key) / Math.sqrt(query.length));
    }

    static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }

    /** Projections, attention to all keys up to the query's position, and the projection of the result. */
    static double[] mix(Rig rig, ParameterStore store, double[] x, int heads, Weight weight) {
        double[] packed = linear(rig, store, "Wqkv", x);
        int width = store.named().get("out_proj.weight").size(0);
        return linear(rig, store, "out_proj", attend(packed, width, heads, weight));
    }

    private static double[] linear(Rig rig, ParameterStore store, String name, double[] x) {
        var named = store.named();
        double[] weight = rig.values(named.get(name + ".weight"));
        int out = named.get(name + ".weight").size(0);
        int in = named.get(name + ".weight").size(1);
        double[] bias =
                named.containsKey(name + ".bias")
                        ? rig.values(named.get(name + ".bias"))
                        : new double[out];
        double[] y = new double[x.length / in * out];
        for (int i = 0; i < y.length; i++) {
            y[i] = bias[i % out];
            for (int j = 0; j < in; j++) {
                y[i] += x[i / out * in + j] * weight[i % out * in + j];
            }
        }
        return y;
    }

    private static double[] attend(double[] packed, int width, int heads, Weight weight) {
        int length = packed.length / 3 / width;
        int dim = width / heads;
        double[] y = new double[length * width];
        for (int head = 0; head < heads; head++) {
            for (int t = 0; t < length; t++) {
                double[] query = vector(packed, 3 * width * t + head * dim, dim);
                double[] weights = new double[t + 1];
                for (int s = 0; s <= t; s++) {
                    double[] key = vector(packed, 3 * width * s + width + head * dim, dim);
                    weights[s] = weight.of(t, s, query, key);
                }
                double sum = Arrays.stream(weights).sum();
                for (int s = 0; s <= t; s++) {
                    double[] value = vector(packed, 3 * width * s + 2 * width + head * dim, dim);
                    for (int c = 0; c < dim; c++) {
                        y[t * width + head * dim + c] += weights[s] / sum * value[c];
                    }
                }
            }
        }
        return y;
    }

    private static double[] vector(double[] values, int first, int count) {
        return Arrays.copyOfRange(values, first, first + count);
    }
}
