package dev.panthera.parity;

import dev.panthera.kernels.Activation;
import dev.panthera.kernels.AdamWKernel;
import dev.panthera.kernels.AdamWState;
import dev.panthera.kernels.AttentionKernel;
import dev.panthera.kernels.ConvMethod;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.FeatureKind;
import dev.panthera.kernels.HeadLayout;
import dev.panthera.kernels.LinearAttentionKernel;
import dev.panthera.kernels.NormKind;
import dev.panthera.tensor.ActivationOperation;
import dev.panthera.tensor.Columns;
import dev.panthera.tensor.FilterLayout;
import dev.panthera.tensor.LongConvOperation;
import dev.panthera.tensor.NormOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.RotaryOperation;
import dev.panthera.tensor.SelectiveScanOperation;
import dev.panthera.tensor.ShortConvOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.tensor.VocabularyLossOperation;
import dev.panthera.tensor.WkvOperation;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Single kernels: {@code in.<x>} to {@code out.<y>}, and back from {@code grad_out.<y>} to {@code grad_in.<x>}. */
final class KernelCases {

    /** A case's name is that of its kernel and a length or a width. */
    private static final Pattern SIZE_SUFFIX = Pattern.compile("_[LD][0-9]+$");

    private static final Pattern EPSILON_IN_NOTES =
            Pattern.compile("eps\\s+([0-9.]+(?:e-?[0-9]+)?)");
    private static final double USUAL_EPSILON = 1e-5;
    private static final double USUAL_BASE = 10000;
    private static final String UPSTREAM = "grad_out.y";

    private static final Map<String, ParityCase> KERNELS =
            Map.ofEntries(
                    Map.entry("adamw", KernelCases::adamW),
                    Map.entry("causal_attention", KernelCases::attention),
                    Map.entry("cross_entropy", KernelCases::crossEntropy),
                    Map.entry("cross_entropy_large", KernelCases::crossEntropy),
                    Map.entry("dwconv1d_k3", KernelCases::shortConvolution),
                    Map.entry("dwconv1d_k4", KernelCases::shortConvolution),
                    Map.entry("elu_plus1", activation(Activation.ELU_PLUS_ONE)),
                    Map.entry("fftconv", KernelCases::longConvolution),
                    Map.entry("gelu_exact", activation(Activation.GELU)),
                    Map.entry("gelu_tanh", activation(Activation.GELU_TANH)),
                    Map.entry("layernorm", norm(NormKind.LAYER)),
                    Map.entry("logsigmoid", activation(Activation.LOG_SIGMOID)),
                    Map.entry("relu_squared", activation(Activation.RELU_SQUARED)),
                    Map.entry("rmsnorm", norm(NormKind.RMS)),
                    Map.entry("rope_half", rotary(false)),
                    Map.entry("rope_interleaved", rotary(true)),
                    Map.entry("selective_scan", KernelCases::selectiveScan),
                    Map.entry("sigmoid", activation(Activation.SIGMOID)),
                    Map.entry("silu", activation(Activation.SILU)),
                    Map.entry("taylor_linear_attention", KernelCases::taylorLinearAttention),
                    Map.entry("sliding_attention", KernelCases::slidingAttention),
                    Map.entry("softplus", activation(Activation.SOFTPLUS)),
                    Map.entry("wkv4", KernelCases::wkv),
                    Map.entry("wkv4_largek", KernelCases::wkv));

    private KernelCases() {}

    /** The kernel case of that name; variants of AdamW are told by their metadata. */
    static Optional<ParityCase> named(String name) {
        String kernel = SIZE_SUFFIX.matcher(name).replaceFirst("");
        return Optional.ofNullable(KERNELS.get(kernel.startsWith("adamw") ? "adamw" : kernel));
    }

    private static ParityCase activation(Activation function) {
        return (golden, bench, comparison) ->
                differentiate(
                        golden,
                        bench,
                        comparison,
                        "x",
                        (tape, x) -> ActivationOperation.apply(tape, function, x));
    }

    /** Positions are the last dimension but one; all in front of it are as good as sequences. */
    private static ParityCase rotary(boolean interleaved) {
        return (golden, bench, comparison) -> {
            double base = golden.metadata("base").map(Double::parseDouble).orElse(USUAL_BASE);
            differentiate(
                    golden,
                    bench,
                    comparison,
                    "x",
                    (tape, x) -> {
                        Tensor rows = ReshapeOperation.apply(tape, x, -1, x.size(-2), x.size(-1));
                        return RotaryOperation.apply(
                                tape, Columns.of(rows), 1, interleaved, base, null);
                    });
        };
    }

    private static ParityCase norm(NormKind kind) {
        return (golden, bench, comparison) -> {
            Tensor weight = bench.leaf(golden, "in.weight");
            Tensor bias = golden.has("in.bias") ? bench.leaf(golden, "in.bias") : null;
            float epsilon = (float) epsilon(golden);
            differentiate(
                    golden,
                    bench,
                    comparison,
                    "x",
                    (tape, x) ->
                            NormOperation.apply(tape, kind, epsilon, x, null, weight, bias)
                                    .normalised());
            comparison.gradient("grad_in.weight", bench.gradient(weight));
            if (bias != null) {
                comparison.gradient("grad_in.bias", bench.gradient(bias));
            }
        };
    }

    private static double epsilon(Golden golden) {
        Matcher inNotes = EPSILON_IN_NOTES.matcher(golden.metadata("notes").orElse(""));
        double fallback = inNotes.find() ? Double.parseDouble(inNotes.group(1)) : USUAL_EPSILON;
        return golden.metadata("eps").map(Double::parseDouble).orElse(fallback);
    }

    /** The loss of logits is that of a vocabulary head whose weight is the identity. */
    private static void crossEntropy(Golden golden, Workbench bench, Comparison comparison) {
        if (Double.isNaN(golden.doubles("out.y")[0])) {
            throw new DeviationException(
                    "no row has a label: the original's loss is NaN, ours is 0 with zero gradient");
        }
        Tensor labels = bench.integers(golden, "in.labels");
        differentiate(
                golden,
                bench,
                comparison,
                "logits",
                (tape, logits) -> {
                    int classes = logits.size(-1);
                    double[] identity = new double[classes * classes];
                    for (int i = 0; i < classes; i++) {
                        identity[i * classes + i] = 1;
                    }
                    Tensor weight = Tensor.wrap(bench.upload(identity), classes, classes);
                    return VocabularyLossOperation.apply(tape, logits, weight, labels).loss();
                });
    }

    private static void differentiate(
            Golden golden,
            Workbench bench,
            Comparison comparison,
            String input,
            BiFunction<Tape, Tensor, Tensor> operation) {
        Tensor x = bench.leaf(golden, "in." + input);
        bench.tape().begin(Tape.Mode.TRAINING);
        Tensor y = operation.apply(bench.tape(), x);
        comparison.output("out.y", bench.values(y));
        bench.tape().backward(y, bench.upload(golden.doubles(UPSTREAM)));
        comparison.gradient("grad_in." + input, bench.gradient(x));
    }

    private static void shortConvolution(Golden golden, Workbench bench, Comparison comparison) {
        Tensor weight = bench.leaf(golden, "in.weight");
        Tensor bias = bench.leaf(golden, "in.bias");
        differentiate(
                golden,
                bench,
                comparison,
                "x",
                (tape, x) -> ShortConvOperation.apply(tape, x, weight, bias));
        comparison.gradient("grad_in.weight", bench.gradient(weight));
        comparison.gradient("grad_in.bias", bench.gradient(bias));
    }

    /** A single position has no decay, whose gradient is then not recorded. */
    private static void wkv(Golden golden, Workbench bench, Comparison comparison) {
        Tensor v = bench.leaf(golden, "in.v");
        Tensor decay = bench.leaf(golden, "in.w");
        Tensor first = bench.leaf(golden, "in.u");
        differentiate(
                golden,
                bench,
                comparison,
                "k",
                (tape, k) -> WkvOperation.apply(tape, k, v, decay, first));
        comparison.gradient("grad_in.v", bench.gradient(v));
        comparison.gradient("grad_in.u", bench.gradient(first));
        if (golden.has("grad_in.w")) {
            comparison.gradient("grad_in.w", bench.gradient(decay));
        }
    }

    /** Recorded with channels in front of positions. */
    private static void longConvolution(Golden golden, Workbench bench, Comparison comparison) {
        int[] shape = golden.shape("in.u");
        int batch = shape[0];
        int channels = shape[1];
        int length = shape[2];
        double[] values = transposed(golden.doubles("in.u"), batch, channels, length);
        Tensor u =
                Tensor.leaf(
                        bench.upload(values), bench.zeros(values.length), batch, length, channels);
        Tensor filter = bench.leaf(golden, "in.k");
        Tensor skip = bench.leaf(golden, "in.D");
        bench.tape().begin(Tape.Mode.TRAINING);
        Tensor y =
                LongConvOperation.apply(
                        bench.tape(),
                        Columns.of(u),
                        null,
                        null,
                        filter,
                        FilterLayout.CHANNELS_FIRST,
                        skip,
                        ConvMethod.FFT);
        comparison.output("out.y", transposed(bench.values(y), batch, length, channels));
        double[] upstream = transposed(golden.doubles(UPSTREAM), batch, channels, length);
        bench.tape().backward(y, bench.upload(upstream));
        comparison.gradient("grad_in.u", transposed(bench.gradient(u), batch, length, channels));
        comparison.gradient("grad_in.k", bench.gradient(filter));
        comparison.gradient("grad_in.D", bench.gradient(skip));
    }

    /** Recorded with channels and states in front of positions; skip, bias and gate may be absent. */
    private static void selectiveScan(Golden golden, Workbench bench, Comparison comparison) {
        Tensor u = positionsFirst(golden, bench, "u");
        Tensor delta = positionsFirst(golden, bench, "delta");
        Tensor rates = bench.leaf(golden, "in.A_log");
        Tensor b = positionsFirst(golden, bench, "B");
        Tensor c = positionsFirst(golden, bench, "C");
        Tensor skip = golden.has("in.D") ? bench.leaf(golden, "in.D") : null;
        Tensor bias = golden.has("in.delta_bias") ? bench.leaf(golden, "in.delta_bias") : null;
        Tensor z = golden.has("in.z") ? positionsFirst(golden, bench, "z") : null;
        var inputs =
                new SelectiveScanOperation.Inputs(
                        Columns.of(u),
                        Columns.of(delta),
                        rates,
                        Columns.of(b),
                        Columns.of(c),
                        skip,
                        bias,
                        z == null ? null : Columns.of(z));
        bench.tape().begin(Tape.Mode.TRAINING);
        Tensor y = SelectiveScanOperation.apply(bench.tape(), inputs);
        comparison.output("out.y", channelsFirst(bench.values(y), y));
        int[] shape = golden.shape(UPSTREAM);
        double[] upstream = transposed(golden.doubles(UPSTREAM), shape[0], shape[1], shape[2]);
        bench.tape().backward(y, bench.upload(upstream));
        comparison.gradient("grad_in.u", channelsFirst(bench.gradient(u), u));
        comparison.gradient("grad_in.delta", channelsFirst(bench.gradient(delta), delta));
        comparison.gradient("grad_in.A_log", bench.gradient(rates));
        comparison.gradient("grad_in.B", channelsFirst(bench.gradient(b), b));
        comparison.gradient("grad_in.C", channelsFirst(bench.gradient(c), c));
        if (skip != null) {
            comparison.gradient("grad_in.D", bench.gradient(skip));
        }
        if (bias != null) {
            comparison.gradient("grad_in.delta_bias", bench.gradient(bias));
        }
        if (z != null) {
            comparison.gradient("grad_in.z", channelsFirst(bench.gradient(z), z));
        }
    }

    /** An input that was recorded as (batch, channels, length), as we have it. */
    private static Tensor positionsFirst(Golden golden, Workbench bench, String name) {
        int[] shape = golden.shape("in." + name);
        double[] values = transposed(golden.doubles("in." + name), shape[0], shape[1], shape[2]);
        return Tensor.leaf(
                bench.upload(values), bench.zeros(values.length), shape[0], shape[2], shape[1]);
    }

    /** Values of a tensor (batch, length, channels), as they were recorded. */
    private static double[] channelsFirst(double[] values, Tensor tensor) {
        return transposed(values, tensor.size(0), tensor.size(1), tensor.size(2));
    }

    /** Each of {@code count} matrices, transposed. */
    private static double[] transposed(double[] values, int count, int rows, int columns) {
        double[] result = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            int matrix = i / (rows * columns);
            int row = i / columns % rows;
            int column = i % columns;
            result[(matrix * columns + column) * rows + row] = values[i];
        }
        return result;
    }

    private static void attention(Golden golden, Workbench bench, Comparison comparison) {
        attention(golden, bench, comparison, 0);
    }

    /** The original's window leaves out the query's own position. */
    private static void slidingAttention(Golden golden, Workbench bench, Comparison comparison) {
        int window = (int) golden.number("window");
        attention(golden, bench, comparison, window + 1);
    }

    /** Heads of shape (batch, heads, length, head_dim), all of one size. */
    private static void attention(
            Golden golden, Workbench bench, Comparison comparison, int window) {
        int[] shape = golden.shape("in.q");
        int batch = shape[0];
        int heads = shape[1];
        int length = shape[2];
        int headDim = shape[3];
        if (golden.shape("in.v")[3] != headDim || golden.shape("in.k")[1] != heads) {
            throw new UnknownCaseException(
                    "attention whose values or keys have another shape than its queries");
        }
        HeadLayout layout = headsFirst(shape, headDim);
        float scale = (float) (1 / Math.sqrt(headDim));
        var kernel =
                new AttentionKernel(
                        scale, 0, batch, heads, length, headDim, window, 0, layout, layout, layout,
                        layout);
        var stream = bench.stream();
        DeviceBuffer q = bench.upload(golden.doubles("in.q"));
        DeviceBuffer k = bench.upload(golden.doubles("in.k"));
        DeviceBuffer v = bench.upload(golden.doubles("in.v"));
        DeviceBuffer y = bench.zeros(q.elements());
        DeviceBuffer logSumExp = bench.zeros((long) batch * heads * length);
        kernel.forward(
                stream,
                null,
                q,
                k,
                v,
                y,
                logSumExp,
                workspace(bench, kernel.forwardWorkspaceBytes(stream)));
        comparison.output("out.y", bench.read(y));
        DeviceBuffer dq = bench.zeros(q.elements());
        DeviceBuffer dk = bench.zeros(k.elements());
        DeviceBuffer dv = bench.zeros(v.elements());
        DeviceBuffer dy = bench.upload(golden.doubles(UPSTREAM));
        DeviceBuffer scratch = workspace(bench, kernel.backwardWorkspaceBytes(stream));
        kernel.backward(stream, null, q, k, v, y, logSumExp, dy, dq, dk, dv, scratch);
        comparison.gradient("grad_in.q", bench.read(dq));
        comparison.gradient("grad_in.k", bench.read(dk));
        comparison.gradient("grad_in.v", bench.read(dv));
    }

    /** Heads of shape (batch, heads, length, dim). */
    private static void taylorLinearAttention(
            Golden golden, Workbench bench, Comparison comparison) {
        int[] shape = golden.shape("in.q");
        int values = golden.shape("in.v")[3];
        var kernel =
                new LinearAttentionKernel(
                        FeatureKind.TAYLOR,
                        true,
                        (float) epsilon(golden),
                        shape[0],
                        shape[1],
                        shape[2],
                        shape[3],
                        values,
                        headsFirst(shape, shape[3]),
                        headsFirst(shape, shape[3]),
                        headsFirst(shape, values),
                        headsFirst(shape, values));
        var stream = bench.stream();
        DeviceBuffer q = bench.upload(golden.doubles("in.q"));
        DeviceBuffer k = bench.upload(golden.doubles("in.k"));
        DeviceBuffer v = bench.upload(golden.doubles("in.v"));
        DeviceBuffer y = bench.zeros(v.elements());
        DeviceBuffer denominator = bench.zeros((long) shape[0] * shape[1] * shape[2]);
        DeviceBuffer forward = workspace(bench, kernel.forwardWorkspaceBytes(stream));
        kernel.forward(stream, q, k, v, null, y, denominator, null, forward);
        comparison.output("out.y", bench.read(y));
        DeviceBuffer dq = bench.zeros(q.elements());
        DeviceBuffer dk = bench.zeros(k.elements());
        DeviceBuffer dv = bench.zeros(v.elements());
        DeviceBuffer dy = bench.upload(golden.doubles(UPSTREAM));
        DeviceBuffer backward = workspace(bench, kernel.backwardWorkspaceBytes(stream));
        kernel.backward(stream, q, k, v, y, denominator, dy, dq, dk, dv, backward);
        comparison.gradient("grad_in.q", bench.read(dq));
        comparison.gradient("grad_in.k", bench.read(dk));
        comparison.gradient("grad_in.v", bench.read(dv));
    }

    /** The layout of (batch, heads, length, dim), whose first sizes are those of {@code shape}. */
    private static HeadLayout headsFirst(int[] shape, long dim) {
        long heads = shape[1];
        long length = shape[2];
        return new HeadLayout(heads * length * dim, dim, length * dim);
    }

    private static @Nullable DeviceBuffer workspace(Workbench bench, long bytes) {
        return bytes == 0 ? null : bench.bytes(bytes);
    }

    /** Rows of the recorded outputs are the state after each step. */
    private static void adamW(Golden golden, Workbench bench, Comparison comparison) {
        int[] shape = golden.shape("in.grads");
        int steps = shape[0];
        int count = shape[1];
        DeviceBuffer parameters = bench.upload(golden.doubles("in.p0"));
        double[] gradients = golden.doubles("in.grads");
        DeviceBuffer expAvg = bench.zeros(count);
        DeviceBuffer expAvgSq = bench.zeros(count);
        double[] betas =
                Options.parse(
                                "betas",
                                "{\"betas\": " + golden.metadata("betas").orElseThrow() + "}")
                        .numbers("betas");
        double[][] ours = new double[3][steps * count];
        var kernel = new AdamWKernel(count);
        try (var state = AdamWState.allocate(bench.device())) {
            for (int step = 0; step < steps; step++) {
                var values =
                        new AdamWState.Step(
                                golden.number("lr"),
                                betas[0],
                                betas[1],
                                golden.number("eps"),
                                golden.number("weight_decay"),
                                step + 1L,
                                false);
                state.write(bench.stream(), values);
                DeviceBuffer gradient =
                        bench.upload(
                                Arrays.copyOfRange(gradients, step * count, (step + 1) * count));
                kernel.step(bench.stream(), state, parameters, gradient, expAvg, expAvgSq);
                System.arraycopy(bench.read(parameters), 0, ours[0], step * count, count);
                System.arraycopy(bench.read(expAvg), 0, ours[1], step * count, count);
                System.arraycopy(bench.read(expAvgSq), 0, ours[2], step * count, count);
            }
        }
        comparison.output("out.p", ours[0]);
        comparison.output("out.exp_avg", ours[1]);
        comparison.output("out.exp_avg_sq", ours[2]);
    }
}
