package dev.panthera.train;

import dev.panthera.UserException;
import dev.panthera.kernels.KernelException;

/** Runs that a device has no memory for, then one that it has; prints what came of each. Run by CudaFaultTest. */
final class FullDevice {
    private FullDevice() {}

    /**
     * With 40 MiB, the first finds no memory for its parameters, the second none for their gradients, the third none for the
     * optimizer, the fourth none for the tensors of a step.
     */
    public static void main(String[] args) {
        train("model.d_model=1024");
        train("model.d_model=600");
        train("model.d_model=430");
        train("model.d_model=380");
        train();
    }

    private static void train(String... settings) {
        String[] all = new String[settings.length + 1];
        all[0] = "epochs=1";
        System.arraycopy(settings, 0, all, 1, settings.length);
        var options = new RunOptions(new DeviceChoice("cuda:0", 0), null, false, () -> false);
        try {
            Trainer.run(TinyRuns.config(all), options, TrainListener.SILENT);
            System.out.println("trained");
        } catch (UserException full) {
            if (!(full.getCause() instanceof KernelException.OutOfMemory cause)
                    || cause.getSuppressed().length != 0) {
                throw full;
            }
            System.out.println("full");
        }
    }
}
