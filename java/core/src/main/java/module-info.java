/** Recall in efficient language models: tasks, sequence mixers, models, training and the command line. */
module dev.panthera {
    requires transitive dev.panthera.kernels;
    requires info.picocli;
    requires java.management;
    requires static transitive org.jspecify;
    requires tools.jackson.databind;
    requires tools.jackson.dataformat.yaml;

    exports dev.panthera;
    exports dev.panthera.bench;
    exports dev.panthera.cli;
    exports dev.panthera.io;
    exports dev.panthera.mixer;
    exports dev.panthera.model;
    exports dev.panthera.nn;
    exports dev.panthera.parity;
    exports dev.panthera.random;
    exports dev.panthera.sweep;
    exports dev.panthera.task;
    exports dev.panthera.tensor;
    exports dev.panthera.train;

    opens dev.panthera.cli to
            info.picocli;

    uses dev.panthera.sweep.EngineProvider;

    provides dev.panthera.sweep.EngineProvider with
            dev.panthera.sweep.FilesEngineProvider,
            dev.panthera.sweep.SlurmEngineProvider;
}
