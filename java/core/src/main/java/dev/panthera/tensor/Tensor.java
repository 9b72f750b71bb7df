package dev.panthera.tensor;

import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.kernels.DeviceBuffer;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A dense row-major array of f32 (f64 on the double reference device) on a device. Activations are usually
 * {@code (batch, length, channels)}. A tensor is a value of one step, made by an {@link Operation} on a {@link Tape},
 * or a parameter that lives as long as its model. Not for use by several threads.
 */
public final class Tensor {
    private final int[] shape;
    private final boolean requiresGradient;
    private @Nullable Storage values;
    private @Nullable Storage gradient;
    private float @Nullable [] initialValues;
    private @Nullable Tape tape;

    private Tensor(int[] shape, boolean requiresGradient) {
        for (int size : shape) {
            if (size < 1) {
                throw new IllegalArgumentException(
                        "shape " + Arrays.toString(shape) + ": every size must be at least 1");
            }
        }
        this.shape = shape;
        this.requiresGradient = requiresGradient;
    }

    static Tensor of(Storage values, boolean requiresGradient, int... shape) {
        Tensor tensor = new Tensor(shape, requiresGradient);
        tensor.values = values;
        return tensor;
    }

    /**
     * A parameter with its initial values in row-major order; {@link ParameterStore} gives it device memory.
     *
     * @param trainable false for a frozen parameter: it gets no gradient and no optimizer step
     */
    public static Tensor parameter(float[] initialValues, boolean trainable, int... shape) {
        Tensor tensor = new Tensor(shape.clone(), trainable);
        if (tensor.size() != initialValues.length) {
            throw new IllegalArgumentException(
                    "shape "
                            + Arrays.toString(shape)
                            + " has "
                            + tensor.size()
                            + " values, not "
                            + initialValues.length);
        }
        tensor.initialValues = initialValues;
        return tensor;
    }

    /** A tensor over memory that the caller owns and keeps alive, for example an input; it gets no gradient. */
    public static Tensor wrap(DeviceBuffer values, int... shape) {
        return of(Storage.persistent(values), false, shape.clone());
    }

    /** As {@link #wrap}, with a gradient in the memory of the step: what an operation sees of the one before it. */
    public static Tensor input(DeviceBuffer values, int... shape) {
        return of(Storage.persistent(values), true, shape.clone());
    }

    /** As {@link #wrap}, with memory for the gradient too, to which backward adds. */
    public static Tensor leaf(DeviceBuffer values, DeviceBuffer gradient, int... shape) {
        Tensor tensor = of(Storage.persistent(values), true, shape.clone());
        tensor.gradient = Storage.persistent(gradient);
        return tensor;
    }

    /**
     * Some rows of a parameter (entries, if it has one dimension) as a tensor of their own, which shares values and gradient
     * with it. For the span of a step.
     *
     * @param first the first row
     * @param count of rows, at least 1
     */
    public Tensor part(int first, int count) {
        if (values == null || !values.isPersistent() || first < 0 || first > shape[0] - count) {
            throw new IllegalArgumentException(
                    "%d rows from %d on of %s: only a parameter that is on a device has parts"
                            .formatted(count, first, this));
        }
        int[] partShape = shape.clone();
        partShape[0] = count;
        long rowSize = size() / shape[0];
        Tensor part = new Tensor(partShape, requiresGradient);
        part.values = Storage.persistent(values().slice(first * rowSize, count * rowSize));
        DeviceBuffer whole = gradient();
        part.gradient =
                whole == null
                        ? null
                        : Storage.persistent(whole.slice(first * rowSize, count * rowSize));
        return part;
    }

    /** The sizes of all dimensions; a copy. */
    public int[] shape() {
        return shape.clone();
    }

    public int rank() {
        return shape.length;
    }

    /** Size of a dimension; a negative one counts from the end, -1 being the channels. */
    public int size(int dimension) {
        return shape[dimension < 0 ? shape.length + dimension : dimension];
    }

    /** Number of elements. */
    public long size() {
        long size = 1;
        for (int extent : shape) {
            size *= extent;
        }
        return size;
    }

    /** Number of rows when all but the last dimension are counted together. */
    public long rows() {
        return size() / size(-1);
    }

    public boolean requiresGradient() {
        return requiresGradient;
    }

    /** The values. Valid until the step's {@link Tape#backward} has passed this tensor. */
    public DeviceBuffer values() {
        if (values == null) {
            throw new IllegalStateException(
                    "this parameter has no memory yet: put its model into a ParameterStore");
        }
        return values.buffer();
    }

    /** The gradient accumulated so far, or null if none has arrived. */
    public @Nullable DeviceBuffer gradient() {
        return gradient == null ? null : gradient.buffer();
    }

    /** The same values in the same memory, and valid as long, to which no gradient passes. */
    public Tensor detached() {
        return wrap(values(), shape).on(tapeWith(this));
    }

    /** {@code this + other}, with broadcasting as in {@link ArithmeticOperation}. */
    public Tensor plus(Tensor other) {
        return ArithmeticOperation.apply(tapeWith(other), ArithmeticKind.ADD, this, other);
    }

    /** {@code this - other}, with broadcasting. */
    public Tensor minus(Tensor other) {
        return ArithmeticOperation.apply(tapeWith(other), ArithmeticKind.SUBTRACT, this, other);
    }

    /** {@code this * other} element by element, with broadcasting. */
    public Tensor times(Tensor other) {
        return ArithmeticOperation.apply(tapeWith(other), ArithmeticKind.MULTIPLY, this, other);
    }

    /** {@code this / other} element by element, with broadcasting. */
    public Tensor dividedBy(Tensor other) {
        return ArithmeticOperation.apply(tapeWith(other), ArithmeticKind.DIVIDE, this, other);
    }

    /** The larger of {@code this} and {@code other} element by element, with broadcasting. */
    public Tensor maximum(Tensor other) {
        return ArithmeticOperation.apply(tapeWith(other), ArithmeticKind.MAXIMUM, this, other);
    }

    private Tape tapeWith(Tensor other) {
        Tape found = tape != null ? tape : other.tape;
        if (found == null) {
            throw new IllegalArgumentException(
                    this
                            + " and "
                            + other
                            + " are parameters or inputs: at least one operand"
                            + " must come from an operation on a tape; or call ArithmeticOperation.apply(tape, ...)");
        }
        return found;
    }

    Tensor on(Tape owner) {
        tape = owner;
        return this;
    }

    /** What a parameter starts from; a copy. For before it is in a {@link ParameterStore}. */
    public float[] initialValues() {
        return requireInitialValues().clone();
    }

    float[] takeInitialValues() {
        float[] initial = requireInitialValues();
        initialValues = null;
        return initial;
    }

    private float[] requireInitialValues() {
        float[] initial = initialValues;
        if (initial == null) {
            throw new IllegalStateException(
                    "this tensor is no parameter, or is in a ParameterStore already");
        }
        return initial;
    }

    void bind(DeviceBuffer parameterValues, @Nullable DeviceBuffer parameterGradient) {
        values = Storage.persistent(parameterValues);
        gradient = parameterGradient == null ? null : Storage.persistent(parameterGradient);
    }

    /** Fails if the memory of the values was given back, or was never there. */
    void requireValues() {
        values();
    }

    /** The memory of the values, for one more owner. */
    Storage shareValues() {
        requireValues();
        return Objects.requireNonNull(values).retain();
    }

    @Nullable Storage gradientStorage() {
        return gradient;
    }

    void setGradient(@Nullable Storage storage) {
        gradient = storage;
    }

    /** Gives back the memory of values and gradient (nothing for parameters and wrapped memory). */
    void release() {
        if (values != null) {
            values.release();
        }
        if (gradient != null) {
            gradient.release();
        }
    }

    @Override
    public String toString() {
        return "Tensor" + Arrays.toString(shape);
    }
}
