package dev.panthera.cli;

import picocli.CommandLine.Command;

/** {@code panthera tasks}: what can be learnt. */
@Command(name = "tasks", description = "Lists the tasks.")
final class TasksCommand implements Runnable {
    private final Streams streams;

    TasksCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public void run() {
        streams.line(
                "mqar    multi-query associative recall: key-value pairs, then the keys, each to be answered");
        streams.line(
                "        with its value; --length even and at least 2 pairs (passes + 1), --vocab above --length");
        streams.line("        (panthera data mqar prints rows)");
    }
}
