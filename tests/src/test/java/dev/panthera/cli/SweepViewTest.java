package dev.panthera.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.mixer.Attention;
import dev.panthera.sweep.CostModel;
import dev.panthera.sweep.Layers;
import dev.panthera.sweep.LearningRate;
import dev.panthera.sweep.Sweep;
import dev.panthera.sweep.Trial;
import dev.panthera.sweep.TrialOutcome;
import dev.panthera.sweep.TrialStatus;
import dev.panthera.task.Mqar;
import dev.panthera.train.EpochReport;
import dev.panthera.train.Evaluation;
import dev.panthera.train.RunInfo;
import dev.panthera.train.StepReport;
import dev.panthera.train.TrainResult;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What a person sees of a sweep that runs. */
class SweepViewTest {
    private static final Sweep SWEEP =
            Sweep.named("s")
                    .over(Mqar.of(16, 2).withVocabSize(64))
                    .over(Layers.of(1, new Attention.Config(1)).named("x".repeat(300)))
                    .over(LearningRate.of(1e-3, 1e-2, 1e-1))
                    .epochs(2);
    private static final List<Trial> TRIALS = SWEEP.grid().trials();

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();
    private long nanos;

    private SweepView view(boolean terminal, boolean json) {
        var view =
                new SweepView(
                        new Streams(
                                new PrintStream(out, true, UTF_8),
                                new PrintStream(err, true, UTF_8),
                                terminal),
                        json,
                        TRIALS,
                        () -> nanos);
        view.begin(SWEEP, Path.of("f"), "engine", 3);
        return view;
    }

    private void seconds(double seconds) {
        nanos += (long) (1e9 * seconds);
    }

    private static StepReport step(int batch) {
        return new StepReport(1, batch, 10, 4.5, 100, 1);
    }

    private static EpochReport epoch(int number) {
        return new EpochReport(number, 4.25, 1e-3, new Evaluation(4, 0.125, 10, Map.of()), 100, 1);
    }

    private static TrialOutcome outcome(Trial trial, TrialStatus status) {
        boolean done = status == TrialStatus.DONE;
        return new TrialOutcome(
                trial.id(),
                status,
                "cpu",
                done ? TrainResult.Ending.ALL_EPOCHS : null,
                done ? new Evaluation(4, 0.5, 10, Map.of()) : null,
                List.of(epoch(1), epoch(2)),
                1,
                1,
                12,
                status == TrialStatus.FAILED ? "it broke" : null,
                null);
    }

    /** One trial from its beginning to its end. */
    private void runOne(SweepView view, TrialStatus status) {
        double work = CostModel.work(TRIALS.getFirst().config());
        Trial trial = TRIALS.getFirst();
        view.left(2, 2 * work);
        view.taken(trial);
        view.started(trial, new RunInfo("cpu", 1, 1, 10, null, List.of()));
        for (int i = 1; i <= 10; i++) {
            seconds(4);
            view.stepped(trial, step(i));
        }
        seconds(4);
        view.epochEnded(trial, epoch(1));
        view.finished(trial, outcome(trial, status), true);
        view.close();
    }

    @Test
    void pipedOutputHasNoEscapesAndALineEveryHalfMinute() {
        runOne(view(false, false), TrialStatus.DONE);
        String text = out.toString(UTF_8);
        assertThat(text).doesNotContain("\033").doesNotContain("\r");
        assertThat(text.lines())
                .startsWith(
                        "s: 3 trials (3 more are not available), engine, in f",
                        "1 of them have ended before")
                .anyMatch(line ->
                        line.startsWith("[2/3] ") && line.endsWith(": 50.00 %, 2 epochs in 12 s"))
                .filteredOn(
                        line -> line.startsWith("1 running, 1 done, 0 failed, 1 left, 32 s passed"))
                .hasSize(1);
    }

    @Test
    void jsonKeepsStandardOutputClean() {
        runOne(view(true, true), TrialStatus.DONE);
        assertThat(out.size()).isZero();
        assertThat(err.toString(UTF_8)).contains("[2/3] ").doesNotContain("\033");
    }

    @Test
    void aFailureIsALineOfItsOwn() {
        runOne(view(false, false), TrialStatus.FAILED);
        assertThat(out.toString(UTF_8).lines())
                .anyMatch(line -> line.startsWith("[2/3] ") && line.endsWith(": FAILED: it broke"));
    }

    @Test
    void anInterruptedTrialIsNeitherDoneNorFailed() {
        runOne(view(false, false), TrialStatus.WAITING);
        assertThat(out.toString(UTF_8)).doesNotContain("[").doesNotContain("FAILED");
    }

    /** Plays the escapes on a screen whose lines are as wide as they like, as one is whose terminal cuts them. */
    @Test
    void aTerminalShowsEachEndOnceAndNothingOfTheViewThatWas() {
        runOne(view(true, false), TrialStatus.DONE);
        var screen = new ArrayList<String>();
        var line = new StringBuilder();
        String text = out.toString(UTF_8);
        boolean cut = false;
        for (int i = 0; i < text.length(); i++) {
            if (text.startsWith("\033[?7l", i)) {
                cut = true;
                i += 4;
            } else if (text.startsWith("\033[?7h", i)) {
                cut = false;
                i += 4;
            } else if (text.startsWith("\033[J", i)) {
                i += 2;
            } else if (text.startsWith("\033[", i)) {
                int end = text.indexOf('A', i);
                int up = Integer.parseInt(text.substring(i + 2, end));
                for (int k = 0; k < up; k++) {
                    screen.removeLast();
                }
                i = end;
            } else if (text.charAt(i) == '\n') {
                assertThat(cut || !line.toString().startsWith("  "))
                        .as("a long line of the view is cut")
                        .isTrue();
                screen.add(line.toString());
                line.setLength(0);
            } else if (text.charAt(i) != '\r') {
                line.append(text.charAt(i));
            }
        }
        assertThat(cut).as("lines wrap again at the end").isFalse();
        assertThat(screen).hasSize(3);
        assertThat(screen.getLast()).startsWith("[2/3] ");
        assertThat(text).contains("epoch 1/2  loss 4.5000", "accuracy 12.50 %", "ETA about ");
    }

    @Test
    void numbersAreTheSameInEveryLocale() {
        var before = Locale.getDefault();
        try {
            Locale.setDefault(Locale.forLanguageTag("ar-EG-u-nu-arab"));
            runOne(view(false, false), TrialStatus.DONE);
        } finally {
            Locale.setDefault(before);
        }
        assertThat(out.toString(UTF_8)).startsWith("s: 3 trials (3 more").contains("50.00 %");
    }
}
