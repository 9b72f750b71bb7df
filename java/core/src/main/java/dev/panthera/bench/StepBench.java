package dev.panthera.bench;

import dev.panthera.UserException;
import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.tensor.StepProfile;
import dev.panthera.train.DeviceChoice;
import dev.panthera.train.RepeatedStep;

/** Times the training step of a figure-2 model on a fixed batch. */
public final class StepBench {
    private static final int WARM_UPS = 2;

    /** In which the JVM compiles what a step runs; a training takes thousands of steps. */
    private static final double WARM_UP_SECONDS = 3;

    private static final int FEWEST_STEPS = 5;

    /** Of loss and gradients between a device and the reference, relative to the largest. */
    private static final double TOLERANCE = 1e-4;

    private StepBench() {}

    /**
     * What was measured.
     *
     * @param timing of a step
     * @param tokens of a step
     * @param flops nominal floating-point operations of a step
     * @param profile of further steps, each operation on its own
     * @param peakMb largest resident memory in 1e6 bytes, with that of the JVM; 0 where unknown
     * @param device that computed it
     * @param threads of the device
     */
    public record Result(
            Timing timing,
            long tokens,
            double flops,
            StepProfile profile,
            double peakMb,
            String device,
            int threads) {}

    /**
     * Measures steps after checking one against the reference.
     *
     * @throws UserException if the sizes are impossible
     * @throws WrongResultException if the device's results are wrong
     */
    public static Result run(StepSizes sizes, DeviceChoice choice, int steps) {
        UserException.require(
                steps >= FEWEST_STEPS,
                "--steps %d: a median needs at least %d; try 9",
                steps,
                FEWEST_STEPS);
        check(sizes.small(), choice);
        PeakMemory.reset();
        var chosen = choice.open();
        try (var step = new RepeatedStep(sizes.config(), chosen.device())) {
            var rounds = new Timing.Rounds(WARM_UPS, WARM_UP_SECONDS, steps, steps, 0);
            Timing timing = Timing.measure(rounds, () -> {}, step::run);
            double peakMb = PeakMemory.megabytes();
            var profile = new StepProfile();
            step.profileWith(profile);
            for (int i = 0; i < steps; i++) {
                step.run();
            }
            double flops =
                    profile.entries().stream().mapToDouble(StepProfile.Entry::flops).sum() / steps;
            return new Result(
                    timing,
                    step.tokens(),
                    flops,
                    profile,
                    peakMb,
                    chosen.description(),
                    chosen.device().info().threads());
        }
    }

    private static void check(StepSizes sizes, DeviceChoice choice) {
        var config = sizes.config();
        try (var step = new RepeatedStep(config, choice.open().device());
                var reference = new RepeatedStep(config, Device.reference(DataType.F32))) {
            float loss = step.run();
            float expected = reference.run();
            double lossError = Math.abs(loss - expected) / Math.abs(expected);
            double gradientError = Agreement.error(step.gradients(), reference.gradients());
            if (!(lossError <= TOLERANCE) || !(gradientError <= TOLERANCE)) {
                throw new WrongResultException(
                        "%s: loss %s and gradients differ from the reference by %.2g and %.2g"
                                .formatted(sizes.mixer(), loss, lossError, gradientError));
            }
        }
    }
}
