package dev.panthera.cli;

import java.io.PrintStream;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.regex.Pattern;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The program: chooses the command, runs it, and turns what goes wrong into one line and an exit code. */
@Command(
        name = "panthera",
        synopsisSubcommandLabel = "COMMAND",
        description = "Studies recall in efficient language models.",
        footer = {"", "panthera COMMAND --help tells more about a command."})
public final class Panthera implements Runnable {
    static final int OK = 0;
    static final int FAILURE = 1;
    static final int USER_ERROR = 2;
    static final int INTERRUPTED = 130;

    private static final List<String> COMMANDS =
            List.of(
                    "train",
                    "eval",
                    "compare",
                    "run",
                    "run-trial",
                    "ls",
                    "show",
                    "export",
                    "report",
                    "data",
                    "tasks",
                    "mixers",
                    "bench",
                    "parity",
                    "doctor");

    /** {@code --model.d_model=128} is short for {@code --set model.d_model=128}. */
    private static final Pattern DOTTED =
            Pattern.compile("--([a-z]\\w*(?:\\.[\\w*]+)+)(?:=(.*))?", Pattern.DOTALL);

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            scope = ScopeType.INHERIT,
            description = "Prints this help.")
    private boolean help;

    @Option(
            names = {"-V", "--version"},
            versionHelp = true,
            description = "Prints the version.")
    private boolean version;

    @Option(
            names = "--stacktrace",
            scope = ScopeType.INHERIT,
            description = "Prints where an error comes from.")
    private boolean stacktrace;

    @Spec private CommandSpec spec;

    private Panthera() {}

    /** Runs the program and ends the JVM with its exit code. */
    public static void main(String[] args) {
        System.exit(run(args, systemStreams()));
    }

    /**
     * Runs the program.
     *
     * @return the exit code: 0, 1 if something failed, 2 if the user can mend it, 130 if it was interrupted
     */
    public static int run(String[] args, PrintStream out, PrintStream err) {
        return run(args, new Streams(out, err, false));
    }

    /** Where the commands of the current thread write; unbound in an experiment that was started without this program. */
    private static final ScopedValue<Streams> STREAMS = ScopedValue.newInstance();

    /** Runs something whose output belongs to these streams. */
    static <T> T with(Streams streams, Callable<T> action) throws Exception {
        return ScopedValue.where(STREAMS, streams).call(action::call);
    }

    /** Runs one command outside the program's list of them. */
    static int execute(Function<Streams, CommandLine> command, String... args) {
        Streams streams = STREAMS.orElse(systemStreams());
        boolean stacktrace = List.of(args).contains("--stacktrace");
        try {
            return configured(command.apply(streams), streams, () -> stacktrace).execute(args);
        } finally {
            streams.out().flush();
            streams.err().flush();
        }
    }

    private static Streams systemStreams() {
        var console = System.console();
        boolean terminal =
                console != null && console.isTerminal() && !"dumb".equals(System.getenv("TERM"));
        return new Streams(System.out, System.err, terminal);
    }

    private static int run(String[] args, Streams streams) {
        if (args.length == 1 && (args[0].equals("--version") || args[0].equals("-V"))) {
            streams.line("%s", Version.line());
            return OK;
        }
        var program = new Panthera();
        try {
            return commandLine(program, args, streams).execute(expandDotted(args));
        } catch (Error failure) { // of an experiment, or out of memory
            return Failures.report(failure, streams.err(), program.stacktrace);
        } finally {
            streams.out().flush();
            streams.err().flush();
        }
    }

    private static CommandLine commandLine(Panthera program, String[] args, Streams streams) {
        var commandLine = new CommandLine(program);
        commandLine.getCommandSpec().version(Version.line());
        for (String name : commands(args)) {
            commandLine.addSubcommand(name, command(name, streams));
        }
        return configured(commandLine, streams, () -> program.stacktrace);
    }

    private static CommandLine configured(
            CommandLine commandLine, Streams streams, BooleanSupplier stacktrace) {
        return commandLine
                .setOut(new PrintWriter(streams.out(), true))
                .setErr(new PrintWriter(streams.err(), true))
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setExpandAtFiles(false)
                .setOverwrittenOptionsAllowed(true)
                .setUsageHelpWidth(100)
                .setUsageHelpLongOptionsMaxWidth(30)
                .setParameterExceptionHandler((failure, arguments) ->
                        Failures.report(
                                failure,
                                streams.err(),
                                List.of(arguments).contains("--stacktrace")))
                .setExecutionExceptionHandler((failure, command, parsed) ->
                        Failures.report(failure, streams.err(), stacktrace.getAsBoolean()));
    }

    /** The one command that is asked for, since reading the options of all takes longer; all of them otherwise. */
    private static List<String> commands(String[] args) {
        return args.length > 0 && COMMANDS.contains(args[0]) ? List.of(args[0]) : COMMANDS;
    }

    private static Object command(String name, Streams streams) {
        return switch (name) {
            case "train" -> TrainCommand.commandLine(streams);
            case "run-trial" -> new RunTrialCommand(streams);
            case "eval" -> EvalCommand.commandLine(streams);
            case "compare" -> CompareCommand.commandLine(streams);
            case "run" -> new RunCommand(streams);
            case "ls" -> new LsCommand(streams);
            case "show" -> new ShowCommand(streams);
            case "export" -> new ExportCommand(streams);
            case "report" -> new ReportCommand(streams);
            case "data" -> DataCommand.commandLine(streams);
            case "tasks" -> new TasksCommand(streams);
            case "mixers" -> new MixersCommand(streams);
            case "bench" -> BenchCommand.commandLine(streams);
            case "parity" -> new ParityCommand(streams);
            case "doctor" -> new DoctorCommand(streams);
            default -> throw new IllegalArgumentException(name);
        };
    }

    private static String[] expandDotted(String[] args) {
        List<String> expanded = new ArrayList<>();
        for (int i = 0; i < args.length; i++) {
            var dotted = DOTTED.matcher(args[i]);
            if (!dotted.matches()) {
                expanded.add(args[i]);
            } else if (dotted.group(2) == null
                    && i + 1 < args.length
                    && !args[i + 1].startsWith("--")) {
                expanded.addAll(List.of("--set", dotted.group(1) + "=" + args[++i]));
            } else {
                expanded.addAll(List.of("--set", args[i].substring(2)));
            }
        }
        return expanded.toArray(String[]::new);
    }

    /** Without a command, there is nothing to do but to tell which ones exist. */
    @Override
    public void run() {
        spec.commandLine().usage(spec.commandLine().getOut());
    }
}
