package dev.panthera.sweep;

import dev.panthera.train.ConfigFile;
import dev.panthera.train.EpochReport;
import dev.panthera.train.RunInfo;
import dev.panthera.train.TrainListener;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * News of a trial that runs elsewhere, as a line of text: either it has begun, or an epoch has ended.
 *
 * @param info of the run, when it begins or goes on
 * @param epoch that has ended
 */
public record ProgressLine(@Nullable RunInfo info, @Nullable EpochReport epoch) {

    /** A listener that turns what it hears into lines of JSON. */
    public static TrainListener writer(Consumer<String> lines) {
        return new TrainListener() {
            @Override
            public void started(RunInfo info) {
                lines.accept(ConfigFile.toJsonLine(new ProgressLine(info, null)));
            }

            @Override
            public void epochEnded(EpochReport report) {
                lines.accept(ConfigFile.toJsonLine(new ProgressLine(null, report)));
            }
        };
    }

    /**
     * Reads what {@link #writer} wrote.
     *
     * @throws dev.panthera.UserException if it is no such line
     */
    public static ProgressLine fromJson(String json) {
        return ConfigFile.fromJson(json, ProgressLine.class);
    }

    /** Tells a queue of it; of a run that goes on, its earlier epochs too, which may not have been heard when they ended. */
    public void tell(TrialQueue queue, String id) {
        if (info != null) {
            queue.started(id, info);
            info.history().forEach(earlier -> queue.epochEnded(id, earlier));
        }
        if (epoch != null) {
            queue.epochEnded(id, epoch);
        }
    }
}
