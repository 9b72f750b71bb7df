package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.bench.WrongResultException;
import dev.panthera.kernels.KernelException;
import dev.panthera.train.DivergedException;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import picocli.CommandLine.MissingParameterException;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** Turns what went wrong into one line and an exit code. */
final class Failures {
    private Failures() {}

    /** Prints the line, and the stack trace if asked for; returns the exit code. */
    static int report(Throwable failure, PrintStream err, boolean stacktrace) {
        Streams.line(err, "panthera: %s", message(failure).strip().replaceAll("\\s*\\R\\s*", " "));
        if (stacktrace) {
            failure.printStackTrace(err);
        }
        return failure instanceof UserException || failure instanceof ParameterException
                ? Panthera.USER_ERROR
                : Panthera.FAILURE;
    }

    private static String message(Throwable failure) {
        return switch (failure) {
            case UserException known -> known.getMessage();
            case KernelException known -> known.getMessage();
            case DivergedException known -> known.getMessage();
            case WrongResultException known -> known.getMessage();
            case OutOfMemoryError known ->
                    "out of memory (%s): use a smaller model, batch or number of examples"
                            .formatted(known.getMessage());
            case ParameterException wrong -> describe(wrong) + helpHint(wrong);
            default -> "unexpected %s; --stacktrace tells where".formatted(failure);
        };
    }

    private static String describe(ParameterException failure) {
        return switch (failure) {
            case UnmatchedArgumentException unknown -> unknown(unknown);
            case MissingParameterException missing -> missing(missing);
            default -> {
                ArgSpec argument = failure.getArgSpec();
                String value = failure.getValue();
                yield argument == null || value == null
                        ? failure.getMessage()
                        : "%s %s: it must be %s"
                                .formatted(name(argument), value, expected(argument));
            }
        };
    }

    private static String unknown(UnmatchedArgumentException failure) {
        String argument = failure.getUnmatched().getFirst();
        List<String> similar = failure.getSuggestions();
        String kind = argument.startsWith("-") ? "option" : "command or argument";
        return "%s: there is no such %s".formatted(argument, kind)
                + (similar.isEmpty()
                        ? ""
                        : "; did you mean "
                                + Text.alternatives(similar.stream().limit(3).toList())
                                + "?");
    }

    private static String missing(MissingParameterException failure) {
        List<ArgSpec> missing = failure.getMissing();
        if (missing.isEmpty()) {
            return failure.getMessage();
        }
        ArgSpec first = missing.getFirst();
        return first.isOption()
                ? "%s: its value %s is missing".formatted(name(first), first.paramLabel())
                : "%s is missing".formatted(first.paramLabel());
    }

    private static String name(ArgSpec argument) {
        return argument instanceof OptionSpec option ? option.longestName() : argument.paramLabel();
    }

    private static String expected(ArgSpec argument) {
        Class<?> type = argument.isMultiValue() ? argument.auxiliaryTypes()[0] : argument.type();
        if (type.isEnum()) {
            return Text.alternatives(
                    Arrays.stream(type.getEnumConstants())
                            .map(constant -> constant.toString().toLowerCase(Locale.ROOT))
                            .collect(Collectors.toList()));
        } else if (type == Integer.class || type == int.class) {
            return "a whole number below 2^31";
        } else if (type == Long.class || type == long.class) {
            return "a whole number";
        }
        if (type == Boolean.class || type == boolean.class) {
            return "true or false";
        }
        return type == Double.class || type == double.class
                ? "a number"
                : "as in " + argument.paramLabel();
    }

    private static String helpHint(ParameterException failure) {
        return "  (%s --help)".formatted(failure.getCommandLine().getCommandSpec().qualifiedName());
    }
}
