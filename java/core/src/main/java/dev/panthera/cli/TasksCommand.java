package dev.panthera.cli;

import dev.panthera.task.Tasks;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code panthera tasks}: what can be learned. */
@Command(name = "tasks", description = "Lists the tasks, with their options and usual values.")
final class TasksCommand implements Runnable {
    private final Streams streams;

    @Option(names = "--json", description = "Prints a JSON object a line.")
    private boolean json;

    TasksCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public void run() {
        var list = KindList.of(streams);
        if (json) {
            list.printJson(Tasks.ALL, "task");
            return;
        }
        list.print(Tasks.ALL);
        streams.line("");
        streams.line("panthera data NAME --help     names the options that set these");
        streams.line("panthera data NAME            prints rows");
        streams.line("panthera train --task NAME    learns it");
    }
}
