package dev.panthera.tensor;

import dev.panthera.kernels.ArithmeticKernel;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.kernels.DataType;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.DeviceStream;
import dev.panthera.kernels.LongConvKernel;
import dev.panthera.kernels.LongConvPlan;
import dev.panthera.kernels.RandomState;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Runs the operations of a step and remembers them for {@link #backward}. One tape serves a model for many steps:
 * {@link #begin} starts a step, {@link #end} gives its memory back, whatever an exception left of it. Not for use by
 * several threads.
 *
 * <p>From its inputs to its gradients a step stays on the device: the host reads nothing and, from the second step of the
 * same shapes on, writes and allocates nothing, so that the step can be captured
 * ({@link DeviceStream#capture}). {@link #checkEachOperation} is the exception.
 */
public final class Tape {

    /** Whether gradients will be wanted and dropout is active. */
    public enum Mode {
        TRAINING,
        EVALUATION
    }

    private final DeviceStream stream;
    private final StepArena arena;
    private final RandomState random;
    private final DataType type;
    private final List<Operation> operations = new ArrayList<>();
    private final FiniteCheck finiteCheck = new FiniteCheck();

    /** What the operation whose backward runs has asked {@link #addGradient} for; filled while checking only. */
    private final List<DeviceBuffer> addedGradients = new ArrayList<>();

    private final List<Tensor> auxiliaryLosses = new ArrayList<>();

    private Mode mode = Mode.EVALUATION;
    private boolean checking;
    private @Nullable StepProfile profile;

    /** The scalar that backward started from with a gradient of 1. */
    private @Nullable Tensor root;

    /**
     * @param stream where kernels run
     * @param arena memory for the tensors of a step, for this tape alone
     * @param random what dropout draws from; written by the trainer before each step
     * @param type element type of tensors: F32, or F64 on the double reference device
     */
    public Tape(DeviceStream stream, StepArena arena, RandomState random, DataType type) {
        this.stream = stream;
        this.arena = arena;
        this.random = random;
        this.type = type;
    }

    public DeviceStream stream() {
        return stream;
    }

    public RandomState random() {
        return random;
    }

    public DataType type() {
        return type;
    }

    /** Whether dropout is active. */
    public boolean training() {
        return mode == Mode.TRAINING;
    }

    /** Fails in training, for operations that go on from a state: gradients would end there without a word. */
    public void requireEvaluation(String operation) {
        if (training()) {
            throw new IllegalArgumentException(
                    operation
                            + ": no gradient passes through a state; begin(EVALUATION) must come before");
        }
    }

    /** Starts a step. */
    public void begin(Mode stepMode) {
        end();
        mode = stepMode;
    }

    /**
     * Whether each operation's outputs and gradients are searched for NaN and infinity, which costs a pass over them; the
     * first hit throws {@link NonFiniteException}.
     */
    public void checkEachOperation(boolean check) {
        checking = check;
    }

    /** Measures each operation from now on; null: none. Measuring waits for the device around each of them. */
    public void profileWith(@Nullable StepProfile newProfile) {
        profile = newProfile;
    }

    /** Runs an operation; {@link #backward} will come back to it. */
    public void run(Operation operation) {
        if (profile == null) {
            operation.forward(this);
        } else {
            profile.forward(stream, operation, () -> operation.forward(this));
        }
        operations.add(operation);
        if (checking) {
            for (Tensor output : operation.finiteOutputs()) {
                finiteCheck.check(
                        this, operation, operations.size() - 1, output.values(), "forward");
            }
        }
    }

    /** A new tensor of this step with undefined contents; requires a gradient if the tape is training. */
    public Tensor allocate(int... shape) {
        return allocate(type, training(), shape);
    }

    /** A new tensor of this step that gets no gradient, for statistics and integer results. */
    public Tensor allocateConstant(DataType elementType, int... shape) {
        return allocate(elementType, false, shape);
    }

    private Tensor allocate(DataType elementType, boolean requiresGradient, int... shape) {
        long elements = 1;
        for (int size : shape) {
            elements = Math.multiplyExact(elements, (long) size);
        }
        return Tensor.of(arena.allocate(elementType, elements), requiresGradient, shape).on(this);
    }

    /** The plan of a convolution, kept from step to step. */
    LongConvPlan plan(LongConvKernel kernel) {
        return arena.plan(kernel);
    }

    /** A tensor in which every element has one value; it gets no gradient and is kept from step to step. */
    public Tensor constant(float value, int size) {
        return Tensor.wrap(arena.constant(stream, type, value, size), size);
    }

    /**
     * A tensor of values that follow from a key, such as a mask from sizes: computed on the host when it is first asked for, and
     * kept from step to step, one for each key. It gets no gradient.
     *
     * @param key of a type of its own, with all that the values follow from
     * @param computed the values in row-major order
     */
    public Tensor constant(Record key, Supplier<float[]> computed, int... shape) {
        return Tensor.wrap(arena.constant(stream, type, key, computed), shape);
    }

    /** As {@link #constant(Record, Supplier, int...)} of integers, such as lists of blocks: int32. */
    public Tensor integers(Record key, Supplier<int[]> computed, int... shape) {
        return Tensor.wrap(arena.integers(stream, key, computed), shape);
    }

    /** Scratch for the span of one kernel call; null if no bytes are asked for. */
    public @Nullable Scratch scratch(long bytes) {
        return bytes == 0 ? null : new Scratch(arena.allocate(DataType.BYTE, bytes));
    }

    /** Memory from {@link #scratch}. */
    public static final class Scratch implements AutoCloseable {
        private final Storage storage;

        private Scratch(Storage storage) {
            this.storage = storage;
        }

        public DeviceBuffer buffer() {
            return storage.buffer();
        }

        @Override
        public void close() {
            storage.release();
        }

        /** The buffer of a scratch that may be absent. */
        public static @Nullable DeviceBuffer of(@Nullable Scratch scratch) {
            return scratch == null ? null : scratch.buffer();
        }
    }

    /**
     * Adds a scalar to what training minimises, such as a penalty on what a layer computes; nothing outside of training. What
     * {@link #withAuxiliaryLosses} returns has it.
     */
    public void addAuxiliaryLoss(Tensor loss) {
        if (loss.size() != 1) {
            throw new IllegalArgumentException(loss + " is no scalar: a loss is one value");
        }
        if (training()) {
            auxiliaryLosses.add(loss);
        }
    }

    /** The sum of a loss and of all that {@link #addAuxiliaryLoss} was given since {@link #begin} or the last call of this. */
    public Tensor withAuxiliaryLosses(Tensor loss) {
        Tensor sum = loss;
        for (Tensor auxiliary : auxiliaryLosses) {
            sum = ArithmeticOperation.apply(this, ArithmeticKind.ADD, sum, auxiliary);
        }
        auxiliaryLosses.clear();
        return sum;
    }

    /**
     * Back-propagates from a scalar: adds to every parameter's gradient that of {@code loss}, and gives the step's tensors
     * back on the way.
     *
     * @throws IllegalArgumentException if {@code loss} is no scalar or was not computed in training mode
     */
    public void backward(Tensor loss) {
        if (loss.size() != 1) {
            throw new IllegalArgumentException(
                    loss + " is no scalar: backward() starts from one value");
        }
        root = loss;
        start(loss, arena.constant(stream, type, 1, 1));
    }

    /** As {@link #backward(Tensor)} from a tensor of any shape whose gradient is given, and only read. */
    public void backward(Tensor output, DeviceBuffer outputGradient) {
        start(output, outputGradient);
    }

    private void start(Tensor output, DeviceBuffer outputGradient) {
        if (!output.requiresGradient()) {
            throw new IllegalArgumentException(
                    output + " wants no gradient: begin(TRAINING) must come before its operations");
        }
        output.requireValues();
        give(new Gradient(Storage.borrowed(outputGradient)), output);
        unwind();
    }

    private void unwind() {
        for (int i = operations.size() - 1; i >= 0; i--) {
            Operation operation = operations.get(i);
            if (hasGradient(operation)) {
                if (profile == null) {
                    operation.backward(this);
                } else {
                    profile.backward(stream, operation, () -> operation.backward(this));
                }
                checkAddedGradients(operation, i);
            }
            free(operation);
            operations.remove(i);
        }
    }

    private void checkAddedGradients(Operation operation, int index) {
        for (DeviceBuffer gradient : addedGradients) {
            finiteCheck.check(this, operation, index, gradient, "backward");
        }
        addedGradients.clear();
    }

    private static boolean hasGradient(Operation operation) {
        for (Tensor output : operation.outputs()) {
            if (output.gradientStorage() != null) {
                return true;
            }
        }
        return false;
    }

    private static void free(Operation operation) {
        for (Tensor output : operation.outputs()) {
            output.release();
        }
        for (Tensor saved : operation.saved()) {
            saved.release();
        }
    }

    /**
     * Ends the step: gives back the memory of whatever {@link #backward} did not pass, and of what an operation that threw
     * held.
     */
    public void end() {
        for (int i = operations.size() - 1; i >= 0; i--) {
            free(operations.get(i));
        }
        operations.clear();
        addedGradients.clear();
        auxiliaryLosses.clear();
        root = null;
        arena.freeAll();
    }

    /**
     * Where a kernel that ADDS the gradient of {@code tensor} shall add it, which is how kernels treat parameters; null if
     * the tensor wants none.
     */
    public @Nullable DeviceBuffer addGradient(@Nullable Tensor tensor) {
        if (tensor == null || !tensor.requiresGradient()) {
            return null;
        }
        Storage storage = tensor.gradientStorage();
        if (storage == null) {
            storage = arena.allocate(type, tensor.size());
            stream.zero(storage.buffer());
            tensor.setGradient(storage);
        } else if (!storage.isExclusive() && !storage.isPersistent()) {
            Storage own = arena.allocate(type, tensor.size());
            stream.copy(own.buffer(), storage.buffer());
            storage.release();
            tensor.setGradient(own);
            storage = own;
        }
        if (checking) {
            addedGradients.add(storage.buffer());
        }
        return storage.buffer();
    }

    /**
     * Memory into which a kernel shall WRITE a gradient of {@code tensor}; null if the tensor wants none. After the kernel
     * call, {@link #give} hands it over.
     */
    public @Nullable Gradient writeGradient(@Nullable Tensor tensor) {
        return tensor == null || !tensor.requiresGradient()
                ? null
                : new Gradient(arena.allocate(type, tensor.size()));
    }

    /** Memory for a gradient of the size of {@code tensor}, to be written by a kernel and given to several tensors. */
    public Gradient newGradient(Tensor tensor) {
        return new Gradient(arena.allocate(type, tensor.size()));
    }

    /** A gradient on its way to a tensor. */
    public static final class Gradient {
        private final Storage storage;

        private Gradient(Storage storage) {
            this.storage = storage;
        }

        public DeviceBuffer buffer() {
            return storage.buffer();
        }

        /** The buffer of a gradient that may be absent. */
        public static @Nullable DeviceBuffer of(@Nullable Gradient gradient) {
            return gradient == null ? null : gradient.buffer();
        }
    }

    /**
     * The gradient of an output, to be overwritten by the kernel and given on; only if nobody else holds it. Saves the memory
     * and the pass over it that a fresh gradient would cost.
     */
    public @Nullable Gradient reuseGradient(Tensor output) {
        Storage storage = output.gradientStorage();
        return storage != null && storage.isExclusive() ? new Gradient(storage.retain()) : null;
    }

    /** {@link #reuseGradient}, or fresh memory of that size. */
    public Gradient reuseOrNewGradient(Tensor output) {
        Gradient reused = reuseGradient(output);
        return reused != null ? reused : newGradient(output);
    }

    /** Gives the gradient of an output to tensors for which it is the same, unchanged. */
    public void passOn(Tensor output, @Nullable Tensor... tensors) {
        Storage storage = output.gradientStorage();
        if (storage != null) {
            give(new Gradient(storage.retain()), tensors);
        }
    }

    /**
     * Gives what an operation with a scalar output computed ahead of backward: the gradient as if that of the output were 1,
     * times what it turned out to be.
     *
     * @param ahead step memory of the operation; null, which only an operation outside of training has: nothing
     */
    void giveScaled(@Nullable Tensor ahead, Tensor output, Tensor tensor) {
        DeviceBuffer factor = output.gradient();
        if (ahead == null || factor == null || !tensor.requiresGradient()) {
            return;
        }
        if (output != root) {
            var multiply =
                    new ArithmeticKernel(
                            ArithmeticKind.MULTIPLY,
                            new long[] {ahead.size()},
                            new long[] {1},
                            new long[] {0});
            multiply.forward(stream, ahead.values(), factor, ahead.values());
        }
        give(new Gradient(ahead.shareValues()), tensor);
    }

    /**
     * Gives a written gradient to each of the tensors, which may share it; those that have one already get it added. Tensors
     * that are null or want no gradient are skipped.
     */
    public void give(@Nullable Gradient gradient, @Nullable Tensor... tensors) {
        if (gradient == null) {
            return;
        }
        for (Tensor tensor : tensors) {
            if (tensor != null && tensor.requiresGradient()) {
                give(gradient.storage, tensor);
            }
        }
        if (checking) {
            finiteCheck.check(
                    this,
                    operations.getLast(),
                    operations.size() - 1,
                    gradient.buffer(),
                    "backward");
        }
        gradient.storage.release();
    }

    private void give(Storage arriving, Tensor tensor) {
        Storage present = tensor.gradientStorage();
        if (present == null) {
            tensor.setGradient(arriving.retain());
            return;
        }
        ArithmeticKernel add = ArithmeticKernel.dense(ArithmeticKind.ADD, tensor.size());
        if (present.isExclusive() || present.isPersistent()) {
            add.forward(stream, present.buffer(), arriving.buffer(), present.buffer());
        } else {
            Storage sum = arena.allocate(type, tensor.size());
            add.forward(stream, present.buffer(), arriving.buffer(), sum.buffer());
            tensor.setGradient(sum);
            present.release();
        }
    }
}
