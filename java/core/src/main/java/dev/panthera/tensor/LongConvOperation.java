package dev.panthera.tensor;

import dev.panthera.kernels.ConvMethod;
import dev.panthera.kernels.LongConvKernel;
import dev.panthera.kernels.LongConvPlan;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** {@code y = post * (conv(h, pre * u) + skip * pre * u)}; see {@link LongConvKernel}. */
public record LongConvOperation(
        LongConvPlan plan,
        Columns u,
        @Nullable Columns pre,
        @Nullable Columns post,
        Tensor filter,
        @Nullable Tensor skip,
        Tensor spectrum,
        Tensor y)
        implements Operation {

    /** A spectrum is shaped into rows because it may have more elements than an array's index. */
    private static final int SPECTRUM_ROW = 64;

    /**
     * @param u {@code (batch, length, channels)}
     * @param pre gate of the input, of the shape of {@code u}, or null
     * @param post gate of the output, of the shape of {@code u}, or null
     * @param filter of as many channels; leading dimensions of size 1 are allowed, taps beyond the length have no effect
     * @param layout of {@code filter}
     * @param skip {@code (channels)} or null
     */
    public static Tensor apply(
            Tape tape,
            Columns u,
            @Nullable Columns pre,
            @Nullable Columns post,
            Tensor filter,
            FilterLayout layout,
            @Nullable Tensor skip,
            ConvMethod method) {
        int[] shape = u.shape();
        int channels = u.count();
        boolean tapsFirst = layout == FilterLayout.TAPS_FIRST;
        long taps = tapsFirst ? filter.rows() : filter.size(-1);
        if (shape.length != 3
                || (tapsFirst ? filter.size(-1) : filter.rows()) != channels
                || !sameShape(u, pre)
                || !sameShape(u, post)) {
            throw new IllegalArgumentException(
                    "long convolution: %s, gates %s and %s, filter %s; expected (batch, length, channels) and %s"
                            .formatted(
                                    u,
                                    pre,
                                    post,
                                    filter,
                                    tapsFirst ? "(taps, channels)" : "(channels, taps)"));
        }
        var kernel =
                LongConvKernel.dense(shape[0], shape[1], channels, taps)
                        .withMethod(method)
                        .withStrides(
                                u.stride(),
                                pre == null ? channels : pre.stride(),
                                post == null ? channels : post.stride(),
                                channels);
        var plan = tape.plan(tapsFirst ? kernel.withTapsFirst() : kernel);
        long spectrumElements =
                Math.ceilDiv(plan.spectrumBytes(tape.stream()), tape.type().bytes());
        var operation =
                new LongConvOperation(
                        plan,
                        u,
                        pre,
                        post,
                        filter,
                        skip,
                        tape.allocateConstant(
                                tape.type(),
                                Math.toIntExact(Math.ceilDiv(spectrumElements, SPECTRUM_ROW)),
                                SPECTRUM_ROW),
                        tape.allocate(shape));
        tape.run(operation);
        return operation.y;
    }

    private static boolean sameShape(Columns u, @Nullable Columns gate) {
        return gate == null || Arrays.equals(u.shape(), gate.shape());
    }

    @Override
    public String name() {
        return "long convolution";
    }

    /**
     * By sums or by real transforms of twice the length, whichever takes fewer: 2.5 n log2 n for a transform of n numbers, one
     * of the input, one of the output, one of each channel's filter, and 6 for a complex product.
     */
    @Override
    public double flops() {
        double length = u.shape()[1];
        double columns = (double) u.shape()[0] * u.count();
        double taps = Math.min(length, (double) filter.size() / u.count());
        double points = 2 * length;
        double transform = 2.5 * points * Math.log(points) / Math.log(2);
        double bySums = 2 * columns * (taps * length - taps * (taps - 1) / 2);
        double byTransforms = columns * (2 * transform + 3 * points) + u.count() * transform;
        return Math.min(bySums, byTransforms);
    }

    @Override
    public void forward(Tape tape) {
        try (var workspace = tape.scratch(plan.prepareWorkspaceBytes(tape.stream()))) {
            plan.prepare(
                    tape.stream(), filter.values(), spectrum.values(), Tape.Scratch.of(workspace));
        }
        try (var workspace = tape.scratch(plan.forwardWorkspaceBytes(tape.stream()))) {
            plan.forward(
                    tape.stream(),
                    spectrum.values(),
                    u.values(),
                    Columns.values(pre),
                    Columns.values(post),
                    skip == null ? null : skip.values(),
                    y.values(),
                    Tape.Scratch.of(workspace));
        }
    }

    @Override
    public void backward(Tape tape) {
        var gradients = new Columns.Gradients(tape, u, pre, post);
        try (var workspace = tape.scratch(plan.backwardWorkspaceBytes(tape.stream()))) {
            plan.backward(
                    tape.stream(),
                    spectrum.values(),
                    u.values(),
                    Columns.values(pre),
                    Columns.values(post),
                    skip == null ? null : skip.values(),
                    y.gradient(),
                    gradients.of(0),
                    gradients.of(1),
                    gradients.of(2),
                    tape.addGradient(filter),
                    tape.addGradient(skip),
                    Tape.Scratch.of(workspace));
        }
        gradients.give();
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }

    @Override
    public Tensor[] saved() {
        return new Tensor[] {spectrum};
    }
}
