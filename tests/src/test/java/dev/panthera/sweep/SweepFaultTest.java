package dev.panthera.sweep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.e2e.ChildJvm;
import dev.panthera.train.EpochReport;
import dev.panthera.train.RunInfo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;

/**
 * A sweep whose process is killed again and again. {@code panthera.tests.kills} says how often; with
 * {@code panthera.tests.kills.record=FILE} what came of it is added to the file as a line of JSON, as
 * {@code benchmarks/sweep-faults.sh} does.
 */
@EnabledOnOs({OS.LINUX, OS.MAC})
class SweepFaultTest {
    private static final int KILLS = Integer.getInteger("panthera.tests.kills", 6);
    private static final long SEED = Long.getLong("panthera.tests.kills.seed", 6);
    private static final int TRIALS = 40;
    private static final int EPOCHS = 12;
    private static final int MOST_DELAY_MILLIS = 300;

    @TempDir private Path folder;

    @TempDir private Path undisturbed;

    @TempDir private Path scratch;

    /** Carries a sweep of {@value #TRIALS} trials out on two slots, and says of each trial that it stored its result. */
    static final class Child {
        public static void main(String[] folder) {
            TinySweep.run(
                    TinySweep.plan(sweep(), Path.of(folder[0])),
                    2,
                    () -> false,
                    new SweepListener() {
                        @Override
                        public void started(Trial trial, RunInfo info) {
                            say("started " + info.history().size() + " " + trial.id());
                        }

                        @Override
                        public void epochEnded(Trial trial, EpochReport report) {
                            say("epoch " + report.epoch() + " " + trial.id());
                        }

                        @Override
                        public void finished(Trial trial, TrialOutcome outcome, boolean ours) {
                            say(outcome.status() + " " + ours + " " + trial.id());
                        }
                    });
            say("end");
        }

        /** One write a line, so that a kill leaves no half of one. */
        private static void say(String line) {
            System.out.print(line + "\n");
            System.out.flush();
        }

        static Sweep sweep() {
            return TinySweep.four()
                    .over(LearningRate.logspace(-3, -2, 5))
                    .over(Seeds.of(1, 2, 3, 4))
                    .examples(400, 64)
                    .epochs(EPOCHS);
        }
    }

    @Test
    void everyTrialOfASweepThatIsKilledManyTimesEndsOnceWithTheResultsOfOneThatIsNot()
            throws IOException, InterruptedException {
        long start = System.nanoTime();
        var calm = ChildJvm.of(scratch, Child.class.getName(), undisturbed.toString()).run();
        assertThat(calm.err()).isEmpty();
        double calmSeconds = (System.nanoTime() - start) / 1e9;
        var random = new Random(SEED);
        List<String> said = new ArrayList<>();
        int kills = 0;
        boolean ended = false;
        while (!ended) {
            var child = ChildJvm.of(scratch, Child.class.getName(), folder.toString());
            Process process = child.start();
            if (kills < KILLS) {
                live(random, process, child);
                if (process.isAlive()) {
                    process.destroyForcibly();
                    kills++;
                }
            }
            var outcome = child.await(process);
            assertThat(outcome.err()).isEmpty();
            outcome.out().lines().forEach(said::add);
            ended = outcome.exitCode() == 0;
            assertThat(outcome.exitCode()).isIn(0, 137);
        }
        assertThat(said.getLast()).isEqualTo("end");
        assertThat(kills).as("kills before the sweep ended").isEqualTo(KILLS);
        assertThat(said)
                .as("a trial that went on")
                .anyMatch(line -> line.matches("started [1-9].*"));
        assertThat(TinySweep.results(folder))
                .hasSize(TRIALS)
                .isEqualTo(TinySweep.results(undisturbed))
                .allSatisfy(
                        (id, values) -> assertThat(values.getFirst()).isEqualTo(TrialStatus.DONE));
        Map<String, Integer> ends = new HashMap<>();
        said.stream()
                .filter(line -> line.startsWith("DONE true "))
                .forEach(line -> ends.merge(line.substring(10), 1, Integer::sum));
        assertThat(ends.values()).as("how often each trial was stored").containsOnly(1);
        assertThat(said).noneMatch(line -> line.startsWith("FAILED") || line.contains(" false "));
        int unsaid = TRIALS - ends.size();
        assertThat(unsaid)
                .as("stored, but killed before that was said")
                .isLessThanOrEqualTo(2 * KILLS);
        record(said, kills, unsaid, calmSeconds, (System.nanoTime() - start) / 1e9 - calmSeconds);
    }

    /**
     * Waits until a child has finished a random number of epochs, few enough that the sweep cannot end before the last kill, and
     * then a random time; one child in ten hardly lives until its first trial.
     */
    private static void live(Random random, Process process, ChildJvm child)
            throws IOException, InterruptedException {
        int epochs =
                random.nextInt(10) == 0 ? -1 : random.nextInt(2 * TRIALS * EPOCHS / KILLS * 3 / 4);
        int delay = random.nextInt(MOST_DELAY_MILLIS);
        while (process.isAlive()
                && child.printed().lines().filter(line -> line.startsWith("epoch")).count()
                        < epochs) {
            Thread.sleep(5);
        }
        process.waitFor(delay, TimeUnit.MILLISECONDS);
    }

    private static void record(
            List<String> said, int kills, int unsaid, double calmSeconds, double seconds)
            throws IOException {
        String file = System.getProperty("panthera.tests.kills.record", "");
        if (file.isEmpty()) {
            return;
        }
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("test", "kill -9 of a sweep's process at random moments");
        line.put("trials", TRIALS);
        line.put("slots", 2);
        line.put("kills", kills);
        line.put("seed", SEED);
        line.put("trial_starts", said.stream().filter(l -> l.startsWith("started")).count());
        line.put(
                "resumed_from_checkpoint",
                said.stream()
                        .filter(l -> l.startsWith("started") && !l.startsWith("started 0"))
                        .count());
        line.put("ended_exactly_once", TRIALS);
        line.put("stored_but_killed_before_the_report", unsaid);
        line.put("results_bitwise_equal", true);
        line.put("undisturbed_seconds", Math.round(10 * calmSeconds) / 10.0);
        line.put("seconds", Math.round(10 * seconds) / 10.0);
        Files.writeString(
                Path.of(file),
                JsonMapper.shared().writeValueAsString(line) + "\n",
                StandardOpenOption.CREATE,
                StandardOpenOption.APPEND);
    }
}
