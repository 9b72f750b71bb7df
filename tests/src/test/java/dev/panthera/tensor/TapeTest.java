package dev.panthera.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.kernels.Activation;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.kernels.KernelException;
import dev.panthera.kernels.NormKind;
import dev.panthera.kernels.Reduction;
import dev.panthera.mixer.Attention;
import dev.panthera.mixer.Mlp;
import dev.panthera.model.LanguageModel;
import dev.panthera.model.ModelConfig;
import dev.panthera.testing.Gradients;
import dev.panthera.testing.Rig;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class TapeTest {

    private static final int BATCH = 2;
    private static final int LENGTH = 3;
    private static final int WIDTH = 4;

    @ParameterizedTest
    @EnumSource(ArithmeticKind.class)
    void aTensorThatIsBothOperandsGetsBothGradients(ArithmeticKind kind) {
        try (var rig = Rig.exact()) {
            Tensor x = input(rig, 1);
            Gradients.check(rig, List.of(x), tape -> ArithmeticOperation.apply(tape, kind, x, x));
            Gradients.check(
                    rig,
                    List.of(x),
                    tape -> {
                        Tensor y = ActivationOperation.apply(tape, Activation.SILU, x);
                        return ArithmeticOperation.apply(tape, kind, y, y);
                    });
        }
    }

    @ParameterizedTest
    @EnumSource(Activation.class)
    void anActivationHasItsDerivative(Activation function) {
        try (var rig = Rig.exact()) {
            double[] values = awayFromZero(Rig.gaussian(1, WIDTH));
            double[] valid =
                    function == Activation.LOG
                            ? Arrays.stream(values).map(Math::abs).toArray()
                            : values;
            Tensor x = rig.leaf(valid, WIDTH);
            Gradients.check(rig, List.of(x), tape -> ActivationOperation.apply(tape, function, x));
        }
    }

    @ParameterizedTest
    @EnumSource(value = Reduction.class, mode = EnumSource.Mode.EXCLUDE, names = "NONFINITE")
    void aReductionHasItsDerivative(Reduction reduction) {
        try (var rig = Rig.exact()) {
            Tensor x = input(rig, 1);
            for (int dimension = 0; dimension < x.rank(); dimension++) {
                int along = dimension;
                Gradients.check(
                        rig, List.of(x), tape -> ReduceOperation.apply(tape, reduction, x, along));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(ArithmeticKind.class)
    void aBroadcastOperandGetsTheSumOverItsRepetitions(ArithmeticKind kind) {
        try (var rig = Rig.exact()) {
            Tensor x = input(rig, 1);
            for (int[] shape :
                    new int[][] {{WIDTH}, {1}, {LENGTH, 1}, {BATCH, 1, 1}, {BATCH, 1, WIDTH}}) {
                Tensor b =
                        rig.leaf(
                                awayFromZero(
                                        Rig.gaussian(
                                                2,
                                                Arrays.stream(shape).reduce(1, (p, q) -> p * q))),
                                shape);
                Gradients.check(
                        rig, List.of(x, b), tape -> ArithmeticOperation.apply(tape, kind, x, b));
                Gradients.check(
                        rig, List.of(x, b), tape -> ArithmeticOperation.apply(tape, kind, b, x));
            }
        }
    }

    private record Squares(int count) {}

    @Test
    void constantsAreComputedOnceForEachKey() {
        try (var rig = Rig.cpu(1)) {
            List<Integer> computed = new ArrayList<>();
            for (int step = 0; step < 3; step++) {
                rig.tape().begin(Tape.Mode.TRAINING);
                for (int count : new int[] {2, 4}) {
                    Tensor constant =
                            rig.tape()
                                    .constant(
                                            new Squares(count),
                                            () -> {
                                                computed.add(count);
                                                float[] squares = new float[count];
                                                for (int i = 0; i < count; i++) {
                                                    squares[i] = i * i;
                                                }
                                                return squares;
                                            },
                                            count / 2,
                                            2);
                    assertThat(constant.shape()).containsExactly(count / 2, 2);
                    assertThat(constant.requiresGradient()).isFalse();
                    assertThat(rig.values(constant))
                            .containsExactly(
                                    count == 2 ? new double[] {0, 1} : new double[] {0, 1, 4, 9});
                }
            }
            assertThat(computed).containsExactly(2, 4);
        }
    }

    @Test
    void integersAreKeptAsIntegers() {
        try (var rig = Rig.exact()) {
            int[] values = {-1, 7, 1 << 30};
            Tensor first = rig.tape().integers(new Squares(3), () -> values.clone(), 3);
            Tensor second = rig.tape().integers(new Squares(3), () -> new int[3], 3);
            assertThat(rig.stream().toIntArray(first.values())).isEqualTo(values);
            assertThat(rig.stream().toIntArray(second.values())).isEqualTo(values);
        }
    }

    @Test
    void aDetachedTensorStopsTheGradient() {
        try (var rig = Rig.exact()) {
            Tensor x = input(rig, 1);
            rig.tape().begin(Tape.Mode.TRAINING);
            Tensor y = ActivationOperation.apply(rig.tape(), Activation.SQUARE, x);
            Tensor product = y.times(y.detached());
            double[] squares = rig.values(y);
            rig.tape().backward(product, rig.upload(ones(product)));
            double[] values = rig.values(x);
            double[] gradient = rig.gradient(x);
            for (int i = 0; i < gradient.length; i++) {
                assertThat(gradient[i]).isCloseTo(2 * values[i] * squares[i], within(1e-12));
            }
        }
    }

    private static double[] ones(Tensor like) {
        double[] ones = new double[Math.toIntExact(like.size())];
        Arrays.fill(ones, 1);
        return ones;
    }

    @Test
    void aTensorWithSeveralUsersGetsTheSumOfTheirGradients() {
        try (var rig = Rig.exact()) {
            Tensor x = input(rig, 1);
            Gradients.check(
                    rig,
                    List.of(x),
                    tape -> {
                        Tensor y = ActivationOperation.apply(tape, Activation.GELU, x);
                        Tensor a = ActivationOperation.apply(tape, Activation.SINE, y);
                        Tensor b = ActivationOperation.apply(tape, Activation.SIGMOID, y);
                        return a.times(b).plus(y).minus(a).plus(b.times(x)).maximum(y);
                    });
            Gradients.check(
                    rig,
                    List.of(x),
                    tape -> {
                        Tensor y = ActivationOperation.apply(tape, Activation.GELU, x);
                        return GateOperation.apply(tape, Activation.SILU, y, y, y);
                    });
        }
    }

    @ParameterizedTest
    @EnumSource(NormKind.class)
    void theResidualStreamIsSharedByNormAndAddition(NormKind kind) {
        try (var rig = Rig.exact()) {
            Tensor x = input(rig, 1);
            Tensor weight = rig.leaf(Rig.gaussian(2, WIDTH), WIDTH);
            Tensor bias = rig.leaf(Rig.gaussian(3, WIDTH), WIDTH);
            Tensor projection = rig.leaf(Rig.gaussian(4, WIDTH * WIDTH), WIDTH, WIDTH);
            List<Tensor> inputs = List.of(x, weight, bias, projection);
            Gradients.check(
                    rig,
                    inputs,
                    tape -> {
                        var first = NormOperation.apply(tape, kind, 1e-5f, x, null, weight, bias);
                        Tensor branch =
                                LinearOperation.apply(tape, first.normalised(), projection, null);
                        var second =
                                NormOperation.apply(
                                        tape, kind, 1e-5f, branch, first.sum(), weight, bias);
                        var third =
                                NormOperation.apply(
                                        tape,
                                        kind,
                                        1e-5f,
                                        second.normalised(),
                                        second.sum(),
                                        weight,
                                        bias);
                        return third.normalised().plus(third.sum());
                    });
            Gradients.check(
                    rig,
                    List.of(x, projection),
                    tape -> {
                        Tensor branch = LinearOperation.apply(tape, x, projection, null);
                        return NormOperation.apply(tape, kind, 1e-5f, branch, x, weight, bias)
                                .sum();
                    });
        }
    }

    @Test
    void aTableThatIsEmbeddingAndHeadGetsBothGradients() {
        try (var rig = Rig.exact()) {
            int vocabSize = 7;
            Tensor table = rig.leaf(Rig.gaussian(1, vocabSize * WIDTH), vocabSize, WIDTH);
            Tensor ids = rig.integers(new int[] {0, 3, 3, 6, 1, 0}, BATCH, LENGTH);
            Tensor labels = rig.integers(new int[] {-100, 2, 5, 3, -100, 0}, BATCH, LENGTH);
            Gradients.check(
                    rig,
                    List.of(table),
                    tape -> {
                        Tensor hidden = EmbeddingOperation.apply(tape, ids, table, null);
                        return VocabularyLossOperation.apply(tape, hidden, table, labels).loss();
                    });
        }
    }

    /** Its gradients are computed ahead, as if its own were 1. */
    @Test
    void aLossThatIsPartOfAnotherPassesItsShareOn() {
        try (var rig = Rig.exact()) {
            Tensor hidden = rig.leaf(Rig.gaussian(1, BATCH * LENGTH * WIDTH), BATCH, LENGTH, WIDTH);
            Tensor weight = rig.leaf(Rig.gaussian(2, 7 * WIDTH), 7, WIDTH);
            Tensor factor = rig.leaf(new double[] {-0.7}, 1);
            Tensor labels = rig.integers(new int[] {-100, 2, 5, 3, -100, 0}, BATCH, LENGTH);
            Gradients.check(
                    rig,
                    List.of(hidden, weight, factor),
                    tape -> {
                        Tensor loss =
                                VocabularyLossOperation.apply(tape, hidden, weight, labels).loss();
                        return loss.times(factor).plus(loss);
                    });
        }
    }

    @Test
    void auxiliaryLossesAreAddedOnceAndInTrainingAlone() {
        try (var rig = Rig.exact()) {
            Tensor x = input(rig, 1);
            Tape tape = rig.tape();
            tape.begin(Tape.Mode.TRAINING);
            tape.addAuxiliaryLoss(squares(tape, x));
            tape.begin(Tape.Mode.TRAINING);
            Tensor loss = squares(tape, x);
            assertThat(tape.withAuxiliaryLosses(loss)).isSameAs(loss);
            tape.addAuxiliaryLoss(loss);
            Tensor sum = tape.withAuxiliaryLosses(loss);
            assertThat(tape.withAuxiliaryLosses(sum)).isSameAs(sum);
            assertThat(rig.values(sum)[0]).isEqualTo(2 * rig.values(loss)[0]);
            rig.clearGradient(x);
            tape.backward(sum);
            double[] values = rig.values(x);
            double[] gradient = rig.gradient(x);
            for (int i = 0; i < values.length; i++) {
                assertThat(gradient[i]).isEqualTo(4 * values[i]);
            }
            tape.begin(Tape.Mode.EVALUATION);
            Tensor evaluated = squares(tape, x);
            tape.addAuxiliaryLoss(evaluated);
            assertThat(tape.withAuxiliaryLosses(evaluated)).isSameAs(evaluated);
            assertThatThrownBy(() -> tape.addAuxiliaryLoss(x)).hasMessageContaining("no scalar");
        }
    }

    private static Tensor squares(Tape tape, Tensor x) {
        return ReduceOperation.apply(
                tape,
                Reduction.SUM_OF_SQUARES,
                ReshapeOperation.apply(tape, x, Math.toIntExact(x.size())),
                0);
    }

    @Test
    void whatAGradientStartsFromIsOnlyRead() {
        try (var rig = Rig.cpu(1)) {
            double[] seed = Rig.gaussian(3, 6);
            var outputGradient = rig.upload(seed);
            rig.tape().begin(Tape.Mode.TRAINING);
            Tensor x = Tensor.input(rig.upload(Rig.gaussian(1, 6)), 6);
            Tensor y = ArithmeticOperation.apply(rig.tape(), ArithmeticKind.ADD, x, x);
            rig.tape().backward(y.plus(y), outputGradient);
            assertThat(rig.stream().toDoubleArray(outputGradient)).isEqualTo(seed);
            double[] fourfold = Arrays.stream(seed).map(value -> 4 * value).toArray();
            assertThat(rig.gradient(x)).containsExactly(fourfold, within(1e-6));
        }
    }

    @ParameterizedTest
    @EnumSource(value = Reduction.class, names = "NONFINITE", mode = EnumSource.Mode.EXCLUDE)
    void reductionsHaveGradients(Reduction reduction) {
        try (var rig = Rig.exact()) {
            Tensor x = input(rig, 1);
            for (int dimension = 0; dimension < x.rank(); dimension++) {
                int reduced = dimension;
                Gradients.check(
                        rig,
                        List.of(x),
                        tape -> ReduceOperation.apply(tape, reduction, x, reduced));
            }
        }
    }

    @Test
    void gradientsAddUpUntilTheyAreCleared() {
        try (var rig = Rig.cpu(1)) {
            Tensor x = input(rig, 1);
            double[] once = squaresGradient(rig, x);
            double[] twice = squaresGradient(rig, x);
            for (int i = 0; i < once.length; i++) {
                assertThat(twice[i]).isEqualTo(2 * once[i]);
            }
        }
    }

    private static double[] squaresGradient(Rig rig, Tensor x) {
        rig.tape().begin(Tape.Mode.TRAINING);
        rig.tape().backward(ReduceOperation.applyToAll(rig.tape(), Reduction.SUM_OF_SQUARES, x));
        return rig.gradient(x);
    }

    @Test
    void backwardGivesAllMemoryBack() {
        try (var rig = Rig.cpu(2)) {
            var steps = new ModelSteps(rig);
            steps.train();
            assertThat(rig.arena().liveBytes()).isZero();
            assertThat(rig.arena().peakBytes()).isPositive();
        }
    }

    @Test
    void endGivesBackWhatBackwardDidNotPass() {
        try (var rig = Rig.cpu(2)) {
            var steps = new ModelSteps(rig);
            for (var mode : Tape.Mode.values()) {
                rig.tape().begin(mode);
                steps.loss();
                assertThat(rig.arena().liveBytes()).isPositive();
                rig.tape().end();
                assertThat(rig.arena().liveBytes()).isZero();
            }
        }
    }

    @Test
    void aStepAllocatesNothingAndSeesTheSameAddresses() {
        try (var rig = Rig.cpu(2)) {
            var steps = new ModelSteps(rig);
            List<Long> first = steps.train();
            long allocations = rig.device().allocations();
            long reserved = rig.arena().reservedBytes();
            for (int step = 0; step < 5; step++) {
                assertThat(steps.train()).isEqualTo(first);
            }
            assertThat(rig.device().allocations()).isEqualTo(allocations);
            assertThat(rig.arena().reservedBytes()).isEqualTo(reserved);
        }
    }

    @Test
    void usingATensorThatWasPassedIsAnError() {
        try (var rig = Rig.cpu(1)) {
            Tensor x = input(rig, 1);
            rig.tape().begin(Tape.Mode.TRAINING);
            Tensor y = ActivationOperation.apply(rig.tape(), Activation.SINE, x);
            rig.tape().backward(ReduceOperation.applyToAll(rig.tape(), Reduction.SUM, y));
            assertThatThrownBy(y::values)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("given back");
        }
    }

    @Test
    void theFirstOperationWithANonFiniteOutputIsNamed() {
        try (var rig = Rig.cpu(1)) {
            Tensor x = input(rig, 1);
            Tensor zero = rig.leaf(new double[WIDTH], WIDTH);
            rig.tape().checkEachOperation(true);
            rig.tape().begin(Tape.Mode.TRAINING);
            Tensor y = ActivationOperation.apply(rig.tape(), Activation.SINE, x);
            assertThatThrownBy(() -> y.dividedBy(zero).times(x))
                    .isInstanceOf(NonFiniteException.class)
                    .hasMessageContaining("operation 1 (arithmetic DIVIDE), forward")
                    .hasMessageContaining("24 values");
        }
    }

    @Test
    void theFirstOperationWithANonFiniteGradientIsNamed() {
        try (var rig = Rig.cpu(1)) {
            Tensor small = rig.leaf(new double[] {1e-30}, 1);
            Tensor large = rig.leaf(new double[] {1e30}, 1);
            Tensor scale = rig.leaf(new double[] {1e19}, 1);
            rig.tape().checkEachOperation(true);
            rig.tape().begin(Tape.Mode.TRAINING);
            Tensor one =
                    ArithmeticOperation.apply(rig.tape(), ArithmeticKind.MULTIPLY, small, large);
            Tensor loss =
                    ReduceOperation.applyToAll(
                            rig.tape(), Reduction.SUM_OF_SQUARES, one.times(scale));
            assertThatThrownBy(() -> rig.tape().backward(loss))
                    .isInstanceOf(NonFiniteException.class)
                    .hasMessageContaining("operation 0 (arithmetic MULTIPLY), backward");
        }
    }

    @Test
    void anOperationThatThrowsHoldsNoMemoryAfterTheStep() {
        try (var rig = Rig.cpu(1)) {
            Tensor table = rig.leaf(Rig.gaussian(1, WIDTH), 1, WIDTH);
            Tensor unknownId = rig.integers(new int[] {7}, 1, 1);
            rig.tape().begin(Tape.Mode.TRAINING);
            assertThatThrownBy(() -> EmbeddingOperation.apply(rig.tape(), unknownId, table, null))
                    .isInstanceOf(KernelException.class);
            rig.tape().end();
            assertThat(rig.arena().liveBytes()).isZero();

            Tensor infinite = rig.leaf(new double[] {Double.POSITIVE_INFINITY}, 1);
            rig.tape().begin(Tape.Mode.TRAINING);
            Tensor y = ActivationOperation.apply(rig.tape(), Activation.IDENTITY, infinite);
            Tensor loss = ReduceOperation.applyToAll(rig.tape(), Reduction.SUM_OF_SQUARES, y);
            rig.tape().checkEachOperation(true);
            assertThatThrownBy(() -> rig.tape().backward(loss))
                    .isInstanceOf(NonFiniteException.class);
            rig.tape().checkEachOperation(false);
            rig.tape().end();
            assertThat(rig.arena().liveBytes()).isZero();

            var steps = new ModelSteps(rig);
            assertThat(steps.train()).isEqualTo(steps.train());
        }
    }

    @Test
    void whatWasPassedOrNotRecordedCannotBePropagatedFrom() {
        try (var rig = Rig.cpu(1)) {
            Tensor x = input(rig, 1);
            rig.tape().begin(Tape.Mode.TRAINING);
            Tensor passed = ReduceOperation.applyToAll(rig.tape(), Reduction.SUM, x);
            rig.tape().backward(passed);
            assertThatThrownBy(() -> rig.tape().backward(passed))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("given back");
            rig.tape().begin(Tape.Mode.EVALUATION);
            Tensor evaluated = ReduceOperation.applyToAll(rig.tape(), Reduction.SUM, x);
            assertThatThrownBy(() -> rig.tape().backward(evaluated))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("begin(TRAINING)");
        }
    }

    @Test
    void aLeafThatIsTheOutputGetsTheGradientAdded() {
        try (var rig = Rig.cpu(1)) {
            Tensor x = rig.leaf(new double[] {1, 2}, 2);
            rig.tape().begin(Tape.Mode.TRAINING);
            rig.tape().backward(x, rig.upload(new double[] {3, 4}));
            rig.tape().backward(x, rig.upload(new double[] {3, 4}));
            assertThat(rig.gradient(x)).containsExactly(6, 8);
            assertThat(rig.arena().liveBytes()).isZero();
        }
    }

    @Test
    void aLossMustBeAScalar() {
        try (var rig = Rig.cpu(1)) {
            Tensor x = input(rig, 1);
            rig.tape().begin(Tape.Mode.TRAINING);
            Tensor y = ActivationOperation.apply(rig.tape(), Activation.SINE, x);
            assertThatThrownBy(() -> rig.tape().backward(y)).hasMessageContaining("no scalar");
        }
    }

    private static Tensor input(Rig rig, long seed) {
        return rig.leaf(
                awayFromZero(Rig.gaussian(seed, BATCH * LENGTH * WIDTH)), BATCH, LENGTH, WIDTH);
    }

    /** So that quotients have moderate derivatives. */
    private static double[] awayFromZero(double[] values) {
        return Arrays.stream(values).map(value -> value + Math.copySign(0.5, value)).toArray();
    }

    /** Training steps of a small language model with dropout. */
    private static final class ModelSteps {
        private final Rig rig;
        private final LanguageModel model;
        private final Tensor ids;
        private final Tensor labels;

        ModelSteps(Rig rig) {
            this.rig = rig;
            int length = 16;
            var config =
                    new ModelConfig(
                            new Attention.Config(2, 0.1, true),
                            new Mlp.Config(2),
                            16,
                            2,
                            32,
                            length,
                            length,
                            true,
                            0.1,
                            0.1,
                            0.1,
                            1e-5);
            model = LanguageModel.of(config, 1);
            rig.parameters(model);
            int[] tokens = new int[4 * length];
            int[] targets = new int[tokens.length];
            for (int i = 0; i < tokens.length; i++) {
                tokens[i] = i * 7 % 32;
                targets[i] = i % 5 == 0 ? i % 32 : -100;
            }
            ids = rig.integers(tokens, 4, length);
            labels = rig.integers(targets, 4, length);
        }

        VocabularyLossOperation.Result loss() {
            return model.loss(rig.tape(), ids, labels);
        }

        /** Addresses of what a step computes. */
        List<Long> train() {
            rig.tape().begin(Tape.Mode.TRAINING);
            var result = loss();
            List<Long> addresses = new ArrayList<>();
            for (Tensor tensor :
                    List.of(
                            result.loss(),
                            result.labelledCount(),
                            result.rowLoss(),
                            result.argMax())) {
                addresses.add(tensor.values().segment().address());
            }
            rig.tape().backward(result.loss());
            return addresses;
        }
    }
}
