package dev.panthera.compare;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.UserException;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.Mixers;
import dev.panthera.train.Presets;
import dev.panthera.train.TrainConfig;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

/** Steps that take as long as the test says, by a clock that nothing else moves. */
class StepTimerTest {
    private static final double NO_LIMIT = Double.POSITIVE_INFINITY;

    private long now;
    private final List<String> calls = new ArrayList<>();
    private final Map<String, Integer> open = new HashMap<>();
    private boolean stop;

    private static ComparisonPlan plan(List<Integer> lengths, String... mixers) {
        Map<String, MixerConfig> configs = new LinkedHashMap<>();
        for (String mixer : mixers) {
            configs.put(mixer, Mixers.SEQUENCE.named(mixer));
        }
        return new ComparisonPlan(
                Presets.named(Presets.DEFAULT), configs, List.of(1e-3), lengths, 512);
    }

    /** Steps of so many milliseconds, by mixer and length. */
    private StepTimer timer(Function<String, Long> milliseconds) {
        return new StepTimer(config -> step(config, milliseconds), () -> now, () -> stop);
    }

    private TimedStep step(TrainConfig config, Function<String, Long> milliseconds) {
        String name = config.model().mixerLabel() + "-" + config.data().maxLength();
        open.merge(name, 1, Integer::sum);
        return new TimedStep() {
            @Override
            public void run() {
                calls.add(name);
                now += 1_000_000 * milliseconds.apply(name);
            }

            @Override
            public long deviceBytes() {
                return 1000;
            }

            @Override
            public long stateBytes() {
                return 7;
            }

            @Override
            public void close() {
                open.merge(name, -1, Integer::sum);
            }
        };
    }

    @Test
    void eachMixerHasTheMedianOfItsOwnSteps() {
        var timer = timer(name -> name.startsWith("attention") ? 20L : 50L);

        List<StepCost> costs =
                timer.time(plan(List.of(64, 128), "attention", "hyena"), NO_LIMIT, heard -> {})
                        .costs();

        assertThat(costs)
                .extracting(StepCost::mixer, StepCost::length, StepCost::rows)
                .containsExactly(
                        tuple("attention", 64, 8),
                        tuple("hyena", 64, 8),
                        tuple("attention", 128, 4),
                        tuple("hyena", 128, 4));
        assertThat(costs.get(0).medianSeconds()).isCloseTo(0.020, within(1e-9));
        assertThat(costs.get(1).medianSeconds()).isCloseTo(0.050, within(1e-9));
        assertThat(costs.get(3).tokensPerSecond()).isCloseTo(512 / 0.050, within(1e-6));
        assertThat(costs.get(3).deviceBytes()).isEqualTo(1000);
        assertThat(costs.get(3).stateBytes()).isEqualTo(7);
        assertThat(open.values()).containsOnly(0);
    }

    @Test
    void theMixersTakeTurns() {
        timer(name -> 100L).time(plan(List.of(64), "attention", "hyena"), NO_LIMIT, heard -> {});

        assertThat(calls).hasSizeGreaterThan(10);
        for (int i = 0; i < calls.size(); i++) {
            assertThat(calls.get(i)).isEqualTo(i % 2 == 0 ? "attention-64" : "hyena-64");
        }
    }

    @Test
    void warmingUpDoesNotCount() {
        // The first 10 steps are slow, as those of a JVM that still compiles.
        var timer = timer(name -> calls.size() <= 10 ? 90L : 10L);

        var cost =
                timer.time(plan(List.of(64), "attention"), NO_LIMIT, heard -> {})
                        .costs()
                        .getFirst();

        assertThat(cost.medianSeconds()).isCloseTo(0.010, within(1e-9));
        assertThat(cost.highSeconds()).isCloseTo(0.010, within(1e-9));
    }

    @Test
    void aDisturbedStepMovesNeitherMedianNorQuartiles() {
        var timer = timer(name -> calls.size() % 10 == 0 ? 5_000L : 10L);

        var cost =
                timer.time(plan(List.of(64), "attention"), NO_LIMIT, heard -> {})
                        .costs()
                        .getFirst();

        assertThat(cost.medianSeconds()).isCloseTo(0.010, within(1e-9));
        assertThat(cost.lowSeconds()).isCloseTo(0.010, within(1e-9));
        assertThat(cost.highSeconds()).isCloseTo(0.010, within(1e-9));
    }

    @Test
    void aMixerThatFailsIsNamedAndTheOthersGoOn() {
        var timer =
                timer(name -> {
                    if (name.equals("hyena-128")) {
                        throw new UserException("too little memory; use a smaller batch");
                    }
                    return 10L;
                });

        List<StepCost> costs =
                timer.time(plan(List.of(64, 128, 256), "attention", "hyena"), NO_LIMIT, heard -> {})
                        .costs();

        assertThat(costs)
                .extracting(StepCost::mixer)
                .containsExactly("attention", "hyena", "attention", "hyena", "attention");
        assertThat(costs.get(3).failure()).isEqualTo("too little memory; use a smaller batch");
        assertThat(costs.stream().filter(StepCost::measured)).hasSize(4);
        assertThat(open.values()).containsOnly(0);
    }

    @Test
    void aMixerThatDoesNotFitBesideTheOthersIsTimedAlone() {
        var timer =
                timer(name -> {
                    boolean beside = open.values().stream().mapToInt(count -> count).sum() > 1;
                    if (name.startsWith("hyena") && beside) {
                        throw new UserException("too little memory");
                    }
                    return 10L;
                });

        List<StepCost> costs =
                timer.time(plan(List.of(64), "attention", "hyena"), NO_LIMIT, heard -> {}).costs();

        assertThat(costs).allMatch(StepCost::measured);
    }

    @Test
    void noLengthIsBegunForWhichThereIsNoTime() {
        List<Integer> heard = new ArrayList<>();

        var timed =
                timer(name -> 1_000L)
                        .time(
                                plan(List.of(64, 128, 256), "attention"),
                                20,
                                costs -> heard.add(costs.getFirst().length()));

        assertThat(heard).containsExactly(64);
        assertThat(timed.leftOut()).containsExactly(128, 256);
    }

    @Test
    void aRequestToStopEndsItAfterTheStep() {
        var timer =
                timer(name -> {
                    stop = calls.size() == 3;
                    return 10L;
                });

        timer.time(plan(List.of(64, 128), "attention", "hyena"), NO_LIMIT, heard -> {});

        assertThat(calls).hasSize(3);
        assertThat(open.values()).containsOnly(0);
    }
}
