package dev.panthera.sweep;

import dev.panthera.UserException;
import dev.panthera.io.AtomicFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * Slurm's job arrays of a sweep. The numbers of submitted jobs are kept in the sweep's folder, so that a process that takes
 * over a sweep from one that was killed finds the jobs that still run.
 */
final class SlurmJobs implements ArrayJobs {
    private static final String NAME = "panthera";
    private static final String JOBS_FILE = "slurm-jobs.txt";

    /** A controller that restarts is back within this time; after it there is none. */
    private static final long PATIENCE_NANOS = Duration.ofMinutes(10).toNanos();

    private final TrialFolder files;
    private final EngineSetting setting;
    private final SlurmCommands commands;
    private final Set<String> jobs = new TreeSet<>();
    private final Map<Integer, String> jobOfIndex = new HashMap<>();
    private long silentSince;

    SlurmJobs(TrialFolder files, EngineSetting setting) {
        this.files = files;
        this.setting = setting;
        commands = new SlurmCommands(setting.text(SlurmEngineProvider.COMMANDS));
    }

    @Override
    public void submit(List<Integer> indices) {
        List<String> words =
                new ArrayList<>(
                        List.of(
                                "--parsable",
                                "--array=" + ranges(indices) + limit(),
                                "--job-name=" + NAME,
                                "--cpus-per-task="
                                        + setting.count(SlurmEngineProvider.THREADS, 1, 1),
                                "--open-mode=append",
                                "--output=" + files.logs().resolve("%A_%a.log")));
        setting.startingWith("")
                .forEach((name, value) -> {
                    if (!SlurmEngineProvider.OWN.contains(name)) {
                        words.add(value.isEmpty() ? "--" + name : "--" + name + "=" + value);
                    }
                });
        words.add(files.script().toString());
        var answer = commands.run("sbatch", words);
        String job = answer.out().split(";")[0].strip();
        UserException.require(
                answer.isGood() && job.matches("\\d+"),
                "sbatch did not take the trials: %s; mend the engine's options and run the sweep again",
                answer.problem().isEmpty() ? answer.out() : answer.problem());
        jobs.add(job);
        indices.forEach(index -> jobOfIndex.put(index, job));
        AtomicFile.write(jobsFile(), String.join("\n", jobs) + "\n");
    }

    private String limit() {
        String slots = setting.text(SlurmEngineProvider.SLOTS);
        return slots == null ? "" : "%" + slots;
    }

    /** For example {@code 0-3,7,9-10}. */
    static String ranges(List<Integer> indices) {
        List<Integer> sorted = indices.stream().sorted().toList();
        List<String> ranges = new ArrayList<>();
        for (int first = 0; first < sorted.size(); ) {
            int last = first;
            while (last + 1 < sorted.size() && sorted.get(last + 1) == sorted.get(last) + 1) {
                last++;
            }
            ranges.add(
                    first == last
                            ? "" + sorted.get(first)
                            : sorted.get(first) + "-" + sorted.get(last));
            first = last + 1;
        }
        return String.join(",", ranges);
    }

    /** Asks for all jobs of the user, since squeue takes the number of a job that has long ended for an error. */
    @Override
    public Optional<Set<Integer>> alive() {
        var answer = commands.run("squeue", List.of("--me", "-h", "-r", "-o", "%F %K"));
        long now = System.nanoTime();
        if (!answer.isGood()) {
            silentSince = silentSince == 0 ? now : silentSince;
            UserException.require(
                    now - silentSince < PATIENCE_NANOS,
                    "squeue has failed for 10 minutes (%s); run the sweep again when Slurm answers, its jobs may go on meanwhile",
                    answer.problem());
            return Optional.empty();
        }
        silentSince = 0;
        var alive = new TreeSet<Integer>();
        answer.out()
                .lines()
                .map(line -> line.strip().split("\\s+"))
                .filter(words -> words.length == 2 && jobs.contains(words[0]))
                .filter(words -> words[1].matches("\\d+"))
                .forEach(words -> alive.add(Integer.parseInt(words[1])));
        return Optional.of(alive);
    }

    @Override
    public void cancel() {
        jobs.addAll(recorded());
        if (jobs.isEmpty()) {
            return;
        }
        List<String> words = new ArrayList<>(List.of("--quiet", "--name=" + NAME));
        words.addAll(jobs);
        commands.run("scancel", words);
    }

    @Override
    public void forget() {
        jobs.clear();
        try {
            Files.deleteIfExists(jobsFile());
        } catch (IOException failure) {
            throw new UserException(
                    "%s cannot be deleted (%s); make the sweep's folder writable"
                            .formatted(jobsFile(), failure.getMessage()),
                    failure);
        }
    }

    private List<String> recorded() {
        try {
            return Files.readAllLines(jobsFile()).stream().filter(l -> l.matches("\\d+")).toList();
        } catch (NoSuchFileException none) {
            return List.of();
        } catch (IOException failure) {
            throw new UserException(
                    "%s cannot be read (%s); delete it if no job of the sweep runs"
                            .formatted(jobsFile(), failure.getMessage()),
                    failure);
        }
    }

    private Path jobsFile() {
        return files.root().resolve(JOBS_FILE);
    }

    @Override
    public String log(int index) {
        return files.logs().resolve("%s_%d.log".formatted(jobOfIndex.get(index), index)).toString();
    }
}
