package dev.panthera.cli;

import dev.panthera.task.Tasks;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code panthera data}: a command for each task, which prints its rows. */
@Command(
        name = "data",
        synopsisSubcommandLabel = "TASK",
        description = "Prints or writes the rows of a task.")
final class DataCommand implements Runnable {
    @Spec private CommandSpec spec;

    private DataCommand() {}

    static CommandLine commandLine(Streams streams) {
        var commandLine = new CommandLine(new DataCommand());
        for (String task : Tasks.ALL.names()) {
            commandLine.addSubcommand(task, TaskDataCommand.commandLine(streams, task));
        }
        return commandLine;
    }

    /** Without a task, there is nothing to do but to tell which ones exist. */
    @Override
    public void run() {
        spec.commandLine().usage(spec.commandLine().getOut());
    }
}
