package dev.panthera.compare;

import dev.panthera.mixer.MixerConfig;
import dev.panthera.task.DataSegment;
import dev.panthera.task.Filler;
import dev.panthera.task.Mqar;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.TrainConfig;
import java.util.List;

/**
 * The configurations whose steps are timed: the compared models on MQAR rows of a length, whatever the task. A sixteenth of the
 * positions is asked and the vocabulary is the same at all lengths, so that the vocabulary head costs the same at each, and what
 * differs between lengths comes from the mixers.
 */
final class StepConfigs {
    private static final int POSITIONS_A_PAIR = 16;

    private StepConfigs() {}

    /** Rows of a batch at a length, at least one. */
    static int rows(ComparisonPlan plan, int length) {
        return plan.tokens() / length;
    }

    static TrainConfig at(ComparisonPlan plan, String mixer, int length) {
        int rows = rows(plan, length);
        var task =
                Mqar.of(length, length / POSITIONS_A_PAIR)
                        .withVocabSize(vocabulary(plan))
                        .withFiller(Filler.ZERO);
        var data = List.of(new DataSegment(task, rows));
        MixerConfig config = plan.mixers().get(mixer);
        return ConfigDraft.of(plan.base())
                .set("model.mixer", config)
                .set("model.positions", config.needsPositions())
                .set("data.train", data)
                .set("data.validation", data)
                .set("data.test", data)
                .set("data.batch", rows)
                .set("data.test_batch", rows)
                .toConfig();
    }

    /** As large as the longest rows need, and no smaller than the task's. */
    private static int vocabulary(ComparisonPlan plan) {
        int longest = plan.lengths().getLast();
        return Math.max(plan.base().data().vocabSize(), 2 * longest);
    }
}
