package dev.panthera.sweep;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** munged, slurmctld and slurmd for one node on the loopback interface, with files and ports of their own. */
final class OneNodeSlurm implements AutoCloseable {
    /** Only against a test that would hang for ever. */
    private static final long LIMIT_NANOS = TimeUnit.SECONDS.toNanos(120);

    private final Path folder;
    private final Path bin;
    private final List<Process> daemons = new ArrayList<>();

    private OneNodeSlurm(Path folder) throws IOException {
        this.folder = folder;
        bin = Files.createDirectory(folder.resolve("bin"));
    }

    /** Starts it; the test is skipped where it is not installed, or may not run. */
    static OneNodeSlurm startOrSkip(Path folder) throws IOException, InterruptedException {
        for (String name : List.of("munged", "slurmctld", "slurmd", "sbatch")) {
            assumeTrue(
                    find(name) != null, "Slurm is not installed: apt-get install slurm-wlm munge");
        }
        assumeTrue(
                "root".equals(System.getProperty("user.name")),
                "slurmd starts jobs only as root: run the tests as root, in a container for example");
        var slurm = new OneNodeSlurm(folder);
        try {
            slurm.start();
            return slurm;
        } catch (IOException | InterruptedException | RuntimeException | Error failure) {
            slurm.close();
            throw failure;
        }
    }

    /** Folder with sbatch, squeue and scancel of this cluster. */
    Path commands() {
        return bin;
    }

    private void start() throws IOException, InterruptedException {
        Path munge = secret("munge");
        byte[] key = new byte[1024];
        new SecureRandom().nextBytes(key);
        Files.write(munge.resolve("key"), key);
        Files.setPosixFilePermissions(
                munge.resolve("key"), PosixFilePermissions.fromString("rw-------"));
        String host = InetAddress.getLocalHost().getHostName().split("\\.")[0];
        writeConfiguration(host);
        for (String name : List.of("sbatch", "squeue", "scancel", "sinfo")) {
            writeCommand(name);
        }
        daemon(
                "munged",
                "--foreground",
                "--force",
                "--key-file=" + munge.resolve("key"),
                "--socket=" + munge.resolve("socket"),
                "--pid-file=" + munge.resolve("pid"),
                "--log-file=" + munge.resolve("log"),
                "--seed-file=" + munge.resolve("seed"));
        await("munged", () -> Files.exists(munge.resolve("socket")));
        String conf = configuration().toString();
        daemon("slurmctld", "-D", "-f", conf);
        daemon("slurmd", "-D", "-N", host, "-f", conf);
        await("a node", () -> output("sinfo", "-h", "-o", "%T").equals("idle"));
    }

    private Path configuration() {
        return folder.resolve("slurm.conf");
    }

    private Path secret(String name) throws IOException {
        return Files.createDirectory(
                folder.resolve(name),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    }

    private void writeConfiguration(String host) throws IOException {
        Path state = secret("state");
        Path spool = secret("spool");
        String text =
                """
                ClusterName=panthera
                SlurmctldHost=%1$s(127.0.0.1)
                SlurmUser=root
                SlurmdUser=root
                SlurmctldPort=%2$d
                SlurmdPort=%3$d
                AuthType=auth/munge
                AuthInfo=socket=%4$s/munge/socket
                StateSaveLocation=%5$s
                SlurmdSpoolDir=%6$s
                SlurmctldPidFile=%4$s/slurmctld.pid
                SlurmdPidFile=%4$s/slurmd.pid
                ProctrackType=proctrack/linuxproc
                TaskPlugin=task/none
                SelectType=select/cons_tres
                SelectTypeParameters=CR_Core
                ReturnToService=2
                MpiDefault=none
                SwitchType=switch/none
                JobAcctGatherType=jobacct_gather/none
                AccountingStorageType=accounting_storage/none
                NodeName=%1$s NodeAddr=127.0.0.1 CPUs=%7$d State=UNKNOWN
                PartitionName=all Nodes=%1$s Default=YES MaxTime=INFINITE State=UP
                """
                        .formatted(
                                host,
                                freePort(),
                                freePort(),
                                folder,
                                state,
                                spool,
                                Runtime.getRuntime().availableProcessors());
        Files.writeString(configuration(), text);
    }

    private static int freePort() throws IOException {
        try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    /** The real command, with this cluster's configuration. */
    private void writeCommand(String name) throws IOException {
        Path command = bin.resolve(name);
        Files.writeString(
                command,
                "#!/bin/sh\nSLURM_CONF='%s' exec '%s' \"$@\"\n"
                        .formatted(configuration(), find(name)));
        Files.setPosixFilePermissions(command, PosixFilePermissions.fromString("rwx------"));
    }

    private void daemon(String name, String... arguments) throws IOException {
        List<String> command = new ArrayList<>();
        command.add(String.valueOf(find(name)));
        command.addAll(List.of(arguments));
        daemons.add(
                new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectOutput(folder.resolve(name + ".out").toFile())
                        .start());
    }

    private static @Nullable Path find(String name) {
        String places = System.getenv("PATH") + ":/usr/sbin:/usr/local/sbin";
        return Stream.of(places.split(File.pathSeparator))
                .map(place -> Path.of(place, name))
                .filter(Files::isExecutable)
                .findFirst()
                .orElse(null);
    }

    private String output(String name, String... arguments)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(bin.resolve(name).toString());
        command.addAll(List.of(arguments));
        var process =
                new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        try (InputStream out = process.getInputStream()) {
            String text = new String(out.readAllBytes()).strip();
            process.waitFor();
            return text;
        }
    }

    /** Something that may be so. */
    @FunctionalInterface
    private interface Condition {
        boolean holds() throws IOException, InterruptedException;
    }

    private void await(String what, Condition condition) throws IOException, InterruptedException {
        long limit = System.nanoTime() + LIMIT_NANOS;
        while (!condition.holds()) {
            boolean dead = daemons.stream().anyMatch(daemon -> !daemon.isAlive());
            if (dead || System.nanoTime() > limit) {
                throw new AssertionError("Slurm does not start: no " + what + "; " + printed());
            }
            Thread.sleep(50);
        }
    }

    private String printed() throws IOException {
        var all = new StringBuilder();
        for (String name : List.of("munged", "slurmctld", "slurmd")) {
            Path out = folder.resolve(name + ".out");
            all.append(Files.exists(out) ? Files.readString(out) : "");
        }
        return all.toString();
    }

    @Override
    public void close() {
        for (Process daemon : daemons.reversed()) {
            daemon.destroy();
        }
        for (Process daemon : daemons) {
            try {
                if (!daemon.waitFor(10, TimeUnit.SECONDS)) {
                    daemon.destroyForcibly();
                }
            } catch (InterruptedException end) {
                daemon.destroyForcibly();
                Thread.currentThread().interrupt();
            }
        }
    }
}
