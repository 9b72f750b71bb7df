package dev.panthera.spark;

import dev.panthera.UserException;
import java.util.regex.Pattern;

/** Spark's failures as one line each. */
final class Messages {
    private static final int LONGEST = 500;
    private static final Pattern JOB = Pattern.compile("(?s).*most recent failure: (.*)");

    private Messages() {}

    /** The innermost message of Spark's own, without the stack traces that it contains. */
    static String firstLine(Throwable failure) {
        String text = failure.getMessage() == null ? failure.toString() : failure.getMessage();
        var job = JOB.matcher(text);
        String relevant = job.matches() ? job.group(1) : text;
        String line = relevant.lines().findFirst().orElse(failure.toString()).strip();
        return line.length() <= LONGEST ? line : line.substring(0, LONGEST) + "...";
    }

    /**
     * Refuses a cluster on which no trial can ever run.
     *
     * @throws UserException if a job failed because the executors' Java cannot read this program's classes
     */
    static void requireNewJava(String master, Throwable failure) {
        if (String.valueOf(failure.getMessage()).contains("UnsupportedClassVersionError")) {
            throw new UserException(
                    "--master %s: the workers' Java is too old for Panthera; start them with JDK 25.0.3 or newer (JAVA_HOME in conf/spark-env.sh)"
                            .formatted(master),
                    failure);
        }
    }

    /** Why a job ended without an outcome. */
    static UserException lost(Throwable failure) {
        return new UserException(
                "the cluster lost the trial and gave it up: %s; see the executors' logs, and give a trial more memory if they were killed"
                        .formatted(firstLine(failure)),
                failure);
    }
}
