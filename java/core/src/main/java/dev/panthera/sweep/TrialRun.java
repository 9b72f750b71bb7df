package dev.panthera.sweep;

import dev.panthera.UserException;
import dev.panthera.train.Checkpoint;
import dev.panthera.train.DeviceChoice;
import dev.panthera.train.EpochReport;
import dev.panthera.train.RunInfo;
import dev.panthera.train.RunOptions;
import dev.panthera.train.StepReport;
import dev.panthera.train.TrainListener;
import dev.panthera.train.TrainResult;
import dev.panthera.train.Trainer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/** Carries one trial out on this machine: what every engine ends in. */
public final class TrialRun {
    private TrialRun() {}

    /**
     * Trains a trial's model, from its checkpoint if its folder has one. Whatever goes wrong with the trial is an outcome, not an
     * exception.
     *
     * @param stopRequested asked before each step; once true the trial is interrupted
     * @throws UserException if its folder cannot be written, for example because the disk is full: other trials would fare no
     *     better, and this one can go on later
     * @throws VirtualMachineError if the JVM itself fails
     */
    public static TrialOutcome run(
            TrialOrder order, BooleanSupplier stopRequested, TrainListener listener) {
        var heard = new Heard(listener);
        try {
            return outcome(
                    order.id(),
                    Trainer.run(order.config(), options(order, stopRequested), heard),
                    heard);
        } catch (VirtualMachineError failure) {
            if (failure instanceof OutOfMemoryError || failure instanceof StackOverflowError) {
                return Failure.of(order.id(), heard.device, heard.epochs, failure);
            }
            throw failure;
        } catch (UserException failure) {
            if (failure.getCause() instanceof IOException) {
                throw failure;
            }
            return Failure.of(order.id(), heard.device, heard.epochs, failure);
        } catch (RuntimeException | Error failure) {
            return Failure.of(order.id(), heard.device, heard.epochs, failure);
        }
    }

    private static RunOptions options(TrialOrder order, BooleanSupplier stopRequested) {
        Path folder = order.folder() == null ? null : Path.of(order.folder());
        boolean resume = folder != null && Files.isRegularFile(folder.resolve(Checkpoint.FILE));
        return new RunOptions(
                new DeviceChoice(order.device(), order.threads()),
                folder,
                resume,
                stopRequested,
                null,
                order.tracking().sinks(runName(order), TrialRun::ignore));
    }

    /** A name that is a folder's, too. */
    private static String runName(TrialOrder order) {
        return (order.label() + " " + order.id()).replaceAll("[^A-Za-z0-9._=-]+", "_");
    }

    /** A tracking server that fails stops nothing, and a warning for each of many trials would tell no more than that. */
    private static void ignore(String warning) {}

    private static TrialOutcome outcome(String id, TrainResult result, Heard heard) {
        boolean interrupted = result.ending() == TrainResult.Ending.INTERRUPTED;
        return new TrialOutcome(
                id,
                interrupted ? TrialStatus.WAITING : TrialStatus.DONE,
                heard.device,
                result.ending(),
                result.test(),
                result.history(),
                result.parameters(),
                result.stateBytes(),
                result.totalSeconds(),
                null,
                null);
    }

    /** Keeps what is needed to tell of a run that fails. */
    private static final class Heard implements TrainListener {
        private final TrainListener listener;
        private final List<EpochReport> epochs = new ArrayList<>();
        private @Nullable String device;

        Heard(TrainListener listener) {
            this.listener = listener;
        }

        @Override
        public void started(RunInfo info) {
            device = info.device();
            epochs.addAll(info.history());
            listener.started(info);
        }

        @Override
        public void stepped(StepReport report) {
            listener.stepped(report);
        }

        @Override
        public void epochEnded(EpochReport report) {
            epochs.add(report);
            listener.epochEnded(report);
        }
    }
}
