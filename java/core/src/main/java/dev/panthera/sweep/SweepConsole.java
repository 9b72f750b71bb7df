package dev.panthera.sweep;

import java.util.List;

/** Carries a sweep out as a user asks on a command line; found by {@link java.util.ServiceLoader}. */
public interface SweepConsole {

    /** Does what the arguments say and returns the exit code of the program. */
    int run(Sweep sweep, List<String> arguments);
}
