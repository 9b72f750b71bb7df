package dev.panthera.task;

import dev.panthera.NamedConfigs;

/** The tasks that can be asked for by name, with their usual options. */
public final class Tasks {
    /** All of them. */
    public static final NamedConfigs<TaskConfig> ALL =
            new NamedConfigs<TaskConfig>("task", TaskConfig.class)
                    .with("mqar", Mqar.of(64, 4))
                    .with("continuous-mqar", ContinuousMqar.of(8));

    private Tasks() {}
}
