package dev.panthera.nn;

import dev.panthera.UserException;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import dev.panthera.tensor.Tensor;
import java.util.Arrays;
import java.util.function.ToDoubleFunction;

/**
 * Makes parameters with their initial values, by one of two {@linkplain Scheme schemes}. Embeddings are N(0, 0.02^2) and the
 * biases of linear layers 0 in both. Parameter number k of a model draws from its own sequence of (seed, k).
 */
public final class Init {
    private static final double STANDARD_DEVIATION = 0.02;

    /** What must be left of a random vector's length for its direction to be exact. */
    private static final double LEAST_REMAINDER = 1e-6;

    private final long seed;
    private final int layers;
    private final Scheme scheme;
    private long parameters;

    /** How the weights of linear layers start, which depends on a model's blocks. */
    public enum Scheme {
        /**
         * Normal, N(0, 0.02^2), and N(0, (0.02 / sqrt(2 n_layers))^2) where a projection writes to the residual stream (Radford
         * et al. 2019).
         */
        TRANSFORMER,
        /**
         * Uniform in 1 / sqrt(in), divided by sqrt(n_layers) where a projection writes to the residual stream, of which a block
         * has one (Gu and Dao 2023, arXiv 2312.00752, and its code).
         */
        MAMBA
    }

    /** Of the scheme of Transformers. */
    public Init(long seed, int layers) {
        this(seed, layers, Scheme.TRANSFORMER);
    }

    /**
     * @param seed model seed
     * @param layers number of blocks of the model, for the scale of residual projections
     */
    public Init(long seed, int layers, Scheme scheme) {
        this.seed = seed;
        this.layers = layers;
        this.scheme = scheme;
    }

    /** Weight of a linear layer. */
    public Tensor linearWeight(int out, int in) {
        return switch (scheme) {
            case TRANSFORMER -> normal(STANDARD_DEVIATION, true, out, in);
            case MAMBA -> uniform(1 / Math.sqrt(in), out, in);
        };
    }

    /** Weight of a projection that writes to the residual stream. */
    public Tensor residualWeight(int out, int in) {
        return switch (scheme) {
            case TRANSFORMER -> normal(STANDARD_DEVIATION / Math.sqrt(2.0 * layers), true, out, in);
            case MAMBA -> uniform(1 / Math.sqrt((double) in * layers), out, in);
        };
    }

    /**
     * Biases whose softplus is log-uniform between two step sizes, and not below a third: x = s + log(1 - exp(-s)).
     */
    public Tensor stepBias(double smallest, double largest, double floor, int count) {
        CounterRandom random = next();
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            double exponent = random.nextDouble() * Math.log(largest / smallest);
            double step = Math.max(floor, smallest * Math.exp(exponent));
            values[i] = (float) (step + Math.log(-Math.expm1(-step)));
        }
        return Tensor.parameter(values, true, count);
    }

    /** An embedding table. */
    public Tensor embedding(EmbeddingInit start, int rows, int channels, boolean trainable) {
        return switch (start) {
            case DEFAULT -> normal(STANDARD_DEVIATION, trainable, rows, channels);
            case NORMAL -> normal(1, trainable, rows, channels);
            case SPHERICAL -> spherical(trainable, rows, channels);
        };
    }

    /** Normal values, each row divided by its length. */
    private Tensor spherical(boolean trainable, int rows, int channels) {
        CounterRandom random = next();
        float[] values = new float[count(new int[] {rows, channels})];
        double[] row = new double[channels];
        for (int first = 0; first < values.length; first += channels) {
            double squares = 0;
            for (int i = 0; i < channels; i++) {
                row[i] = random.nextGaussian();
                squares += row[i] * row[i];
            }
            for (int i = 0; i < channels; i++) {
                values[first + i] = (float) (row[i] / Math.sqrt(squares));
            }
        }
        return Tensor.parameter(values, trainable, rows, channels);
    }

    /** Normal values of mean 0. */
    public Tensor normal(double standardDeviation, boolean trainable, int... shape) {
        CounterRandom random = next();
        float[] values = new float[count(shape)];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (standardDeviation * random.nextGaussian());
        }
        return Tensor.parameter(values, trainable, shape);
    }

    /** Uniform values in (-bound, bound). */
    public Tensor uniform(double bound, int... shape) {
        return uniformBetween(-bound, bound, shape);
    }

    /** Uniform values in (low, high). */
    public Tensor uniformBetween(double low, double high, int... shape) {
        CounterRandom random = next();
        float[] values = new float[count(shape)];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (low + (high - low) * random.nextDouble());
        }
        return Tensor.parameter(values, true, shape);
    }

    /**
     * Rows that are orthonormal to each other in blocks of as many as there are columns, in random directions, and then scaled;
     * not trainable.
     */
    public Tensor orthogonal(double scale, int rows, int columns) {
        return orthogonal(random -> scale, rows, columns);
    }

    /**
     * As {@link #orthogonal}, but that each row is as long as a vector of independent N(0, 1): by itself a row is such a vector
     * (Choromanski et al. 2021, arXiv 2009.14794, section 2.4).
     */
    public Tensor orthogonalGaussian(int rows, int columns) {
        return orthogonal(random -> gaussianLength(random, columns), rows, columns);
    }

    private Tensor orthogonal(ToDoubleFunction<CounterRandom> length, int rows, int columns) {
        CounterRandom random = next();
        float[] values = new float[count(new int[] {rows, columns})];
        double[][] block = new double[columns][];
        for (int row = 0; row < rows; row++) {
            double[] direction = direction(random, block, row % columns, columns);
            block[row % columns] = direction;
            double scale = length.applyAsDouble(random);
            for (int i = 0; i < columns; i++) {
                values[row * columns + i] = (float) (scale * direction[i]);
            }
        }
        return Tensor.parameter(values, false, rows, columns);
    }

    private static double gaussianLength(CounterRandom random, int columns) {
        double squares = 0;
        for (int i = 0; i < columns; i++) {
            double value = random.nextGaussian();
            squares += value * value;
        }
        return Math.sqrt(squares);
    }

    /** A random unit vector that is orthogonal to the first {@code count} of a block. */
    private static double[] direction(
            CounterRandom random, double[][] block, int count, int columns) {
        while (true) {
            double[] vector = new double[columns];
            Arrays.setAll(vector, i -> random.nextGaussian());
            double drawn = Math.sqrt(dot(vector, vector));
            for (int pass = 0;
                    pass < 2;
                    pass++) { // the second takes out what the first one's rounding left
                for (int other = 0; other < count; other++) {
                    double along = dot(vector, block[other]);
                    for (int i = 0; i < columns; i++) {
                        vector[i] -= along * block[other][i];
                    }
                }
            }
            double left = Math.sqrt(dot(vector, vector));
            if (left > LEAST_REMAINDER * drawn) {
                return Arrays.stream(vector).map(x -> x / left).toArray();
            }
        }
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }

    /** Given values. */
    public Tensor values(float[] values, boolean trainable, int... shape) {
        parameters++;
        return Tensor.parameter(values, trainable, shape);
    }

    /** One value everywhere. */
    public Tensor constant(float value, int... shape) {
        parameters++;
        float[] values = new float[count(shape)];
        Arrays.fill(values, value);
        return Tensor.parameter(values, true, shape);
    }

    private CounterRandom next() {
        return CounterRandom.of(seed, Purpose.INIT, parameters++);
    }

    private static int count(int[] shape) {
        long count = 1;
        for (int size : shape) {
            count *= size;
            UserException.require(
                    count <= Integer.MAX_VALUE,
                    "a parameter of shape %s has more than 2^31 - 1 values; try a smaller --d-model or --vocab",
                    Arrays.toString(shape));
        }
        return (int) count;
    }
}
