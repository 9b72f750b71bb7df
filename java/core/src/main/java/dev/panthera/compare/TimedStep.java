package dev.panthera.compare;

import dev.panthera.train.DeviceChoice;
import dev.panthera.train.RepeatedStep;
import dev.panthera.train.TrainConfig;

/** A training step that can be made again and again. */
interface TimedStep extends AutoCloseable {

    /** Makes the step and waits until it is done. */
    void run();

    /** See {@link StepCost#deviceBytes()}. */
    long deviceBytes();

    /** See {@link StepCost#stateBytes()}. */
    long stateBytes();

    @Override
    void close();

    /** Makes steps of configurations. */
    @FunctionalInterface
    interface Factory {
        /** @throws dev.panthera.UserException if the model does not fit, or the device failed */
        TimedStep of(TrainConfig config);
    }

    /** Steps on a device, each on a handle of its own. */
    static Factory on(DeviceChoice device) {
        return config -> new OnDevice(new RepeatedStep(config, device.open().device()));
    }

    /** A step that a device makes. */
    record OnDevice(RepeatedStep step) implements TimedStep {
        @Override
        public void run() {
            step.run();
        }

        @Override
        public long deviceBytes() {
            return step.deviceBytes();
        }

        @Override
        public long stateBytes() {
            return step.stateBytes();
        }

        @Override
        public void close() {
            step.close();
        }
    }
}
