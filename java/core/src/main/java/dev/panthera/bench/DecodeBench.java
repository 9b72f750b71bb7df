package dev.panthera.bench;

import dev.panthera.UserException;
import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.DeviceStream;
import dev.panthera.kernels.RandomState;
import dev.panthera.model.Decoder;
import dev.panthera.model.LanguageModel;
import dev.panthera.nn.Parameters;
import dev.panthera.tensor.ParameterStore;
import dev.panthera.tensor.StepArena;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.train.DeviceChoice;
import java.util.ArrayList;
import java.util.List;

/** Times generation: one token of each sequence at a time, at several distances from the beginning. */
public final class DecodeBench {
    private static final long SEED = 1;
    private static final int FEWEST_STEPS = 5;

    /** In which the JVM compiles what a step runs. */
    private static final double WARM_UP_SECONDS = 0.2;

    private static final int WARM_UP_TOKENS = 64;

    /** Tokens that are appended at once on the way to a position. */
    private static final int CHUNK = 512;

    /** Of the sequences that are compared with the reference. */
    private static final int GATE_BATCH = 2;

    /** How the positions of a compared sequence are divided: a prompt, steps, and several at once. */
    private static final List<Integer> GATE_DIVISION = List.of(9, 1, 1, 1, 1, 1, 7, 1, 1, 1);

    /** Of logits, relative to the largest. */
    private static final double TOLERANCE = 1e-5;

    private DecodeBench() {}

    /**
     * Speed after some tokens.
     *
     * @param position tokens of each sequence before the measured steps
     * @param timing of a step, which makes one token of each sequence
     * @param stateBytes that a sequence keeps after so many tokens
     * @param publishedStateBytes likewise, as the original counts it
     */
    public record Point(int position, Timing timing, long stateBytes, long publishedStateBytes) {}

    /**
     * What was measured.
     *
     * @param points by position
     * @param device that computed it
     */
    public record Result(List<Point> points, String device) {}

    /**
     * Measures after comparing the logits of steps with those that the reference computes of whole sequences.
     *
     * @param positions ascending, at least as far apart as there are steps
     * @param steps at each position
     * @throws UserException if the sizes are impossible
     * @throws WrongResultException if decoding gives other logits
     */
    public static Result run(
            DecodeSizes sizes, DeviceChoice choice, List<Integer> positions, int steps) {
        checkSizes(positions, steps);
        check(sizes, choice);
        int last = positions.getLast();
        int length = Math.addExact(last, steps);
        try (var chosen = choice.open();
                var stream = chosen.device().newStream()) {
            var model = LanguageModel.of(sizes.config(length), SEED);
            try (var parameters = parameters(chosen.device(), stream, model)) {
                warmUp(model, stream, sizes, length);
                return new Result(
                        measure(model, stream, sizes, positions, steps), chosen.description());
            }
        }
    }

    private static void checkSizes(List<Integer> positions, int steps) {
        UserException.require(
                steps >= FEWEST_STEPS,
                "--steps %d: a median needs at least %d; try 32",
                steps,
                FEWEST_STEPS);
        int free = 1;
        for (int position : positions) {
            UserException.require(
                    position >= free,
                    "--positions %d: positions ascend from 1 on, at least --steps %d apart; try 128,1024,4096",
                    position,
                    steps);
            free = Math.addExact(position, steps);
        }
    }

    private static ParameterStore parameters(
            Device device, DeviceStream stream, LanguageModel model) {
        return new ParameterStore(device, stream, DataType.F32, Parameters.of(model));
    }

    private static void warmUp(
            LanguageModel model, DeviceStream stream, DecodeSizes sizes, int length) {
        long end = System.nanoTime() + (long) (1e9 * WARM_UP_SECONDS);
        int tokens = Math.min(WARM_UP_TOKENS, length);
        do {
            try (var decoder = new Decoder(model, stream, sizes.batch(), tokens)) {
                decoder.generate(sizes.tokens(1), tokens);
            }
        } while (System.nanoTime() < end);
    }

    private static List<Point> measure(
            LanguageModel model,
            DeviceStream stream,
            DecodeSizes sizes,
            List<Integer> positions,
            int steps) {
        List<Point> points = new ArrayList<>();
        int capacity = positions.getLast() + steps;
        try (var decoder = new Decoder(model, stream, sizes.batch(), capacity)) {
            for (int position : positions) {
                while (decoder.position() < position) {
                    int count = Math.min(CHUNK, position - decoder.position());
                    decoder.next(sizes.tokens(count));
                }
                points.add(
                        new Point(
                                position,
                                steps(decoder, sizes, steps),
                                model.stateBytes(position),
                                model.publishedStateBytes(position)));
            }
        }
        return points;
    }

    private static Timing steps(Decoder decoder, DecodeSizes sizes, int steps) {
        long[] nanos = new long[steps];
        int[] ids = sizes.tokens(1);
        for (int i = 0; i < steps; i++) {
            long start = System.nanoTime();
            ids = decoder.generate(ids, 1);
            nanos[i] = System.nanoTime() - start;
        }
        return Timing.of(nanos);
    }

    private static void check(DecodeSizes sizes, DeviceChoice choice) {
        int length = GATE_DIVISION.stream().mapToInt(Integer::intValue).sum();
        var small = sizes.withBatch(Math.min(sizes.batch(), GATE_BATCH));
        int[] ids = small.tokens(length);
        double error = Agreement.error(decoded(small, choice, ids), whole(small, ids, length));
        if (!(error <= TOLERANCE)) {
            throw new WrongResultException(
                    "%s: logits of steps differ from those of whole sequences by %.2g"
                            .formatted(sizes.mixer(), error));
        }
    }

    /** Logits {@code (batch, length, vocab)} of the reference. */
    private static double[] whole(DecodeSizes sizes, int[] ids, int length) {
        try (var device = Device.reference(DataType.F32);
                var stream = device.newStream();
                var arena = new StepArena(device);
                var random = RandomState.allocate(device, stream);
                var inputs = device.allocate(DataType.I32, ids.length)) {
            var model = LanguageModel.of(sizes.config(length), SEED);
            stream.copyToDevice(inputs, ids);
            try (var parameters = parameters(device, stream, model)) {
                var tape = new Tape(stream, arena, random, DataType.F32);
                tape.begin(Tape.Mode.EVALUATION);
                Tensor logits = model.logits(tape, Tensor.wrap(inputs, sizes.batch(), length));
                double[] values = stream.toDoubleArray(logits.values());
                tape.end();
                return values;
            }
        }
    }

    /** The same from steps. */
    private static double[] decoded(DecodeSizes sizes, DeviceChoice choice, int[] ids) {
        int length = ids.length / sizes.batch();
        double[] all = new double[ids.length * sizes.vocab()];
        try (var chosen = choice.open();
                var stream = chosen.device().newStream()) {
            var model = LanguageModel.of(sizes.config(length), SEED);
            try (var parameters = parameters(chosen.device(), stream, model);
                    var decoder = new Decoder(model, stream, sizes.batch(), length)) {
                for (int count : GATE_DIVISION) {
                    int first = decoder.position();
                    int[] part = new int[sizes.batch() * count];
                    for (int i = 0; i < part.length; i++) {
                        part[i] = ids[i / count * length + first + i % count];
                    }
                    double[] logits = stream.toDoubleArray(decoder.append(part).values());
                    int row = count * sizes.vocab();
                    for (int b = 0; b < sizes.batch(); b++) {
                        System.arraycopy(
                                logits, b * row, all, (b * length + first) * sizes.vocab(), row);
                    }
                }
            }
        }
        return all;
    }
}
