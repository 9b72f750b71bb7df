package dev.panthera.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.function.Consumer;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.statistics.Statistics;
import org.junit.jupiter.api.Test;

class KernelErrorsTest {

    /** One call per op, whose arguments are drawn in the order in which they are written. */
    private static final List<Consumer<ArbitraryArguments>> CALLS =
            List.of(
                    a ->
                            linear(a)
                                    .forward(
                                            a.stream,
                                            a.reals(),
                                            a.reals(),
                                            a.orNull(a.reals()),
                                            a.reals()),
                    a -> {
                        var kernel = linear(a);
                        kernel.backward(
                                a.stream,
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.orNull(a.reals()),
                                a.orNull(a.reals()),
                                a.orNull(a.reals()),
                                a.workspace(kernel::backwardWorkspaceBytes));
                    },
                    a ->
                            embedding(a)
                                    .forward(
                                            a.stream,
                                            a.ints(),
                                            a.reals(),
                                            a.orNull(a.reals()),
                                            a.reals()),
                    a ->
                            embedding(a)
                                    .backward(
                                            a.stream,
                                            a.ints(),
                                            a.reals(),
                                            a.orNull(a.reals()),
                                            a.orNull(a.reals())),
                    a ->
                            norm(a).forward(
                                            a.stream,
                                            a.reals(),
                                            a.orNull(a.reals()),
                                            a.reals(),
                                            a.orNull(a.reals()),
                                            a.orNull(a.reals()),
                                            a.reals(),
                                            a.orNull(a.reals()),
                                            a.reals()),
                    a -> {
                        var kernel = norm(a);
                        kernel.backward(
                                a.stream,
                                a.reals(),
                                a.reals(),
                                a.orNull(a.reals()),
                                a.reals(),
                                a.orNull(a.reals()),
                                a.reals(),
                                a.orNull(a.reals()),
                                a.orNull(a.reals()),
                                a.orNull(a.reals()),
                                a.workspace(kernel::backwardWorkspaceBytes));
                    },
                    a ->
                            new ActivationKernel(a.one(Activation.values()), a.size())
                                    .forward(a.stream, a.reals(), a.reals()),
                    a ->
                            new ActivationKernel(a.one(Activation.values()), a.size())
                                    .backward(a.stream, a.reals(), a.reals(), a.reals()),
                    a -> arithmetic(a).forward(a.stream, a.reals(), a.reals(), a.reals()),
                    a ->
                            arithmetic(a)
                                    .backward(
                                            a.stream,
                                            a.orNull(a.reals()),
                                            a.orNull(a.reals()),
                                            a.reals(),
                                            a.orNull(a.reals()),
                                            a.orNull(a.reals())),
                    a -> {
                        var kernel = matmul(a);
                        kernel.multiply(
                                a.stream,
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.workspace(kernel::workspaceBytes));
                    },
                    a -> stridedCopy(a).copy(a.stream, a.reals(), a.reals()),
                    a -> stridedCopy(a).add(a.stream, a.reals(), a.reals()),
                    a ->
                            new CumulativeSumKernel(a.bits() % 2 == 0, a.size(), a.size(), a.size())
                                    .apply(a.stream, a.reals(), a.reals()),
                    a ->
                            new CumulativeLogSumExpKernel(a.size(), a.size(), a.size())
                                    .forward(a.stream, a.reals(), a.reals()),
                    a ->
                            new CumulativeLogSumExpKernel(a.size(), a.size(), a.size())
                                    .backward(a.stream, a.reals(), a.reals(), a.reals(), a.reals()),
                    a ->
                            new TriangularSolveKernel(a.size(), a.size(), a.size())
                                    .forward(a.stream, a.reals(), a.reals(), a.reals()),
                    a ->
                            new TriangularSolveKernel(a.size(), a.size(), a.size())
                                    .backward(
                                            a.stream, a.reals(), a.reals(), a.reals(), a.reals(),
                                            a.reals()),
                    a ->
                            new TopKMaskKernel(a.size(), a.size(), a.size())
                                    .mask(a.stream, a.reals(), a.reals()),
                    a -> {
                        var kernel =
                                new EarlierOccurrencesKernel(
                                        a.size(), a.size(), a.size(), a.size());
                        kernel.count(
                                a.stream, a.ints(), a.reals(), a.workspace(kernel::workspaceBytes));
                    },
                    a -> rotary(a).apply(a.stream, a.orNull(a.ints()), a.reals(), a.reals()),
                    a ->
                            new TokenShiftKernel(a.size(), a.size(), a.size())
                                    .forward(
                                            a.stream,
                                            a.reals(),
                                            a.reals(),
                                            a.orNull(a.reals()),
                                            a.reals()),
                    a -> {
                        var kernel = new TokenShiftKernel(a.size(), a.size(), a.size());
                        kernel.backward(
                                a.stream,
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.orNull(a.reals()),
                                a.orNull(a.reals()),
                                a.workspace(kernel::backwardWorkspaceBytes));
                    },
                    a ->
                            gate(a).forward(
                                            a.stream,
                                            a.reals(),
                                            a.reals(),
                                            a.orNull(a.reals()),
                                            a.reals()),
                    a ->
                            gate(a).backward(
                                            a.stream,
                                            a.reals(),
                                            a.reals(),
                                            a.reals(),
                                            a.orNull(a.reals()),
                                            a.orNull(a.reals())),
                    a ->
                            new DropoutKernel(
                                            a.probability(),
                                            a.probability(),
                                            a.size(),
                                            a.size(),
                                            a.size(),
                                            a.bits())
                                    .apply(
                                            a.stream,
                                            a.orNull(a.randomState()),
                                            a.reals(),
                                            a.reals()),
                    a ->
                            new SoftmaxKernel(a.size(), a.size())
                                    .forward(a.stream, a.reals(), a.reals()),
                    a ->
                            new SoftmaxKernel(a.size(), a.size())
                                    .backward(a.stream, a.reals(), a.reals(), a.reals()),
                    a -> {
                        var kernel = attention(a);
                        kernel.forward(
                                a.stream,
                                a.orNull(a.randomState()),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.workspace(kernel::forwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel = attention(a);
                        kernel.backward(
                                a.stream,
                                a.orNull(a.randomState()),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.workspace(kernel::backwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel = new CausalTopKKernel(a.size(), a.size(), a.size());
                        kernel.choose(
                                a.stream,
                                a.reals(),
                                a.reals(),
                                a.workspace(kernel::workspaceBytes));
                    },
                    a -> {
                        var kernel = new SelectedAttentionKernel(attention(a));
                        kernel.forward(
                                a.stream,
                                a.orNull(a.randomState()),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.workspace(kernel::forwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel = new SelectedAttentionKernel(attention(a));
                        kernel.backward(
                                a.stream,
                                a.orNull(a.randomState()),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.workspace(kernel::backwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel = linearAttention(a);
                        kernel.forward(
                                a.stream,
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.orNull(a.reals()),
                                a.reals(),
                                a.orNull(a.reals()),
                                a.orNull(a.reals()),
                                a.workspace(kernel::forwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel = linearAttention(a);
                        kernel.backward(
                                a.stream,
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.orNull(a.reals()),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.workspace(kernel::backwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel = sparseAttention(a);
                        kernel.forward(
                                a.stream,
                                a.orNull(a.ints()),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.workspace(kernel::forwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel = sparseAttention(a);
                        kernel.backward(
                                a.stream,
                                a.orNull(a.ints()),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.orNull(a.reals()),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.workspace(kernel::backwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel = pooledAttention(a);
                        kernel.forward(
                                a.stream,
                                a.orNull(a.ints()),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.workspace(kernel::forwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel = pooledAttention(a);
                        kernel.backward(
                                a.stream,
                                a.orNull(a.ints()),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.orNull(a.reals()),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.workspace(kernel::backwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel = blockTopK(a);
                        kernel.list(
                                a.stream,
                                a.reals(),
                                a.orNull(a.reals()),
                                a.ints(),
                                a.workspace(kernel::workspaceBytes));
                    },
                    a -> attentionMerge(a).forward(a.stream, part(a), part(a), part(a)),
                    a ->
                            attentionMerge(a)
                                    .backward(
                                            a.stream,
                                            part(a),
                                            part(a),
                                            part(a),
                                            a.reals(),
                                            a.orNull(a.reals()),
                                            part(a),
                                            part(a)),
                    a -> {
                        var kernel =
                                AttentionKernel.ofQueries(
                                        a.size(),
                                        a.size(),
                                        a.size(),
                                        a.size(),
                                        a.size(),
                                        a.size(),
                                        a.probability(),
                                        a.bits());
                        kernel.forwardOfQueries(
                                a.stream,
                                a.orNull(a.randomState()),
                                a.orNull(a.ints()),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.workspace(kernel::forwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel =
                                AttentionKernel.packed(
                                        a.size(),
                                        a.size(),
                                        a.size(),
                                        a.size(),
                                        a.probability(),
                                        a.bits());
                        kernel.forwardPacked(
                                a.stream,
                                a.orNull(a.randomState()),
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.workspace(kernel::forwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel = vocabularyLoss(a);
                        kernel.forward(
                                a.stream,
                                a.reals(),
                                a.reals(),
                                a.ints(),
                                a.reals(),
                                a.ints(),
                                a.reals(),
                                a.reals(),
                                a.ints(),
                                a.workspace(kernel::forwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel = vocabularyLoss(a);
                        kernel.backward(
                                a.stream,
                                a.reals(),
                                a.reals(),
                                a.ints(),
                                a.ints(),
                                a.reals(),
                                a.reals(),
                                a.orNull(a.reals()),
                                a.orNull(a.reals()),
                                a.workspace(kernel::backwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel =
                                new ReduceKernel(
                                        a.one(Reduction.values()), a.size(), a.size(), a.size());
                        kernel.forward(
                                a.stream,
                                a.reals(),
                                a.reals(),
                                a.workspace(kernel::forwardWorkspaceBytes));
                    },
                    a ->
                            new ReduceKernel(
                                            a.one(Reduction.values()), a.size(), a.size(), a.size())
                                    .backward(a.stream, a.orNull(a.reals()), a.reals(), a.reals()),
                    a ->
                            shortConvolution(a)
                                    .forward(
                                            a.stream,
                                            a.reals(),
                                            a.reals(),
                                            a.orNull(a.reals()),
                                            a.reals()),
                    a -> {
                        var kernel = shortConvolution(a);
                        kernel.backward(
                                a.stream,
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.orNull(a.reals()),
                                a.orNull(a.reals()),
                                a.orNull(a.reals()),
                                a.workspace(kernel::backwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel = selectiveScan(a);
                        kernel.forward(
                                a.stream,
                                scanned(a),
                                a.orNull(a.reals()),
                                a.reals(),
                                a.orNull(a.reals()),
                                a.orNull(a.reals()),
                                a.workspace(kernel::forwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel = selectiveScan(a);
                        kernel.backward(
                                a.stream,
                                scanned(a),
                                a.reals(),
                                a.reals(),
                                new SelectiveScanKernel.Gradients(
                                        a.reals(),
                                        a.reals(),
                                        a.reals(),
                                        a.reals(),
                                        a.reals(),
                                        a.orNull(a.reals()),
                                        a.orNull(a.reals()),
                                        a.orNull(a.reals())),
                                a.workspace(kernel::backwardWorkspaceBytes));
                    },
                    a -> {
                        try (var plan = longConvolution(a).plan(a.stream.device())) {
                            plan.prepare(
                                    a.stream,
                                    a.reals(),
                                    a.reals(),
                                    a.workspace(plan::prepareWorkspaceBytes));
                        }
                    },
                    a -> {
                        try (var plan = longConvolution(a).plan(a.stream.device())) {
                            plan.forward(
                                    a.stream,
                                    a.reals(),
                                    a.reals(),
                                    a.orNull(a.reals()),
                                    a.orNull(a.reals()),
                                    a.orNull(a.reals()),
                                    a.reals(),
                                    a.workspace(plan::forwardWorkspaceBytes));
                        }
                    },
                    a -> {
                        try (var plan = longConvolution(a).plan(a.stream.device())) {
                            plan.backward(
                                    a.stream,
                                    a.reals(),
                                    a.reals(),
                                    a.orNull(a.reals()),
                                    a.orNull(a.reals()),
                                    a.orNull(a.reals()),
                                    a.reals(),
                                    a.orNull(a.reals()),
                                    a.orNull(a.reals()),
                                    a.orNull(a.reals()),
                                    a.orNull(a.reals()),
                                    a.orNull(a.reals()),
                                    a.workspace(plan::backwardWorkspaceBytes));
                        }
                    },
                    a ->
                            new PositionalFeaturesKernel(a.size(), a.size())
                                    .compute(a.stream, a.reals()),
                    a ->
                            new SineLayerKernel(a.size(), a.size())
                                    .forward(a.stream, a.reals(), a.reals(), a.reals()),
                    a -> {
                        var kernel = new SineLayerKernel(a.size(), a.size());
                        kernel.backward(
                                a.stream,
                                a.reals(),
                                a.reals(),
                                a.reals(),
                                a.orNull(a.reals()),
                                a.orNull(a.reals()),
                                a.workspace(kernel::backwardWorkspaceBytes));
                    },
                    a ->
                            new ExponentialModulationKernel(a.size(), a.size(), a.probability(), 0)
                                    .apply(a.stream, a.reals(), a.reals(), a.reals()),
                    a -> {
                        var kernel = new DiagonalSsmKernel(a.size(), a.size(), a.size());
                        kernel.forward(
                                a.stream,
                                diagonalSsm(a),
                                a.reals(),
                                a.workspace(kernel::forwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel = new DiagonalSsmKernel(a.size(), a.size(), a.size());
                        kernel.backward(
                                a.stream,
                                diagonalSsm(a),
                                a.reals(),
                                diagonalSsm(a),
                                a.workspace(kernel::backwardWorkspaceBytes));
                    },
                    a -> {
                        var kernel =
                                new DiagonalSsmScanKernel(
                                        a.size(), a.size(), a.size(), a.size(), a.size());
                        kernel.apply(
                                a.stream,
                                a.reals(),
                                diagonalSsm(a),
                                a.reals(),
                                a.reals(),
                                a.workspace(kernel::workspaceBytes));
                    },
                    a ->
                            new ShiftSsmKernel(a.size(), a.size(), a.size())
                                    .forward(a.stream, a.reals(), a.reals(), a.reals()),
                    a ->
                            new ShiftSsmKernel(a.size(), a.size(), a.size())
                                    .backward(
                                            a.stream,
                                            a.reals(),
                                            a.reals(),
                                            a.reals(),
                                            a.orNull(a.reals()),
                                            a.orNull(a.reals())),
                    a ->
                            new AdamWKernel(a.size())
                                    .step(
                                            a.stream,
                                            a.orNull(a.adamWState()),
                                            a.reals(),
                                            a.reals(),
                                            a.reals(),
                                            a.reals()));

    @Property(tries = 6000)
    void whateverTheArgumentsACallSucceedsOrThrowsAKernelException(
            @ForAll("hostBackends") Backend backend, @ForAll("calls") int call, @ForAll long seed) {
        String outcome = "done";
        try (var f = new KernelFixture(backend);
                var arena = Arena.ofConfined()) {
            var arguments = new ArbitraryArguments(f.stream, arena, seed);
            try {
                CALLS.get(call).accept(arguments);
            } catch (KernelException refused) {
                outcome = "refused";
                assertThat(refused.getMessage()).matches("[a-z_]+: .+");
                assertThat(refused).isNotInstanceOf(KernelException.InternalFailure.class);
            }
            assertThat(arguments.firstStrayWrite())
                    .as("offset of a byte written outside of all buffers")
                    .isEqualTo(-1);
        }
        Statistics.label("outcome")
                .collect(outcome)
                .coverage(coverage -> {
                    coverage.check("done").percentage(share -> share > 5);
                    coverage.check("refused").percentage(share -> share > 5);
                });
    }

    @Provide
    Arbitrary<Backend> hostBackends() {
        return Arbitraries.of(Backend.CPU, Backend.REFERENCE, Backend.REFERENCE_F64);
    }

    @Provide
    Arbitrary<Integer> calls() {
        return Arbitraries.integers().between(0, CALLS.size() - 1);
    }

    @Test
    void theMessageNamesTheOpTheArrayTheShapesAndTheDevice() {
        try (var f = new KernelFixture(Backend.REFERENCE)) {
            var kernel = new LinearKernel(2, 3, 4);
            assertThatThrownBy(() ->
                            kernel.forward(f.stream, f.zeros(6), f.zeros(11), null, f.zeros(8)))
                    .isInstanceOfSatisfying(
                            KernelException.InvalidArgument.class,
                            failure -> {
                                assertThat(failure.op()).isEqualTo("linear_forward");
                                assertThat(failure.shapes()).isEqualTo(kernel.toString());
                                assertThat(failure.device()).isEqualTo("cpu:reference");
                                assertThat(failure.status()).isOne();
                            })
                    .hasMessage(
                            "linear_forward: weight has 11 elements; expected at least 12; LinearKernel[rows=2, "
                                    + "inFeatures=3, outFeatures=4, xStride=3, yStride=4]; device cpu:reference");
        }
    }

    @Test
    void nullAndTheWrongTypeAreNamed() {
        try (var f = new KernelFixture(Backend.REFERENCE)) {
            var kernel = new LinearKernel(1, 1, 1);
            assertThatThrownBy(() -> kernel.forward(f.stream, f.zeros(1), null, null, f.zeros(1)))
                    .isInstanceOf(KernelException.InvalidArgument.class)
                    .hasMessageContaining("weight is null; expected F32[1]");
            assertThatThrownBy(
                            () -> kernel.forward(f.stream, f.zeros(1), f.of(1), null, f.zeros(1)))
                    .isInstanceOf(KernelException.InvalidArgument.class)
                    .hasMessageContaining("weight holds I32; expected F32");
        }
    }

    @Test
    void aTypeThatTheDeviceDoesNotComputeWithIsUnsupported() {
        try (var f = new KernelFixture(Backend.REFERENCE_F64);
                var x = f.device.allocate(DataType.F32, 1)) {
            assertThatThrownBy(
                            () -> new ActivationKernel(Activation.SINE, 1).forward(f.stream, x, x))
                    .isInstanceOf(KernelException.Unsupported.class)
                    .hasMessageContaining("f64 only");
        }
    }

    @Test
    void outputsThatOverlapInputsAreRefused() {
        try (var f = new KernelFixture(Backend.CPU)) {
            var memory = f.zeros(8);
            assertThatThrownBy(() ->
                            new LinearKernel(2, 2, 2)
                                    .forward(
                                            f.stream,
                                            memory.slice(0, 4),
                                            f.zeros(4),
                                            null,
                                            memory.slice(2, 4)))
                    .isInstanceOf(KernelException.InvalidArgument.class)
                    .hasMessageContaining("y overlaps x");
        }
    }

    @Test
    void idsOutOfRangeAreNamedWithTheirPlace() {
        try (var f = new KernelFixture(Backend.CPU)) {
            assertThatThrownBy(() ->
                            new EmbeddingKernel(1, 2, 1, 3, 0)
                                    .forward(f.stream, f.of(0, 3), f.zeros(3), null, f.zeros(2)))
                    .isInstanceOf(KernelException.InvalidArgument.class)
                    .hasMessageContaining("ids[0,1] is 3; expected 0 to 2");
        }
    }

    @Test
    void moreMemoryThanThereIsIsOutOfMemory() {
        try (var device = Device.cpu(1)) {
            assertThatThrownBy(() -> device.allocate(DataType.BYTE, 1L << 40).close())
                    .isInstanceOf(KernelException.OutOfMemory.class);
            assertThatThrownBy(() -> device.allocate(DataType.F32, -1))
                    .isInstanceOf(KernelException.InvalidArgument.class);
            assertThat(device.liveBytes()).isZero();
            assertThat(device.allocations()).isZero();
        }
    }

    @Test
    void wrongDeviceOptionsAreRefused() {
        assertThatThrownBy(() -> Device.cpu(-1))
                .isInstanceOf(KernelException.InvalidArgument.class)
                .hasMessageContaining("threads is -1");
        assertThatThrownBy(() -> Device.open(DeviceOptions.of(Backend.CPU).withIndex(1)))
                .isInstanceOf(KernelException.NoDevice.class);
        assertThatThrownBy(() -> Device.cuda(1000)).isInstanceOf(KernelException.NoDevice.class);
    }

    private static LinearKernel linear(ArbitraryArguments a) {
        long in = a.size();
        long out = a.size();
        return new LinearKernel(a.size(), in, out, a.stride(in), a.stride(out));
    }

    private static SelectiveScanKernel selectiveScan(ArbitraryArguments a) {
        return new SelectiveScanKernel(
                a.size(), a.size(), a.size(), a.size(), a.size(), a.size(), a.size(), a.size(),
                a.size(), a.size());
    }

    private static SelectiveScanKernel.Inputs scanned(ArbitraryArguments a) {
        return new SelectiveScanKernel.Inputs(
                a.reals(),
                a.reals(),
                a.reals(),
                a.reals(),
                a.reals(),
                a.orNull(a.reals()),
                a.orNull(a.reals()),
                a.orNull(a.reals()));
    }

    private static ShortConvKernel shortConvolution(ArbitraryArguments a) {
        long channels = a.size();
        return new ShortConvKernel(
                a.size(), a.size(), channels, a.size(), a.stride(channels), a.stride(channels));
    }

    private static LongConvKernel longConvolution(ArbitraryArguments a) {
        long channels = a.size();
        var kernel =
                LongConvKernel.dense(a.size(), a.size(), channels, a.size())
                        .withMethod(a.one(ConvMethod.values()))
                        .withStrides(
                                a.stride(channels),
                                a.stride(channels),
                                a.stride(channels),
                                a.stride(channels));
        return a.size() % 2 == 0 ? kernel.withTapsFirst() : kernel;
    }

    private static EmbeddingKernel embedding(ArbitraryArguments a) {
        long length = a.size();
        return new EmbeddingKernel(a.size(), length, a.size(), a.size(), a.stride(length));
    }

    private static NormKernel norm(ArbitraryArguments a) {
        long channels = a.size();
        return new NormKernel(
                a.one(NormKind.values()), 0.1f, a.size(), channels, a.stride(channels));
    }

    private static ArithmeticKernel arithmetic(ArbitraryArguments a) {
        long columns = a.size();
        return new ArithmeticKernel(
                a.one(ArithmeticKind.values()),
                new long[] {a.size(), columns},
                new long[] {a.stride(columns), 1},
                new long[] {0, a.size() % 2});
    }

    private static MatmulKernel matmul(ArbitraryArguments a) {
        long m = a.size();
        long n = a.size();
        long k = a.size();
        return new MatmulKernel(
                a.size(),
                m,
                n,
                k,
                false,
                true,
                a.probability(),
                new MatrixLayout(a.stride(k), a.size()),
                MatrixLayout.shared(a.stride(k)),
                MatrixLayout.dense(m, a.stride(n)));
    }

    private static StridedCopyKernel stridedCopy(ArbitraryArguments a) {
        long columns = a.size();
        return new StridedCopyKernel(
                new long[] {a.size(), columns},
                new long[] {a.size() % 4, a.size()},
                new long[] {a.stride(columns), 1});
    }

    private static RotaryKernel rotary(ArbitraryArguments a) {
        long heads = a.size();
        long length = a.size();
        long headDim = 2 * a.size();
        return new RotaryKernel(
                a.bits() % 2 == 0,
                a.bits() % 2 == 0,
                a.size(),
                a.size(),
                heads,
                length,
                headDim,
                a.layout(length, heads, headDim),
                a.layout(length, heads, headDim));
    }

    private static GateKernel gate(ArbitraryArguments a) {
        long channels = a.size();
        return new GateKernel(
                a.one(Activation.values()),
                a.size(),
                channels,
                a.stride(channels),
                a.stride(channels),
                a.stride(channels),
                a.stride(channels));
    }

    private static AttentionKernel attention(ArbitraryArguments a) {
        long length = a.size();
        long heads = a.size();
        long headDim = a.size();
        return new AttentionKernel(
                1,
                a.probability(),
                a.size(),
                heads,
                length,
                headDim,
                a.size(),
                a.bits(),
                a.layout(length, heads, headDim),
                a.layout(length, heads, headDim),
                a.layout(length, heads, headDim),
                a.layout(length, heads, headDim));
    }

    private static SparseAttentionKernel sparseAttention(ArbitraryArguments a) {
        long length = a.size();
        long keyHeads = a.size();
        long heads = a.bits() % 4 == 0 ? a.size() : 2 * keyHeads;
        long headDim = a.size();
        long batch = a.size();
        return new SparseAttentionKernel(
                1,
                batch,
                heads,
                keyHeads,
                length,
                a.bits() % 2 == 0 ? 0 : a.size(),
                headDim,
                a.size(),
                a.size(),
                a.bits() % 3 == 0
                        ? BlockLists.NONE
                        : new BlockLists(a.size(), a.size(), a.size(), batch, keyHeads),
                a.layout(length, heads, headDim),
                a.layout(length, keyHeads, headDim),
                a.layout(length, keyHeads, headDim),
                a.layout(length, heads, headDim));
    }

    private static PooledAttentionKernel pooledAttention(ArbitraryArguments a) {
        long length = a.size();
        long keyHeads = a.size();
        long heads = a.bits() % 4 == 0 ? a.size() : 2 * keyHeads;
        long headDim = a.size();
        long batch = a.size();
        long always = a.size();
        long blocks = a.bits() % 2 == 0 ? 0 : a.size();
        long blockSize = a.size();
        return new PooledAttentionKernel(
                1,
                0,
                batch,
                heads,
                keyHeads,
                length,
                a.bits() % 2 == 0 ? 0 : a.size(),
                headDim,
                always,
                blocks,
                blockSize,
                a.bits() % 3 == 0
                        ? BlockLists.NONE
                        : new BlockLists(a.size(), blockSize, a.size(), batch, keyHeads),
                a.layout(length, heads, headDim),
                a.layout(always + blocks, keyHeads, headDim),
                a.layout(always + blocks, keyHeads, headDim),
                a.layout(length, heads, headDim));
    }

    private static BlockTopKKernel blockTopK(ArbitraryArguments a) {
        long length = a.size();
        long keyHeads = a.size();
        long heads = a.bits() % 4 == 0 ? a.size() : 2 * keyHeads;
        long headDim = a.size();
        long blocks = a.bits() % 2 == 0 ? 0 : a.size();
        return new BlockTopKKernel(
                1,
                a.probability(),
                a.size(),
                heads,
                keyHeads,
                length,
                a.bits() % 2 == 0 ? 0 : a.size(),
                headDim,
                blocks,
                a.size(),
                a.size(),
                a.bits() % 2 == 0,
                a.layout(length, heads, headDim),
                a.layout(blocks, keyHeads, headDim));
    }

    private static AttentionMergeKernel attentionMerge(ArbitraryArguments a) {
        return new AttentionMergeKernel(a.size(), a.size(), a.size(), a.size());
    }

    private static AttentionMergeKernel.Part part(ArbitraryArguments a) {
        return new AttentionMergeKernel.Part(a.reals(), a.reals());
    }

    private static LinearAttentionKernel linearAttention(ArbitraryArguments a) {
        long length = a.size();
        long heads = a.size();
        long featureDim = a.size();
        long valueDim = a.size();
        return new LinearAttentionKernel(
                a.one(FeatureKind.values()),
                a.bits() % 2 == 0,
                a.probability(),
                a.size(),
                heads,
                length,
                featureDim,
                valueDim,
                a.layout(length, heads, featureDim),
                a.layout(length, heads, featureDim),
                a.layout(length, heads, valueDim),
                a.layout(length, heads, valueDim));
    }

    private static DiagonalSsmKernel.Parameters diagonalSsm(ArbitraryArguments a) {
        return new DiagonalSsmKernel.Parameters(
                a.reals(), a.reals(), a.reals(), a.reals(), a.reals());
    }

    private static VocabularyLossKernel vocabularyLoss(ArbitraryArguments a) {
        long channels = a.size();
        return new VocabularyLossKernel(a.size(), channels, a.size(), a.stride(channels));
    }
}
