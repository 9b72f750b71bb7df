package dev.panthera.sweep;

import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.UUID;

/**
 * A process that works on trials. Where it can be asked whether it lives, that decides; elsewhere it must have been heard of lately.
 *
 * @param id of this process' work, never used again
 * @param place machine, its start and its space of process numbers: where the number means something
 * @param pid number of the process
 * @param started when the process began, in milliseconds since 1970; 0 if unknown
 */
record Owner(String id, String place, long pid, long started) {
    /** By how much the system's answers about one process may differ when its clock is set. */
    private static final long CLOCK_MILLIS = 10_000;

    /** This process. */
    static Owner self() {
        var process = ProcessHandle.current();
        return new Owner(UUID.randomUUID().toString(), here(), process.pid(), started(process));
    }

    /** Whether it can be asked whether it lives. */
    boolean isNear() {
        return place.equals(here());
    }

    /** Whether it lives, be it asleep; for one that is near. */
    boolean isAlive() {
        return ProcessHandle.of(pid)
                .filter(ProcessHandle::isAlive)
                .filter(process -> Math.abs(started(process) - started) < CLOCK_MILLIS)
                .filter(process -> !isZombie(pid))
                .isPresent();
    }

    /** Whether it has ended and only its number is kept, for a parent that has not asked how it ended. */
    private static boolean isZombie(long pid) {
        String state = read(Path.of("/proc", Long.toString(pid), "stat"));
        return state.substring(state.lastIndexOf(')') + 1).stripLeading().startsWith("Z");
    }

    private static long started(ProcessHandle process) {
        return process.info().startInstant().map(Instant::toEpochMilli).orElse(0L);
    }

    private static String here() {
        return String.join(
                " ",
                host(),
                read(Path.of("/proc/sys/kernel/random/boot_id")),
                link(Path.of("/proc/self/ns/pid")));
    }

    private static String host() {
        try {
            return InetAddress.getLocalHost().getHostName();
        } catch (IOException unknown) {
            return "?";
        }
    }

    private static String read(Path file) {
        try {
            return Files.readString(file).strip();
        } catch (IOException absent) {
            return "?";
        }
    }

    private static String link(Path file) {
        try {
            return Files.readSymbolicLink(file).toString();
        } catch (IOException | UnsupportedOperationException absent) {
            return "?";
        }
    }
}
